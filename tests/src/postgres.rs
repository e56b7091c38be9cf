//! A Postgres server that belongs to one test, which may kill it and start it again.

use std::{env, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use keyward_postgres::{Cluster, Options};
use rustix::process::Pid;
use tempfile::TempDir;

use crate::{Process, eventually};

/// It is ready in well under a second; after a crash it replays its log first.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running server on a fresh cluster. Its files go away with it.
#[derive(Debug)]
pub struct Postgres {
    server: Option<Process>,
    cluster: Cluster,
    home: TempDir,
}

impl Postgres {
    /// Makes a cluster and starts it. It survives being killed, but not the machine (fsync is off).
    ///
    /// # Errors
    /// When there are no Postgres binaries here, or the server doesn't become ready.
    pub async fn start() -> Result<Self> {
        Self::start_with(false).await
    }

    /// As [`Postgres::start`]; with `fsync` it writes through to the disk, as it would in production.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_with(fsync: bool) -> Result<Self> {
        // Under the system's folder for temporary files, because a socket's path has to stay below 108 bytes.
        let home = tempfile::Builder::new().prefix("keyward-pg-").tempdir()?;
        let binaries = env::var_os("KEYWARD_PG_BIN").map(Into::into);
        let cluster = Cluster::open(&Options { dir: home.path().to_owned(), durable: fsync, binaries })?;
        let mut postgres = Self { server: None, cluster, home };
        postgres.restart().await?;
        Ok(postgres)
    }

    /// A URL for `DATABASE_URL`: a superuser, over a socket that only this user and root can reach.
    #[must_use]
    pub fn url(&self) -> String {
        keyward_postgres::url(self.home.path())
    }

    /// Kills the server and everything it started, as a crash would.
    ///
    /// # Errors
    /// When the system doesn't know the child.
    pub fn kill(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), |mut server| server.kill())
    }

    /// Starts the server again on the same data, and waits until it takes connections.
    ///
    /// # Errors
    /// When it doesn't become ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let mut server = Process::start_as_it_is("postgres", self.cluster.server()?, &self.cluster.log())?;
        let pid = i32::try_from(server.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        let started = eventually("Postgres is ready", READY_WITHIN, || {
            let gone = server.must_be_running().err().map(Err);
            std::future::ready(gone.or_else(|| self.cluster.is_ready(pid).then_some(Ok(()))))
        })
        .await;
        started??;
        self.server = Some(server);
        Ok(())
    }

    /// Copies the data to `copy` as they stand, as a backup does, with the server stopped for the while.
    ///
    /// # Errors
    /// When the copy fails or the server doesn't start again.
    pub async fn save(&mut self, copy: &Path) -> Result<()> {
        self.stop().await?;
        copy_tree(self.cluster.data(), copy)?;
        self.restart().await
    }

    /// Goes back to what [`Postgres::save`] copied: the accident that a restore is.
    ///
    /// # Errors
    /// As [`Postgres::save`].
    pub async fn restore(&mut self, copy: &Path) -> Result<()> {
        self.stop().await?;
        fs::remove_dir_all(self.cluster.data())?;
        copy_tree(copy, self.cluster.data())?;
        self.restart().await
    }

    /// Ends the server in an orderly way, so that its files say all that it knows.
    async fn stop(&mut self) -> Result<()> {
        if let Some(server) = self.server.take() {
            server.end(READY_WITHIN).await?;
        }
        Ok(())
    }

    /// Runs statements with psql and returns its unaligned output without headers.
    ///
    /// # Errors
    /// When psql is missing or a statement fails.
    pub fn query(&self, sql: &str) -> Result<String> {
        let output =
            Command::new(self.binaries().join("psql")).args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).arg(self.url()).output()?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// The programs of this version, for `pg_dump` and the like.
    #[must_use]
    pub fn binaries(&self) -> &Path {
        self.cluster.binaries()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Copies a tree with its owners and modes, which Postgres insists on.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("cp").arg("-a").arg("-T").args([from, to]).status()?;
    ensure!(done.success(), "cp -a {} {}", from.display(), to.display());
    Ok(())
}
