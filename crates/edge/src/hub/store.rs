//! What of a hub outlives it, in the object's own SQLite.

use keyward_core::{Digest, PolicyNumber, Position};
use serde::Deserialize;
use std::{cell::Cell, rc::Rc};
use worker::{Result, SqlStorage, SqlStorageValue, State, console_error};

/// Policies that are kept; those written longest ago make room.
const MAX_POLICIES: i64 = 50_000;

/// Statements that keys were issued that are kept; the oldest make room.
const MAX_ISSUED: i64 = 500_000;

/// The object's storage.
#[derive(Clone, Debug)]
pub(super) struct Store {
    sql: SqlStorage,
    /// Whether it has failed last, which is said once.
    ails: Rc<Cell<bool>>,
}

#[derive(Deserialize)]
struct FloorRow {
    epoch: u32,
    seq: u64,
    manifest: u64,
}

#[derive(Deserialize)]
struct TextRow {
    text: String,
}

impl Store {
    /// Opens it.
    pub(super) fn open(state: &State) -> Result<Self> {
        let sql = state.storage().sql();
        sql.exec(
            "CREATE TABLE IF NOT EXISTS floor (id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, seq INTEGER NOT NULL, manifest INTEGER NOT NULL)",
            None,
        )?;
        // An earlier table, without the order in which they came: all of it can be had again.
        sql.exec("DROP TABLE IF EXISTS policies", None)?;
        sql.exec(
            "CREATE TABLE IF NOT EXISTS policy_texts (place INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER NOT NULL UNIQUE, text TEXT NOT NULL)",
            None,
        )?;
        sql.exec("CREATE TABLE IF NOT EXISTS issued (digest TEXT PRIMARY KEY, text TEXT NOT NULL)", None)?;
        Ok(Self { sql, ails: Rc::default() })
    }

    /// What came of it, where the hub can do without: a storage that fails is as good as an empty one.
    pub(super) fn spare<T>(&self, outcome: Result<T>) -> Option<T> {
        if let Err(error) = &outcome
            && !self.ails.get()
        {
            console_error!("the hub's storage fails: {error}");
        }
        self.ails.set(outcome.is_err());
        outcome.ok()
    }

    /// The highest position and manifest version ever seen.
    pub(super) fn floor(&self) -> Result<Option<(Position, u64)>> {
        let rows: Vec<FloorRow> = self.sql.exec("SELECT epoch, seq, manifest FROM floor", None)?.to_array()?;
        Ok(rows.first().map(|row| (Position { epoch: row.epoch, seq: row.seq }, row.manifest)))
    }

    /// Keeps it.
    pub(super) fn save_floor(&self, (position, manifest): (Position, u64)) -> Result<()> {
        let row = [u64::from(position.epoch), position.seq, manifest].into_iter().map(number).collect::<Result<Vec<_>>>()?;
        self.sql.exec("INSERT OR REPLACE INTO floor (id, epoch, seq, manifest) VALUES (1, ?, ?, ?)", row)?;
        Ok(())
    }

    /// The text of a policy, as it was once verified.
    pub(super) fn policy(&self, policy: PolicyNumber) -> Result<Option<String>> {
        let rows: Vec<TextRow> =
            self.sql.exec("SELECT text FROM policy_texts WHERE number = ?", vec![number(policy.0.into())?])?.to_array()?;
        Ok(rows.into_iter().next().map(|row| row.text))
    }

    /// Keeps a policy.
    pub(super) fn save_policy(&self, policy: PolicyNumber, text: &str) -> Result<()> {
        self.sql.exec("INSERT OR REPLACE INTO policy_texts (number, text) VALUES (?, ?)", vec![number(policy.0.into())?, text.into()])?;
        self.sql.exec(
            // Places count up: the oldest are known without a look at the others.
            "DELETE FROM policy_texts WHERE place <= (SELECT max(place) FROM policy_texts) - ?",
            vec![SqlStorageValue::Integer(MAX_POLICIES)],
        )?;
        Ok(())
    }

    /// Forgets a policy that the key set no longer vouches for.
    pub(super) fn drop_policy(&self, policy: PolicyNumber) -> Result<()> {
        self.sql.exec("DELETE FROM policy_texts WHERE number = ?", vec![number(policy.0.into())?])?;
        Ok(())
    }

    /// The statement that a key was issued, as it was once verified.
    pub(super) fn issued(&self, digest: &Digest) -> Result<Option<String>> {
        let rows: Vec<TextRow> = self.sql.exec("SELECT text FROM issued WHERE digest = ?", vec![digest.to_string().into()])?.to_array()?;
        Ok(rows.into_iter().next().map(|row| row.text))
    }

    /// Keeps a statement.
    pub(super) fn save_issued(&self, digest: &Digest, text: &str) -> Result<()> {
        self.sql.exec("INSERT OR REPLACE INTO issued (digest, text) VALUES (?, ?)", vec![digest.to_string().into(), text.into()])?;
        self.sql.exec(
            // Rows count up: the oldest are known without a look at the others.
            "DELETE FROM issued WHERE rowid <= (SELECT max(rowid) FROM issued) - ?",
            vec![SqlStorageValue::Integer(MAX_ISSUED)],
        )?;
        Ok(())
    }

    /// Forgets a statement that the key set no longer vouches for.
    pub(super) fn drop_issued(&self, digest: &Digest) -> Result<()> {
        self.sql.exec("DELETE FROM issued WHERE digest = ?", vec![digest.to_string().into()])?;
        Ok(())
    }
}

fn number(value: u64) -> Result<SqlStorageValue> {
    SqlStorageValue::try_from_i64(i64::try_from(value).unwrap_or(i64::MAX))
}
