//! `keyward keys bulk`: one action on many keys, chunk after chunk.

use clap::{Args, Subcommand};
use keyward_api::bulk::{Bulk, BulkDone};
use keyward_core::KeyId;
use serde_json::{Map, Value, json};

use super::{
    client::{Call, Client},
    confirm::Confirm,
    failure::Failure,
    filter::Filter,
    keys::KEYS,
    parse::{self, request},
    show::{line, note},
};

/// An action.
#[derive(Subcommand)]
pub enum BulkCommand {
    /// Out of use until resumed.
    Suspend(Many),
    /// In use again.
    Resume(Many),
    /// Out of use for ever.
    Revoke {
        #[command(flatten)]
        many: Many,
        /// Why; kept, and shown with the keys.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// To another owner.
    Reassign {
        #[command(flatten)]
        many: Many,
        /// The new owner.
        #[arg(long, value_name = "ID")]
        to: String,
    },
}

/// On which keys.
#[derive(Args)]
pub struct Many {
    /// These keys, up to 500.
    #[arg(value_name = "ID", value_parser = parse::key_id)]
    ids: Vec<KeyId>,
    /// All keys that the asking key may change, where neither ids nor a filter say which.
    #[arg(long)]
    all_keys: bool,
    #[command(flatten)]
    filter: Box<Filter>,
    /// Only count.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
}

/// What the chunks have come to.
#[derive(Default)]
struct Sum {
    matched: u64,
    changed: u64,
    not_found: Vec<KeyId>,
}

impl BulkCommand {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self, client: &Client, tenant: Vec<(&'static str, String)>) -> anyhow::Result<()> {
        let (action, many, extra) = match self {
            Self::Suspend(many) => ("suspend", many, None),
            Self::Resume(many) => ("resume", many, None),
            Self::Revoke { many, reason } => ("revoke", many, reason.map(|reason| ("reason", reason))),
            Self::Reassign { many, to } => ("reassign", many, Some(("owner_id", to))),
        };
        let mut body = many.which()?;
        body.extend(extra.map(|(name, value)| (name.to_owned(), Value::String(value))));
        let ask = |members: &Map<String, Value>| {
            let body = request::<Bulk>(members)?;
            client.ask(&Call::post(format!("{KEYS}/bulk/{action}")).query(tenant.clone()).json(&body))
        };
        if !many.dry_run {
            many.confirm.ask(|| {
                let counted = each(&ask, &with(&body, "dry_run", json!(true)), |_| Ok(()))?;
                Ok((format!("This will {action} {} keys.", counted.changed), format!("{action} {}", counted.changed)))
            })?;
        }
        let body = with(&body, "dry_run", json!(many.dry_run));
        let sum = each(&ask, &body, |text| if client.json() { line(text) } else { Ok(()) })?;
        if !client.json() {
            let done = if many.dry_run { "would be changed" } else { "changed" };
            line(&format!("{action}: {} matched, {} {done}", sum.matched, sum.changed))?;
        }
        for id in sum.not_found {
            note(&format!("not found: {id}"));
        }
        Ok(())
    }
}

/// All chunks, one after the other.
fn each(
    ask: &impl Fn(&Map<String, Value>) -> anyhow::Result<super::client::Answer>,
    body: &Map<String, Value>,
    mut tell: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Sum> {
    let (mut sum, mut body) = (Sum::default(), body.clone());
    loop {
        let told = |error| {
            if sum.matched > 0 {
                note(&format!("before this, {} matched and {} were changed", sum.matched, sum.changed));
            }
            error
        };
        let answer = ask(&body).map_err(told)?;
        tell(&answer.text)?;
        let done: BulkDone = answer.read()?;
        sum.matched += u64::from(done.matched);
        sum.changed += u64::from(done.changed);
        sum.not_found.extend(done.not_found);
        match done.next_cursor {
            Some(cursor) => body = with(&body, "cursor", Value::String(cursor)),
            None => return Ok(sum),
        }
    }
}

fn with(body: &Map<String, Value>, name: &str, value: Value) -> Map<String, Value> {
    let mut body = body.clone();
    body.insert(name.to_owned(), value);
    body
}

impl Many {
    /// Ids, or a filter; all keys only where that was said.
    fn which(&self) -> anyhow::Result<Map<String, Value>> {
        let filter = self.filter.members()?;
        let filtered = filter.as_object().is_some_and(|members| !members.is_empty());
        let (name, value) = match (self.ids.is_empty(), filtered, self.all_keys) {
            (false, false, false) => ("ids", json!(self.ids)),
            (true, true, false) | (true, false, true) => ("filter", filter),
            _ => return Err(Failure::Usage("which keys: either ids, or a filter, or --all-keys".to_owned()).into()),
        };
        Ok(Map::from_iter([(name.to_owned(), value)]))
    }
}
