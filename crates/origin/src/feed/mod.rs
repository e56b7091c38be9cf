//! The feed: what edges follow.
//!
//! Changes are appended to a log in the database by the transactions that make them ([`append`]). One task of each
//! server reads the log ([`publish`]), journals what it read, and wakes those who wait. Deltas and heartbeats are signed
//! when first asked for and kept, so that many edges cost one signature.

mod change;
mod followers;
mod known;
mod lists;
mod log;
mod publish;
mod snapshot;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keyward_api::Code;
use keyward_core::{FeedReply, Heartbeat, KeyId, Position, Timestamp};
use tokio::sync::{Notify, watch};

pub use change::{CHANNEL, Change, append, position};
pub use followers::{Followers, Heard};
pub use known::Known;
pub use lists::StatusLists;
pub use publish::{listen, run};
pub use snapshot::{Snapshots, keep_snapshots};

use self::log::Log;
use crate::{
    db::Db,
    error::{Error, Result},
    journal::Entry,
    state::App,
};

/// A reading that is no older than this is as good as a new one.
const FRESH_MS: u64 = 50;
/// Epochs that a follower can be ahead: recoveries that a restored backup doesn't know of.
const MAX_AHEAD: u32 = 1_000;
/// Sequence numbers that a follower can be ahead: ten thousand changes a second for three years. What nobody can have seen must not be
/// written down: a recovery goes beyond what was.
const MAX_CHANGES_AHEAD: u64 = 1 << 40;
/// Manifest versions that a follower can be ahead.
const MAX_MANIFESTS_AHEAD: u64 = 10_000_000;
/// How long a reading may take before the database counts as unavailable.
const READ_TIMEOUT: Duration = Duration::from_millis(2500);

/// What a reading of the database found.
#[derive(Clone, Copy, Debug, Default)]
struct Reading {
    /// When it began: what it found was true then.
    at: Timestamp,
    /// Whether it got an answer.
    success: bool,
    /// How many readings there have been.
    count: u64,
    /// The end of the feed.
    position: Position,
    /// The version of the manifest.
    manifest: u64,
}

/// The feed of a running server.
pub struct Feed {
    log: Mutex<Log>,
    /// Asks for a reading now.
    wake: Notify,
    reading: watch::Sender<Reading>,
    closing: watch::Sender<bool>,
    /// The highest change that this server has answered for: what is said of the feed afterwards includes it.
    answered: Mutex<Position>,
    /// How many polls wait. Counted by a guard: a client that leaves drops its poll.
    waiting: Arc<AtomicU64>,
    /// Rows of credentials that needn't be read again.
    pub known: Known,
    /// Status lists for anyone.
    pub lists: StatusLists,
    /// The whole state, for edges that begin or fell behind.
    pub snapshots: Snapshots,
}

/// Where a follower stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// The epoch and the last sequence number that it has.
    pub position: Position,
    /// The manifest that it has.
    pub manifest: u64,
}

impl Feed {
    /// The feed from the oldest change that is still in the log; a reading fills it.
    ///
    /// # Errors
    /// As any read.
    pub async fn load(db: &Db) -> Result<Self> {
        let start = sqlx::query!(
            r#"SELECT state.epoch, coalesce(min(log.seq) - 1, state.seq) AS "seq!" FROM feed_state state
               LEFT JOIN feed_log log USING (epoch) GROUP BY state.epoch, state.seq"#
        )
        .fetch_one(db.system())
        .await?;
        Ok(Self::new(position(start.epoch, start.seq)))
    }

    fn new(position: Position) -> Self {
        let mut log = Log::default();
        log.reset(position);
        Self {
            log: Mutex::new(log),
            wake: Notify::new(),
            reading: watch::Sender::new(Reading { position, ..Reading::default() }),
            closing: watch::Sender::new(false),
            answered: Mutex::default(),
            waiting: Arc::default(),
            known: Known::default(),
            lists: StatusLists::default(),
            snapshots: Snapshots::default(),
        }
    }

    /// Asks for a reading now: there may be news.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// A change has been committed here, and its maker is about to be told: from here on nobody is told otherwise.
    pub fn committed(&self, position: Position, change: &Change) {
        self.known.forget(change);
        let mut answered = self.answered();
        *answered = position.max(*answered);
        drop(answered);
        self.wake();
    }

    /// Somebody is about to be told that a key has ended before: by another server, or by a message whose answer was lost. From here on
    /// nobody is told otherwise.
    pub fn ended_before(&self, key: KeyId) {
        self.known.forget_key(key);
    }

