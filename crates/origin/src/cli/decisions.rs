//! `keyward decisions`: what edges decided lately, and as it comes.

use std::{io::Write, thread::sleep, time::Duration};

use clap::{Args, Subcommand};
use keyward_api::decisions::{Decision, DecisionExplained};
use keyward_core::KeyId;

use super::{
    client::{Call, Client},
    connection::{CONNECTION_HELP, Connection, InTenant},
    failure::{EXIT_CODES, Failure},
    list::{Listed, Paging},
    parse,
    show::{line, moment, note, plain, record, table},
};

const DECISIONS: &str = "/api/v1/decisions";

const EXAMPLES: &str = "\
Examples:
  keyward decisions tail --outcome refused
  keyward decisions list --key 0197… --reason capability_missing --all --json
  keyward decisions get 4711      # the rules, one by one, and which of them decided";

/// Before a stream is asked for again: each time twice as long.
const WAITS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(16);
/// Bytes of a line of a stream.
const MAX_LINE: usize = 64 * 1024;

/// Recent decisions of edges: a sample, in which each stands for as many requests as its weight says.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Decisions {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
    #[command(subcommand)]
    command: DecisionsCommand,
}

#[derive(Subcommand)]
enum DecisionsCommand {
    /// Decisions, newest first.
    List {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        paging: Paging,
    },
    /// One of them, and the rules that it was made by.
    Get {
        /// Its id.
        id: u64,
    },
    /// Decisions as they come, until interrupted.
    Tail {
        #[command(flatten)]
        which: Which,
        /// Those after this one; unset: those to come.
        #[arg(long, value_name = "ID")]
        after: Option<u64>,
    },
}

/// Which decisions.
#[derive(Args)]
struct Which {
    /// On this key.
    #[arg(long, value_parser = parse::key_id)]
    key: Option<KeyId>,
    /// That came to this.
    #[arg(long, value_parser = ["passed", "refused"])]
    outcome: Option<String>,
    /// For this reason: its code.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// On paths that begin so.
    #[arg(long, value_name = "PREFIX")]
    path: Option<String>,
}

impl Which {
    fn query(self) -> impl Iterator<Item = (&'static str, String)> {
        let key = self.key.map(|key| key.to_string());
        [("key", key), ("outcome", self.outcome), ("reason", self.reason), ("path", self.path)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }
}

impl Decisions {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        match self.command {
            DecisionsCommand::List { which, paging } => {
                let query = self.tenant.query().into_iter().chain(which.query()).collect();
                let head = &["id", "when", "outcome", "status", "request", "key", "from", "for"];
                Listed { path: DECISIONS, query, cursor: "cursor", head, row }.show(&client, &paging)
            }
            DecisionsCommand::Get { id } => {
                client.show(Call::get(format!("{DECISIONS}/{id}")).query(self.tenant.query()), |told| explained(&told))
            }
            DecisionsCommand::Tail { which, after } => {
                let query: Vec<_> = self.tenant.query().into_iter().chain(which.query()).collect();
                watch(&client, &query, after)
            }
        }
    }
}

fn row(decision: &Decision) -> Vec<String> {
    vec![
        decision.id.to_string(),
        moment(Some(&decision.time)),
        decision.outcome.clone(),
        decision.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        format!("{} {}", decision.method, decision.path),
        decision.key_id.to_string(),
        decision.address.clone().unwrap_or_else(|| "-".to_owned()),
        decision.weight.to_string(),
    ]
}

