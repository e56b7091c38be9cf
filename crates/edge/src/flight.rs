//! Fetching a thing once, however many ask for it: plain data, for the same reasons as in [`crate::pulse`].

use keyward_core::{Digest, PolicyNumber, Timestamp};
use std::collections::BTreeMap;

/// How long a fetch may take, in milliseconds.
pub const FETCH_MS: u64 = 1_000;
/// How long after a failure nobody tries again.
const FAILED_MS: u64 = 500;
/// Things that are remembered at a time; beyond it, those are forgotten that nobody can be waiting for.
const MAX_FLIGHTS: usize = 1024;

/// A thing to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// What the feed has to say since.
    Feed,
    /// A part of the snapshot.
    Part(Digest),
    /// A policy.
    Policy(PolicyNumber),
}

/// Why a thing could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// There is no such thing.
    Absent,
    /// It could not be asked for, or what came was refused.
    Failed,
}

#[derive(Clone, Copy, Debug)]
enum Flight {
    /// Somebody is fetching it; believed to live until then.
    Under(Timestamp),
    /// It failed at this time.
    Missed(Timestamp, Miss),
}

/// What to do about a thing that isn't here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Fetch it, in the background, and then wait.
    Start,
    /// Wait: somebody else is fetching it.
    Wait,
    /// Do without.
    GiveUp(Miss),
}

/// What is being fetched.
#[derive(Debug, Default)]
pub struct Flights {
    flights: BTreeMap<What, Flight>,
}

impl Flights {
    /// What somebody does who wants a thing that isn't here.
    pub fn want(&mut self, what: What, now: Timestamp) -> Move {
        match self.flights.get(&what) {
            Some(Flight::Under(until)) if now < *until => return Move::Wait,
            Some(Flight::Missed(at, miss)) if now.since(*at) < FAILED_MS => return Move::GiveUp(*miss),
            _ => {}
        }
        if self.flights.len() >= MAX_FLIGHTS {
            self.flights.retain(|_, flight| match flight {
                Flight::Under(until) => now < *until,
                Flight::Missed(at, _) => now.since(*at) < FAILED_MS,
            });
        }
        if self.flights.len() >= MAX_FLIGHTS {
            return Move::GiveUp(Miss::Failed);
        }
        // As long as the fetch may take and a little more: a fetch whose context is cut off must not block the next.
        self.flights.insert(what, Flight::Under(Timestamp::from_millis(now.millis() + FETCH_MS + 200)));
        Move::Start
    }

    /// A fetch has ended.
    pub fn ended(&mut self, what: What, outcome: Result<(), Miss>, now: Timestamp) {
        match outcome {
            Ok(()) => self.flights.remove(&what),
            Err(miss) => self.flights.insert(what, Flight::Missed(now, miss)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fetches_and_the_others_wait_for_its_outcome() {
        let what = What::Policy(PolicyNumber(7));
        let at = |millis: u64| Timestamp::from_millis(10_000 + millis);
        let mut flights = Flights::default();
        assert_eq!(flights.want(what, at(0)), Move::Start);
        assert_eq!(flights.want(what, at(1)), Move::Wait);
        flights.ended(what, Err(Miss::Absent), at(5));
        assert_eq!(flights.want(what, at(6)), Move::GiveUp(Miss::Absent));
        assert_eq!(flights.want(what, at(505)), Move::Start);
        assert_eq!(flights.want(what, at(1_704)), Move::Wait);
        assert_eq!(flights.want(what, at(1_705)), Move::Start, "the first was cut off");
        flights.ended(what, Ok(()), at(1_706));
        assert_eq!(flights.want(what, at(1_707)), Move::Start);
    }
}
