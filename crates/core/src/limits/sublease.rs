use super::{Leased, Leases, Renewal, Seat, Slots};
use crate::Timestamp;

/// For how long a key's object leases slots to an isolate, milliseconds: what a dead isolate keeps from others.
pub const ISOLATE_LEASE_MS: u64 = 15_000;
/// For how long the origin leases slots to a key's object, milliseconds: how long it may be away.
pub const OBJECT_LEASE_MS: u64 = 300_000;

/// What came of a renewal at a [`Sublease`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Sublet {
    /// It was done.
    Leased(Leased),
    /// Slots have to come first: [`Slots::ask`] the authority, and try again.
    Short,
    /// The holder has said something newer, or there are too many holders.
    Refused,
}

/// A key's slots where they are lent on: leased from an authority, and leased to holders for no longer than that.
#[derive(Clone, Debug)]
pub struct Sublease {
    /// From the authority.
    pub slots: Slots,
    /// To holders.
    pub leases: Leases,
}

impl Sublease {
    /// Takes what a holder says, and leases it what it wants of the key's `limit` slots.
    pub fn lend(&mut self, limit: u64, asked: &Renewal, now: Timestamp) -> Sublet {
        self.slots.turn(limit);
        self.slots.uses(self.leases.total(now));
        let room = self.slots.room(now).min(limit);
        // Until it is known how many there are since the limit has changed, nobody is told that none is free.
        let missing = if self.slots.is_settled() { self.leases.missing(room, asked, now) } else { asked.wanted };
        if missing > 0 && room < limit && self.slots.miss(missing, now) == Seat::Short {
            return Sublet::Short;
        }
        let lasts_ms = self.slots.until().since(now).min(ISOLATE_LEASE_MS);
        let renewed = self.leases.renew(room, asked, lasts_ms, now);
        self.slots.uses(self.leases.total(now));
        renewed.map_or(Sublet::Refused, Sublet::Leased)
    }
}
