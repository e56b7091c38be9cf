use super::{Meter, Window};
use crate::Timestamp;
use alloc::boxed::Box;
use uuid::Uuid;

/// How a holder asks.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For how long a block should last at the present rate, milliseconds.
    pub target_ms: u64,
    /// The size of a block for a rate that is low or not known yet: one that lasts through a round trip. What isn't used of
    /// it goes back soon.
    pub first: u64,
    /// The most permits to ask for at once.
    pub most: u64,
    /// For how long a question is waited for before it is asked again, milliseconds.
    pub patience_ms: u64,
    /// How often what isn't used goes back, milliseconds: within twice this time.
    pub settle_ms: u64,
    /// For how long after its last use a little stays where enough is left, milliseconds: so that a key which is used now and
    /// then finds a permit there, and nobody waits.
    pub keep_ms: u64,
    /// How little: one part in so many of the limit,
    pub keep_part: u64,
    /// at least so many, and never more than a [`PLENTY`]th of what is left.
    pub keep_least: u64,
}

impl Pace {
    /// For who spends permits, and can be stopped at any time without a word: what it keeps is lost to the key's owner then.
    pub const SPEND: Self = Self {
        target_ms: 250,
        first: 16,
        most: 1 << 16,
        patience_ms: 500,
        settle_ms: 2500,
        keep_ms: 60_000,
        keep_part: 512,
        keep_least: 0,
    };
    /// For a server, which stays to give back what it keeps.
    pub const SERVE: Self = Self { keep_part: TRIFLE, keep_least: 1, ..Self::SPEND };
    /// For who hands them on in blocks: a key's object. It keeps them for no longer than it is sure to be there.
    pub const LEND: Self = Self { target_ms: 1000, first: 128, most: 1 << 18, keep_ms: 10_000, ..Self::SPEND };
}

/// One part in so many of a limit is a trifle: a holder asks for it at once, so that it asks seldom, however many keys it has.
const TRIFLE: u64 = 256;
/// What is kept for later is one part in so many of what is left at the most: so less and less is, and at the end nothing.
const PLENTY: u64 = 32;
/// For how long it is believed that there is nothing left, milliseconds.
const DRY_MS: u64 = 200;
/// After a question that found nobody, milliseconds until the next.
const FAILED_MS: u64 = 50;
/// For how long a question is repeated under its id, milliseconds. An authority remembers ids for longer than that.
const REPEAT_MS: u64 = 30_000;

/// A question to an authority: permits of one window, under an id. Asked again under the same id it gets the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Names the question.
    pub id: Uuid,
    /// Of which limit.
    pub meter: Meter,
    /// In which window.
    pub window: u32,
    /// With fewer than so many nothing can be done.
    pub least: u64,
    /// So many would be good.
    pub wanted: u64,
}

/// Permits that go back to the authority. To be sent, under the same id, until it is answered or the window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GiveBack {
    /// Names it: it counts once.
    pub id: Uuid,
    /// Of which limit.
    pub meter: Meter,
    /// In which window.
    pub window: u32,
    /// How many.
    pub amount: u64,
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    ask: Ask,
    first: Timestamp,
    until: Timestamp,
    /// The limits have changed since: what is given goes back.
    stale: bool,
}

/// A holder's permits of one limit in one window.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) meter: Meter,
    pub(super) window: u32,
    /// Permits to spend.
    pub(super) left: u64,
    /// Permits that the authority had left when it last answered.
    pub(super) above: u64,
    /// The size of the last block.
    block: u64,
    /// Spent since the last question.
    used: u64,
    since: Timestamp,
    /// What is waited for since the last question: all of it, and the largest.
    short: u64,
    largest: u64,
    /// Spent since what isn't used last went back, and when last.
    lately: u64,
    spent: Timestamp,
    /// Until when, and from which amount on, the authority has nothing.
    dry: (Timestamp, u64),
    /// Apart, since most pools wait for nothing most of the time, and there may be very many.
    pending: Option<Box<Pending>>,
    /// Permits that go back.
    refund: u64,
    /// Some are on their way: until that is answered, or this moment, the authority has fewer than it will.
    returning: Option<Box<(Uuid, Timestamp)>>,
    /// Permits in the hands of other holders.
    lent: u64,
    /// The limits have changed in this window: what comes back may have been given under the old ones.
    voided: bool,
}

