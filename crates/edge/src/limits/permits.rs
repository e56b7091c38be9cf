//! The permits that an isolate holds, by key. Plain data and no I/O: whoever has to send something is told.

use super::{
    demand::Demand,
    fields::{Field, fields},
    outage::LimitMode,
    shift::Shift,
    teller::Teller,
    under_way::UnderWay,
};
use crate::denial::Denial;
use keyward_api::limits::LimitKind;
use keyward_core::{
    KeyId, Limits, Position, Reason, Timestamp,
    limits::{Charge, GiveBack, Meter, Pace, Seat, Slots, Taken, Windows},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Keys at a time. The ones used longest ago make room, and what they still hold is lost to their owners until their
/// windows end.
const MOST_KEYS: usize = 8_192;
/// Keys beyond which nothing is kept for later: one that isn't used holds nothing as soon as its turn has come.
pub(super) const CROWDED: usize = MOST_KEYS / 2;

/// An isolate's permits.
#[derive(Clone, Debug)]
pub struct Permits {
    /// This isolate's, to those who lease it slots.
    name: Uuid,
    pub(super) pace: Pace,
    pub(super) keys: BTreeMap<KeyId, Entry>,
    /// Those with something to ask, soon.
    pub(super) due: Vec<KeyId>,
    uses: u64,
    /// Whether something may have to go back.
    pub(super) busy: bool,
    pub(super) under_way: UnderWay,
    /// The key at which the last look at what goes back has ended.
    pub(super) settled: KeyId,
    /// The loop that gives back.
    pub shift: Shift,
    /// Whether the object that was asked last has said nothing.
    pub silent: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) teller: Teller,
    pub(super) limits: Limits,
    pub(super) position: Position,
    /// The life of the object that answered last.
    pub(super) life: Option<Uuid>,
    /// The order of uses, and the time of the last.
    nth: u64,
    pub(super) used: Timestamp,
    pub(super) due: bool,
}

/// What comes of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// It was taken from all limits, and has a slot where its key has such a limit; [`Permits::ends`] gives that back.
    Passed {
        /// The number under which the request has it.
        slot: Option<u64>,
    },
    /// It passes without permits.
    Uncounted,
    /// It doesn't pass.
    Denied(Denial),
    /// Permits have to come first; not before that moment, where there is one.
    Wait(Option<Timestamp>),
}

/// How often a request has come for its permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It doesn't wait for any: where it has to it comes again.
    AtOnce,
    /// It waits, from now on,
    First,
    /// has waited before,
    Again,
    /// and has for long enough.
    Last,
}

/// A key and the limits that it has.
#[derive(Clone, Copy, Debug)]
pub struct Limited {
    /// The key.
    pub key: KeyId,
    /// Its limits,
    pub limits: Limits,
    /// as of this state.
    pub position: Position,
}

/// What a request was charged beyond its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// To this key.
    pub key: KeyId,
    /// So many cents.
    pub cents: u64,
    /// At this moment,
    pub charged: Timestamp,
    /// of what this life of its object had lent.
    pub lender: Uuid,
}

impl Permits {
    /// None yet, for an isolate of a random name.
    pub fn new(pace: Pace, name: Uuid) -> Self {
        let under_way = UnderWay::new(name.as_u128() as u64);
        Self {
            name,
            pace,
            keys: BTreeMap::new(),
            due: Vec::new(),
            uses: 0,
            busy: false,
            under_way,
            settled: KeyId(Uuid::nil()),
            shift: Shift::default(),
            silent: false,
        }
    }

    /// What is here of a key, which is used now.
    fn entry(&mut self, about: &Limited, now: Timestamp) -> &mut Entry {
        self.uses += 1;
        if self.keys.len() >= MOST_KEYS && !self.keys.contains_key(&about.key) {
            self.make_room();
        }
        let &Limited { key, limits, position } = about;
        let new = || Entry { teller: Teller::new(&limits, now), limits, position, life: None, nth: 0, used: now, due: false };
        let entry = self.keys.entry(key).or_insert_with(new);
        (entry.limits, entry.position, entry.nth, entry.used) = (limits, position, self.uses, now);
        self.busy = true;
        entry
    }

