use super::SHARE;
use crate::Timestamp;
use uuid::Uuid;

/// How much earlier a holder takes its lease for ended than its authority does, milliseconds: in that time it ends what is still
/// under way. It makes up as well for clocks that don't run alike.
pub const LEASE_MARGIN_MS: u64 = 3_000;
/// For how long it is believed that no slot is free, milliseconds.
const FULL_MS: u64 = 200;
/// Slots that weren't used for this long go back, milliseconds; within twice this time.
const IDLE_MS: u64 = 1_000;
/// For how long a question is waited for before the next, milliseconds.
const PATIENCE_MS: u64 = 500;
/// After a question that found nobody, milliseconds until the next.
const FAILED_MS: u64 = 50;

/// What a holder of slots says to its authority, and asks of it. The newest that was sent counts, by `serial`: nothing has to be
/// remembered of what was answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Names the holder.
    pub holder: Uuid,
    /// Higher with each of a holder's.
    pub serial: u64,
    /// It uses no more than so many until it has the answer to this.
    pub leased: u64,
    /// So many would be good.
    pub wanted: u64,
}

/// The answer to a [`Renewal`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leased {
    /// The holder has so many: at least what it said, as long as that had not ended.
    pub slots: u64,
    /// Up to so many may be taken anew; fewer than `slots` where a limit was lowered.
    pub target: u64,
    /// For how long, milliseconds, counted from when the question was sent.
    pub lasts_ms: u64,
}

/// What came of a wish for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Seat {
    /// It was taken; [`Slots::end`] gives it back.
    Taken,
    /// None is free.
    Full,
    /// One has to come first: [`Slots::wait`], [`Slots::ask`], and try again.
    Short,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    serial: u64,
    at: Timestamp,
    until: Timestamp,
    /// What it said that it uses at most.
    leased: u64,
    /// So many requests wait for it; and with those under way they are so many.
    short: u64,
    needed: u64,
}

/// A key's slots, for requests at one time, where they are used; or lent again, for no longer than they are leased.
///
/// It is right whatever is lost, late or doubled, since a holder uses no more than it has said that it does; and whatever clocks
/// say, since it counts a lease from before its question was sent, and its authority from after that came.
#[derive(Clone, Debug)]
pub struct Slots {
    holder: Uuid,
    serial: u64,
    /// The limit under which it was leased them.
    limit: u64,
    leased: u64,
    /// Up to so many may be taken; unknown since the limit has changed.
    target: Option<u64>,
    until: Timestamp,
    renew: Timestamp,
    used: u64,
    /// The most that were used in the present second, and in the one before.
    peaks: [u64; 2],
    second: Timestamp,
    /// Who waits, since the last question.
    short: u64,
    full: Timestamp,
    pending: Option<Pending>,
}

impl Slots {
    /// Of none yet, under a name that nobody else has.
    pub const fn new(holder: Uuid) -> Self {
        let never = Timestamp::from_millis(0);
        Self {
            holder,
            serial: 0,
            limit: 0,
            leased: 0,
            target: None,
            until: never,
            renew: never,
            used: 0,
            peaks: [0; 2],
            second: never,
            short: 0,
            full: never,
            pending: None,
        }
    }

    /// As it was written down: a holder of that name with so many slots until then.
    pub const fn resumed(holder: Uuid, leased: u64, until: Timestamp) -> Self {
        let mut slots = Self::new(holder);
        (slots.leased, slots.until) = (leased, until);
        slots
    }

    /// Its name.
    pub const fn holder(&self) -> Uuid {
        self.holder
    }

    /// How many it has now.
    pub fn leased(&self, now: Timestamp) -> u64 {
        if now < self.until { self.leased } else { 0 }
    }

    /// How many may be in use with those that are taken anew.
    pub fn room(&self, now: Timestamp) -> u64 {
        self.leased(now).min(self.target.unwrap_or(0))
    }

    /// Whether the authority has answered since the limit changed.
    pub const fn is_settled(&self) -> bool {
        self.target.is_some()
    }

    /// Until when it has them.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// How many are in use.
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// How many of those in use aren't its own any more, since its lease has ended: they have to end at once.
    pub fn lost(&self, now: Timestamp) -> u64 {
        self.used.saturating_sub(self.leased(now))
    }

    /// Takes one, within the limit.
    pub fn take(&mut self, limit: u64, now: Timestamp) -> Seat {
        self.turn(limit);
        if self.used >= limit {
            return Seat::Full;
        }
        if self.used < self.room(now) {
            self.uses(self.used + 1);
            return Seat::Taken;
        }
        if now < self.full { Seat::Full } else { Seat::Short }
    }

