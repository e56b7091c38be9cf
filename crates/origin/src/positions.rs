//! Hands out status positions, each once.

use std::{collections::BTreeSet, ops::Range, sync::PoisonError};

use keyward_api::Code;
use keyward_core::StatusIndex;
use sqlx::PgConnection;

use crate::{
    error::{Error, Result},
    feed::Change,
    journal::Entry,
    spread::Spread,
    state::App,
};

/// Positions that are taken at a time; the increment of the database's sequence.
const BLOCK: u32 = 256;

/// Positions taken from the database and not handed out yet. What a server that ends leaves over is never used: 32 bits
/// last for sixteen million restarts.
pub struct Positions {
    left: std::sync::Mutex<Left>,
    /// One refill at a time.
    refill: tokio::sync::Mutex<()>,
    /// Shards that are known to be open.
    open: std::sync::Mutex<BTreeSet<u32>>,
    spread: Spread,
}

#[derive(Default)]
struct Left {
    block: Range<u32>,
    /// Where the block began.
    began: u32,
    /// Of the block, handed out and given back.
    returned: BTreeSet<u32>,
    /// Counts the recoveries that were seen: a block of before one is void.
    generation: u64,
}

/// A place in the status lists, to be used for one credential.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Counts up.
    pub position: u32,
    /// What the world sees of it.
    pub index: StatusIndex,
}

impl Positions {
    /// Nothing in store yet.
    pub fn new(spread: Spread) -> Self {
        Self { left: std::sync::Mutex::default(), refill: tokio::sync::Mutex::default(), open: std::sync::Mutex::default(), spread }
    }

    /// The permutation.
    pub fn spread(&self) -> &Spread {
        &self.spread
    }

    /// Forgets what is in store.
    pub fn reset(&self) {
        let mut left = self.lock();
        *left = Left { generation: left.generation + 1, ..Left::default() };
        drop(left);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The next place.
    ///
    /// # Errors
    /// `capacity_exhausted` when all are used; `recovery_required` when the database gives what was given before.
    pub async fn take(&self, app: &App) -> Result<Place> {
        loop {
            if let Some(place) = self.next() {
                return Ok(place);
            }
            let _one = self.refill.lock().await;
            let generation = {
                let left = self.lock();
                if !left.block.is_empty() || !left.returned.is_empty() {
                    continue;
                }
                left.generation
            };
            let first = sqlx::query_scalar!(r#"SELECT nextval('position_blocks') AS "first!""#)
                .fetch_one(app.db.system())
                .await
                .map_err(exhausted)?;
            let first = u32::try_from(first).map_err(Error::internal)?;
            app.recovery.check_block(app, first).await?;
            // The last position of all is never used, so that the range has an end.
            let last = first.saturating_add(BLOCK - 1).min(u32::MAX - 1);
            app.journal(Entry { taken: Some(last), ..Entry::default() }).await?;
            let mut left = self.lock();
            if left.generation == generation {
                left.block = first..last + 1;
                left.began = first;
            }
        }
    }

    /// Whether a place's shard is known to be open.
    pub fn is_open(&self, place: Place) -> bool {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).contains(&place.index.shard())
    }

    /// The change that a transaction has to announce before a place can be used: mostly none, else that its shard is new.
    ///
    /// # Errors
    /// As any write.
    pub async fn open(&self, connection: &mut PgConnection, place: Place) -> Result<Change> {
        let shard = place.index.shard();
        if self.is_open(place) {
            return Ok(Change::default());
        }
        let opened = sqlx::query!("INSERT INTO shards (shard) VALUES ($1) ON CONFLICT DO NOTHING RETURNING shard", i64::from(shard))
            .fetch_optional(connection)
            .await?;
        Ok(Change { opened: opened.map(|_| shard).into_iter().collect(), ..Change::default() })
    }

    /// That transaction was committed.
    pub fn opened(&self, place: Place) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(place.index.shard());
    }

    /// Takes places back, unless what they were for was done, or may have been. What was refused was undone. (And no place has two
    /// credentials, whatever is given back: the database has one row for each.)
    ///
    /// # Errors
    /// What was made of them.
    pub fn unless_made<T>(&self, places: &[Place], made: Result<T>) -> Result<T> {
        if made.as_ref().is_err_and(|error| error.code().status() < 500) {
            self.give_back(places);
        }
        made
    }

    /// Takes places back for which certainly nothing is stored. Those of an older block are lost, be it one of before a recovery.
    pub fn give_back(&self, places: &[Place]) {
        let mut left = self.lock();
        let ours = left.began..left.block.start;
        left.returned.extend(places.iter().map(|place| place.position).filter(|position| ours.contains(position)));
    }

    fn next(&self) -> Option<Place> {
        let mut left = self.lock();
        let position = left.returned.pop_first().or_else(|| left.block.next())?;
        Some(Place { position, index: self.spread.index(position) })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn exhausted(error: sqlx::Error) -> Error {
    // 2200H: sequence generator limit exceeded (PostgreSQL, appendix A).
    match error.as_database_error().and_then(|error| error.code()).as_deref() {
        Some("2200H") => Error::from(Code::CapacityExhausted).because(error),
        _ => error.into(),
    }
}
