use super::{Leased, Leases, Renewal, Seat, Slots};
use crate::Timestamp;

/// For how long a key's object leases slots to an isolate, milliseconds: what a dead isolate keeps from others.
pub const ISOLATE_LEASE_MS: u64 = 15_000;
/// For how long the origin leases slots to a key's object, milliseconds: how long it may be away.
pub const OBJECT_LEASE_MS: u64 = 300_000;

impl Leases {
    /// Whether slots have to come first for what a holder says of the key's `limit` slots, where all that can be lent is leased from an
    /// authority: then [`Slots::ask`] that, and try again.
    pub fn lacks(&self, slots: &mut Slots, limit: u64, asked: &Renewal, now: Timestamp) -> bool {
        slots.turn(limit);
        slots.uses(self.total(now));
        let room = slots.room(now).min(limit);
        // Until it is known how many there are since the limit has changed, nobody is told that none is free.
        let missing = if slots.is_settled() { self.missing(room, asked, now) } else { asked.wanted };
        missing > 0 && room < limit && slots.miss(missing, now) == Seat::Short
    }

    /// Takes what a holder says, and leases it what it wants as far as that is here: no longer than it was leased itself. `None` as
    /// [`Leases::renew`].
    pub fn sublet(&mut self, slots: &mut Slots, limit: u64, asked: &Renewal, now: Timestamp) -> Option<Leased> {
        slots.turn(limit);
        let lasts_ms = slots.until().since(now).min(ISOLATE_LEASE_MS);
        let leased = self.renew(slots.room(now).min(limit), asked, lasts_ms, now);
        slots.uses(self.total(now));
        leased
    }
}