impl Pool {
    /// A pool that is empty, and asks for as much as the one of the window before did.
    pub(super) fn new(meter: Meter, window: u32, before: Option<&Self>, now: Timestamp) -> Self {
        let used = before.map_or(0, |before| before.block);
        Self {
            meter,
            window,
            left: 0,
            above: u64::MAX,
            block: used / 2,
            used,
            since: now,
            short: 0,
            largest: 0,
            lately: 0,
            spent: now,
            dry: (Timestamp::default(), u64::MAX),
            pending: None,
            refund: 0,
            returning: None,
            lent: 0,
            voided: false,
        }
    }

    /// Spends; the pool has as many.
    pub(super) fn spend(&mut self, amount: u64, now: Timestamp) {
        self.spent = now;
        self.left = self.left.saturating_sub(amount);
        self.used = self.used.saturating_add(amount);
        self.lately = self.lately.saturating_add(amount);
    }

    /// Somebody waits for so many.
    pub(super) fn miss(&mut self, amount: u64) {
        self.short = self.short.saturating_add(amount);
        self.largest = self.largest.max(amount);
    }

    /// Whether the authority is known to have too few to make up for what is missing of `amount`.
    pub(super) fn is_dry(&self, amount: u64, now: Timestamp) -> bool {
        now < self.dry.0 && amount.saturating_sub(self.left) >= self.dry.1
    }

    /// A quarter is left.
    const fn is_low(&self) -> bool {
        self.left <= self.block / 4
    }

