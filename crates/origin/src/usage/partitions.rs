//! The tables of usage by month: made before they are needed, dropped when all that they hold is older than it is kept.

use std::sync::atomic::{AtomicI64, Ordering};

use keyward_core::Timestamp;
use time::Duration;

use crate::{clock::datetime, db::Db, error::Result};

/// Days before and after today for which there are tables: more than usage may be late or ahead.
const BEFORE: Duration = Duration::days(8);
const AHEAD: Duration = Duration::days(40);

/// For which day the partitions were last seen to: days since 1970.
#[derive(Default)]
pub struct Made(AtomicI64);

impl Made {
    /// Sees to them where that wasn't done today.
    ///
    /// # Errors
    /// As any write.
    pub async fn keep(&self, db: &Db, now: Timestamp, days: u32) -> Result<()> {
        let today = i64::try_from(now.secs() / (24 * 3600)).unwrap_or(i64::MAX);
        if self.0.load(Ordering::Relaxed) != today {
            keep(db, now, days).await?;
            self.0.store(today, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Makes the tables of the months to come, and drops those of which everything is older than `days`.
///
/// # Errors
/// As any write.
pub async fn keep(db: &Db, now: Timestamp, days: u32) -> Result<()> {
    let now = datetime(now);
    let oldest = now - Duration::days(days.into());
    sqlx::query!("SELECT usage_partitions($1, $2, $3)::text AS done", (now - BEFORE).date(), (now + AHEAD).date(), oldest.date())
        .fetch_one(db.system())
        .await?;
    Ok(())
}
