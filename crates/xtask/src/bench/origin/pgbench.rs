//! pgbench: how often the database alone does something, which is what a server on it can hope for.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use keyward_tests::Postgres;
use tempfile::NamedTempFile;

use super::{TURN_SECONDS, WARM_UP_SECONDS};
use crate::shell::run_quietly;

/// A script for it, and where it runs.
pub(super) struct PgBench {
    program: PathBuf,
    url: String,
    script: NamedTempFile,
}

impl PgBench {
    pub(super) fn new(postgres: &Postgres, script: &str) -> Result<Self> {
        let file = NamedTempFile::new()?;
        fs::write(file.path(), script)?;
        Ok(Self { program: postgres.binaries().join("pgbench"), url: postgres.url(), script: file })
    }

    /// A turn: how often the script is done in a second, over so many connections.
    pub(super) fn rate(&self, connections: usize) -> Result<f64> {
        self.run(connections, WARM_UP_SECONDS)?;
        self.run(connections, TURN_SECONDS)
    }

    fn run(&self, connections: usize, seconds: u32) -> Result<f64> {
        let mut pgbench = Command::new(&self.program);
        pgbench.args(["-n", "-M", "prepared", "-j"]).arg(connections.min(2).to_string());
        pgbench.arg("-c").arg(connections.to_string()).arg("-T").arg(seconds.to_string());
        tps(&run_quietly(pgbench.arg("-f").arg(self.script.path()).arg(&self.url))?).context("what pgbench says")
    }
}

/// `tps = 1234.5 (without initial connection time)`
fn tps(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}