    fn answered(&self) -> MutexGuard<'_, Position> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets nobody wait any more: the server ends.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until the server ends.
    pub async fn ended(&self) {
        // An error would mean that there is no feed any more, which is its end too.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// How many polls wait just now.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The end of what is published.
    pub fn position(&self) -> Position {
        self.log().position()
    }

    /// Answers a follower: at once where there is something for it, else when there is, else after `wait` with a fresh
    /// heartbeat alone.
    ///
    /// # Errors
    /// `database_unavailable` where the database can't be asked; `recovery_required` where the follower has seen more
    /// than the database knows of, as `heartbeat` shows; `position_unproved` where it only says so.
    pub async fn follow(&self, app: &App, follower: Follower, heartbeat: &str, wait: Duration) -> Result<FeedReply> {
        let mut readings = self.reading.subscribe();
        let ours = *readings.borrow();
        if follower.position > ours.position || follower.manifest > ours.manifest {
            // Another server on the same database may be ahead of this one's last reading.
            let ours = self.observe(app, app.clock.now()).await?;
            remember_seen(app, follower, heartbeat, ours).await?;
            app.recovery.check_seen(app, follower.position, ours.position).await?;
            app.recovery.check_manifest(app, follower.manifest, ours.manifest).await?;
        } else if follower.position == ours.position && follower.manifest == ours.manifest {
            let news = readings
                .wait_for(|now| now.position != follower.position || now.manifest != follower.manifest || app.recovery.is_required());
            let mut closing = self.closing.subscribe();
            let _counted = Waiting::new(&self.waiting);
            tokio::select! {
                _ = tokio::time::timeout(wait, news) => {}
                _ = closing.wait_for(|closing| *closing) => {}
            }
        }
        self.answer(app, follower).await
    }

    async fn answer(&self, app: &App, follower: Follower) -> Result<FeedReply> {
        let now = app.clock.now();
        let observed = self.observe(app, Timestamp::from_millis(now.millis().saturating_sub(FRESH_MS))).await?;
        app.recovery.guard()?;
        let keyring = app.keyrings.current();
        let mut log = self.log();
        let deltas = if follower.position.epoch == log.position().epoch {
            // As of the reading and not of now: a delta says that the feed stood at its end then.
            log.deltas(follower.position.seq, &keyring, observed.at, &app.metrics)?
        } else {
            None
        };
        Ok(FeedReply {
            heartbeat: log.heartbeat(observed.at, &keyring, &app.metrics)?.to_string(),
            gap: deltas.is_none(),
            deltas: deltas.unwrap_or_default().iter().map(|jws| jws.to_string()).collect(),
            manifest: (follower.manifest != keyring.keys.manifest().version).then(|| keyring.manifest.to_string()),
        })
    }

    /// A fresh heartbeat.
    ///
    /// # Errors
    /// As [`Feed::follow`].
    pub async fn heartbeat(&self, app: &App) -> Result<String> {
        let since = Timestamp::from_millis(app.clock.now().millis().saturating_sub(FRESH_MS));
        let observed = self.observe(app, since).await?;
        app.recovery.guard()?;
        Ok(self.log().heartbeat(observed.at, &app.keyrings.current(), &app.metrics)?.to_string())
    }

    /// Passes where the database answers now and needs no recovery.
    ///
    /// # Errors
    /// `database_unavailable`, `recovery_required`.
    pub async fn check(&self, app: &App) -> Result<()> {
        self.observe(app, app.clock.now()).await?;
        app.recovery.guard()
    }

    /// A reading that began at `since` or later, and knows of all that this server has answered for. (Without the
    /// latter, a reading of a moment ago would do, and somebody who revokes and then asks would hear nothing of it.)
    async fn observe(&self, app: &App, since: Timestamp) -> Result<Reading> {
        let mut readings = self.reading.subscribe();
        let before = readings.borrow_and_update().count;
        let answered = *self.answered();
        let wanted = |reading: &Reading| reading.success && reading.at >= since && reading.position >= answered;
        if wanted(&readings.borrow()) {
            return Ok(*readings.borrow());
        }
        self.wake();
        // A reading under way may have begun too early: the second one from here can't have.
        let found =
            readings.wait_for(|reading| wanted(reading) || reading.count >= before + 2 || reading.count > before && !reading.success);
        let reading = match tokio::time::timeout(READ_TIMEOUT, found).await {
            Ok(Ok(reading)) => *reading,
            _ => return Err(Code::DatabaseUnavailable.into()),
        };
        app.recovery.guard()?;
        if wanted(&reading) { Ok(reading) } else { Err(Code::DatabaseUnavailable.into()) }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waiting(Arc<AtomicU64>);

impl Waiting {
    fn new(count: &Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Writes down what a follower has seen and the database doesn't know of, so that a recovery goes beyond it.
async fn remember_seen(app: &App, follower: Follower, heartbeat: &str, ours: Reading) -> Result<()> {
    let seen = follower.position;
    if seen <= ours.position && follower.manifest <= ours.manifest {
        return Ok(());
    }
    let most = Position { epoch: ours.position.epoch.saturating_add(MAX_AHEAD), seq: ours.position.seq.saturating_add(MAX_CHANGES_AHEAD) };
    let manifests = ours.manifest.saturating_add(MAX_MANIFESTS_AHEAD);
    for (field, is_too_many) in
        [("epoch", seen.epoch > most.epoch), ("after", seen.seq > most.seq), ("manifest", follower.manifest > manifests)]
    {
        if is_too_many {
            return Err(Error::field(field, "no deployment has had so many"));
        }
    }
    // Whoever has an edge's key could stop everything by a number, were it believed.
    let shown = app.keyrings.current().keys.open::<Heartbeat>(heartbeat, app.clock.now());
    if !shown.is_ok_and(|shown| Position { epoch: shown.epoch, seq: shown.seq } >= seen && shown.manifest >= follower.manifest) {
        app.metrics.positions_unproved.inc();
        tracing::warn!(
            epoch = seen.epoch,
            seq = seen.seq,
            manifest = follower.manifest,
            "an edge says that it has seen more than there is"
        );
        return Err(Error::from(Code::PositionUnproved).detail("The feed has never stood there, as far as is known here."));
    }
    let feed = (seen > ours.position).then_some((seen.epoch, seen.seq));
    app.journal(Entry { feed, manifest: Some(follower.manifest), ..Entry::default() }).await
}
