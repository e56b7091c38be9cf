//! When to follow the feed, and who waits for it: the state machine behind every refresh, plain data and no I/O.
//!
//! One loop at a time follows the feed, in the background of whichever request started it. That request's context can
//! be cut off at any await, without a word: so the loop holds a lease with a deadline, which it renews before each
//! wait, and whoever finds the lease lapsed starts the next loop. Nothing depends on a loop ending well.

use crate::outage::Ages;
use keyward_core::Timestamp;

/// How long a loop may go on, so that the runtime (which cuts background work 30 s after the response) doesn't end it.
const LOOP_MS: u64 = 25_000;
/// After this time a request that comes by takes the loop over, so that under traffic there is no gap between loops.
const TAKE_OVER_MS: u64 = 12_000;
/// What is added to a wait's own deadline before its lease lapses.
const LEASE_SLACK_MS: u64 = 500;
/// A state of this age is taken even where no loop follows the feed.
const DETACHED_AGE_MS: u64 = 250;
/// How long past the soft age a request may pass while another one is asking. The sum is the guaranteed bound.
pub const GRACE_MS: u64 = 1_000;
/// The pauses between probes while the feed can't be had.
const FIRST_PAUSE_MS: u64 = 500;
const LONGEST_PAUSE_MS: u64 = 2_000;

/// Who follows the feed, and how that goes.
#[derive(Debug, Default)]
pub struct Pulse {
    /// The loop in charge. An older one that comes back from a wait sees another number, and stops.
    id: u32,
    started: Timestamp,
    /// Until when the loop in charge is believed to live.
    lease: Timestamp,
    /// Whether it has asked and not been answered yet.
    probing: bool,
    /// Whether its last answer left the state fresh, so that changes arrive as they happen.
    attached: bool,
    /// How often in a row the feed could not be had. While it isn't zero, nobody waits.
    failures: u32,
    /// Whether the state was ever fresh in this life.
    proven: bool,
}

/// What a request does about the feed before it is decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The loop that it has to start in its background.
    pub start: Option<Start>,
    /// Whether it has to wait for the state to change, and then ask again.
    pub wait: bool,
}

/// A loop to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Its number.
    pub id: u32,
    /// When it has to end.
    pub end: Timestamp,
}

/// The next thing that a loop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Ask at once, and be answered at once.
    Probe,
    /// Ask, and let the other side keep the question until something changes.
    Follow,
    /// Another loop is in charge, or its time is over.
    Stop,
}

impl Pulse {
    /// Whether a request is decided on at once and has no loop to start: what [`Self::on_request`] would say, asked
    /// beforehand.
    pub fn is_steady(&self, now: Timestamp, age_ms: Option<u64>, ages: Ages) -> bool {
        let young = age_ms.is_some_and(|age| age <= ages.soft_ms);
        young && self.proven && self.attached && self.is_live(now) && now.since(self.started) < TAKE_OVER_MS
    }

    /// Whether the loop in charge is believed to live. One that began later than now had another clock: nothing can be said of its lease.
    fn is_live(&self, now: Timestamp) -> bool {
        self.started <= now && now < self.lease
    }

    /// What a request does, where the state has this age (`None`: there is none). `now` is the time at this very call.
    pub fn on_request(&mut self, now: Timestamp, age_ms: Option<u64>, ages: Ages) -> Advice {
        let live = self.is_live(now);
        let young = age_ms.is_some_and(|age| age <= ages.soft_ms);
        self.proven |= young;
        let attached = live && self.attached;
        if young && (attached || age_ms.is_some_and(|age| age <= DETACHED_AGE_MS)) {
            let renew = !live || now.since(self.started) >= TAKE_OVER_MS;
            return Advice { start: renew.then(|| self.start(now, attached, !attached)), wait: false };
        }
        // A loop that believes itself attached although the state is old hasn't noticed yet: this request does.
        let start = (!live || (attached && !self.probing)).then(|| self.start(now, attached, true));
        // Once it is known that the feed can't be had, nobody waits for it any more: the outage mode decides.
        let graced = attached && age_ms.is_some_and(|age| age <= ages.soft_ms + GRACE_MS);
        Advice { start, wait: self.failures == 0 && (start.is_some() || !graced) }
    }

