//! An isolate's permits across the turn of an hour, against an account that gives them.

use keyward_api::limits::{LimitKind, PermitsGranted, PermitsReply, PermitsTaken};
use keyward_core::{
    KeyId, Limits, Position, Timestamp,
    limits::{Account, Meter, Pace},
};
use keyward_edge::{
    denial::Denial,
    limits::{
        demand::Demand,
        outage::LimitMode,
        permits::{Charged, Limited, Permits, Turn},
        wire::Lent,
    },
};
use uuid::Uuid;

const HOUR: u64 = 3_600_000;
/// The first moment of an hour.
const EDGE: u64 = 496_000 * HOUR;
const PASSED: Charged = Charged::Passed { slot: None };
const REFUSED: Charged = Charged::Denied(Denial::Limit(LimitKind::RatePerHour));

/// An isolate with a clock that the test turns, and the authority above it.
struct Scene {
    permits: Permits,
    account: Account,
    about: Limited,
    now: u64,
    ids: u128,
}

impl Scene {
    fn new(limit: u64) -> Self {
        let limits = Limits { rate_per_hour: Some(limit), ..Limits::default() };
        let about = Limited { key: KeyId(Uuid::from_u128(1)), limits, position: Position::default() };
        Self {
            permits: Permits::new(Pace { settle_ms: 1_000, ..Pace::SPEND }, Uuid::nil()),
            account: Account::default(),
            about,
            now: EDGE - 60_000,
            ids: 0,
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    /// Runs an errand, as the key's object and the origin would.
    fn refill(&mut self) {
        let (now, ids) = (self.now(), &mut self.ids);
        let mut fresh = || {
            *ids += 1;
            Uuid::from_u128(*ids)
        };
        let Some(errand) = self.permits.errand(self.about.key, now, &mut fresh) else { return };
        let asked = errand.request(self.about.key);
        let mut reply = PermitsReply { now_ms: self.now, ..PermitsReply::default() };
        for back in &asked.returned {
            self.account.take_back(back.window, back.amount);
            reply.taken.push(PermitsTaken { id: back.id, fault: None });
        }
        for wanted in &asked.wanted {
            let limit = Meter::RatePerHour.limit(&self.about.limits);
            let granted = self.account.grant(wanted.window, limit, wanted.least, wanted.wanted).unwrap_or_default();
            reply.granted.push(PermitsGranted { id: wanted.id, amount: granted.amount, left: granted.left, fault: None });
        }
        let lent = Lent { life: Uuid::nil(), permits: reply };
        self.permits.answered(self.about.key, &errand, Some(&lent), now);
    }

    /// One request, to the moment at which it has an answer or has to wait for another moment.
    fn request(&mut self) -> Charged {
        for turn in [Turn::AtOnce, Turn::First, Turn::Again, Turn::Again, Turn::Again] {
            match self.permits.charge(&self.about, &Demand::new(0, None), (LimitMode::Leased, turn), self.now()) {
                Charged::Wait(None) => self.refill(),
                charged => return charged,
            }
        }
        panic!("it never ends");
    }
}

#[test]
fn at_the_turn_of_an_hour_a_key_has_the_new_hours_permits_and_none_of_the_old() {
    let mut scene = Scene::new(40);
    for _ in 0..40 {
        assert_eq!(scene.request(), PASSED);
        scene.now += 100;
    }
    assert_eq!(scene.request(), REFUSED);
    // Before the edge the hour is what it is; within a second after it, it may still be the old one by another clock.
    for (now, expected) in [
        (EDGE - 5_000, REFUSED),
        (EDGE - 1, REFUSED),
        (EDGE, Charged::Wait(Some(Timestamp::from_millis(EDGE + 1_000)))),
        (EDGE + 999, Charged::Wait(Some(Timestamp::from_millis(EDGE + 1_000)))),
    ] {
        scene.now = now;
        assert_eq!(scene.request(), expected, "{now}");
    }
    scene.now = EDGE + 1_000;
    for _ in 0..40 {
        assert_eq!(scene.request(), PASSED);
        scene.now += 10;
    }
    assert_eq!(scene.request(), REFUSED);
    let fields = scene.permits.fields(scene.about.key, Some(LimitKind::RatePerHour), false, scene.now());
    assert!(fields.contains(&("retry-after", "3599".into())), "{fields:?}");

    // Where both hours have some, a request within a second of the edge takes of both.
    let mut scene = Scene::new(40);
    scene.now = EDGE - 500;
    for _ in 0..10 {
        assert_eq!(scene.request(), PASSED);
        scene.now += 100;
    }
    scene.now = EDGE + 2_000;
    let passed = std::iter::repeat_with(|| scene.request()).take_while(|charged| *charged == PASSED).count();
    assert_eq!(passed, 30, "ten of the new hour were taken before");
}
