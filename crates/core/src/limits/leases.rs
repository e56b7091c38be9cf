use super::{Leased, Renewal};
use crate::Timestamp;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Holders of one key's slots at a time; more get none.
const MOST_HOLDERS: usize = 1024;

/// One holder's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Whose.
    pub holder: Uuid,
    /// The number of what it last said.
    pub serial: u64,
    /// How many slots, perhaps none: then only the number is remembered.
    pub slots: u64,
    /// Until when, by the authority's clock: unix milliseconds.
    pub until_ms: u64,
}

impl Lease {
    const fn lasts(&self, now: Timestamp) -> bool {
        now.millis() < self.until_ms
    }
}

/// Who has a key's slots, at their authority: so many requests may be under way at one time.
///
/// A lease ends by itself, so that a holder which is gone has its slots no longer than that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// A list: there are few, and maps are large in WebAssembly.
    leases: Vec<Lease>,
}

impl Leases {
    /// As they were written down.
    pub fn new(leases: impl IntoIterator<Item = Lease>) -> Self {
        Self { leases: leases.into_iter().collect() }
    }

    /// All, to be written down.
    pub fn all(&self) -> &[Lease] {
        &self.leases
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// Slots that are leased.
    pub fn total(&self, now: Timestamp) -> u64 {
        self.leases.iter().filter(|lease| lease.lasts(now)).fold(0, |sum, lease| sum.saturating_add(lease.slots))
    }

    /// How many of `limit` slots a renewal would get: what the holder has and goes on with, and what may be taken anew.
    fn judge(&self, limit: u64, asked: &Renewal, now: Timestamp) -> Option<(u64, u64)> {
        let own = self.leases.iter().find(|lease| lease.holder == asked.holder && lease.lasts(now));
        if own.is_some_and(|lease| asked.serial <= lease.serial) || (own.is_none() && self.leases.len() >= MOST_HOLDERS) {
            return None;
        }
        let has = own.map_or(0, |lease| lease.slots);
        // What it has no lease for any more it doesn't use any more.
        let kept = asked.leased.min(has);
        let available = limit.saturating_sub(self.total(now) - has);
        let goes_on = kept.min(available);
        let more = asked.wanted.saturating_sub(goes_on);
        let target = if more == 0 { asked.wanted } else { goes_on + more.min(available - goes_on) };
        Some((kept, target))
    }

    /// How many slots are missing here for that renewal to get anything that it wants beyond what it has.
    pub fn missing(&self, limit: u64, asked: &Renewal, now: Timestamp) -> u64 {
        let missing = |(kept, target): (u64, u64)| if target <= kept { asked.wanted.saturating_sub(kept) } else { 0 };
        self.judge(limit, asked, now).map_or(0, missing)
    }

    /// Takes what a holder says, and leases it for `lasts_ms` what it wants, as far as `limit` goes over all holders. `None`, with
    /// nothing done, where it has said something newer already.
    ///
    /// A limit that was lowered takes no slot away that is used: no new one is taken until enough have ended.
    pub fn renew(&mut self, limit: u64, asked: &Renewal, lasts_ms: u64, now: Timestamp) -> Option<Leased> {
        self.leases.retain(|lease| lease.lasts(now));
        let (kept, target) = self.judge(limit, asked, now)?;
        let slots = kept.max(target);
        let until_ms = now.millis().saturating_add(lasts_ms);
        let lease = Lease { holder: asked.holder, serial: asked.serial, slots, until_ms };
        match self.leases.iter_mut().find(|own| own.holder == asked.holder) {
            Some(own) => *own = lease,
            None => self.leases.push(lease),
        }
        Some(Leased { slots, target, lasts_ms })
    }
}