    /// Takes a slot and a charge from what is here of a key; both or nothing.
    fn take(&mut self, about: &Limited, charge: Charge, turn: Turn, now: Timestamp) -> Result<Taken, Seat> {
        let Self { name, .. } = *self;
        let &Limited { key, limits, .. } = about;
        let entry = self.entry(about, now);
        let Teller { holder, slots, .. } = &mut entry.teller;
        let mut due = false;
        let taken = match limits.concurrent.map(|limit| (limit, slots.get_or_insert_with(|| Slots::new(name)))) {
            None => holder.take(&limits, charge, now),
            Some((limit, slots)) => {
                match slots.take(limit, now) {
                    Seat::Taken => {}
                    seat => {
                        if seat == Seat::Short && turn != Turn::AtOnce {
                            slots.wait(turn != Turn::First);
                            // Asked for in the same message.
                            holder.foresee(&limits, charge, now);
                        }
                        return Err(seat);
                    }
                }
                let taken = holder.take(&limits, charge, now);
                if !matches!(taken, Taken::All { .. }) {
                    slots.end();
                }
                due = slots.is_due(now);
                taken
            }
        };
        if due || taken == (Taken::All { due: true }) {
            self.ask_soon(key, now);
        }
        Ok(taken)
    }

    /// Charges a request to its key, as `mode` says where the authority gives no answer.
    pub fn charge(&mut self, about: &Limited, demand: &Demand, (mode, turn): (LimitMode, Turn), now: Timestamp) -> Charged {
        let outage = self.keys.get(&about.key).is_some_and(|entry| entry.teller.is_outage(now));
        if outage && mode == LimitMode::Closed {
            self.ask_soon(about.key, now);
            return Charged::Denied(Reason::LimitUnavailable.into());
        }
        if let Some(kind) = demand.refused(&about.limits) {
            // It is told of its key's limits all the same.
            self.entry(about, now);
            return Charged::Denied(Denial::Limit(kind));
        }
        match self.take(about, demand.charge, turn, now) {
            Ok(Taken::All { .. }) => Charged::Passed { slot: about.limits.concurrent.map(|_| self.under_way.begins(about.key, mode, now)) },
            Ok(Taken::Refused(meter)) => Charged::Denied(Denial::Limit(meter.into())),
            Ok(Taken::Later(moment)) => Charged::Wait(Some(moment)),
            Err(Seat::Full) => Charged::Denied(Denial::Limit(LimitKind::Concurrent)),
            Ok(Taken::Short) | Err(_) if outage || turn == Turn::Last => {
                self.ask_soon(about.key, now);
                if self.is_open(about.key, mode, now) { Charged::Uncounted } else { Charged::Denied(Reason::LimitUnavailable.into()) }
            }
            Ok(Taken::Short) | Err(_) => Charged::Wait(None),
        }
    }

    /// Whether a key's requests pass without permits just now.
    pub(super) fn is_open(&self, key: KeyId, mode: LimitMode, now: Timestamp) -> bool {
        let failing = self.keys.get(&key).and_then(|entry| entry.teller.failing_ms(now));
        matches!((mode, failing), (LimitMode::Open(secs), Some(failing)) if failing <= secs * 1000)
    }

