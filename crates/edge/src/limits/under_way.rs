//! Requests that hold slots of their keys, each from its permission to the end of its answer. Plain data.
//!
//! A request's own context says again and again that it is still there (`js/hold.js`), since it can be cut off without a word.

use super::outage::LimitMode;
use keyward_core::{KeyId, Timestamp};

/// How often a request says that it is there, milliseconds: js/hold.js has the same.
const TICK_MS: u64 = 1_000;
/// A request that hasn't said so for this long may be gone, milliseconds,
const SILENT_MS: u64 = 5 * TICK_MS;
/// and is, when it still hasn't after as long again: an isolate that stood still has to hear of all first.
const SURE_MS: u64 = 2 * TICK_MS;

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Request {
    number: u64,
    key: KeyId,
    /// What holds where its key's authority gives no answer.
    mode: LimitMode,
    heard: Timestamp,
    suspected: Option<Timestamp>,
}

/// Requests under way, by number.
#[derive(Clone, Debug)]
pub struct UnderWay {
    next: u64,
    /// In the order of their numbers. A list: maps are large in WebAssembly.
    requests: Vec<Request>,
}

impl UnderWay {
    /// None yet. Numbers begin at one that no other instance has used, where `seed` is random: whoever holds a slot of an instance
    /// that is gone finds that out. They are exact as numbers of JavaScript's.
    pub const fn new(seed: u64) -> Self {
        Self { next: seed >> 12, requests: Vec::new() }
    }

    /// One begins: its number.
    pub fn begins(&mut self, key: KeyId, mode: LimitMode, now: Timestamp) -> u64 {
        self.next += 1;
        self.requests.push(Request { number: self.next, key, mode, heard: now, suspected: None });
        self.next
    }

    /// One says that it is there: its key, and what holds for it in an outage. `None`: it has none of our slots.
    pub fn is_there(&mut self, number: u64, now: Timestamp) -> Option<(KeyId, LimitMode)> {
        let at = self.find(number)?;
        let request = &mut self.requests[at];
        (request.heard, request.suspected) = (now, None);
        Some((request.key, request.mode))
    }

    /// How many of a key's began after this one.
    pub fn younger(&self, key: KeyId, number: u64) -> u64 {
        self.requests.iter().rev().take_while(|request| request.number > number).filter(|request| request.key == key).count() as u64
    }

    /// One has ended: its key.
    pub fn ends(&mut self, number: u64) -> Option<KeyId> {
        let at = self.find(number)?;
        Some(self.requests.remove(at).key)
    }

    fn find(&self, number: u64) -> Option<usize> {
        self.requests.binary_search_by_key(&number, |request| request.number).ok()
    }

    /// Takes out those that are gone: their keys.
    pub fn sweep(&mut self, now: Timestamp) -> Vec<KeyId> {
        let mut gone = Vec::new();
        self.requests.retain_mut(|request| {
            if now.since(request.heard) < SILENT_MS {
                return true;
            }
            let stays = now.since(*request.suspected.get_or_insert(now)) < SURE_MS;
            if !stays {
                gone.push(request.key);
            }
            stays
        });
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_request_that_falls_silent_is_gone_but_not_one_that_the_isolate_could_not_hear() {
        let (key, at) = (KeyId(Uuid::from_u128(1)), |millis: u64| Timestamp::from_millis(1_000_000 + millis));
        let mut under_way = UnderWay::new(u64::MAX);
        let [silent, lasting] = [(); 2].map(|()| under_way.begins(key, LimitMode::Leased, at(0)));
        assert!(lasting < 1 << 53 && under_way.younger(key, silent) == 1);
        // The isolate stood still, and hears of one right after that.
        assert_eq!(under_way.sweep(at(60_000)), []);
        assert!(under_way.is_there(lasting, at(60_001)).is_some());
        assert_eq!(under_way.sweep(at(61_999)), []);
        assert_eq!(under_way.sweep(at(62_000)), [key]);
        assert_eq!((under_way.is_there(silent, at(62_001)), under_way.ends(silent)), (None, None));
        assert_eq!((under_way.ends(lasting), under_way.ends(lasting)), (Some(key), None));
    }
}
