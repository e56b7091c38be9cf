//! The use of keys: counted where it is decided on, added up here, and read from the sums.
//!
//! Edges send batches of what they counted ([`check`]); what this server decides itself it counts in memory ([`tally`]).
//! Both go through one writer ([`ingest`]), which adds each batch once. Nobody who decides ever reads any of it, and none
//! of it changes a key. `docs/usage.md` says what is counted, and what can be lost.

pub mod check;
pub mod ingest;
pub mod partitions;
pub mod report;
pub mod series;
pub mod tally;

mod names;
mod store;
mod sums;

use std::{sync::Arc, time::Duration};

use keyward_api::usage::UsageReceived;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{batch::Batch, clock::Clock, db::Db, error::Result, state::App};
use ingest::{Parcel, add};
use tally::Tally;

/// For how long after a rotation the credentials of a key are told apart: longer than any overlap.
const TOLD_APART: time::Duration = time::Duration::days(31);
/// How long what this server counted waits to be written: what is lost with it. At least as long as ten times the last writing
/// took, up to the most: each key costs a few rows of each writing, so that a server which answers for very many keys would
/// otherwise leave its database little time for anything else.
const FLUSH: Duration = Duration::from_millis(500);
const LONGEST_FLUSH: Duration = Duration::from_secs(1);
const SHARE: u32 = 10;
/// How long the end of a server waits for its last counts.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What a running server holds of the use of keys.
pub struct Usage {
    /// Adds batches.
    pub writer: Batch<Parcel, UsageReceived>,
    /// What this server decided itself and hasn't been written yet.
    pub tally: Tally,
}

impl Usage {
    /// With a writer among the server's tasks.
    pub fn new(tasks: &mut JoinSet<()>, db: &Db, clock: &Clock, days: u32) -> Self {
        let made = Arc::new(partitions::Made::default());
        let (db, clock) = (db.clone(), clock.clone());
        // One transaction at a time: what comes meanwhile shares the next one.
        let writer = Batch::one_by_one(tasks, move |parcels| {
            let (db, clock, made) = (db.clone(), clock.clone(), Arc::clone(&made));
            async move { add(&db, clock.now(), &made, days, parcels).await }
        });
        Self { writer, tally: Tally::default() }
    }
}

/// Writes what this server counted, now and again. Runs for ever.
pub async fn run(app: Arc<App>) {
    let mut wait = FLUSH;
    let mut healthy = true;
    loop {
        tokio::select! {
            () = sleep(wait) => {}
            () = app.usage.tally.half_full() => {}
        }
        if app.recovery.is_required() {
            continue;
        }
        let began = Instant::now();
        let flushed = app.usage.tally.flush(&app).await;
        wait = (began.elapsed() * SHARE).clamp(FLUSH, LONGEST_FLUSH);
        if let Err(error) = &flushed
            && healthy
        {
            tracing::warn!(%error, "can't write what was counted; will try again");
        }
        healthy = flushed.is_ok();
    }
}

/// Makes the tables of the months to come, and forgets what is older than it is kept.
///
/// # Errors
/// As any write.
pub async fn keep(app: &App) -> Result<()> {
    let (now, days) = (app.clock.now(), app.config.usage_days);
    partitions::keep(&app.db, now, days).await?;
    ingest::sweep(&app.db, now, days).await
}

/// The last flush of a server that ends.
pub async fn close(app: &App) {
    if app.recovery.is_required() {
        return;
    }
    if !matches!(timeout(LAST_WORDS, app.usage.tally.flush(app)).await, Ok(Ok(()))) {
        tracing::warn!("what was counted last was not written");
    }
}
