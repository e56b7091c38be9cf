//! Usage and samples of decisions on their way to the origin, in the object's own SQLite: what an isolate was told is taken
//! is not lost with the object, and leaves it only when the origin has it. Usage goes first; of samples only the newest
//! wait.
//!
//! A batch is never looked into here: it stays a JavaScript string all the way, since a copy into WebAssembly's memory and
//! back costs more than passing it on.

use crate::{
    config::Config,
    flight::Miss,
    source::{now, post_to_origin},
};
use futures_util::future::join_all;
use keyward_api::{decisions::MAX_DECISIONS_LEN, usage::MAX_BATCH_LEN};
use keyward_core::Timestamp;
use serde::Deserialize;
use std::{cell::Cell, rc::Rc, time::Duration};
use worker::{Result, SqlStorage, SqlStorageValue, State, Storage, console_error, js_sys::JsString, wasm_bindgen::JsValue};

/// Batches that are sent at a time: the origin adds those of one moment together.
const AT_A_TIME: i64 = 8;
/// How long the origin may take.
const SEND_MS: u64 = 5_000;
/// How long one background may go on.
const LOOP_MS: u64 = 25_000;
/// How long after a failure the next one tries, by a request to the hub; and by itself, where none comes.
const RETRY_MS: u64 = 1_000;
const ALARM_MS: u64 = 5_000;
/// How long after a batch was taken the object looks whether it has been sent: it may have been ended meanwhile. An alarm is a row that is
/// written, so that there is one at a time, for all batches.
const WATCH_MS: u64 = 10_000;

/// What waits: in a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Sums of what was counted.
    Usage,
    /// Samples of decisions.
    Decisions,
}

impl Kind {
    /// In the order in which they are sent.
    const ALL: [Self; 2] = [Self::Usage, Self::Decisions];

    /// The kind that is handed over at this path.
    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.path() == path)
    }

    /// Where it is handed over, to the hub as to the origin.
    const fn path(self) -> &'static str {
        match self {
            Self::Usage => "/edge/v1/usage",
            Self::Decisions => "/edge/v1/decisions",
        }
    }

    const fn table(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Decisions => "decisions",
        }
    }

    /// Bytes of a batch.
    pub(super) const fn longest(self) -> usize {
        match self {
            Self::Usage => MAX_BATCH_LEN,
            Self::Decisions => MAX_DECISIONS_LEN,
        }
    }

    /// Batches that wait at most; beyond, the oldest make room.
    const fn most(self) -> u64 {
        match self {
            Self::Usage => 50_000,
            Self::Decisions => 500,
        }
    }

    /// Whether the origin will never take it: what was sent is wrong, or too old; or it is of an origin that knows no samples.
    const fn is_hopeless(self, status: u16) -> bool {
        matches!(status, 400 | 413 | 422) || matches!((self, status), (Self::Decisions, 404))
    }
}

/// The outbox. Cheap to clone.
#[derive(Clone)]
pub(super) struct Outbox {
    sql: SqlStorage,
    storage: Rc<Storage>,
    /// Whether something waits, as far as is known.
    waiting: Rc<Cell<bool>>,
    /// Until when somebody is believed to send, or after a failure nobody does.
    lease: Rc<Cell<Timestamp>>,
    /// When this object looks by itself what waits.
    alarm: Rc<Cell<Timestamp>>,
    sent: Rc<Cell<u64>>,
    dropped: Rc<Cell<u64>>,
}

#[derive(Deserialize)]
struct Row {
    place: i64,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    body: JsString,
}

#[derive(Deserialize)]
struct Count {
    count: Option<u64>,
}

impl Outbox {
    /// Opens it.
    pub(super) fn open(state: &State) -> Result<Self> {
        let storage = state.storage();
        let sql = storage.sql();
        for kind in Kind::ALL {
            let columns = "(place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL)";
            sql.exec(&format!("CREATE TABLE IF NOT EXISTS {} {columns}", kind.table()), None)?;
        }
        // What waits from before is found by the first that looks.
        Ok(Self {
            sql,
            storage: Rc::new(storage),
            waiting: Rc::new(Cell::new(true)),
            lease: Rc::default(),
            alarm: Rc::default(),
            sent: Rc::default(),
            dropped: Rc::default(),
        })
    }

