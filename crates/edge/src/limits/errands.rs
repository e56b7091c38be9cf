//! What an isolate has to send to its keys' objects, and what becomes of it. Plain data and no I/O: who sends it is told.

use super::{
    permits::{CROWDED, Entry, Permits},
    teller::Errand,
    wire::{Lend, Lent},
};
use keyward_core::{KeyId, Timestamp, limits::Pace};
use std::ops::Bound::{Excluded, Included, Unbounded};
use uuid::Uuid;

/// Errands that a request sends for keys whose permits run out: it has a bound on what it may send, for all that it does.
const MOST_DUE: usize = 32;
/// Errands at each look at what goes back: so many keys in [`super::shift::SETTLE_MS`]. How many a loop sends at all is the shift's to bound.
const MOST_A_LOOK: usize = 128;

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
        let left = self.due.split_off(self.due.len().min(MOST_DUE));
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
        // On from where the last look ended, so that each key has its turn.
        let last = self.settled;
        for part in [(Excluded(last), Unbounded), (Unbounded, Included(last))] {
            for (key, entry) in self.keys.range_mut(part) {
                if errands.len() == MOST_A_LOOK {
                    break;
                }
                errands.extend(entry.teller.errand(&pace, now, false, fresh).map(|errand| (*key, errand)));
                self.settled = *key;
            }
        }
        self.shift.sends(errands.len());
        self.keys.retain(|_, entry| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{
        demand::Demand,
        outage::LimitMode,
        permits::{Limited, Turn},
        shift::{LOOP_MS, MOST_A_LOOP, SETTLE_MS},
    };
    use keyward_api::limits::{PermitsGranted, PermitsReply, PermitsTaken};
    use keyward_core::{Limits, Position};
    use std::collections::BTreeSet;

    /// What an object answers that gives five permits to whoever asks, and takes all that comes back.
    fn answer(key: KeyId, errand: &Errand) -> Lent {
        let asked = errand.request(key);
        let granted = asked.wanted.iter().map(|wanted| PermitsGranted { id: wanted.id, amount: 5, left: Some(90), fault: None }).collect();
        let taken = asked.returned.iter().map(|back| PermitsTaken { id: back.id, fault: None }).collect();
        Lent { life: Uuid::nil(), permits: PermitsReply { now_ms: 0, granted, taken, slots: Vec::new() } }
    }

    #[test]
    fn what_many_keys_do_not_use_goes_back_at_the_stated_rate_and_within_what_a_loop_may_send() {
        const KEYS: u128 = 4_000;
        let pace = Pace { settle_ms: 1_000, ..Pace::SPEND };
        let at = |millis: u64| Timestamp::from_millis(20_000 * 86_400_000 + 40_000_000 + millis);
        let limits = Limits { daily_quota: Some(100), ..Limits::default() };
        let mut permits = Permits::new(pace, Uuid::nil());
        let mut ids = 0;
        let mut fresh = || {
            ids += 1;
            Uuid::from_u128(ids)
        };
        let mut holding = BTreeSet::new();
        for n in 0..KEYS {
            let about = Limited { key: KeyId(Uuid::from_u128(n)), limits, position: Position::default() };
            let mut charge = || permits.charge(&about, &Demand::new(0, None), (LimitMode::Leased, Turn::First), at(0));
            charge();
            let errand = permits.errand(about.key, at(0), &mut fresh).unwrap();
            permits.answered(about.key, &errand, Some(&answer(about.key, &errand)), at(0));
            holding.insert(about.key);
        }
        // Some are used all the time, those that come first.
        let busy: Vec<Limited> =
            (0..200).map(|n| Limited { key: KeyId(Uuid::from_u128(n)), limits, position: Position::default() }).collect();
        let turn = permits.begin(at(0)).unwrap();
        let (mut now, mut sent) = (0, 0);
        while holding.len() > busy.len() {
            now += SETTLE_MS;
            assert!(now < LOOP_MS && permits.shift.goes_on(turn, at(now)), "{} still hold some after {now} ms", holding.len());
            for about in &busy {
                permits.charge(about, &Demand::new(0, None), (LimitMode::Leased, Turn::AtOnce), at(now));
            }
            let errands = permits.settle(at(now), &mut fresh).unwrap();
            assert!(errands.len() <= MOST_A_LOOK);
            sent += errands.len();
            for (key, errand) in errands {
                if !errand.request(key).returned.is_empty() && key.0.as_u128() >= busy.len() as u128 {
                    holding.remove(&key);
                }
                permits.answered(key, &errand, Some(&answer(key, &errand)), at(now));
            }
        }
        let rate = MOST_A_LOOK as u64 * 1_000 / SETTLE_MS;
        assert!(now <= 2 * pace.settle_ms + KEYS as u64 * 1_000 / rate + 1_000, "it took {now} ms");
        assert!(sent < MOST_A_LOOP);
    }
}