    /// Sends back what a request that was charged at this very moment has cost less, in cents: not to be spent here, since the limits
    /// may have changed since.
    pub fn refund(&mut self, excess: &Excess, now: Timestamp, fresh: &mut dyn FnMut() -> Uuid) {
        let &Excess { key, cents, charged, lender } = excess;
        let limits = Limits::default();
        // Of a key that isn't here any more nothing is known, and the object knows better.
        let new = || Entry {
            teller: Teller::new(&limits, now),
            limits,
            position: Position::default(),
            life: None,
            nth: 0,
            used: now,
            due: false,
        };
        let entry = self.keys.entry(key).or_insert_with(new);
        // What another life has lent is lost.
        if *entry.life.get_or_insert(lender) != lender {
            return;
        }
        for window in Windows::at(charged).of(Meter::CostCents.period()) {
            entry.teller.give_back(GiveBack { id: fresh(), meter: Meter::CostCents, window: window.number(), amount: cents });
        }
        self.busy = true;
    }

    pub(super) fn ask_soon(&mut self, key: KeyId, now: Timestamp) {
        if let Some(entry) = self.keys.get_mut(&key)
            && !entry.due
            && !entry.teller.is_quiet(now)
        {
            entry.due = true;
            self.due.push(key);
        }
    }

    /// What a client is told of a key's limits.
    pub fn fields(&self, key: KeyId, refused: Option<LimitKind>, legacy: bool, now: Timestamp) -> Vec<Field> {
        self.keys.get(&key).map_or_else(Vec::new, |entry| fields(&entry.teller.holder, &entry.limits, refused, legacy, now))
    }

    /// Who has lent what is here of a key.
    pub fn lender(&self, key: KeyId) -> Option<Uuid> {
        self.keys.get(&key)?.life
    }

    /// Changes with whatever is heard about a key.
    pub fn news(&self, key: KeyId) -> u32 {
        self.keys.get(&key).map_or(0, |entry| entry.teller.news())
    }

    /// Forgets an eighth of the keys.
    fn make_room(&mut self) {
        let mut uses: Vec<u64> = self.keys.values().map(|entry| entry.nth).collect();
        let at = uses.len() / 8;
        let (_, oldest, _) = uses.select_nth_unstable(at);
        let oldest = *oldest;
        self.keys.retain(|_, entry| entry.nth > oldest || entry.teller.slots.as_ref().is_some_and(|slots| slots.used() > 0));
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{teller::Errand, wire::Lent},
        *,
    };
    use keyward_api::limits::{PermitsGranted, PermitsReply, PermitsTaken, PermitsWanted};

    const PACE: Pace = Pace { settle_ms: 1_000, ..Pace::SPEND };
    const PASSED: Charged = Charged::Passed { slot: None };

    fn one() -> Demand {
        Demand::new(0, None)
    }

    /// With four permits, and an authority that hasn't answered since `at(0)`.
    fn cut_off(about: &Limited) -> Permits {
        let mut permits = Permits::new(PACE, Uuid::nil());
        let mut ids = 0;
        let mut fresh = || {
            ids += 1;
            Uuid::from_u128(ids)
        };
        let leased = (LimitMode::Leased, Turn::First);
        assert_eq!(permits.charge(about, &one(), leased, at(0)), Charged::Wait(None));
        let errand = permits.errand(about.key, at(0), &mut fresh).unwrap();
        let asked = errand.request(about.key);
        let granted = PermitsGranted { id: asked.wanted[0].id, amount: 5, left: Some(95), fault: None };
        let reply =
            Lent { life: Uuid::nil(), permits: PermitsReply { now_ms: 0, granted: vec![granted], taken: Vec::new(), slots: Vec::new() } };
        permits.answered(about.key, &errand, Some(&reply), at(0));
        assert_eq!(permits.charge(about, &one(), leased, at(0)), PASSED);
        for (millis, errands) in [(0, 1), (900, 1), (910, 0)] {
            let due = permits.errand(about.key, at(millis), &mut fresh);
            assert_eq!(due.iter().count(), errands, "{millis}");
            if let Some(errand) = due {
                permits.answered(about.key, &errand, None, at(millis));
            }
        }
        permits
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(20_000 * 86_400_000 + 40_000_000 + millis)
    }

