//! `keyward policies replay`: what another policy would have decided.

use std::path::PathBuf;

use clap::Args;
use keyward_api::decisions::{Replay as Asked, Replayed};
use keyward_core::KeyId;
use serde_json::{Value, json};

use super::{
    client::{Call, Client},
    connection::InTenant,
    failure::Failure,
    key_terms::NewTerms,
    parse::{self, request},
    root::read,
    show::{line, moment, note, record, table},
};

/// Bytes of a draft.
const MAX_DRAFT: u64 = 64 * 1024;

/// A draft, and what to hold it against.
#[derive(Args)]
pub struct Replay {
    /// Decisions on this key alone.
    #[arg(long, value_parser = parse::key_id)]
    key: Option<KeyId>,
    /// Decisions on the keys that have this policy now.
    #[arg(long, value_name = "NUMBER", conflicts_with = "key")]
    of_policy: Option<u32>,
    /// A draft with all its terms, as JSON with the members of a new key; `-`: standard input. Without it, what is named below
    /// changes the terms of the key or of the policy.
    #[arg(long = "policy", value_name = "FILE")]
    draft: Option<PathBuf>,
    /// How far back, in hours or days: `1h` to `7d`.
    #[arg(long, default_value = "1h", value_parser = hours)]
    since: u32,
    /// Exit with 5 where a request would be decided otherwise.
    #[arg(long)]
    fail_on_change: bool,
    #[command(flatten)]
    terms: NewTerms,
}

fn hours(text: &str) -> Result<u32, String> {
    let parsed = match (text.strip_suffix('h'), text.strip_suffix('d')) {
        (Some(hours), _) => hours.parse().ok(),
        (_, Some(days)) => days.parse::<u32>().ok().and_then(|days| days.checked_mul(24)),
        _ => None,
    };
    parsed.filter(|hours| (1..=168).contains(hours)).ok_or_else(|| "hours or days, `1h` to `7d`".to_owned())
}

impl Replay {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between; [`Failure::Changed`].
    pub fn run(self, client: &Client, tenant: &InTenant) -> anyhow::Result<()> {
        let change = serde_json::to_value(&self.terms)?;
        let named = change.as_object().is_some_and(|members| !members.is_empty());
        let mut asked = json!({"key_id": self.key, "policy": self.of_policy, "hours": self.since});
        match &self.draft {
            Some(_) if named => return Err(Failure::Usage("either --policy, or single terms".into()).into()),
            Some(file) => {
                let text = read(file, MAX_DRAFT)?;
                asked["terms"] = serde_json::from_str::<Value>(&text)
                    .map_err(|error| Failure::Usage(format!("{} is no JSON: {error}", file.display())))?;
            }
            None if self.key.is_none() && self.of_policy.is_none() => {
                return Err(Failure::Usage("a draft (--policy), or whose terms are changed (--key, --of-policy)".into()).into());
            }
            None => asked["change"] = change,
        }
        let body = request::<Asked>(&asked)?;
        let answer = client.ask(&Call::post("/api/v1/policies/replay").query(tenant.query()).json(&body))?;
        let replayed: Replayed = answer.read()?;
        if client.json() {
            line(&answer.text)?
        } else {
            shown(&replayed)?
        }
        if self.fail_on_change && replayed.changed > 0 { Err(Failure::Changed.into()) } else { Ok(()) }
    }
}

fn shown(replayed: &Replayed) -> anyhow::Result<()> {
    let of_all = |requests: u64| format!("{requests} of {} requests", replayed.requests);
    record([
        ("since", moment(Some(&replayed.since))),
        ("looked at", format!("{} decisions, for {} requests", replayed.decisions, replayed.requests)),
        ("would change", of_all(replayed.changed)),
        ("newly refused", replayed.newly_refused.to_string()),
        ("newly permitted", replayed.newly_permitted.to_string()),
        ("for another reason", replayed.refused_otherwise.to_string()),
        ("can't be said", replayed.undecided.to_string()),
    ])?;
    if replayed.cut {
        note("There are older decisions that weren't looked at.");
    }
    if replayed.changes.is_empty() {
        return Ok(());
    }
    line("")?;
    let rows = replayed.changes.iter().map(|change| {
        let route = change.route.clone().unwrap_or_else(|| "-".to_owned());
        let (from, to, requests) = (change.from.clone(), change.to.clone(), change.requests.to_string());
        vec![change.key_id.to_string(), change.key_name.clone(), route, from, to, requests, change.example.to_string()]
    });
    table(&["key", "name", "route", "was", "would be", "requests", "for example"], rows)?;
    if replayed.more {
        note("There are more lines, of fewer requests each.");
    }
    Ok(())
}