    /// A request waits for one; `again`: it was said of it before, which may have been answered.
    pub const fn wait(&mut self, again: bool) {
        if !again || (self.pending.is_none() && self.short == 0) {
            self.short = self.short.saturating_add(1);
        }
    }

    /// One is free again.
    pub const fn end(&mut self) {
        self.used = self.used.saturating_sub(1);
    }

    /// Says how many are in use: for who lends them.
    pub fn uses(&mut self, used: u64) {
        self.used = used;
        self.peaks[0] = self.peaks[0].max(used);
    }

    /// Somebody waits for so many more.
    pub fn miss(&mut self, more: u64, now: Timestamp) -> Seat {
        if now < self.full {
            return Seat::Full;
        }
        self.short = self.short.max(more);
        Seat::Short
    }

    /// Goes by this limit. Where it is another one than before, no slot is taken that was leased under the old one: the authority
    /// has to say first what holds.
    pub fn turn(&mut self, limit: u64) {
        if self.limit != limit {
            let now = Timestamp::from_millis(0);
            (self.limit, self.target, self.pending, self.renew, self.full) = (limit, None, None, now, now);
        }
    }

    /// Whether it is time to [ask](Self::ask): somebody waits, or what it has would end before long.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let waits = self.short > 0 || self.pending.is_some_and(|pending| pending.short > 0);
        self.is_open(now) && ((waits && now >= self.full) || (self.leased > 0 && now >= self.renew))
    }

    /// Whether no answer is waited for.
    fn is_open(&self, now: Timestamp) -> bool {
        self.pending.is_none_or(|pending| now >= pending.until)
    }

    /// What has to be said to the authority now, once; also where it has more than it uses.
    pub fn ask(&mut self, now: Timestamp) -> Option<Renewal> {
        if now.since(self.second) >= IDLE_MS || now < self.second {
            (self.second, self.peaks) = (now, [self.used, self.peaks[0]]);
        }
        let lately = self.peaks[0].max(self.peaks[1]);
        let idle = self.is_open(now) && self.leased(now) > with_spare(lately);
        if !idle && !self.is_due(now) {
            return None;
        }
        // Nobody has answered to these.
        let short = self.pending.map_or(0, |pending| pending.short).max(core::mem::take(&mut self.short));
        let needed = self.used.saturating_add(short).min(self.limit).max(self.used);
        let wanted = with_spare(needed.max(lately));
        // What isn't wanted any more is gone from here before anybody hears of it.
        self.leased = self.leased(now).min(wanted);
        // What is still used although the lease is over is about to end, and has to be counted until then.
        let leased = self.leased.max(self.used);
        // In the order of time, so that it is higher for one that was resumed, too.
        self.serial = now.millis().max(self.serial.saturating_add(1));
        self.pending = Some(Pending { serial: self.serial, at: now, until: later(now, PATIENCE_MS), leased, short, needed });
        Some(Renewal { holder: self.holder, serial: self.serial, leased, wanted })
    }

    /// The answer to what was asked under this number; `all`: nobody has more to give. Only the newest question's counts: it may
    /// have promised less than those before.
    pub fn answer(&mut self, serial: u64, answer: &Leased, all: bool, now: Timestamp) -> bool {
        let Some(pending) = self.pending.take_if(|pending| pending.serial == serial) else { return false };
        let lasts = answer.lasts_ms.saturating_sub(LEASE_MARGIN_MS);
        (self.leased, self.target) = (answer.slots, Some(answer.target));
        self.until = later(pending.at, lasts);
        self.renew = later(pending.at, lasts / 2);
        // Who leases gives at once what is there, and may have more to come: who has got a part asks again. No more at all is the end.
        let full = answer.target < pending.needed && answer.target <= pending.leased;
        self.full = if all && full { later(now, FULL_MS) } else { now };
        true
    }

    /// Nobody answered, or with a no; it will be due again shortly.
    pub fn failed(&mut self, serial: u64, now: Timestamp) {
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.serial == serial) {
            pending.until = later(now, FAILED_MS);
        }
    }

    /// Whether nothing would be lost with it.
    pub fn is_empty(&self, now: Timestamp) -> bool {
        self.used == 0 && self.leased(now) == 0 && self.pending.is_none_or(|pending| now.since(pending.at) >= PATIENCE_MS)
    }
}

/// An eighth more, so that most requests of a busy key find a slot; nothing of a few.
const fn with_spare(slots: u64) -> u64 {
    slots.saturating_add(slots / SHARE)
}

const fn later(now: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_add(millis))
}
