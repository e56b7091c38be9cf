//! The use of keys: counted where it is decided on, added up here, and read from the sums.
//!
//! Edges send batches of what they counted ([`check`]); what this server decides itself it counts in memory ([`tally`]), and writes
//! down until there is more of it ([`waiting`]). Both are added by [`ingest`], each batch once. Of what isn't counted the time alone is noted
//! ([`presence`]). Nobody who decides ever reads any of it, and none
//! of it changes a key. `docs/usage.md` says what is counted, and what can be lost.

pub mod check;
pub mod ingest;
pub mod partitions;
pub mod presence;
pub mod report;
pub mod series;
pub mod tally;

mod names;
mod store;
mod sums;
mod waiting;

use std::{sync::Arc, time::Duration};

use keyward_api::usage::UsageReceived;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use crate::{batch::Batch, clock::Clock, db::Db, error::Result, state::App};
use ingest::{Parcel, add};
use presence::Presence;
use tally::Tally;

/// For how long after a rotation the credentials of a key are told apart: longer than any overlap.
const TOLD_APART: time::Duration = time::Duration::days(31);
/// How long what this server counted waits to be written down: what is lost with it.
const FLUSH: Duration = Duration::from_millis(500);
/// How long it waits to be added to the sums then: so many times as long as adding took the last time, up to the most. Each key costs
/// a few rows of each addition, so that a server which answers for very many keys would otherwise leave its database little time for
/// anything else.
const SHARE: u32 = 50;
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often it is looked whether another server has left anything.
const LOOK: Duration = Duration::from_secs(60);
/// How long the end of a server waits for its last counts.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What a running server holds of the use of keys.
pub struct Usage {
    /// Adds batches.
    pub writer: Batch<Parcel, UsageReceived>,
    /// What this server decided itself and hasn't been written yet.
    pub tally: Tally,
    /// When keys were used for what isn't counted.
    pub presence: Presence,
    partitions: Arc<partitions::Made>,
}

impl Usage {
    /// With a writer among the server's tasks.
    pub fn new(tasks: &mut JoinSet<()>, db: &Db, clock: &Clock, days: u32) -> Self {
        let partitions = Arc::new(partitions::Made::default());
        let (db, clock, made) = (db.clone(), clock.clone(), Arc::clone(&partitions));
        // One transaction at a time: what comes meanwhile shares the next one.
        let writer = Batch::one_by_one("batches of usage", tasks, move |parcels| {
            let (db, clock, made) = (db.clone(), clock.clone(), Arc::clone(&made));
            async move { add(&db, clock.now(), &made, days, parcels).await }
        });
        Self { writer, tally: Tally::default(), presence: Presence::default(), partitions }
    }
}

/// Writes down what this server counted, and adds what waits, now and again. Runs for ever.
pub async fn run(app: Arc<App>) {
    // What was left before this start is added at once.
    let mut pace = Pace { waits: false, free: Instant::now(), look: Instant::now() };
    let mut healthy = true;
    loop {
        tokio::select! {
            () = sleep(FLUSH) => {}
            () = app.usage.tally.half_full() => {}
        }
        if app.recovery.is_required() {
            continue;
        }
        let written = write(&app, &mut pace).await;
        if let Err(error) = &written
            && healthy
        {
            tracing::warn!(%error, "can't write what was counted; will try again");
        }
        healthy = written.is_ok();
    }
}

/// When it is time to add what waits.
struct Pace {
    /// Whether this server has written anything down since it last added.
    waits: bool,
    /// From when on it may add.
    free: Instant,
    /// From when on it looks what others have left.
    look: Instant,
}

async fn write(app: &App, pace: &mut Pace) -> Result<()> {
    app.usage.presence.flush(app).await?;
    pace.waits |= app.usage.tally.flush(app).await?;
    let began = Instant::now();
    if pace.waits && began >= pace.free || began >= pace.look {
        add_up(app).await?;
        *pace = Pace { waits: false, free: Instant::now() + (began.elapsed() * SHARE).min(LONGEST_WAIT), look: began + LOOK };
    }
    Ok(())
}

/// Adds all that waits.
async fn add_up(app: &App) -> Result<()> {
    let Usage { partitions, .. } = &app.usage;
    while ingest::add_waiting(&app.db, app.clock.now(), partitions, app.config.usage_days).await? {}
    Ok(())
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
    let written = async {
        app.usage.presence.flush(app).await?;
        app.usage.tally.flush(app).await?;
        add_up(app).await
    };
    if !matches!(timeout(LAST_WORDS, written).await, Ok(Ok(()))) {
        tracing::warn!("what was counted last was not written");
    }
}