    /// Takes a batch. It is taken when this is answered: a response waits for what was written before it.
    pub(super) async fn take(&self, kind: Kind, id: &str, body: JsString) -> Result<()> {
        let table = kind.table();
        // Places count up, and those that wait lie close together: how far apart the ends are says how many there may be, for two rows read
        // (and paid for) instead of all.
        let span = format!("SELECT (SELECT max(place) FROM {table}) - (SELECT min(place) FROM {table}) + 1 AS count");
        if self.count(&span)? >= kind.most() {
            if kind == Kind::Usage {
                console_error!("a batch of usage was dropped: too many wait for the origin");
                self.dropped.set(self.dropped.get() + 1);
            }
            self.sql.exec(&format!("DELETE FROM {table} WHERE place = (SELECT min(place) FROM {table})"), None)?;
        }
        let insert = format!("INSERT OR IGNORE INTO {table} (id, body) VALUES (?, ?)");
        self.sql.exec_raw(&insert, vec![JsValue::from_str(id), body.into()])?;
        self.waiting.set(true);
        if now() >= self.alarm.get() {
            self.wake_in(WATCH_MS).await?;
        }
        Ok(())
    }

    /// Sets the alarm, in place of an earlier one.
    async fn wake_in(&self, millis: u64) -> Result<()> {
        self.alarm.set(Timestamp::from_millis(now().millis() + millis));
        self.storage.set_alarm(Duration::from_millis(millis)).await
    }

    /// The alarm: sends what waits. Where somebody is believed to, it looks again: that one may have been cut off.
    pub(super) async fn awake(self, config: Rc<Config>) {
        self.alarm.set(Timestamp::default());
        if self.is_due() {
            self.send(config).await;
        } else if self.waiting.get() {
            self.watch(ALARM_MS).await;
        }
    }

    async fn watch(&self, millis: u64) {
        if let Err(error) = self.wake_in(millis).await {
            console_error!("the hub can't set its alarm: {error}");
        }
    }

    /// Whether something may wait and nobody sends it.
    pub(super) fn is_due(&self) -> bool {
        self.waiting.get() && now() >= self.lease.get()
    }

    /// Batches of usage that wait; and since this object was started, those that the origin has taken, and that were given up.
    pub(super) fn counts(&self) -> Result<(u64, u64, u64)> {
        let waiting = format!("SELECT count(*) AS count FROM {}", Kind::Usage.table());
        Ok((self.count(&waiting)?, self.sent.get(), self.dropped.get()))
    }

    fn count(&self, select: &str) -> Result<u64> {
        let counts: Vec<Count> = self.sql.exec(select, None)?.to_array()?;
        Ok(counts.first().and_then(|row| row.count).unwrap_or(0))
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
                    self.watch(ALARM_MS).await;
                    return;
                }
            }
        }
        self.lease.set(Timestamp::default());
    }

    /// Whether there may be more. The error has the storage's fault, or none where the origin took nothing.
    async fn send_some(&self, config: &Rc<Config>) -> std::result::Result<bool, Option<worker::Error>> {
        self.waiting.set(false);
        let Some((kind, rows)) = self.oldest()? else { return Ok(false) };
        self.waiting.set(true);
        let sends = rows.iter().map(|row| post_to_origin(config.clone(), kind.path(), row.body.clone(), SEND_MS));
        let mut failed = false;
        for (row, answer) in rows.iter().zip(join_all(sends).await) {
            let counter = match answer {
                Ok(200) => &self.sent,
                Ok(status) if kind.is_hopeless(status) => {
                    console_error!("the origin refuses a batch of {} with {status}", kind.table());
                    &self.dropped
                }
                Ok(_) | Err(Miss::Absent | Miss::Failed | Miss::Refused) => {
                    failed = true;
                    continue;
                }
            };
            counter.set(counter.get() + u64::from(kind == Kind::Usage));
            let delete = format!("DELETE FROM {} WHERE place = ?", kind.table());
            self.sql.exec(&delete, vec![SqlStorageValue::Integer(row.place)])?;
        }
        if failed { Err(None) } else { Ok(true) }
    }

    /// What is to be sent next.
    fn oldest(&self) -> Result<Option<(Kind, Vec<Row>)>> {
        for kind in Kind::ALL {
            let select = format!("SELECT place, body FROM {} ORDER BY place LIMIT ?", kind.table());
            let rows: Vec<Row> = self.sql.exec(&select, vec![SqlStorageValue::Integer(AT_A_TIME)])?.to_array()?;
            if !rows.is_empty() {
                return Ok(Some((kind, rows)));
            }
        }
        Ok(None)
    }
}
