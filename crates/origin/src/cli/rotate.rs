//! `keyward keys rotate`: begun, finished, cancelled.

use anyhow::Context;
use clap::{Args, Subcommand};
use keyward_api::keys::{KeyRotated, RotateKey};
use keyward_core::KeyId;
use serde::Serialize;

use super::{
    client::{Call, Client},
    keys::{KEYS, Once, State, shown},
    parse::{self, Days, request},
    show::{line, moment, note},
};

/// A rotation, or the end of one.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Rotate {
    /// The key's id.
    #[arg(required = true, value_parser = parse::key_id)]
    id: Option<KeyId>,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    once: Once,
    #[command(flatten)]
    state: State,
    #[command(subcommand)]
    command: Option<RotateCommand>,
}

#[derive(Args, Serialize)]
struct Terms {
    /// For how long the old raw key goes on; 0 ends all older ones at once; unset: a day.
    #[arg(long, value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap_seconds: Option<u64>,
    /// Another expiry: days from now, or `never`.
    #[arg(long, value_name = "DAYS", value_parser = parse::days)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_days: Option<Days>,
}

#[derive(Subcommand)]
enum RotateCommand {
    /// The old raw key ends now.
    Finish(Turn),
    /// The new raw key ends now, and the old one is as before.
    Cancel(Turn),
}

#[derive(Args)]
struct Turn {
    /// The key's id.
    #[arg(value_parser = parse::key_id)]
    id: KeyId,
    #[command(flatten)]
    state: State,
}

impl Rotate {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self, client: &Client, tenant: Vec<(&'static str, String)>) -> anyhow::Result<()> {
        let call = |id: KeyId, action: &str, state: &State| {
            Call::post(format!("{KEYS}/{id}/{action}")).query(tenant.clone()).if_match(state.if_match.as_deref())
        };
        match self.command {
            Some(RotateCommand::Finish(turn)) => client.show(call(turn.id, "rotate/finish", &turn.state), |key| shown(&key)),
            Some(RotateCommand::Cancel(turn)) => client.show(call(turn.id, "rotate/cancel", &turn.state), |key| shown(&key)),
            None => {
                let id = self.id.context("a key")?;
                let body = request::<RotateKey>(&self.terms)?;
                let call = call(id, "rotate", &self.state).json(&body).once(self.once.idempotency_key.as_deref())?;
                client.show(call, |rotated: KeyRotated| {
                    let old = rotated.old_key_expires_at.as_deref();
                    let old = old.map_or_else(|| "has ended".to_owned(), |end| format!("goes on until {}", moment(Some(end))));
                    note(&format!("Key {} is rotated; the old raw key {old}. {}", rotated.api_key.id, rotated.warning));
                    line(&rotated.new_raw_key)
                })
            }
        }
    }
}
