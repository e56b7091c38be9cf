//! A running origin.

mod rest;

pub use rest::Created;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    Artefacts, Postgres, Process, Signal,
    artefacts::must_exist,
    eventually,
    http::{Request, Response, send},
    ports::free_port,
};

/// A cold start migrates an empty database.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How to start an origin.
#[derive(Debug, Default)]
pub struct OriginConfig {
    /// Where its data stays; a directory that goes away with it when `None`.
    pub data: Option<PathBuf>,
    /// Where it listens; a free port when `None`.
    pub listen: Option<SocketAddr>,
    /// Let the server run a Postgres of its own in its data directory, as it does for a user without one, rather than
    /// giving it one that the test can kill apart.
    pub own_database: bool,
    /// Write through to the disk. Tests don't: they kill processes, not machines.
    pub fsync: bool,
    /// Another build of the server than the one of the running program's profile.
    pub program: Option<PathBuf>,
    /// Environment variables beside those that the harness sets, or in their place.
    pub env: Vec<(String, String)>,
}

/// A `keyward serve` with its database and its data directory.
#[derive(Debug)]
pub struct Origin {
    server: Option<Process>,
    address: SocketAddr,
    data: PathBuf,
    config: OriginConfig,
    /// The database that it was given; `None` where it runs its own.
    pub postgres: Option<Postgres>,
    // Last, so that it goes away after those who write into it.
    _home: Option<TempDir>,
}

impl Origin {
    /// Starts one with a database of its own and waits until it is ready.
    ///
    /// # Errors
    /// When it isn't built or doesn't become ready; the message holds its last words.
    pub async fn start() -> Result<Self> {
        Self::start_with(OriginConfig::default()).await
    }

    /// As [`Origin::start`], otherwise configured.
    ///
    /// # Errors
    /// As [`Origin::start`].
    pub async fn start_with(config: OriginConfig) -> Result<Self> {
        let home = match config.data {
            Some(_) => None,
            None => {
                let home = tempfile::Builder::new().prefix("keyward-origin-").tempdir()?;
                open_to_the_database(&home)?;
                Some(home)
            }
        };
        let inside = home.as_ref().map(|home| home.path().join("data"));
        let data = config.data.clone().or(inside).context("a data directory")?;
        fs::create_dir_all(&data)?;
        let postgres = if config.own_database { None } else { Some(Postgres::start_with(config.fsync).await?) };
        let address = match config.listen {
            Some(address) => address,
            None => free_port()?,
        };
        let mut origin = Self { server: None, address, data, config, postgres, _home: home };
        origin.restart().await?;
        Ok(origin)
    }

    /// Starts the server again, at the same address on the same data, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Origin::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.launch()?;
        self.ready().await
    }

    /// Starts the server again without waiting for anything.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn launch(&mut self) -> Result<()> {
        self.kill()?;
        let log = self.data.with_extension("log");
        let mut command = self.command()?;
        command.arg("serve");
        if !self.config.fsync {
            command.arg("--no-fsync");
        }
        self.server = Some(Process::start_parent("keyward serve", command, &log)?);
        Ok(())
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When the server ends, or isn't ready in time.
    pub async fn ready(&mut self) -> Result<()> {
        let address = self.address;
        let server = self.server.as_mut().context("the origin isn't running")?;
        let ready = eventually("the origin is ready", READY_WITHIN, || {
            let ended = server.must_be_running();
            async move {
                match ended {
                    Err(error) => Some(Err(error)),
                    Ok(()) => {
                        let answer = send(address, &Request::get("/readyz")).await.ok()?;
                        (answer.status == 200).then_some(Ok(()))
                    }
                }
            }
        })
        .await;
        ready.with_context(|| server.last_words())?
    }

    /// A `keyward` command in this origin's environment, for its other subcommands.
    ///
    /// # Errors
    /// When it isn't built.
    pub fn command(&self) -> Result<Command> {
        let artefacts = Artefacts::locate()?;
        let mut command = Command::new(must_exist(self.config.program.as_ref().unwrap_or(&artefacts.keyward))?);
        // What the developer's shell has set for their own server is none of a test's business.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("KEYWARD_") && name != "KEYWARD_PG_BIN") {
                command.env_remove(name);
            }
        }
        command.env("KEYWARD_LISTEN", self.address.to_string()).env("KEYWARD_DATA_DIR", &self.data).env("KEYWARD_ISSUER", self.url());
        // Where they are built: not every test is about them.
        if artefacts.www.join("index.html").exists() {
            command.env("KEYWARD_WWW", &artefacts.www);
        }
        match &self.postgres {
            Some(postgres) => command.env("DATABASE_URL", postgres.url()),
            None => command.env_remove("DATABASE_URL"),
        };
        command.envs(self.config.env.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as a URL without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its data directory.
    #[must_use]
    pub fn data(&self) -> &PathBuf {
        &self.data
    }

    /// The first admin's key.
    ///
    /// # Errors
    /// When the server hasn't written it.
    pub fn admin_key(&self) -> Result<String> {
        self.file("admin.key")
    }

    /// The key with which edges ask for the feed.
    ///
    /// # Errors
    /// When the server hasn't written it.
    pub fn edge_key(&self) -> Result<String> {
        self.file("edge.key")
    }

    /// The root's public key, as an edge pins it.
    ///
    /// # Errors
    /// When the server hasn't written it.
    pub fn root(&self) -> Result<String> {
        self.file("root.pub")
    }

    fn file(&self, name: &str) -> Result<String> {
        let path = self.data.join(name);
        Ok(fs::read_to_string(&path).with_context(|| path.display().to_string())?.trim().to_owned())
    }

    /// What the server has written so far, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.data.with_extension("log")).unwrap_or_default()
    }

    /// Sends `signal` to the server and what it started.
    ///
    /// # Errors
    /// When it isn't running.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.server.as_ref().context("the origin isn't running")?.signal(signal)
    }

    /// The server's process id.
    ///
    /// # Errors
    /// When it isn't running.
    pub fn process_id(&self) -> Result<u32> {
        Ok(self.server.as_ref().context("the origin isn't running")?.id())
    }

    /// Kills the server (not a database that it was given), as a crash would.
    ///
    /// # Errors
    /// When the system doesn't know the child.
    pub fn kill(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), |mut server| server.kill())
    }

    /// Ends the server as Ctrl-C would.
    ///
    /// # Errors
    /// When it doesn't end in 20 s.
    pub async fn end(&mut self) -> Result<ExitStatus> {
        self.server.take().context("the origin isn't running")?.end(Duration::from_secs(20)).await
    }

    /// Fails, with its last words, when the server has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn must_be_running(&mut self) -> Result<()> {
        self.server.as_mut().context("the origin isn't running")?.must_be_running()
    }

    /// Sends a request as it is.
    ///
    /// # Errors
    /// As [`send`].
    pub async fn send(&self, request: &Request) -> Result<Response> {
        send(self.address, request).await
    }
}

/// The account that Postgres runs as has to get through to a data directory that the server makes inside.
fn open_to_the_database(home: &TempDir) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(home.path(), fs::Permissions::from_mode(0o711))?)
}
