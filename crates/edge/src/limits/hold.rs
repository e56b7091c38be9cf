//! What a request says of its slot while it is under way, and what it is told.

use super::permits::Permits;
use keyward_core::{KeyId, Timestamp};

/// What is said to a request that says that it is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It goes on.
    Held,
    /// It has to end at once: its slot may be another's.
    Lost,
}

impl Permits {
    /// A request says that it is under way, with its slot.
    pub fn is_there(&mut self, number: u64, now: Timestamp) -> Slot {
        let Some((key, mode)) = self.under_way.is_there(number, now) else { return Slot::Lost };
        let lost = self.keys.get(&key).and_then(|entry| entry.teller.slots.as_ref()).map_or(u64::MAX, |slots| slots.lost(now));
        // Those that began last are the ones that go.
        if lost == 0 || self.under_way.younger(key, number) >= lost || self.is_open(key, mode, now) {
            if self.keys.get(&key).is_some_and(|entry| entry.teller.slots.as_ref().is_some_and(|slots| slots.is_due(now))) {
                self.ask_soon(key, now);
            }
            return Slot::Held;
        }
        self.ends(number);
        Slot::Lost
    }

    /// A request has ended, and its slot is free.
    pub fn ends(&mut self, number: u64) {
        if let Some(key) = self.under_way.ends(number) {
            self.frees(key);
        }
    }

    pub(super) fn frees(&mut self, key: KeyId) {
        if let Some(entry) = self.keys.get_mut(&key)
            && let Some(slots) = &mut entry.teller.slots
        {
            slots.end();
            entry.teller.tell();
        }
    }
}
