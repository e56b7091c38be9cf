//! Where the database and the files of a deployment are, for the commands that work on them.

use std::{env::VarError, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Args;
use keyward_postgres::{AlreadyRunning, Options, PrivatePostgres};
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::{
    bootstrap::{self, Foundation},
    db::Db,
    sealing::{MasterFile, SealingKey, parse_master_key},
};

// From the environment alone: arguments show in the list of processes.
pub const MASTER_KEY: &str = "KEYWARD_MASTER_KEY";
pub const MASTER_KEY_HELP: &str = "KEYWARD_MASTER_KEY (32 bytes of base64url, in the environment) seals all secrets in the database. \
    Without it the first start makes a file DATA_DIR.master.key: keep a copy of it apart from the database's backups.\n\
    KEYWARD_LOG sets what is logged to standard error, as in `info,keyward_origin=debug`.";

/// How long a server waits for a command to be done with the Postgres in its data directory, and how often it looks.
const GUESTS: Duration = Duration::from_secs(30);
const RETRY: Duration = Duration::from_millis(100);

/// Which database, and which data directory.
#[derive(Args)]
pub struct Database {
    /// A Postgres 15 or newer; unset: a private one in the data directory.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Where files stay: the first keys, the journal, the private Postgres.
    #[arg(long, env = "KEYWARD_DATA_DIR", default_value = ".keyward/data")]
    pub data_dir: PathBuf,
    /// Where `postgres` and `initdb` are; unset: the newest of /usr/lib/postgresql, then PATH.
    #[arg(long, env = "KEYWARD_PG_BIN")]
    pg_bin: Option<PathBuf>,
    /// Force nothing to the disk. For tests: a machine that stops loses data.
    #[arg(long)]
    pub no_fsync: bool,
}

/// A deployment that a command works on, beside the server or without one.
pub struct Opened {
    /// Its database.
    pub db: Db,
    /// What it was founded with.
    pub foundation: Foundation,
    postgres: Option<PrivatePostgres>,
}

impl Opened {
    /// Ends what was begun for it.
    ///
    /// # Errors
    /// Never in practice.
    pub async fn close(self) -> anyhow::Result<()> {
        self.db.close().await;
        end(self.postgres).await
    }
}

/// Ends a private Postgres, which blocks.
///
/// # Errors
/// Never in practice.
pub async fn end<T: Send + 'static>(postgres: Option<T>) -> anyhow::Result<()> {
    Ok(tokio::task::spawn_blocking(move || drop(postgres)).await?)
}

impl Database {
    /// The deployment there. Nothing is made where there is none: a wrong directory is more likely than a new deployment.
    ///
    /// # Errors
    /// Where there is none, or the master key is missing or another's.
    pub async fn open(&self) -> anyhow::Result<Opened> {
        let master = self.master_key()?.ok_or_else(|| self.no_master_key())?;
        let (db, postgres) = self.guest().await?;
        let foundation = bootstrap::open(&mut *db.system().acquire().await?, &master).await?;
        let foundation = foundation.context("the database holds no deployment: restore it first")?;
        Ok(Opened { db, foundation, postgres })
    }

    /// The database, for a command: that of the server which runs, or begun for the command. Never a new one.
    ///
    /// # Errors
    /// Where there is none, or it can't be reached.
    pub async fn guest(&self) -> anyhow::Result<(Db, Option<PrivatePostgres>)> {
        let (url, postgres) = match &self.database_url {
            Some(url) => (url.clone(), None),
            None => {
                let options = self.private();
                if !keyward_postgres::exists(&options.dir) {
                    let words = format!("there is no database in {}: name it by --data-dir or DATABASE_URL", self.data_dir.display());
                    return Err(Failure::Usage(words).into());
                }
                let url = keyward_postgres::url(&options.dir);
                match start(options).await {
                    Ok(postgres) => (url, Some(postgres)),
                    // The server that runs it can be helped while it runs.
                    Err(error) if error.is::<AlreadyRunning>() => (url, None),
                    Err(error) => return Err(error),
                }
            }
        };
        let db = Db::open(&url)?;
        db.migrate().await?;
        Ok((db, postgres))
    }

    /// The database's URL, for a server, and the private Postgres behind it where there is to be one: its own. As the guest of a command it
    /// would lose it with the command.
    ///
    /// # Errors
    /// Where it doesn't come up.
    pub async fn host(&self) -> anyhow::Result<(String, Option<Arc<PrivatePostgres>>)> {
        if let Some(url) = &self.database_url {
            return Ok((url.clone(), None));
        }
        let began = Instant::now();
        loop {
            match start(self.private()).await {
                Ok(postgres) => return Ok((postgres.url().to_owned(), Some(Arc::new(postgres)))),
                Err(error) if error.is::<AlreadyRunning>() && began.elapsed() < GUESTS => sleep(RETRY).await,
                Err(error) => return Err(error.context(format!("can't run the Postgres in {}", self.data_dir.display()))),
            }
        }
    }

    /// As [`Self::master_key`], for a server: made where there is no deployment yet that would need the right one.
    ///
    /// # Errors
    /// Where it is missing, or can't be read or made.
    pub async fn master_key_or_first(&self, url: &str) -> anyhow::Result<SealingKey> {
        if let Some(key) = self.master_key()? {
            return Ok(key);
        }
        let db = Db::open(url)?;
        db.migrate().await?;
        let founded = bootstrap::is_founded(&mut *db.system().acquire().await?).await?;
        db.close().await;
        if founded { Err(self.no_master_key()) } else { MasterFile::beside(&self.data_dir).make() }
    }

    /// The master key, as told or in its file; `None` where neither is there.
    fn master_key(&self) -> anyhow::Result<Option<SealingKey>> {
        let told = match std::env::var(MASTER_KEY).map(Zeroizing::new) {
            Ok(text) => parse_master_key(&text),
            Err(VarError::NotPresent) => return MasterFile::beside(&self.data_dir).read(),
            Err(VarError::NotUnicode(_)) => None,
        };
        told.map(Some).ok_or_else(|| Failure::Usage(format!("{MASTER_KEY} is not 32 bytes of base64url")).into())
    }

    fn no_master_key(&self) -> anyhow::Error {
        let file = MasterFile::beside(&self.data_dir).current;
        Failure::Usage(format!("there is no {}, and {MASTER_KEY} isn't set: the deployment's secrets open by neither", file.display()))
            .into()
    }

    fn private(&self) -> Options {
        Options { dir: self.data_dir.join("postgres"), durable: !self.no_fsync, binaries: self.pg_bin.clone() }
    }
}

async fn start(options: Options) -> anyhow::Result<PrivatePostgres> {
    tokio::task::spawn_blocking(move || PrivatePostgres::start(&options)).await?
}
