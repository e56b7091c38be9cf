//! Charging a request to its key's limits, from memory.

use std::{sync::Arc, time::Duration};

use keyward_api::{Code, limits::LimitKind};
use keyward_core::limits::{Charge, Meter, Taken};
use tokio::time::{Instant, sleep, timeout_at};

pub use super::pools::Left;
use super::store::{Known, Seen};
use crate::{auth::Holder, error::Result, state::App};

/// How long a request waits for permits.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of a request.
#[derive(Debug)]
pub enum Spent {
    /// It was charged to all of its limits.
    Charged(Left),
    /// A limit refuses it, and it was charged to none.
    Refused {
        /// Which.
        limit: LimitKind,
        /// So much of it is used.
        used: u64,
        /// Of so much.
        of: u64,
        /// What is left of the others.
        left: Left,
    },
}

/// Charges a request to all limits of its key, or to none. The account, where it came with the key, spares a reading.
///
/// # Errors
/// `database_unavailable` where its permits have to come first, and don't.
pub async fn spend(app: &App, holder: &Holder, charge: Charge, seen: Option<Seen>) -> Result<Spent> {
    let (escrow, key, limits) = (&app.limits, holder.id(), &holder.claims().limits);
    // As of one reading: the policy is that of the row.
    let mut seen = seen.map(|seen| (Known { tenant: holder.tenant().0, limits: *limits }, seen));
    if Meter::ALL.into_iter().all(|meter| meter.limit(limits).is_none()) {
        return Ok(Spent::Charged(Left::default()));
    }
    // Known where somebody has to wait.
    let mut until = None;
    loop {
        let now = escrow.clock.now();
        let outcome = escrow.pools.take(key, limits, charge, now);
        if let Some((asks, backs)) = outcome.errand {
            // Not a part of this request, which may be given up.
            let (escrow, seen) = (Arc::clone(escrow), seen.take());
            tokio::spawn(async move { escrow.run(key, asks, backs, seen).await });
        }
        match outcome.taken {
            Taken::All { .. } => return Ok(Spent::Charged(outcome.left)),
            Taken::Refused(meter) => {
                let of = meter.limit(limits).unwrap_or(0);
                let used = of - outcome.left.get(meter).unwrap_or(of).min(of);
                return Ok(Spent::Refused { limit: meter.into(), used, of, left: outcome.left });
            }
            Taken::Later(moment) => {
                // A second at the most, and no longer than that whatever the clock says.
                let wait = Duration::from_millis(moment.since(now).clamp(1, 1000));
                if Instant::now() + wait > *until.get_or_insert_with(|| Instant::now() + PATIENCE) {
                    return Err(Code::DatabaseUnavailable.into());
                }
                sleep(wait).await;
            }
            Taken::Short => {
                let Some((answered, failures)) = outcome.wait else { continue };
                if until.is_none() {
                    app.metrics.waited.inc();
                }
                let until = *until.get_or_insert_with(|| Instant::now() + PATIENCE);
                let answered = timeout_at(until, answered).await.is_ok();
                if !answered || escrow.pools.failures(key) != failures {
                    return Err(Code::DatabaseUnavailable.into());
                }
            }
        }
    }
}
