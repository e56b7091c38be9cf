//! `keyward master-key`: another master key for the same secrets.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    database::{Database, MASTER_KEY, end},
    failure::Failure,
    runtime,
    show::line,
};
use crate::{
    audit::{Action, Event, append},
    bootstrap::{self, reseal},
    clock::Clock,
    db::{Db, begin},
    sealing::{MasterFile, SealingKey, parse_master_key},
};

/// The new master key, in the environment: arguments show in the list of processes.
const NEW_MASTER_KEY: &str = "KEYWARD_NEW_MASTER_KEY";

/// What can be done with the master key.
#[derive(Subcommand)]
pub enum MasterKeyCommand {
    /// Seal all secrets under another master key. Servers that run go on; they need the new one at their next start.
    ///
    /// With KEYWARD_MASTER_KEY, the new one is KEYWARD_NEW_MASTER_KEY. Without, the master key is the file
    /// DATA_DIR.master.key, and gives way to a new one.
    ///
    /// Ended at any moment, exactly one of the two opens the database, and the next run says which and ends what was begun.
    Rotate {
        #[command(flatten)]
        database: Database,
    },
}

impl MasterKeyCommand {
    /// Does it.
    ///
    /// # Errors
    /// With what hindered, for the person at the terminal.
    pub fn run(self) -> anyhow::Result<()> {
        let Self::Rotate { database } = self;
        runtime()?.block_on(rotate(&database))
    }
}

async fn rotate(database: &Database) -> anyhow::Result<()> {
    let told = |name| std::env::var(name).ok().map(Zeroizing::new);
    let (old, new) = (told(MASTER_KEY), told(NEW_MASTER_KEY));
    if old.is_none() && new.is_none() && MasterFile::beside(&database.data_dir).read()?.is_none() {
        return Err(Failure::Usage(format!("there is no {}", MasterFile::beside(&database.data_dir).current.display())).into());
    }
    let (db, postgres) = database.guest().await?;
    let said = match (&old, &new) {
        (Some(old), Some(new)) => {
            let read = |text: &str, name: &str| parse_master_key(text).with_context(|| format!("{name} is not 32 bytes of base64url"));
            let (old, new) = (read(old, MASTER_KEY)?, read(new, NEW_MASTER_KEY)?);
            match (opens(&db, &old).await?, opens(&db, &new).await?) {
                (true, _) => {
                    turn(&db, &old, &new).await.map(|()| "KEYWARD_NEW_MASTER_KEY opens the database now, KEYWARD_MASTER_KEY no more")?
                }
                (false, true) => "KEYWARD_NEW_MASTER_KEY opens the database already, KEYWARD_MASTER_KEY doesn't",
                (false, false) => bail!("neither KEYWARD_MASTER_KEY nor KEYWARD_NEW_MASTER_KEY opens the database"),
            }
            .to_owned()
        }
        (Some(_), None) => bail!("KEYWARD_MASTER_KEY is set: name the new one in KEYWARD_NEW_MASTER_KEY"),
        (None, Some(_)) => bail!("KEYWARD_NEW_MASTER_KEY is for where KEYWARD_MASTER_KEY is set; here the master key is a file"),
        (None, None) => rotate_file(&db, &database.data_dir).await?,
    };
    db.close().await;
    line(&json!({"done": said}).to_string())?;
    end(postgres).await
}

/// The new key is on the disk before the database is sealed under it, and takes the old one's name after.
async fn rotate_file(db: &Db, data_dir: &Path) -> anyhow::Result<String> {
    let file = MasterFile::beside(data_dir);
    let path = |path: &PathBuf| path.display().to_string();
    let old = file.read()?.with_context(|| format!("there is no {}", path(&file.current)))?;
    if let Some(next) = file.read_next()?
        && opens(db, &next).await?
    {
        file.settle()?;
        return Ok(format!(
            "an earlier run was cut off after it had sealed: its key is {} now, and opens the database",
            path(&file.current)
        ));
    }
    if !opens(db, &old).await? {
        bail!("{} doesn't open the database", path(&file.current));
    }
    let next = file.make_next()?;
    turn(db, &old, &next).await?;
    file.settle()?;
    Ok(format!("{} holds a new master key, which alone opens the database: keep a copy of it", path(&file.current)))
}

async fn opens(db: &Db, master: &SealingKey) -> anyhow::Result<bool> {
    let mut connection = db.system().acquire().await?;
    Ok(matches!(bootstrap::open(&mut connection, master).await, Ok(Some(_))))
}

/// One transaction: before its commit the old one opens, after it the new one.
async fn turn(db: &Db, old: &SealingKey, new: &SealingKey) -> anyhow::Result<()> {
    let mut tx = begin(db.system(), "BEGIN").await?;
    let foundation = reseal(&mut tx, old, new).await?;
    append(&mut tx, foundation.operator, &[Event::by_itself(Action::MasterKeyRotated, Clock::system().now())], 0).await?;
    Ok(tx.commit().await?)
}
