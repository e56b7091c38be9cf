//! Decisions as they come, for somebody who watches.
//!
//! Whoever adds them may be another server, so a stream asks the database, once a second (decision 0085).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::request::Parts;
use keyward_api::{Code, decisions::Decision};
use keyward_core::{Capability, TenantId};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use super::{
    read::{Filter, View, show},
    thin::thin,
};
use crate::{
    auth::{Asked, Caller, Freshness, authenticate},
    error::{Error, Result},
    state::App,
    tenants::acting_in,
};

/// Streams of a tenant, and of all, at a time on one server.
const OF_A_TENANT: usize = 8;
const OF_ALL: usize = 64;
/// Between two looks.
const TICK: Duration = Duration::from_secs(1);
/// For how long a stream goes on; whoever watches asks again, perhaps of another server.
const LONGEST: Duration = Duration::from_secs(3600);
/// Decisions that a look finds at most: one that is far behind goes on with the newest.
const MOST_FOUND: i64 = 1_000;
/// Decisions that are told a second; those above stand for the others.
const MOST_TOLD: usize = 50;

/// Who is told.
#[derive(Default)]
pub struct Streams(Mutex<HashMap<TenantId, usize>>);

/// A place among them, given back with the stream.
struct Seat {
    streams: Arc<Streams>,
    tenant: TenantId,
}

impl Streams {
    /// How many are open.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    fn open(self: &Arc<Self>, tenant: TenantId) -> Result<Seat> {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (streams.values().sum::<usize>(), streams.entry(tenant).or_default());
        if *own >= OF_A_TENANT || all >= OF_ALL {
            let detail = format!("At most {OF_A_TENANT} streams of a tenant, and {OF_ALL} of all, are open at a time.");
            return Err(Error::from(Code::RateLimited).detail(detail).retry_after(5));
        }
        *own += 1;
        Ok(Seat { streams: Arc::clone(self), tenant })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut streams = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = streams.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                streams.remove(&self.tenant);
            }
        }
    }
}

/// What somebody wants to be told.
pub struct Watched {
    /// What the caller has to be able to.
    pub capability: Capability,
    /// The tenant, where it isn't the caller's own.
    pub tenant: Option<TenantId>,
    /// Which decisions.
    pub filter: Filter,
    /// Those after this one; `None`: those that are yet to come.
    pub after: Option<u64>,
}

/// A request that wants to be told, and goes on for as long as it would be answered.
pub struct Watcher {
    app: Arc<App>,
    parts: Parts,
    tenant: TenantId,
    asked: Watched,
    /// The number of the last decision that was looked at.
    last: i64,
    began: Instant,
    ticks: Interval,
    _seat: Seat,
}

impl Watcher {
    /// Begins after the decision with this number, or now.
    ///
    /// # Errors
    /// `rate_limited` where too many are open; `scope_insufficient`; else as any read.
    pub async fn open(app: Arc<App>, (parts, caller): (Parts, &Caller), asked: Watched) -> Result<Self> {
        let tenant = acting_in(&app, caller, asked.tenant).await?;
        let seat = app.decisions.streams.open(tenant)?;
        let mut tx = app.db.tenant(tenant).await?;
        let newest = View::of(&app, caller, tenant).newest(&mut tx).await?;
        tx.commit().await?;
        let last = asked.after.and_then(|after| i64::try_from(after).ok()).map_or(newest, |after| after.min(newest));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { app, parts, tenant, asked, last, began: Instant::now(), ticks, _seat: seat })
    }

    /// What came since the last look; `None`: the stream is over.
    pub async fn next(&mut self) -> Option<Vec<Decision>> {
        tokio::select! {
            _ = self.ticks.tick() => {}
            () = self.app.feed.ended() => return None,
        }
        if self.began.elapsed() > LONGEST || self.app.recovery.is_required() {
            return None;
        }
        match self.look().await {
            Ok(found) => found,
            // It is told by the end of the stream; the next request is told why.
            Err(error) => {
                tracing::debug!(%error, "a stream of decisions ends");
                None
            }
        }
    }

    async fn look(&mut self) -> Result<Option<Vec<Decision>>> {
        // Each time anew: the stream ends with the key.
        let caller = authenticate(&self.app, &Asked::new(&self.parts), &self.asked.capability, Freshness::Committed).await?;
        if acting_in(&self.app, &caller, self.asked.tenant).await? != self.tenant {
            return Ok(None);
        }
        let view = View::of(&self.app, &caller, self.tenant);
        let mut tx = self.app.db.tenant(self.tenant).await?;
        let newest = view.newest(&mut tx).await?;
        if newest <= self.last {
            return Ok(Some(Vec::new()));
        }
        let rows = view.between(&mut tx, &self.asked.filter, (self.last, newest + 1), MOST_FOUND).await?;
        tx.commit().await?;
        let turn = self.last.unsigned_abs();
        self.last = newest;
        let found: Vec<Decision> = rows.iter().rev().map(show).collect();
        Ok(Some(thin(found, MOST_TOLD, turn, |decision| &mut decision.weight)))
    }
}