fn explained(told: &DecisionExplained) -> anyhow::Result<()> {
    let decision = &told.decision;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    record([
        ("when", decision.time.clone()),
        ("outcome", decision.outcome.clone()),
        ("status", decision.status.map(|status| status.to_string()).unwrap_or_default()),
        ("request", format!("{} {}", decision.method, decision.path)),
        ("route", text(&decision.route)),
        ("asks for", text(&decision.capability)),
        ("key", decision.key_id.to_string()),
        ("by token", if decision.token { "yes".to_owned() } else { String::new() }),
        ("policy", decision.policy.map(|policy| policy.to_string()).unwrap_or_default()),
        ("state", decision.position.clone()),
        ("from", text(&decision.address)),
        ("origin", text(&decision.domain)),
        ("TLS", if decision.tls { "yes" } else { "no" }.to_owned()),
        ("took", decision.duration_ms.map(|millis| format!("{millis} ms")).unwrap_or_default()),
        ("cents", decision.cost_cents.to_string()),
        ("stands for", format!("{} requests", decision.weight)),
    ])?;
    if told.steps.is_empty() {
        return Ok(());
    }
    line("")?;
    let steps = told.steps.iter().map(|step| {
        let kept = match step.passed {
            Some(true) => "kept",
            Some(false) => "broken",
            None => "not looked at",
        };
        vec![step.rule.clone(), step.source.clone(), kept.to_owned(), text(&step.by), text(&step.code)]
    });
    table(&["rule", "of", "", "by", "refused for"], steps)
}

/// Prints decisions as they come; goes on where the stream breaks off.
fn watch(client: &Client, query: &[(&'static str, String)], after: Option<u64>) -> anyhow::Result<()> {
    let after = after.map_or_else(|| newest(client, query), Ok)?;
    let mut printer = Printer { json: client.json(), last: after, line: Vec::new(), id: None, told: false };
    let mut wait = *WAITS.start();
    loop {
        printer.told = false;
        let call = Call::get(format!("{DECISIONS}/stream")).query(query.iter().cloned()).query([("after", printer.last.to_string())]);
        let ended = client.copy(&call, "text/event-stream", &mut printer);
        // What was cut off in the middle comes again.
        printer.line.clear();
        if printer.told {
            wait = *WAITS.start();
        }
        match ended {
            Ok(()) => {}
            Err(error) => match error.downcast_ref::<Failure>() {
                Some(Failure::Unreachable(_) | Failure::Refused { status: 429 | 500.., .. }) => {
                    note(&format!("{error}; asking again in {} s", wait.as_secs()));
                }
                _ => return Err(error),
            },
        }
        sleep(wait);
        wait = (wait * 2).min(*WAITS.end());
    }
}

/// The last decision that there is: what comes after it is missed by no stream that breaks off early.
fn newest(client: &Client, query: &[(&'static str, String)]) -> anyhow::Result<u64> {
    let tenant = query.iter().filter(|(name, _)| *name == "tenant").cloned();
    let page: Vec<Decision> = client.ask(&Call::get(DECISIONS).query(tenant).query([("limit", "1".to_owned())]))?.read()?;
    Ok(page.first().map_or(0, |decision| decision.id))
}

/// Takes a stream of events (HTML Standard, section 9.2) as it comes, and prints each.
struct Printer {
    json: bool,
    /// The last decision that was printed.
    last: u64,
    line: Vec<u8>,
    id: Option<u64>,
    told: bool,
}

impl Printer {
    fn take(&mut self, text: &str) -> anyhow::Result<()> {
        if let Some(id) = text.strip_prefix("id: ") {
            self.id = id.parse().ok();
        } else if let Some(data) = text.strip_prefix("data: ") {
            if self.json {
                line(data)?;
            } else if let Ok(decision) = serde_json::from_str::<Decision>(data) {
                line(&told(&decision))?;
            }
            self.last = self.id.unwrap_or(self.last);
            self.told = true;
        }
        Ok(())
    }
}

impl Write for Printer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for byte in bytes {
            if *byte != b'\n' {
                if self.line.len() >= MAX_LINE {
                    return Err(std::io::Error::other("a line of the stream is too long"));
                }
                self.line.push(*byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            self.take(&line).map_err(|error| error.downcast().unwrap_or_else(std::io::Error::other))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A line for people.
fn told(decision: &Decision) -> String {
    let Decision { time, outcome, status, method, path, key_id, weight, .. } = decision;
    let clock = time.get(11..19).unwrap_or(time);
    let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
    let many = if *weight > 1 { format!("  (x{weight})") } else { String::new() };
    let from = decision.address.as_deref().unwrap_or("-");
    plain(&format!("{clock}  {outcome:<22} {status:>3}  {method} {path}  {key_id}  {from}{many}"))
}
