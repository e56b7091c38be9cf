//! `keyward recover`: which journals, and what came of it.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::{database::Database, failure::Failure, root, show::line};
use crate::{
    clock::Clock,
    journal::{self, Memory},
    recover::{DEFAULT_GAP, recover},
};

/// What it is told.
#[derive(Args)]
pub struct Recover {
    /// How many status positions and policy numbers to pass over: more than can have been used in the lost time.
    #[arg(long, default_value_t = DEFAULT_GAP)]
    gap: u32,
    /// The journal of another server on this database, or a copy of one: the file. Again for each; DATA_DIR/journal counts by itself.
    #[arg(long, value_name = "FILE")]
    journal: Vec<PathBuf>,
    /// Go on where there is no journal. What was revoked in the lost time counts again then, and nobody can say what that was.
    #[arg(long, conflicts_with = "journal")]
    without_journal: bool,
    /// The root's file, where the root is kept apart from the server: the new epoch stands in a manifest.
    #[arg(long)]
    root_key: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
}

/// Recovers.
///
/// # Errors
/// Where there is no journal; else as [`recover`].
pub async fn run(arguments: Recover) -> anyhow::Result<()> {
    let memory = arguments.memory()?;
    let root = arguments.root_key.as_deref().map(root::read_root).transpose()?;
    let opened = arguments.database.open().await?;
    let done = recover(&opened.db, &opened.foundation, &memory, arguments.gap, root.as_ref(), Clock::system().now()).await?;
    let told =
        json!({"epoch": done.epoch, "first_policy": done.first_policy, "first_index": done.first_index, "revoked_again": done.revoked});
    line(&told.to_string())?;
    opened.close().await
}

impl Recover {
    /// What all journals together know.
    fn memory(&self) -> anyhow::Result<Memory> {
        let own = self.database.data_dir.join(journal::NAME);
        let mut memory = Memory::read_file(&own)?.unwrap_or_default();
        for path in &self.journal {
            let other = Memory::read_file(path)?.with_context(|| format!("there is no {}", path.display()))?;
            memory.join(&other)?;
        }
        // The first entry of each names the deployment.
        if memory.deployment.is_none() && !self.without_journal {
            let words = format!(
                "there is no journal in {}: name the servers' data directory (KEYWARD_DATA_DIR) or a copy of a journal (--journal). \
                 Only where all are lost: --without-journal, and what was revoked after the backup counts again",
                self.database.data_dir.display()
            );
            return Err(Failure::Usage(words).into());
        }
        Ok(memory)
    }
}