    /// Whether it is time to ask.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.is_low() && now >= self.dry.0 && !self.is_returning(now) && self.pending.as_ref().is_none_or(|pending| now >= pending.until)
    }

    /// Whether it is the pool of that window.
    pub(super) fn is_of(&self, meter: Meter, window: Window) -> bool {
        (self.meter, self.window) == (meter, window.number())
    }

    /// The question that is due.
    pub(super) fn ask(&mut self, pace: &Pace, now: Timestamp, limit: u64, fresh: &mut dyn FnMut() -> Uuid) -> Option<Ask> {
        if let Some(pending) = &mut self.pending {
            if now < pending.until {
                return None;
            }
            // Perhaps the answer was lost: the same question gets the same answer. Only what is too old to be remembered is
            // given up, with the permits that it may have got.
            if now.since(pending.first) < REPEAT_MS {
                pending.until = later(now, pace.patience_ms);
                return Some(pending.ask);
            }
            self.pending = None;
        }
        if !(self.short > 0 || self.is_low()) || self.is_returning(now) {
            return None;
        }
        let least = self.largest.saturating_sub(self.left).max(1);
        if now < self.dry.0 && least >= self.dry.1 {
            return None;
        }
        let demand = self.used.saturating_add(self.short);
        let rate = (u128::from(demand) * u128::from(pace.target_ms)).div_ceil(u128::from(now.since(self.since).max(1)));
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        self.block = rate.min(self.block.saturating_mul(2)).max(pace.first).max(limit / TRIFLE).min(pace.most);
        let wanted = self.block.max(self.short.min(pace.most)).max(least);
        let ask = Ask { id: fresh(), meter: self.meter, window: self.window, least, wanted };
        (self.used, self.short, self.largest, self.since) = (0, 0, 0, now);
        self.pending = Some(Box::new(Pending { ask, first: now, until: later(now, pace.patience_ms), stale: false }));
        Some(ask)
    }

    /// The authority's answer to a question. One that isn't waited for any more counts for nothing: it may be a repetition.
    pub(super) fn answer(&mut self, id: Uuid, amount: u64, left: Option<u64>, now: Timestamp) -> bool {
        let Some(pending) = self.pending.take_if(|pending| pending.ask.id == id) else { return false };
        if pending.stale {
            self.refund = self.refund.saturating_add(amount);
            return true;
        }
        // Whoever goes on waiting says so again.
        (self.short, self.largest) = (0, 0);
        self.left = self.left.saturating_add(amount);
        self.above = left.unwrap_or(u64::MAX);
        self.dry = if amount == 0 { (later(now, DRY_MS), pending.ask.least) } else { (now, u64::MAX) };
        true
    }

    /// Nobody answered.
    pub(super) fn failed(&mut self, id: Uuid, now: Timestamp) {
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.ask.id == id) {
            pending.until = later(now, FAILED_MS);
        }
    }

    /// Other limits hold from now on: nothing that was given under the old ones is spent.
    pub(super) fn void(&mut self) {
        self.voided = true;
        self.refund = self.refund.saturating_add(core::mem::take(&mut self.left));
        self.dry = (Timestamp::default(), u64::MAX);
        self.above = u64::MAX;
        if let Some(pending) = &mut self.pending {
            pending.stale = true;
        }
    }

    /// Hands permits on; the pool has as many.
    pub(super) fn lend(&mut self, amount: u64, now: Timestamp) {
        self.spend(amount, now);
        self.lent = self.lent.saturating_add(amount);
    }

    /// What was handed on comes back. More than was, or under other limits, isn't for others to have.
    pub(super) fn reclaim(&mut self, amount: u64) {
        let ours = if self.voided { 0 } else { amount.min(self.lent) };
        self.lent = self.lent.saturating_sub(amount);
        self.left = self.left.saturating_add(ours);
        self.refund = self.refund.saturating_add(amount - ours);
    }

    /// Takes out what isn't used: all that is more than was spent since the last time, or all there is.
    pub(super) fn settle(&mut self, pace: &Pace, now: Timestamp, limit: u64, all: bool) {
        let trifle = (limit / pace.keep_part.max(1)).max(pace.keep_least).min(self.above / PLENTY).min(pace.most);
        let kept = if now.since(self.spent) < pace.keep_ms { trifle } else { 0 };
        let keep = if all { 0 } else { self.lately.max(kept) };
        self.lately = 0;
        if self.pending.is_none() {
            (self.short, self.largest) = (0, 0);
        }
        let idle = self.left.saturating_sub(keep);
        if idle > 0 {
            self.left -= idle;
            self.refund = self.refund.saturating_add(idle);
            self.block = self.block.min(keep);
        }
    }

    /// Permits that go back. They are gone from here before anybody hears of them.
    pub(super) fn refund(&mut self, pace: &Pace, now: Timestamp, fresh: &mut dyn FnMut() -> Uuid) -> Option<GiveBack> {
        let amount = core::mem::take(&mut self.refund);
        if amount == 0 {
            return None;
        }
        let back = GiveBack { id: fresh(), meter: self.meter, window: self.window, amount };
        self.returning = Some(Box::new((back.id, later(now, pace.patience_ms))));
        // The authority has them again, unless that word gets lost.
        self.above = self.above.saturating_add(amount);
        Some(back)
    }

    /// A return was answered, or given up.
    pub(super) fn returned(&mut self, id: Uuid) {
        self.returning.take_if(|returning| returning.0 == id);
    }

    fn is_returning(&self, now: Timestamp) -> bool {
        self.returning.as_ref().is_some_and(|returning| now < returning.1)
    }

    /// Whether nothing would be lost with it.
    pub(super) const fn is_empty(&self) -> bool {
        self.left == 0 && self.refund == 0 && self.pending.is_none() && self.lately == 0 && self.short == 0
    }

    /// Its window.
    pub(super) const fn window(&self) -> Window {
        Window::new(self.meter.period(), self.window)
    }
}

const fn later(now: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_add(millis))
}
