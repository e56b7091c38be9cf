//! Fetching a thing once, however many ask for it: plain data, for the same reasons as in [`crate::pulse`].

use keyward_core::{Digest, PolicyNumber, StatusIndex, Timestamp};

/// How long a fetch may take, in milliseconds.
pub const FETCH_MS: u64 = 1_000;
/// How long after a failure nobody tries again.
const FAILED_MS: u64 = 500;
/// Things that are fetched at a time, or were just found not to be had.
const MAX_FLIGHTS: usize = 256;
/// Of these, questions whether a key was issued: whoever has stolen a signing key can make as many as he likes, and must
/// not keep everything else from being fetched.
const MAX_QUESTIONS: usize = 128;

/// A thing to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// What the feed has to say since.
    Feed,
    /// A part of the snapshot.
    Part(Digest),
    /// A policy.
    Policy(PolicyNumber),
    /// Whether the key with this digest was issued at this index.
    Issued(StatusIndex, Digest),
}

/// Why a thing could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// There is no such thing.
    Absent,
    /// It could not be asked for, or what came was refused here.
    Failed,
    /// What came was refused by the hub, which knows more of the past than an isolate does.
    Refused,
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

/// What is being fetched. A list: what was fetched leaves it, so that there are never many.
#[derive(Debug, Default)]
pub struct Flights {
    flights: Vec<(What, Flight)>,
}

impl Flights {
    /// What somebody does who wants a thing that isn't here.
    pub fn want(&mut self, what: What, now: Timestamp) -> Move {
        self.flights.retain(|(_, flight)| match flight {
            Flight::Under(until) => now < *until,
            Flight::Missed(at, _) => now.since(*at) < FAILED_MS,
        });
        match self.flights.iter().find(|(other, _)| *other == what) {
            Some((_, Flight::Under(_))) => return Move::Wait,
            Some((_, Flight::Missed(_, miss))) => return Move::GiveUp(*miss),
            None => {}
        }
        let questions = || self.flights.iter().filter(|(other, _)| matches!(other, What::Issued(..))).count();
        if self.flights.len() >= MAX_FLIGHTS || (matches!(what, What::Issued(..)) && questions() >= MAX_QUESTIONS) {
            return Move::GiveUp(Miss::Failed);
        }
        // As long as the fetch may take and a little more: a fetch whose context is cut off must not block the next.
        self.flights.push((what, Flight::Under(Timestamp::from_millis(now.millis() + FETCH_MS + 200))));
        Move::Start
    }

    /// A fetch has ended.
    pub fn ended(&mut self, what: What, outcome: Result<(), Miss>, now: Timestamp) {
        self.flights.retain(|(other, _)| *other != what);
        if let Err(miss) = outcome {
            self.flights.push((what, Flight::Missed(now, miss)));
        }
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

    #[test]
    fn a_flood_of_forged_keys_leaves_room_for_everything_else() {
        let at = Timestamp::from_millis(10_000);
        let mut flights = Flights::default();
        let question = |nth: u32| What::Issued(StatusIndex(nth), Digest::of(nth.to_be_bytes()));
        let started = (0..1000).filter(|nth| flights.want(question(*nth), at) == Move::Start).count();
        assert_eq!(started, MAX_QUESTIONS);
        assert_eq!(flights.want(What::Policy(PolicyNumber(1)), at), Move::Start);
    }
}
