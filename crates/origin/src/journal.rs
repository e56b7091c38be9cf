//! What the database may not forget, kept outside of it.
//!
//! A database that is restored from a backup, or fails over to a replica that lagged, goes back in time without knowing.
//! This file tells: how far the feed had got, which positions were taken, which credentials were revoked, which signing
//! keys were frozen or retired. An entry is
//! on the disk before what it is about leaves the server. One JSON object a line; a torn last line is an append that
//! never returned, so nothing depends on it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};
use keyward_core::{Kid, Position};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::sealing::secret_file;

/// Rewritten as one entry when it has grown by this many bytes since the last time.
const COMPACT_AFTER: u64 = 4 * 1024 * 1024;
/// Its name in a data directory.
pub const NAME: &str = "journal";

/// One line: everything in it is optional, and the highest of each counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// The deployment that the file belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Uuid>,
    /// The feed was published up to here: epoch and sequence number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed: Option<(u32, u64)>,
    /// Version of a manifest that was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<u64>,
    /// Highest position that may have been given out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<u32>,
    /// Highest policy number that was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<u32>,
    /// Status indices that became INVALID.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub invalid: Vec<u32>,
    /// Signing keys that were frozen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<Kid>,
    /// Signing keys that were retired.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Kid>,
}

/// What all entries together say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// See [`Entry::deployment`].
    pub deployment: Option<Uuid>,
    /// See [`Entry::feed`].
    pub feed: Position,
    /// See [`Entry::manifest`].
    pub manifest: u64,
    /// See [`Entry::taken`].
    pub taken: Option<u32>,
    /// See [`Entry::policy`].
    pub policy: u32,
    /// See [`Entry::invalid`].
    pub invalid: BTreeSet<u32>,
    /// See [`Entry::frozen`].
    pub frozen: BTreeSet<Kid>,
    /// See [`Entry::retired`].
    pub retired: BTreeSet<Kid>,
}

impl Memory {
    fn learn(&mut self, entry: Entry) {
        self.deployment = entry.deployment.or(self.deployment);
        if let Some((epoch, seq)) = entry.feed {
            self.feed = self.feed.max(Position { epoch, seq });
        }
        self.manifest = self.manifest.max(entry.manifest.unwrap_or(0));
        self.taken = self.taken.max(entry.taken);
        self.policy = self.policy.max(entry.policy.unwrap_or(0));
        self.invalid.extend(entry.invalid);
        self.frozen.extend(entry.frozen);
        self.retired.extend(entry.retired);
    }

    fn entry(&self) -> Entry {
        Entry {
            deployment: self.deployment,
            feed: Some((self.feed.epoch, self.feed.seq)),
            manifest: Some(self.manifest),
            taken: self.taken,
            policy: Some(self.policy),
            invalid: self.invalid.iter().copied().collect(),
            frozen: self.frozen.iter().copied().collect(),
            retired: self.retired.iter().copied().collect(),
        }
    }

    /// What the journal in `data_dir` says; nothing where there is none.
    ///
    /// # Errors
    /// Where it can't be read, or is damaged anywhere but in a torn last line.
    pub fn read(data_dir: &Path) -> anyhow::Result<Memory> {
        Ok(Self::read_file(&data_dir.join(NAME))?.unwrap_or_default())
    }

    /// As [`Memory::read`], of a journal by its own name; `None` where there is none.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub fn read_file(path: &Path) -> anyhow::Result<Option<Memory>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
        };
        let mut memory = Memory::default();
        for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            match line.strip_suffix(b"\n") {
                None => break,
                Some(line) => {
                    memory.learn(serde_json::from_slice(line).with_context(|| format!("line {} of {} is damaged", at + 1, path.display()))?)
                }
            }
        }
        Ok(Some(memory))
    }

    /// Together with what another server's journal says.
    ///
    /// # Errors
    /// Where that belongs to another deployment.
    pub fn join(&mut self, other: &Memory) -> anyhow::Result<()> {
        let strangers = self.deployment.zip(other.deployment).is_some_and(|(ours, theirs)| ours != theirs);
        ensure!(!strangers, "the journals are of different deployments");
        self.learn(other.entry());
        Ok(())
    }
}

