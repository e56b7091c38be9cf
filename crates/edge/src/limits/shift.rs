//! Who gives back what isn't used: one loop at a time, in the background of whichever request found none. It can be cut off
//! at any await, so that it holds a lease, and nothing depends on its end.

use keyward_core::Timestamp;

/// Between two looks at what goes back, milliseconds.
pub const SETTLE_MS: u64 = 250;
/// How long a loop may go on: the runtime cuts it 30 s after its response.
pub const LOOP_MS: u64 = 25_000;
/// After this time a request that comes by takes the loop over, so that the last one has seconds left to give everything back.
const TAKE_OVER_MS: u64 = 12_000;
/// Messages that a loop may send: the runtime bounds those of one request (on the paid plan by 10,000), and it has others to send.
pub const MOST_A_LOOP: usize = 8_000;
/// How long a loop may take for one look before it is believed to be dead.
const LEASE_MS: u64 = 2_000;

/// The loop in charge.
#[derive(Clone, Debug, Default)]
pub struct Shift {
    number: u32,
    began: Timestamp,
    lease: Timestamp,
    /// What it has sent.
    sent: usize,
}

impl Shift {
    /// Whether none is in charge, or one that ends before long.
    pub fn is_open(&self, now: Timestamp) -> bool {
        // One that began later than now had another clock.
        now < self.began || now >= self.lease || now.since(self.began) >= TAKE_OVER_MS
    }

    /// A new one is in charge: its number.
    pub fn begin(&mut self, now: Timestamp) -> u32 {
        self.number = self.number.wrapping_add(1);
        (self.began, self.sent) = (now, 0);
        self.goes_on(self.number, now);
        self.number
    }

    /// Whether the one with this number still is in charge, and has time left.
    pub fn goes_on(&mut self, number: u32, now: Timestamp) -> bool {
        if number != self.number || now < self.began || now.since(self.began) >= LOOP_MS || self.sent >= MOST_A_LOOP {
            return false;
        }
        self.lease = Timestamp::from_millis(now.millis() + LEASE_MS);
        true
    }

    /// The one in charge sends so many messages.
    pub const fn sends(&mut self, messages: usize) {
        self.sent += messages;
    }

    /// The one with this number ends.
    pub fn ends(&mut self, number: u32) {
        if number == self.number {
            self.lease = Timestamp::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_in_charge_and_a_dead_one_is_replaced() {
        let at = |millis| Timestamp::from_millis(100_000 + millis);
        let mut shift = Shift::default();
        assert!(shift.is_open(at(0)));
        let first = shift.begin(at(0));
        assert!(!shift.is_open(at(LEASE_MS - 1)) && shift.is_open(at(LEASE_MS)));
        // A clock that was set back.
        assert!(shift.is_open(Timestamp::from_millis(1)) && !shift.clone().goes_on(first, Timestamp::from_millis(1)));
        assert!(shift.goes_on(first, at(1_000)) && !shift.is_open(at(LEASE_MS)));
        assert!(shift.goes_on(first, at(TAKE_OVER_MS)) && shift.is_open(at(TAKE_OVER_MS)));
        let second = shift.begin(at(TAKE_OVER_MS));
        shift.ends(first);
        assert!(!shift.goes_on(first, at(TAKE_OVER_MS)) && !shift.is_open(at(TAKE_OVER_MS)));
        assert!(!shift.goes_on(second, at(TAKE_OVER_MS + LOOP_MS)));
        shift.ends(second);
        assert!(shift.is_open(at(TAKE_OVER_MS)));
    }
}
