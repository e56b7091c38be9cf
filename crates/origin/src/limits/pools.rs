//! This server's permits, by key: in shards, so that requests about different keys seldom meet.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keyward_api::limits::PermitsReply;
use keyward_core::{
    KeyId, Limits, Timestamp,
    limits::{Ask, Charge, GiveBack, Holder, Meter, Pace, Taken},
};
use sqlx::types::Uuid;
use tokio::sync::{Notify, futures::OwnedNotified};

use crate::ids::new_id;

/// An answer is never lost without a word: nothing is repeated that is still under way.
const PACE: Pace = Pace { patience_ms: 20_000, ..Pace::SERVE };
/// A power of two.
const SHARDS: usize = 64;
/// Keys beyond which no permit is kept for later, at most a kilobyte each. So many rows are remembered (`feed::known`): who isn't among
/// them is read when next used, and with it what it may spend.
const CROWDED: usize = 32_768;
/// Questions for one key in a moment: four limits, two windows.
const MOST_ASKS: usize = 8;

/// What a request for permits came to.
pub struct Outcome {
    pub taken: Taken,
    /// What is left, where it is known.
    pub left: Left,
    /// To be done by whoever got it, and by nobody else.
    pub errand: Option<(Vec<Ask>, Vec<GiveBack>)>,
    /// Where permits have to come first: wakes when the authority has answered, and how often it had failed before.
    pub wait: Option<(OwnedNotified, u32)>,
}

/// What is left of a key's limits in the windows of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    left: [Option<u64>; 4],
}

impl Left {
    fn of(holder: &Holder) -> Self {
        Self { left: Meter::ALL.map(|meter| holder.left(meter)) }
    }

    /// Of one limit.
    pub fn get(&self, meter: Meter) -> Option<u64> {
        self.left[meter as usize]
    }
}

struct Pool {
    holder: Holder,
    /// Where somebody waits for an answer.
    answered: Option<Arc<Notify>>,
    failures: u32,
}

/// All of them.
pub struct Pools {
    shards: [Mutex<HashMap<KeyId, Pool>>; SHARDS],
}

impl Default for Pools {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Pools {
    /// Takes a charge from a key's permits.
    pub fn take(&self, key: KeyId, limits: &Limits, charge: Charge, now: Timestamp) -> Outcome {
        let mut shard = self.shard(key);
        let pool = shard.entry(key).or_insert_with(|| Pool { holder: Holder::new(limits, now), answered: None, failures: 0 });
        let taken = pool.holder.take(limits, charge, now);
        let errand = matches!(taken, Taken::Short | Taken::All { due: true }).then(|| pool.errand(now)).flatten();
        let wait = (taken == Taken::Short).then(|| (Arc::clone(pool.answered.get_or_insert_default()).notified_owned(), pool.failures));
        Outcome { taken, left: Left::of(&pool.holder), errand, wait }
    }

    /// How often the authority has failed for a key.
    pub fn failures(&self, key: KeyId) -> u32 {
        self.shard(key).get(&key).map_or(0, |pool| pool.failures)
    }

    /// What the authority has answered to questions for a key; `None`: nothing.
    pub fn answered(&self, key: KeyId, asks: &[Ask], reply: Option<&PermitsReply>, now: Timestamp) {
        let mut shard = self.shard(key);
        let Some(pool) = shard.get_mut(&key) else { return };
        match reply {
            Some(reply) => {
                for (ask, granted) in asks.iter().zip(&reply.granted) {
                    pool.holder.answer(ask, granted.amount, granted.left, now);
                }
            }
            None => {
                pool.failures = pool.failures.wrapping_add(1);
                asks.iter().for_each(|ask| pool.holder.failed(ask, now));
            }
        }
        pool.wake();
    }

    /// What of a key's permits went back is there, or lost.
    pub fn returned(&self, key: KeyId, backs: &[GiveBack]) {
        let mut shard = self.shard(key);
        let Some(pool) = shard.get_mut(&key) else { return };
        backs.iter().for_each(|back| pool.holder.returned(back));
        pool.wake();
    }

    /// What goes back; keys of which nothing is here any more are forgotten.
    pub fn settle(&self, now: Timestamp, all: bool) -> Vec<(KeyId, GiveBack)> {
        let mut backs = Vec::new();
        let crowded = self.shards.iter().map(|shard| lock(shard).len()).sum::<usize>() > CROWDED;
        let pace = if crowded { Pace { keep_ms: 0, ..PACE } } else { PACE };
        for shard in &self.shards {
            lock(shard).retain(|key, pool| {
                pool.holder.settle(&pace, now, all, || fresh(now), |back| backs.push((*key, back)));
                !pool.holder.is_empty()
            });
        }
        backs
    }

    fn shard(&self, key: KeyId) -> MutexGuard<'_, HashMap<KeyId, Pool>> {
        // The last bits of a UUIDv7 are random.
        lock(&self.shards[key.0.as_u128() as usize % SHARDS])
    }
}

impl Pool {
    /// Has those who wait try again.
    fn wake(&mut self) {
        if let Some(answered) = self.answered.take() {
            answered.notify_waiters();
        }
    }

    fn errand(&mut self, now: Timestamp) -> Option<(Vec<Ask>, Vec<GiveBack>)> {
        let (mut asks, mut backs) = (Vec::with_capacity(MOST_ASKS), Vec::new());
        self.holder.ask(&PACE, now, || fresh(now), |ask| asks.push(ask));
        self.holder.settle(&PACE, now, false, || fresh(now), |back| backs.push(back));
        (!asks.is_empty() || !backs.is_empty()).then_some((asks, backs))
    }
}

/// Ours are remembered by nobody, and only have to differ. Where there is no randomness, they are refused.
fn fresh(now: Timestamp) -> Uuid {
    new_id(now).map_or(Uuid::nil(), |id| id.0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