/// The open journal of a running server.
pub struct Journal {
    dir: PathBuf,
    file: File,
    memory: Memory,
    durable: bool,
    grown: u64,
    /// Whether the last append broke off, so that the file may end in half a line.
    torn: bool,
}

impl Journal {
    /// Opens the journal of a data directory for a deployment, and compacts it.
    ///
    /// # Errors
    /// Where it belongs to another deployment (a new database under an old data directory), or can't be read or written.
    pub fn open(data_dir: &Path, deployment: Uuid, durable: bool) -> anyhow::Result<Journal> {
        let mut memory = Memory::read(data_dir)?;
        if memory.deployment.is_some_and(|theirs| theirs != deployment) {
            bail!(
                "{} belongs to another deployment than the database: restore that database, or give this one a data directory of its own",
                data_dir.join(NAME).display()
            );
        }
        memory.deployment = Some(deployment);
        let file = rewrite(data_dir, &memory, durable)?;
        Ok(Journal { dir: data_dir.to_owned(), file, memory, durable, grown: 0, torn: false })
    }

    /// What is known.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Adds an entry; when this returns, it is on the disk. Blocks for as long as that takes.
    ///
    /// # Errors
    /// Where it can't be written: then what it is about must not leave the server.
    pub fn append(&mut self, entry: Entry) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        if self.torn || self.grown > COMPACT_AFTER {
            self.file = rewrite(&self.dir, &self.memory, self.durable)?;
            (self.torn, self.grown) = (false, 0);
        }
        self.torn = true;
        self.file.write_all(&line).context("can't write the journal")?;
        if self.durable {
            self.file.sync_data().context("can't write the journal to the disk")?;
        }
        self.torn = false;
        self.memory.learn(entry);
        self.grown += line.len() as u64;
        Ok(())
    }
}

/// Writes all that is known as one entry, beside the old file, and puts it in its place.
fn rewrite(dir: &Path, memory: &Memory, durable: bool) -> anyhow::Result<File> {
    let (path, fresh) = (dir.join(NAME), dir.join("journal.new"));
    let mut file = secret_file(File::options().create(true).truncate(true), &fresh)?;
    let mut line = serde_json::to_vec(&memory.entry())?;
    line.push(b'\n');
    file.write_all(&line)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&fresh, &path)?;
    if durable {
        File::open(dir)?.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_remembers_over_restarts_and_a_torn_line_costs_only_itself() {
        let dir = tempfile::tempdir().unwrap();
        let deployment = Uuid::from_u128(1);
        let mut journal = Journal::open(dir.path(), deployment, true).unwrap();
        journal.append(Entry { feed: Some((1, 5)), invalid: vec![9, 3], ..Entry::default() }).unwrap();
        journal.append(Entry { feed: Some((1, 4)), taken: Some(255), manifest: Some(2), ..Entry::default() }).unwrap();
        let expected = journal.memory().clone();
        assert_eq!(expected.feed, Position { epoch: 1, seq: 5 });

        File::options().append(true).open(dir.path().join(NAME)).unwrap().write_all(b"{\"feed\":[1,9").unwrap();
        assert_eq!(Memory::read(dir.path()).unwrap(), expected);
        assert_eq!(*Journal::open(dir.path(), deployment, true).unwrap().memory(), expected);
        assert!(Journal::open(dir.path(), Uuid::from_u128(2), true).is_err());
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(NAME), "{\"feed\":[1,2]}\nrubbish\n{\"feed\":[1,3]}\n").unwrap();
        assert!(Memory::read(dir.path()).is_err());
    }
}