    fn start(&mut self, now: Timestamp, attached: bool, probing: bool) -> Start {
        self.id = self.id.wrapping_add(1);
        self.started = now;
        // Long enough for the loop to begin: it is started in the same turn.
        self.lease = Timestamp::from_millis(now.millis() + LEASE_SLACK_MS);
        self.attached = attached;
        self.probing = probing;
        Start { id: self.id, end: Timestamp::from_millis(now.millis() + LOOP_MS) }
    }

    /// What the loop with this number does next.
    pub fn turn(&self, start: Start, now: Timestamp) -> Turn {
        match self.id == start.id && self.started <= now && now < start.end {
            false => Turn::Stop,
            true if self.probing || self.failures > 0 => Turn::Probe,
            true => Turn::Follow,
        }
    }

    /// The loop with this number is about to wait for at most so long.
    pub fn waits(&mut self, start: Start, now: Timestamp, wait_ms: u64) {
        if self.id == start.id {
            self.lease = Timestamp::from_millis(now.millis() + wait_ms + LEASE_SLACK_MS);
        }
    }

    /// What the loop with this number asked has been answered, or hasn't; the pause that it makes now, if any.
    pub fn answered(&mut self, start: Start, answered: bool, age_ms: Option<u64>, ages: Ages) -> Option<u64> {
        let fresh = answered && age_ms.is_some_and(|age| age <= ages.soft_ms);
        if fresh {
            self.proven = true;
            self.failures = 0;
        } else if self.id == start.id {
            self.failures = self.failures.saturating_add(1);
        }
        if self.id != start.id {
            return None;
        }
        self.probing = false;
        self.attached = fresh;
        (!fresh).then(|| (FIRST_PAUSE_MS << (self.failures - 1).min(8)).min(LONGEST_PAUSE_MS))
    }

    /// The loop with this number has ended.
    pub fn ends(&mut self, start: Start) {
        if self.id == start.id {
            self.lease = Timestamp::default();
            self.attached = false;
        }
    }

    /// Whether the state was ever fresh in this life.
    pub const fn proven(&self) -> bool {
        self.proven
    }

