use super::{Leased, Leases, Renewal, Seat, Slots};
use crate::Timestamp;

/// For how long a key's object leases slots to an isolate, milliseconds: what a dead isolate keeps from others.
pub const ISOLATE_LEASE_MS: u64 = 15_000;
/// For how long the origin leases slots to a key's object, milliseconds: how long it may be away.
pub const OBJECT_LEASE_MS: u64 = 300_000;

/// What came of a renewal at who has leased the slots itself.
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

impl Leases {
    /// Takes what a holder says, and leases it what it wants of the key's `limit` slots, where all that can be lent is leased from an
    /// authority: no longer than those are. Where more are wanted than are here it is [`Sublet::Short`], if there is `patience`.
    pub fn sublet(&mut self, slots: &mut Slots, limit: u64, asked: &Renewal, patience: bool, now: Timestamp) -> Sublet {
        slots.turn(limit);
        slots.uses(self.total(now));
        let room = slots.room(now).min(limit);
        // Until it is known how many there are since the limit has changed, nobody is told that none is free.
        let missing = if slots.is_settled() { self.missing(room, asked, now) } else { asked.wanted };
        if missing > 0 && room < limit && slots.miss(missing, now) == Seat::Short && patience {
            return Sublet::Short;
        }
        let lasts_ms = slots.until().since(now).min(ISOLATE_LEASE_MS);
        let renewed = self.renew(room, asked, lasts_ms, now);
        slots.uses(self.total(now));
        renewed.map_or(Sublet::Refused, Sublet::Leased)
    }
}
