//! The permits that an isolate holds, by key. Plain data and no I/O: whoever has to send something is told.

use super::{
    fields::{Field, fields},
    outage::LimitMode,
    shift::Shift,
    teller::{Errand, Teller},
    wire::Lend,
};
use crate::denial::Denial;
use keyward_api::limits::PermitsReply;
use keyward_core::{
    KeyId, Limits, Position, Reason, Timestamp,
    limits::{Charge, Meter, Pace, Taken},
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Keys at a time. The ones used longest ago make room, and what they still hold is lost to their owners until their
/// windows end; a key that isn't used for three seconds holds nothing.
const MOST_KEYS: usize = 8_192;
/// Errands at a time: the runtime bounds what one request may send.
const MOST_ERRANDS: usize = 32;
/// An isolate's pace. What it doesn't use is back at the object within twice a second, and from there at the origin in as much again.
const PACE: Pace = Pace { settle_ms: 1_000, ..Pace::SPEND };

/// An isolate's permits.
#[derive(Debug, Default)]
pub struct Permits {
    keys: BTreeMap<KeyId, Entry>,
    /// Those with something to ask, soon.
    due: Vec<KeyId>,
    uses: u64,
    /// Whether something may have to go back.
    busy: bool,
    /// The loop that gives back.
    pub shift: Shift,
}

#[derive(Debug)]
struct Entry {
    teller: Teller,
    limits: Limits,
    position: Position,
    /// The order of uses, and the time of the last.
    nth: u64,
    used: Timestamp,
    due: bool,
}

/// What comes of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// It was taken from all limits.
    Passed,
    /// It passes without permits.
    Uncounted,
    /// It doesn't pass.
    Denied(Denial),
    /// Permits have to come first; not before that moment, where there is one.
    Wait(Option<Timestamp>),
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

impl Limited {
    /// Whether no limit is about such a charge.
    pub const fn is_free(&self, charge: Charge) -> bool {
        let Limits { rate_per_hour, daily_quota, monthly_quota, cost_cents, .. } = &self.limits;
        rate_per_hour.is_none() && daily_quota.is_none() && monthly_quota.is_none() && (charge.cents == 0 || cost_cents.is_none())
    }
}

impl Permits {
    /// Takes a charge from a key's permits.
    fn take(&mut self, about: &Limited, charge: Charge, now: Timestamp) -> Taken {
        self.uses += 1;
        if self.keys.len() >= MOST_KEYS && !self.keys.contains_key(&about.key) {
            self.make_room();
        }
        let &Limited { key, limits, position } = about;
        let new = || Entry { teller: Teller::new(&limits, now), limits, position, nth: 0, used: now, due: false };
        let entry = self.keys.entry(key).or_insert_with(new);
        (entry.limits, entry.position, entry.nth, entry.used) = (limits, position, self.uses, now);
        self.busy = true;
        let taken = entry.teller.holder.take(&limits, charge, now);
        if taken == (Taken::All { due: true }) {
            self.ask_soon(key, now);
        }
        taken
    }

    /// Charges a request to its key, as `mode` says where the authority gives no answer; `over`: it has waited for long enough.
    pub fn charge(&mut self, about: &Limited, charge: Charge, (mode, over): (LimitMode, bool), now: Timestamp) -> Charged {
        let outage = self.keys.get(&about.key).is_some_and(|entry| entry.teller.is_outage(now));
        if outage && mode == LimitMode::Closed {
            self.ask_soon(about.key, now);
            return Charged::Denied(Reason::LimitUnavailable.into());
        }
        match self.take(about, charge, now) {
            Taken::All { .. } => Charged::Passed,
            Taken::Refused(meter) => Charged::Denied(Denial::Limit(meter.into())),
            Taken::Later(moment) => Charged::Wait(Some(moment)),
            Taken::Short if outage || over => {
                self.ask_soon(about.key, now);
                match (mode, self.failing_ms(about.key, now)) {
                    (LimitMode::Open(secs), Some(failing)) if failing <= secs * 1000 => Charged::Uncounted,
                    _ => Charged::Denied(Reason::LimitUnavailable.into()),
                }
            }
            Taken::Short => Charged::Wait(None),
        }
    }

    fn ask_soon(&mut self, key: KeyId, now: Timestamp) {
        if let Some(entry) = self.keys.get_mut(&key)
            && !entry.due
            && !entry.teller.is_quiet(now)
        {
            entry.due = true;
            self.due.push(key);
        }
    }

    /// What a client is told of a key's limits.
    pub fn fields(&self, key: KeyId, refused: Option<Meter>, legacy: bool, now: Timestamp) -> Vec<Field> {
        self.keys.get(&key).map_or_else(Vec::new, |entry| fields(&entry.teller.holder, &entry.limits, refused, legacy, now))
    }

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
        let (mut errands, mut busy) = (Vec::new(), false);
        self.keys.retain(|key, entry| {
            if errands.len() < MOST_ERRANDS {
                errands.extend(entry.teller.errand(&PACE, now, false, fresh).map(|errand| (*key, errand)));
            }
            let has = entry.teller.is_busy(entry.used, now);
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
        entry.teller.errand(&PACE, now, true, fresh)
    }

    /// An errand as it is sent.
    pub fn message(&self, key: KeyId, errand: &Errand) -> Option<Lend> {
        let &Entry { limits, position, .. } = self.keys.get(&key)?;
        Some(Lend { key, limits, position, permits: errand.request(key) })
    }

    /// What came of it.
    pub fn answered(&mut self, key: KeyId, errand: &Errand, reply: Option<&PermitsReply>, now: Timestamp) {
        if let Some(entry) = self.keys.get_mut(&key) {
            entry.teller.answered(errand, reply, now);
        }
    }

    /// Changes with whatever is heard about a key.
    pub fn news(&self, key: KeyId) -> u32 {
        self.keys.get(&key).map_or(0, |entry| entry.teller.news())
    }

    /// For how long a key's authority has given no answer, milliseconds.
    fn failing_ms(&self, key: KeyId, now: Timestamp) -> Option<u64> {
        self.keys.get(&key)?.teller.failing_ms(now)
    }

    /// Forgets an eighth of the keys.
    fn make_room(&mut self) {
        let mut uses: Vec<u64> = self.keys.values().map(|entry| entry.nth).collect();
        let at = uses.len() / 8;
        let (_, oldest, _) = uses.select_nth_unstable(at);
        let oldest = *oldest;
        self.keys.retain(|_, entry| entry.nth > oldest);
    }
}
