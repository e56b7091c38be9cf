//! What an isolate has to send to its keys' objects, and what becomes of it. Plain data and no I/O: who sends it is told.

use super::{
    permits::{CROWDED, Entry, Permits},
    teller::Errand,
    wire::{Lend, Lent},
};
use keyward_core::{KeyId, Timestamp, limits::Pace};
use uuid::Uuid;

/// Errands at a time: the runtime bounds what one request may send.
const MOST_ERRANDS: usize = 32;

impl Permits {
    /// Whether somebody has to see to the permits, in the background.
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.due.is_empty() || (self.busy && self.shift.is_open(now))
    }

    /// Begins the loop that gives back what isn't used, where one is needed; its number.
    pub fn begin(&mut self, now: Timestamp) -> Option<u32> {
        (self.busy && self.shift.is_open(now)).then(|| self.shift.begin(now))
    }

    /// What is due of the keys whose permits run out.
    pub fn due(&mut self, now: Timestamp, fresh: &mut dyn FnMut() -> Uuid) -> Vec<(KeyId, Errand)> {
        let left = self.due.split_off(self.due.len().min(MOST_ERRANDS));
        let due = std::mem::replace(&mut self.due, left);
        due.into_iter().filter_map(|key| Some((key, self.errand(key, now, fresh)?))).collect()
    }

    /// What goes back of all; keys of which nothing is here are forgotten. `None`: nothing is here any more.
    pub fn settle(&mut self, now: Timestamp, fresh: &mut dyn FnMut() -> Uuid) -> Option<Vec<(KeyId, Errand)>> {
        for key in self.under_way.sweep(now) {
            self.frees(key);
        }
        let (mut errands, mut busy) = (Vec::new(), false);
        let pace = if self.keys.len() > CROWDED { Pace { keep_ms: 0, ..self.pace } } else { self.pace };
        self.keys.retain(|key, entry| {
            if errands.len() < MOST_ERRANDS {
                errands.extend(entry.teller.errand(&pace, now, false, fresh).map(|errand| (*key, errand)));
            }
            let has = entry.teller.is_busy(&pace, entry.used, now);
            busy |= has;
            // One whose authority fails is remembered, for what the outage mode says.
            has || entry.teller.failing_ms(now).is_some()
        });
        self.busy = busy;
        busy.then_some(errands)
    }

    /// What is due of one.
    pub fn errand(&mut self, key: KeyId, now: Timestamp, fresh: &mut dyn FnMut() -> Uuid) -> Option<Errand> {
        let entry = self.keys.get_mut(&key)?;
        entry.due = false;
        entry.teller.errand(&self.pace, now, true, fresh)
    }

    /// An errand as it is sent.
    pub fn message(&self, key: KeyId, errand: &Errand) -> Option<Lend> {
        let &Entry { limits, position, life, .. } = self.keys.get(&key)?;
        Some(Lend { key, limits, position, life, permits: errand.request(key) })
    }

    /// What came of it.
    pub fn answered(&mut self, key: KeyId, errand: &Errand, reply: Option<&Lent>, now: Timestamp) {
        if let Some(entry) = self.keys.get_mut(&key) {
            if let Some(Lent { life, .. }) = reply {
                // What was sent back to the life before may have come to it, and through it to the origin: it must not come again.
                if entry.life.replace(*life).is_some_and(|before| before != *life) {
                    entry.teller.forget_returns();
                }
            }
            entry.teller.answered(errand, reply.map(|reply| &reply.permits), now);
        }
    }
}