    /// Whether the feed can't be had at present.
    pub const fn is_outage(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Ages = Ages { soft_ms: 5_000, hard_ms: 60_000 };

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    /// A pulse whose loop was started at 0 and answered with a fresh state.
    fn attached() -> (Pulse, Start) {
        let mut pulse = Pulse::default();
        let start = pulse.on_request(at(0), None, AGES).start.unwrap();
        assert_eq!(pulse.turn(start, at(0)), Turn::Probe);
        pulse.waits(start, at(0), 1_000);
        assert_eq!(pulse.answered(start, true, Some(5), AGES), None);
        pulse.waits(start, at(10), 3_000);
        assert_eq!(pulse.turn(start, at(10)), Turn::Follow);
        (pulse, start)
    }

    #[test]
    fn of_many_cold_requests_one_asks_and_all_wait() {
        let mut pulse = Pulse::default();
        assert!(matches!(pulse.on_request(at(0), None, AGES), Advice { start: Some(_), wait: true }));
        for _ in 0..50 {
            assert_eq!(pulse.on_request(at(1), None, AGES), Advice { start: None, wait: true });
        }
    }

    #[test]
    fn an_attached_state_is_taken_until_its_lease_lapses() {
        let (mut pulse, _) = attached();
        assert!(pulse.is_steady(at(2_000), Some(2_000), AGES) && !pulse.is_steady(at(3_600), Some(3_600), AGES));
        assert_eq!(pulse.on_request(at(2_000), Some(2_000), AGES), Advice { start: None, wait: false });
        let advice = pulse.on_request(at(3_600), Some(3_600), AGES);
        assert!(advice.start.is_some() && advice.wait, "nobody follows the feed any more: {advice:?}");
    }

    #[test]
    fn under_traffic_the_loop_is_taken_over_without_a_gap() {
        let (mut pulse, old) = attached();
        pulse.waits(old, at(11_000), 3_000);
        assert!(pulse.is_steady(at(11_999), Some(999), AGES) && !pulse.is_steady(at(12_000), Some(1_000), AGES));
        let advice = pulse.on_request(at(12_000), Some(1_000), AGES);
        let new = advice.start.unwrap();
        assert!(!advice.wait);
        assert_eq!(pulse.turn(old, at(12_001)), Turn::Stop);
        assert_eq!(pulse.turn(new, at(12_001)), Turn::Follow);
        pulse.ends(old);
        assert_eq!(pulse.on_request(at(12_002), Some(1_000), AGES), Advice { start: None, wait: false });
    }

    #[test]
    fn when_the_feed_stands_still_one_request_waits_and_after_its_failure_none() {
        let (mut pulse, loop_id) = attached();
        pulse.waits(loop_id, at(4_900), 3_000);
        let first = pulse.on_request(at(5_100), Some(5_001), AGES);
        let probe = first.start.unwrap();
        assert!(first.wait);
        pulse.waits(probe, at(5_100), 1_000);
        assert_eq!(pulse.on_request(at(5_200), Some(5_101), AGES), Advice { start: None, wait: false });
        assert_eq!(pulse.answered(probe, true, Some(6_000), AGES), Some(500));
        pulse.waits(probe, at(6_100), 500);
        for (now, age) in [(6_200, 6_101), (6_300, 90_000)] {
            assert_eq!(pulse.on_request(at(now), Some(age), AGES), Advice { start: None, wait: false });
        }
        assert_eq!(pulse.turn(probe, at(6_600)), Turn::Probe);
        assert_eq!(pulse.answered(probe, false, Some(6_700), AGES), Some(1_000));
        // The one that waited asks anew, and goes on too.
        assert!(!pulse.on_request(at(6_700), Some(6_700), AGES).wait);
        assert_eq!(pulse.answered(probe, true, Some(20), AGES), None);
        assert!(!pulse.is_outage());
    }

    #[test]
    fn a_loop_that_was_cut_off_is_replaced() {
        let mut pulse = Pulse::default();
        let gone = pulse.on_request(at(0), None, AGES).start.unwrap();
        pulse.waits(gone, at(0), 1_000);
        assert_eq!(pulse.on_request(at(1_400), None, AGES), Advice { start: None, wait: true });
        let next = pulse.on_request(at(1_501), None, AGES).start.unwrap();
        assert_ne!(gone.id, next.id);
        assert_eq!(pulse.turn(gone, at(1_502)), Turn::Stop);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_every_loop_and_none_outlives_its_time() {
        for hour in [3_600_000, u64::from(u32::MAX)] {
            for back in (1..=40_000).step_by(97).chain([hour]) {
                let base = 2 * hour;
                let mut pulse = Pulse::default();
                let start = pulse.on_request(at(base), None, AGES).start.unwrap();
                pulse.answered(start, true, Some(0), AGES);
                pulse.waits(start, at(base + 10_000), 3_000);
                let now = base + 10_000 - back.min(base);
                let lives = back <= 10_000;
                assert_eq!(pulse.is_steady(at(now), Some(0), AGES), lives, "set back by {back}");
                assert_eq!(pulse.turn(start, at(now)) == Turn::Follow, lives, "set back by {back}");
                assert!(pulse.on_request(at(now), None, AGES).wait, "set back by {back}");
                // Whatever the clock says from then on, a loop is replaced within its time.
                let replaced = (0..=LOOP_MS).step_by(500).any(|later| pulse.on_request(at(now + later), Some(0), AGES).start.is_some());
                assert!(replaced, "set back by {back}");
            }
        }
    }

    #[test]
    fn after_a_pause_without_traffic_the_first_request_waits() {
        let (mut pulse, start) = attached();
        pulse.ends(start);
        let advice = pulse.on_request(at(26_000), Some(2_000), AGES);
        assert!(advice.start.is_some() && advice.wait);
        assert!(pulse.on_request(at(86_000), Some(62_000), AGES).wait);
    }
}
