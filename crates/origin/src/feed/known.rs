//! Rows of credentials in memory, for as long as the feed vouches for them.
//!
//! A change forgets the rows that it is about: those of this server before they are answered for, those of others when
//! the feed brings them. Two things could let an old row live on, and both are closed:
//!
//! - a row that was read before a change and arrives here after it. So a reader draws a [`Ticket`] before it reads, and
//!   a ticket from before a change of its index keeps nothing;
//! - a feed that can't be read. So no row is recalled unless the feed was read, to its end, within [`SOFT_AGE`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use keyward_core::{KeyId, StatusIndex};

use super::Change;
use crate::{auth::Row, lately::Lately};

/// The oldest reading of the feed on which a row in memory is believed. The log is read each second at least.
pub const SOFT_AGE: Duration = Duration::from_secs(2);
/// Rows of one generation; two are held, some 300 bytes a row.
const GENERATION: usize = 16_384;
/// Indices share stamps; the more there are, the fewer rows are not kept for another's change.
const STAMPS: usize = 1024;

/// The rows.
pub struct Known {
    rows: Mutex<Rows>,
    /// The origin of `read`.
    began: Instant,
    /// When the last reading that found nothing new, or had it applied here, was begun: nanoseconds since `began`.
    /// Zero: never, or not since somebody had to stop.
    read: AtomicU64,
}

struct Rows {
    lately: Lately<StatusIndex, Arc<Row>>,
    /// Changes of the indices that share it.
    stamps: Vec<u64>,
    /// Changes of all.
    all: u64,
}

/// The moment before a row is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    stamp: u64,
    all: u64,
}

impl Default for Known {
    fn default() -> Self {
        let rows = Rows { lately: Lately::new(GENERATION), stamps: vec![0; STAMPS], all: 0 };
        Self { rows: Mutex::new(rows), began: Instant::now(), read: AtomicU64::new(0) }
    }
}

impl Known {
    /// The row at an index, where one is remembered and the feed vouches for it.
    pub fn recall(&self, index: StatusIndex) -> Option<Arc<Row>> {
        if !self.is_followed() {
            return None;
        }
        self.rows().lately.recall(&index)
    }

    /// To be drawn before the row at an index is read.
    pub fn ticket(&self, index: StatusIndex) -> Ticket {
        self.rows().ticket(index)
    }

    /// Remembers a row that was read after the ticket was drawn.
    pub fn keep(&self, index: StatusIndex, ticket: Ticket, row: &Arc<Row>) {
        let mut rows = self.rows();
        if rows.ticket(index) == ticket {
            rows.lately.keep(index, Arc::clone(row));
        }
    }

    /// Forgets all that a change is about.
    pub fn forget(&self, change: &Change) {
        let mut rows = self.rows();
        for index in change.changes.iter().map(|(index, _)| *index).chain(change.amendments.iter().map(|amendment| amendment.index)) {
            rows.stamps[stamp(index)] += 1;
            rows.lately.forget(&index);
        }
        if !change.supersessions.is_empty() {
            rows.all += 1;
            rows.lately.retain(|_, row| change.supersessions.iter().all(|(old, _)| *old != row.own_policy()));
        }
    }

    /// Forgets a key that has ended before, at whatever indices.
    pub fn forget_key(&self, key: KeyId) {
        let mut rows = self.rows();
        rows.all += 1;
        rows.lately.retain(|_, row| row.key != key);
    }

    /// Forgets all: the rows may be of another past.
    pub fn clear(&self) {
        self.read.store(0, Ordering::Release);
        let mut rows = self.rows();
        rows.all += 1;
        rows.lately.clear();
    }

    /// The feed was read to its end, by a reading that began then, and what it brought is forgotten here.
    pub fn confirm(&self, began: Instant) {
        let since = began.saturating_duration_since(self.began).as_nanos();
        self.read.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Release);
    }

    fn is_followed(&self) -> bool {
        let read = self.read.load(Ordering::Acquire);
        read != 0 && self.began.elapsed().saturating_sub(Duration::from_nanos(read)) < SOFT_AGE
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn ticket(&self, index: StatusIndex) -> Ticket {
        Ticket { stamp: self.stamps[stamp(index)], all: self.all }
    }
}

const fn stamp(index: StatusIndex) -> usize {
    index.0 as usize % STAMPS
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_core::{PolicyNumber, Status};

    const INDEX: StatusIndex = StatusIndex(7);

    fn change() -> Change {
        Change { changes: vec![(INDEX, Status::Invalid)], ..Change::default() }
    }

    #[test]
    fn a_row_read_before_a_change_is_not_kept_after_it() {
        let known = Known::default();
        let row = Arc::new(Row::example(PolicyNumber(3)));
        known.confirm(Instant::now());
        let ticket = known.ticket(INDEX);
        known.forget(&change());
        known.keep(INDEX, ticket, &row);
        assert!(known.recall(INDEX).is_none());

        known.keep(INDEX, known.ticket(INDEX), &row);
        assert!(known.recall(INDEX).is_some());
        // Another's change leaves it; its own policy's takes it.
        known.forget(&Change { supersessions: vec![(PolicyNumber(4), PolicyNumber(5))], ..Change::default() });
        assert!(known.recall(INDEX).is_some());
        known.forget(&Change { supersessions: vec![(PolicyNumber(3), PolicyNumber(5))], ..Change::default() });
        assert!(known.recall(INDEX).is_none());
    }

    #[test]
    fn nothing_is_recalled_on_a_feed_that_was_read_too_long_ago_or_never() {
        let mut known = Known { began: Instant::now() - 10 * SOFT_AGE, ..Known::default() };
        known.keep(INDEX, known.ticket(INDEX), &Arc::new(Row::example(PolicyNumber(3))));
        assert!(known.recall(INDEX).is_none());
        known.confirm(Instant::now());
        assert!(known.recall(INDEX).is_some());
        known.began -= SOFT_AGE;
        assert!(known.recall(INDEX).is_none());
        known.confirm(Instant::now());
        assert!(known.recall(INDEX).is_some());
        known.clear();
        known.confirm(Instant::now());
        assert!(known.recall(INDEX).is_none());
    }
}
