//! The audit trail: who did what, to what, from where, in a chain of hashes that nobody can change unseen.
//!
//! A change records what it did in its own transaction ([`crate::db::Tx::record`]), so that neither stands without the
//! other. What changes nothing (denials, tokens) is noted in memory and written together ([`Tally`]). Checkpoints are signed
//! from time to time ([`checkpoint`]).

mod append;
mod checkpoint;
mod event;
mod exports;
mod search;
mod tally;

use std::{sync::Arc, time::Duration};

use keyward_core::KeyId;
use tokio::time::interval;

pub(crate) use append::with_records;
pub use append::{Records, append, digest};
pub use checkpoint::{Kept, Signed, checkpoint, checkpoints, newest_up_to, unproved};
pub use event::{Action, Actor, Event, changed, in_order, members};
pub use exports::{Exports, Seat};
pub use search::{Filter, Range, page, search};
pub use tally::{Denial, Issue, Tally};

use crate::{pace::Pace, state::App};

/// How often what was noted is written.
const FLUSH: Duration = Duration::from_secs(30);
/// Flushes from one round of checkpoints to the next.
const FLUSHES: u32 = 2;
/// How long the end of a server waits for its last records.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Readings by one key in an hour that are a record each, and exports.
const READINGS: u32 = 240;
const EXPORTS: u32 = 60;
const HOUR_MS: u64 = 3_600_000;

/// What a running server holds of the trail.
pub struct Audit {
    /// What was noted and isn't written yet.
    pub tally: Tally,
    /// What this server has signed.
    pub signed: Signed,
    /// Exports on their way.
    pub exports: Arc<Exports>,
    /// Readings of which each is a record: any further ones are counted.
    pub readings: Pace<KeyId>,
    /// Exports, each of which is a record.
    pub exported: Pace<KeyId>,
}

impl Default for Audit {
    fn default() -> Self {
        let (tally, signed, exports) = Default::default();
        Self { tally, signed, exports, readings: Pace::new(READINGS, HOUR_MS), exported: Pace::new(EXPORTS, HOUR_MS) }
    }
}

/// Writes what was noted and signs checkpoints, now and again. Runs for ever.
pub async fn run(app: Arc<App>) {
    let mut ticks = interval(FLUSH);
    let mut round = 0;
    loop {
        ticks.tick().await;
        if app.recovery.is_required() {
            continue;
        }
        app.audit.tally.flush(&app).await;
        if round % FLUSHES == 0 {
            checkpoint::checkpoint_all(&app).await;
        }
        round += 1;
    }
}

/// The last flush and the last checkpoints of a server that ends.
pub async fn close(app: &App) {
    if app.recovery.is_required() {
        return;
    }
    let last = async {
        app.audit.tally.flush(app).await;
        checkpoint::checkpoint_all(app).await;
    };
    if tokio::time::timeout(LAST_WORDS, last).await.is_err() {
        tracing::warn!("the last audit records and checkpoints were not written");
    }
}
