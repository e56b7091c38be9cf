//! What an object has written down of its key's slots, in its own SQLite: requests go on under leases that it has given while it is
//! moved or started anew. What it can't read is as good as nothing: it then has another name, and what it had before stays leased,
//! to nobody, until that ends.

use keyward_core::{
    Timestamp,
    limits::{Lease, Leases, Slots},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use worker::{Result, SqlStorage, State};

/// The file.
pub(super) struct Ledger {
    sql: SqlStorage,
    /// As it was written last.
    written: Option<Written>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.written.fmt(f)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    holder: Uuid,
    leased: u64,
    until_ms: u64,
    leases: Vec<Lease>,
}

#[derive(Deserialize)]
struct Row {
    body: String,
}

impl Ledger {
    /// Opens it, and reads what there is.
    pub(super) fn open(state: &State, fresh: impl FnOnce() -> Uuid) -> Result<(Self, Slots, Leases)> {
        let sql = state.storage().sql();
        sql.exec("CREATE TABLE IF NOT EXISTS slots (place INTEGER PRIMARY KEY CHECK (place = 1), body TEXT NOT NULL)", None)?;
        let rows: Vec<Row> = sql.exec("SELECT body FROM slots", None)?.to_array()?;
        let written = rows.first().and_then(|row| serde_json::from_str::<Written>(&row.body).ok());
        let (slots, leases) = match &written {
            Some(written) => (
                Slots::resumed(written.holder, written.leased, Timestamp::from_millis(written.until_ms)),
                Leases::new(written.leases.iter().copied()),
            ),
            None => (Slots::new(fresh()), Leases::default()),
        };
        Ok((Self { sql, written }, slots, leases))
    }

    /// Writes down how it stands, where that has changed. What is answered afterwards waits until it is written.
    pub(super) fn write(&mut self, slots: &Slots, leases: &Leases, now: Timestamp) -> Result<()> {
        let written =
            Written { holder: slots.holder(), leased: slots.leased(now), until_ms: slots.until().millis(), leases: leases.all().to_vec() };
        if self.written.as_ref() != Some(&written) {
            let body = serde_json::to_string(&written)?;
            self.sql.exec("INSERT OR REPLACE INTO slots (place, body) VALUES (1, ?)", vec![body.into()])?;
            self.written = Some(written);
        }
        Ok(())
    }
}