    #[test]
    fn without_an_authority_each_mode_admits_what_it_says() {
        let limits = Limits { daily_quota: Some(100), ..Limits::default() };
        let about = Limited { key: KeyId(Uuid::from_u128(7)), limits, position: Position::default() };
        let unavailable = Charged::Denied(Reason::LimitUnavailable.into());
        for (mode, with_permits, without, later) in [
            (LimitMode::Closed, unavailable, unavailable, unavailable),
            (LimitMode::Leased, PASSED, unavailable, unavailable),
            (LimitMode::Open(2), PASSED, Charged::Uncounted, unavailable),
        ] {
            let mut permits = cut_off(&about);
            let mut charge = |millis| permits.charge(&about, &one(), (mode, Turn::First), at(millis));
            let first = [(); 4].map(|()| charge(1500));
            assert_eq!(first, [with_permits; 4], "{mode:?}");
            assert_eq!((charge(2000), charge(2001)), (without, later), "{mode:?}");
        }
    }

    #[test]
    fn what_went_back_to_one_life_of_the_object_does_not_go_to_the_next() {
        let limits = Limits { daily_quota: Some(100), ..Limits::default() };
        let about = Limited { key: KeyId(Uuid::from_u128(7)), limits, position: Position::default() };
        let mut permits = Permits::new(PACE, Uuid::nil());
        let mut ids = 0;
        let mut fresh = || {
            ids += 1;
            Uuid::from_u128(ids)
        };
        let answer = |errand: &Errand, life| {
            let granted = |wanted: &PermitsWanted| PermitsGranted { id: wanted.id, amount: 5, left: Some(90), fault: None };
            let permits = PermitsReply {
                now_ms: 0,
                granted: errand.request(about.key).wanted.iter().map(granted).collect(),
                taken: errand.request(about.key).returned.iter().map(|back| PermitsTaken { id: back.id, fault: None }).collect(),
                slots: Vec::new(),
            };
            Lent { life: Uuid::from_u128(life), permits }
        };
        assert_eq!(permits.charge(&about, &one(), (LimitMode::Leased, Turn::First), at(0)), Charged::Wait(None));
        let first = permits.errand(about.key, at(0), &mut fresh).unwrap();
        permits.answered(about.key, &first, Some(&answer(&first, 1)), at(0));
        assert_eq!(permits.charge(&about, &one(), (LimitMode::Leased, Turn::First), at(0)), PASSED);
        let ask = permits.errand(about.key, at(900), &mut fresh).unwrap();
        // Three go back, and nobody hears what became of that.
        let [(_, back)] = &permits.settle(at(1000), &mut fresh).unwrap()[..] else { panic!() };
        let back = back.request(about.key).returned[0];
        assert_eq!(back.amount, 3);
        // Sent to the same life it is sent again; the next one hasn't lent it.
        for (life, again) in [(1, true), (2, false)] {
            let mut permits = permits.clone();
            permits.answered(about.key, &ask, Some(&answer(&ask, life)), at(1100));
            let later = permits.settle(at(1600), &mut fresh).unwrap_or_default();
            let sent = later.iter().flat_map(|(key, errand)| errand.request(*key).returned).any(|other| other.id == back.id);
            assert_eq!(sent, again, "{life}");
        }
    }

    #[test]
    fn of_too_many_keys_those_used_last_are_kept() {
        let limits = Limits { daily_quota: Some(100), ..Limits::default() };
        let mut permits = Permits::new(PACE, Uuid::nil());
        for n in 0..3 * MOST_KEYS as u128 {
            let about = Limited { key: KeyId(Uuid::from_u128(n)), limits, position: Position::default() };
            assert_eq!(permits.charge(&about, &one(), (LimitMode::Leased, Turn::First), at(0)), Charged::Wait(None));
            assert!(permits.keys.len() <= MOST_KEYS && permits.keys.contains_key(&about.key));
        }
        assert!(permits.keys.len() > MOST_KEYS / 2);
    }
}
