//! Usage on its way to the origin, in the object's own SQLite: what an isolate was told is taken is not lost with the
//! object, and leaves it only when the origin has it.

use crate::{
    config::Config,
    flight::Miss,
    source::{now, post_to_origin},
};
use futures_util::future::join_all;
use keyward_core::Timestamp;
use serde::Deserialize;
use std::{cell::Cell, rc::Rc, time::Duration};
use worker::{Result, SqlStorage, SqlStorageValue, State, Storage, console_error};

/// Batches that wait at most; beyond, the oldest make room.
const MAX_WAITING: u64 = 50_000;
/// Batches that are sent at a time: the origin adds those of one moment together.
const AT_A_TIME: i64 = 8;
/// How long the origin may take.
const SEND_MS: u64 = 5_000;
/// How long one background may go on.
const LOOP_MS: u64 = 25_000;
/// How long after a failure the next one tries, by a request to the hub; and by itself, where none comes.
const RETRY_MS: u64 = 1_000;
const ALARM_MS: u64 = 5_000;

/// The outbox. Cheap to clone.
#[derive(Clone)]
pub(super) struct Outbox {
    sql: SqlStorage,
    storage: Rc<Storage>,
    /// Whether something waits, as far as is known.
    waiting: Rc<Cell<bool>>,
    /// Until when somebody is believed to send, or after a failure nobody does.
    lease: Rc<Cell<Timestamp>>,
    sent: Rc<Cell<u64>>,
    dropped: Rc<Cell<u64>>,
}

#[derive(Deserialize)]
struct Row {
    place: i64,
    body: String,
}

#[derive(Deserialize)]
struct Count {
    count: u64,
}

impl Outbox {
    /// Opens it.
    pub(super) fn open(state: &State) -> Result<Self> {
        let storage = state.storage();
        let sql = storage.sql();
        sql.exec(
            "CREATE TABLE IF NOT EXISTS usage (place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL)",
            None,
        )?;
        // What waits from before is found by the first that looks.
        Ok(Self {
            sql,
            storage: Rc::new(storage),
            waiting: Rc::new(Cell::new(true)),
            lease: Rc::default(),
            sent: Rc::default(),
            dropped: Rc::default(),
        })
    }

    /// Takes a batch. It is taken when this is answered: a response waits for what was written before it.
    pub(super) fn take(&self, id: &str, body: &str) -> Result<()> {
        if self.count()? >= MAX_WAITING {
            console_error!("a batch of usage was dropped: too many wait for the origin");
            self.dropped.set(self.dropped.get() + 1);
            self.sql.exec("DELETE FROM usage WHERE place = (SELECT min(place) FROM usage)", None)?;
        }
        self.sql.exec("INSERT OR IGNORE INTO usage (id, body) VALUES (?, ?)", vec![id.into(), body.into()])?;
        self.waiting.set(true);
        Ok(())
    }

    /// Whether something may wait and nobody sends it.
    pub(super) fn is_due(&self) -> bool {
        self.waiting.get() && now() >= self.lease.get()
    }

    /// Batches that wait; and since this object was started, batches that the origin has taken, and that were given up.
    pub(super) fn counts(&self) -> Result<(u64, u64, u64)> {
        Ok((self.count()?, self.sent.get(), self.dropped.get()))
    }

    fn count(&self) -> Result<u64> {
        let counts: Vec<Count> = self.sql.exec("SELECT count(*) AS count FROM usage", None)?.to_array()?;
        Ok(counts.first().map_or(0, |row| row.count))
    }

    /// Sends what waits, oldest first.
    pub(super) async fn send(self, config: Rc<Config>) {
        let began = now();
        while now().since(began) < LOOP_MS {
            self.lease.set(Timestamp::from_millis(now().millis() + SEND_MS + RETRY_MS));
            match self.send_some(&config).await {
                Ok(true) => {}
                Ok(false) => {
                    self.lease.set(Timestamp::default());
                    return;
                }
                Err(fault) => {
                    if let Some(fault) = fault {
                        console_error!("usage can't be sent: {fault}");
                    }
                    self.lease.set(Timestamp::from_millis(now().millis() + RETRY_MS));
                    // It goes on even if nobody comes by.
                    let _ = self.storage.set_alarm(Duration::from_millis(ALARM_MS)).await;
                    return;
                }
            }
        }
        self.lease.set(Timestamp::default());
    }

    /// Whether there may be more. The error has the storage's fault, or none where the origin took nothing.
    async fn send_some(&self, config: &Rc<Config>) -> std::result::Result<bool, Option<worker::Error>> {
        self.waiting.set(false);
        let rows = self.sql.exec("SELECT place, body FROM usage ORDER BY place LIMIT ?", vec![SqlStorageValue::Integer(AT_A_TIME)]);
        let rows: Vec<Row> = rows.and_then(|rows| rows.to_array())?;
        if rows.is_empty() {
            return Ok(false);
        }
        self.waiting.set(true);
        let sends = rows.iter().map(|row| post_to_origin(config.clone(), "/edge/v1/usage", row.body.clone(), SEND_MS));
        let mut failed = false;
        for (row, answer) in rows.iter().zip(join_all(sends).await) {
            match answer {
                Ok(200) => self.sent.set(self.sent.get() + 1),
                // It will never be taken: what was sent is wrong, or too old.
                Ok(status @ (400 | 413 | 422)) => {
                    console_error!("the origin refuses a batch of usage with {status}");
                    self.dropped.set(self.dropped.get() + 1);
                }
                Ok(_) | Err(Miss::Absent | Miss::Failed | Miss::Refused) => {
                    failed = true;
                    continue;
                }
            }
            self.sql.exec("DELETE FROM usage WHERE place = ?", vec![SqlStorageValue::Integer(row.place)])?;
        }
        if failed { Err(None) } else { Ok(true) }
    }
}
