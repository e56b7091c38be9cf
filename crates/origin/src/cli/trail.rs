//! `keyward audit search`, `export` and `checkpoints`: the trail as the origin has it.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use keyward_core::{AuditRecord, KeyId};

use super::{
    client::Call,
    connection::{Connection, InTenant},
    list::{Listed, Paging},
    parse,
    show::{line, millis, note},
};
use crate::sealing::secret_file;

const AUDIT: &str = "/api/v1/audit";
/// The media type of an export.
const LINES: &str = "application/x-ndjson";

/// Which records.
#[derive(Args)]
pub struct Search {
    /// By this key.
    #[arg(long, value_name = "KEY", value_parser = parse::key_id)]
    actor: Option<KeyId>,
    /// Such as `api_key_created`.
    #[arg(long)]
    action: Option<String>,
    /// About this key.
    #[arg(long, value_parser = parse::key_id)]
    key: Option<KeyId>,
    #[command(flatten)]
    range: Range,
    #[command(flatten)]
    paging: Paging,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
}

/// Of which time.
#[derive(Args)]
struct Range {
    /// From this moment on: 2027-01-31T12:00:00Z.
    #[arg(long, value_name = "MOMENT")]
    from: Option<String>,
    /// Before this moment.
    #[arg(long, value_name = "MOMENT")]
    to: Option<String>,
}

impl Range {
    fn query(self) -> impl Iterator<Item = (&'static str, String)> {
        [("from", self.from), ("to", self.to)].into_iter().filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Which part of the trail, and where to.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    range: Range,
    /// A new file, for its owner alone; unset: standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
}

/// Which checkpoints.
#[derive(Args)]
pub struct CheckpointsOf {
    /// Make one for what there is now, and print that alone.
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
}

impl Search {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let id = |id: Option<KeyId>| id.map(|id| id.to_string());
        let members = [("actor", id(self.actor)), ("action", self.action), ("key", id(self.key))];
        let members = members.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let query = self.tenant.query().into_iter().chain(members).chain(self.range.query()).collect();
        let head = &["seq", "when", "action", "by", "target", "address"];
        Listed { path: AUDIT, query, cursor: "cursor", head, row }.show(&client, &self.paging)
    }
}

impl Export {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let call = Call::get(format!("{AUDIT}/export")).query(self.tenant.query()).query(self.range.query());
        match &self.output {
            None => client.copy(&call, LINES, &mut std::io::stdout().lock()),
            Some(path) => {
                let mut file = created(path)?;
                let written = client.copy(&call, LINES, &mut file).and_then(|()| Ok(file.sync_all()?));
                if let Err(error) = written {
                    // Half a trail would be taken for one that somebody has cut.
                    let _ = std::fs::remove_file(path);
                    return Err(error);
                }
                note(&format!("{} is written; `keyward audit verify` proves it", path.display()));
                Ok(())
            }
        }
    }
}

fn created(path: &Path) -> anyhow::Result<File> {
    // Never over an earlier one.
    secret_file(File::options().create_new(true), path).with_context(|| format!("can't make {}", path.display()))
}

impl CheckpointsOf {
    /// Does it. What is printed is what to keep: the answer as it is.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let path = format!("{AUDIT}/checkpoints");
        let call = if self.new { Call::post(path) } else { Call::get(path) };
        line(&self.connection.client()?.ask(&call.query(self.tenant.query()))?.text)
    }
}

fn row(record: &AuditRecord) -> Vec<String> {
    let none = || "-".to_owned();
    vec![
        record.seq.to_string(),
        millis(record.at_ms),
        record.action.clone(),
        record.actor.as_ref().map_or_else(none, |actor| format!("{} {}", actor.owner, actor.key)),
        record.target.as_ref().map_or_else(none, |target| format!("{} {}", target.kind, target.id)),
        record.address.clone().unwrap_or_else(none),
    ]
}
