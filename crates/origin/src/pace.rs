//! How often something may be done, by who does it, on this server.
//!
//! The generic cell rate algorithm (ITU-T I.371, as a virtual schedule): one number each.

use std::{
    hash::Hash,
    sync::{Mutex, PoisonError},
};

use keyward_core::Timestamp;

use crate::lately::Lately;

/// Those who are remembered in one generation; two are held.
const REMEMBERED: usize = 8_192;

/// So many in a time, by who does it.
pub struct Pace<K> {
    /// Milliseconds.
    time: u64,
    /// Milliseconds that one of them counts; 0: nothing is limited.
    interval: u64,
    /// When all of somebody's will be forgotten, milliseconds: each puts it off by one interval.
    schedule: Mutex<Lately<K, u64>>,
}

impl<K: Hash + Eq> Pace<K> {
    /// At most so many in so many milliseconds (and as many at once); 0: any number.
    pub fn new(most: u32, time: u64) -> Self {
        let interval = time.checked_div(most.into()).map_or(0, |interval| interval.max(1));
        Self { time, interval, schedule: Mutex::new(Lately::new(REMEMBERED)) }
    }

    /// Passes where one more may be.
    ///
    /// # Errors
    /// The seconds until it may.
    pub fn guard(&self, who: &K, now: Timestamp) -> Result<(), u64> {
        if self.interval == 0 {
            return Ok(());
        }
        let due = self.schedule.lock().unwrap_or_else(PoisonError::into_inner).recall(who).unwrap_or(0);
        // None is noted further ahead: then the clock was set back, and what it noted before counts no more.
        let ahead = due.checked_sub(now.millis()).filter(|ahead| *ahead <= self.time).unwrap_or(0);
        if ahead + self.interval <= self.time { Ok(()) } else { Err((ahead + self.interval - self.time).div_ceil(1000)) }
    }

    /// Counts one.
    pub fn note(&self, who: K, now: Timestamp) {
        if self.interval == 0 {
            return;
        }
        let latest = now.millis() + self.time;
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        let due = schedule.recall(&who).filter(|due| *due <= latest).unwrap_or(0).max(now.millis()) + self.interval;
        // What comes in while it is refused anyway doesn't put it off for ever.
        schedule.keep(who, due.min(latest));
    }

    /// Counts one where it may be.
    ///
    /// # Errors
    /// As [`Self::guard`].
    pub fn take(&self, who: K, now: Timestamp) -> Result<(), u64> {
        self.guard(&who, now)?;
        self.note(who, now);
        Ok(())
    }
}
