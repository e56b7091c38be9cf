//! The table of decisions in parts of six hours: made before they are needed, dropped when all that they hold is older than it is
//! kept.

use std::sync::atomic::{AtomicU64, Ordering};

use keyward_core::Timestamp;
use time::Duration;

use crate::{clock::datetime, db::Db, error::Result};

/// Hours before and after now for which there are parts: servers' clocks differ a little.
const BEFORE: Duration = Duration::hours(1);
const AHEAD: Duration = Duration::hours(7);
const HOUR: u64 = 3_600_000;

/// For which hour the parts were last seen to: hours since 1970.
#[derive(Default)]
pub struct Made(AtomicU64);

impl Made {
    /// Sees to them where that wasn't done in this hour.
    ///
    /// # Errors
    /// As any write.
    pub async fn keep(&self, db: &Db, now: Timestamp, hours: u32) -> Result<()> {
        let hour = now.millis() / HOUR;
        if self.0.load(Ordering::Relaxed) != hour {
            keep(db, now, hours).await?;
            self.0.store(hour, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Makes the parts of the hours to come, and drops those of which everything is older than `hours`.
///
/// # Errors
/// As any write.
pub async fn keep(db: &Db, now: Timestamp, hours: u32) -> Result<()> {
    let now = datetime(now);
    let oldest = now - Duration::hours(hours.into());
    sqlx::query!("SELECT decision_partitions($1, $2, $3)::text AS done", now - BEFORE, now + AHEAD, oldest).fetch_one(db.system()).await?;
    Ok(())
}
