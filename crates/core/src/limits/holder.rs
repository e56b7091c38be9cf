use super::{Ask, EDGE_MS, GiveBack, Meter, Pace, Window, Windows, block, pool::Pool};
use crate::{Limits, Timestamp};
use alloc::vec::Vec;
use uuid::Uuid;

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Requests: one.
    pub requests: u64,
    /// Cents.
    pub cents: u64,
}

impl Charge {
    /// One request, at a cost in cents.
    pub const fn request(cents: u64) -> Self {
        Self { requests: 1, cents }
    }

    const fn of(self, meter: Meter) -> u64 {
        match meter {
            Meter::RatePerHour | Meter::DailyQuota | Meter::MonthlyQuota => self.requests,
            Meter::CostCents => self.cents,
        }
    }
}

/// What became of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Taken {
    /// All of it was taken; `due`: it is time to [`Holder::ask`] and [`Holder::settle`].
    All {
        /// Whether something has to be asked or given back, soon.
        due: bool,
    },
    /// A limit is reached, and nothing was taken.
    Refused(Meter),
    /// Nothing was taken, since the window before this one, in which the request may still be by another clock, is used up:
    /// at that moment it is over.
    Later(Timestamp),
    /// Nothing was taken, since permits have to come first: [`Holder::ask`], [`Holder::settle`], and
    /// try again.
    Short,
}

/// What became of a wish for permits to hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Lent {
    /// So many, and so many are left here and above; none where the limit is reached.
    Granted {
        /// How many.
        amount: u64,
        /// How many are left, as far as is known.
        left: u64,
    },
    /// None yet: [`Holder::ask`], [`Holder::settle`], and try again.
    Short,
}

/// A key's permits where they are spent: a pool for each of its limits and windows. It can hand permits on to other
/// holders, to which it is the authority then.
#[derive(Clone, Debug)]
pub struct Holder {
    pools: Vec<Pool>,
    /// The limits under which they were given.
    limits: Limits,
    windows: Windows,
    settled: Timestamp,
}

impl Holder {
    /// Of nothing yet.
    pub fn new(limits: &Limits, now: Timestamp) -> Self {
        Self { pools: Vec::new(), limits: *limits, windows: Windows::at(now), settled: now }
    }

    /// Takes a charge from all limits that it is about, or from none. Where the limits are other ones than before, what was
    /// given under the old ones goes back unspent.
    pub fn take(&mut self, limits: &Limits, charge: Charge, now: Timestamp) -> Taken {
        let mut due = self.turn(limits, now);
        if let Some(refused) = self.find_short(charge, now) {
            return refused;
        }
        self.each(charge, |pool, amount| {
            pool.spend(amount, now);
            due |= pool.is_due(now);
        });
        Taken::All { due }
    }

    /// Notes what would have to be asked for this charge, for a request that waits for something else first.
    pub fn foresee(&mut self, limits: &Limits, charge: Charge, now: Timestamp) {
        self.turn(limits, now);
        let _ = self.find_short(charge, now);
    }

    /// Why a charge can't be taken.
    fn find_short(&mut self, charge: Charge, now: Timestamp) -> Option<Taken> {
        let windows = self.windows;
        let (mut short, mut over) = (false, None);
        for meter in Meter::ALL {
            let (amount, Some(limit)) = (charge.of(meter), meter.limit(&self.limits)) else { continue };
            if amount == 0 {
                continue;
            }
            if limit < amount {
                return Some(Taken::Refused(meter));
            }
            for window in windows.of(meter.period()) {
                let pool = self.pool(meter, window, now);
                if pool.left >= amount {
                    continue;
                }
                if !pool.is_dry(amount, now) {
                    pool.miss(amount);
                    short = true;
                } else if window.end() > now {
                    return Some(Taken::Refused(meter));
                } else {
                    over = Some(Taken::Later(Timestamp::from_millis(window.end().millis() + EDGE_MS)));
                }
            }
        }
        if short { Some(Taken::Short) } else { over }
    }

    /// Permits of a window to hand on; its share of what is left here and above, within what is here.
    pub fn lend(&mut self, limits: &Limits, meter: Meter, window: u32, (least, wanted): (u64, u64), now: Timestamp) -> Lent {
        self.turn(limits, now);
        let Some(window) = self.windows.wanted(meter.period()).find(|known| known.number() == window) else {
            return Lent::Granted { amount: 0, left: 0 };
        };
        let (pool, least) = (self.pool(meter, window, now), least.max(1));
        let amount = block(pool.left.saturating_add(pool.above), least, wanted).min(pool.left);
        if amount >= least {
            pool.lend(amount, now);
        } else if !pool.is_dry(least, now) {
            pool.miss(least);
            return Lent::Short;
        }
        Lent::Granted { amount: if amount >= least { amount } else { 0 }, left: pool.left.saturating_add(pool.above) }
    }

    /// Takes back what was handed on. Whoever calls this sees to it that the same permits come back once: by an id, and by a name
    /// of its own, new whenever it has lost its memory, that returns repeat. What one that is gone took back, and gave to its
    /// authority, must not come back to the next. Of a window that has ended nothing is taken; where the limits have
    /// changed since it began, all of it goes on to the authority.
    pub fn reclaim(&mut self, meter: Meter, window: u32, amount: u64) {
        if let Some(pool) = self.pools.iter_mut().find(|pool| (pool.meter, pool.window) == (meter, window)) {
            pool.reclaim(amount);
        }
    }

    /// What has to be asked of the authority now, each question to be sent once; under ids that `fresh` makes.
    pub fn ask(&mut self, pace: &Pace, now: Timestamp, mut fresh: impl FnMut() -> Uuid, mut send: impl FnMut(Ask)) {
        self.advance(now);
        for meter in Meter::ALL {
            if meter.limit(&self.limits).is_none_or(|limit| limit == 0) || !self.pools.iter().any(|pool| pool.meter == meter) {
                continue;
            }
            for window in self.windows.wanted(meter.period()) {
                self.pool(meter, window, now);
            }
        }
        for pool in &mut self.pools {
            let limit = pool.meter.limit(&self.limits).unwrap_or_default();
            if let Some(ask) = pool.ask(pace, now, limit, &mut fresh) {
                send(ask);
            }
        }
    }

    /// The authority's answer to a question: so many permits, and so many left. `false` where nobody waits for it: then it
    /// counts for nothing.
    pub fn answer(&mut self, ask: &Ask, amount: u64, left: Option<u64>, now: Timestamp) -> bool {
        self.of(ask).is_some_and(|pool| pool.answer(ask.id, amount, left, now))
    }

    /// A question found nobody; it will be due again shortly.
    pub fn failed(&mut self, ask: &Ask, now: Timestamp) {
        if let Some(pool) = self.of(ask) {
            pool.failed(ask.id, now);
        }
    }

    /// What goes back to the authority: what was given under other limits, at once; and what wasn't used since the last time,
    /// at most every [`Pace::settle_ms`], or all. What comes of one call of `ask` and one of this after it goes in one message, of which
    /// the authority takes the returns first.
    pub fn settle(&mut self, pace: &Pace, now: Timestamp, all: bool, mut fresh: impl FnMut() -> Uuid, mut send: impl FnMut(GiveBack)) {
        self.advance(now);
        let idle = all || now.since(self.settled) >= pace.settle_ms || now < self.settled;
        if idle {
            self.settled = now;
        }
        for pool in &mut self.pools {
            if idle {
                pool.settle(pace, now, pool.meter.limit(&self.limits).unwrap_or_default(), all);
            }
            if let Some(back) = pool.refund(pace, now, &mut fresh) {
                send(back);
            }
        }
    }

    /// A return was answered, or given up. Until then (and [`Pace::patience_ms`] at the most) nothing is asked for in its place: it might
    /// find nothing there.
    pub fn returned(&mut self, back: &GiveBack) {
        if let Some(pool) = self.pools.iter_mut().find(|pool| (pool.meter, pool.window) == (back.meter, back.window)) {
            pool.returned(back.id);
        }
    }

    /// Whether nothing would be lost with it: after it was settled, and nobody used it since.
    pub fn is_empty(&self) -> bool {
        self.pools.iter().all(Pool::is_empty)
    }

    /// How much of a limit is left in the window of now, as far as is known here: what the authority had when it last
    /// answered, and what is here. `None`: there is no such limit, or nothing is known yet.
    pub fn left(&self, meter: Meter) -> Option<u64> {
        let limit = meter.limit(&self.limits)?;
        let known = |window: Window| self.pools.iter().find(|pool| pool.is_of(meter, window) && pool.above != u64::MAX);
        let pool = self.windows.of(meter.period()).filter_map(known).last()?;
        Some(pool.left.saturating_add(pool.above).min(limit))
    }

    /// Brings it to this moment and these limits; whether something new has to be asked for that.
    fn turn(&mut self, limits: &Limits, now: Timestamp) -> bool {
        if self.limits != *limits {
            self.limits = *limits;
            self.pools.iter_mut().for_each(Pool::void);
            self.advance(now);
            return true;
        }
        self.advance(now)
    }

    fn advance(&mut self, now: Timestamp) -> bool {
        if self.windows.hold(now) {
            return false;
        }
        self.windows = Windows::at(now);
        // What can't be spent any more, by any clock that is right, is forgotten: nobody takes it back either.
        self.pools.retain(|pool| pool.window().end().millis().saturating_add(EDGE_MS) > now.millis());
        true
    }

    fn of(&mut self, ask: &Ask) -> Option<&mut Pool> {
        self.pools.iter_mut().find(|pool| (pool.meter, pool.window) == (ask.meter, ask.window))
    }

    fn pool(&mut self, meter: Meter, window: Window, now: Timestamp) -> &mut Pool {
        let found = self.pools.iter().position(|pool| pool.is_of(meter, window));
        let at = found.unwrap_or_else(|| {
            let before = self.pools.iter().find(|pool| pool.meter == meter && pool.window().next() == window);
            let pool = Pool::new(meter, window.number(), before, now);
            self.pools.push(pool);
            self.pools.len() - 1
        });
        &mut self.pools[at]
    }

    /// Each pool that a charge is taken from.
    fn each(&mut self, charge: Charge, mut visit: impl FnMut(&mut Pool, u64)) {
        for pool in &mut self.pools {
            let amount = charge.of(pool.meter);
            let now = self.windows.of(pool.meter.period()).any(|window| window.number() == pool.window);
            if amount > 0 && now && pool.meter.limit(&self.limits).is_some() {
                visit(pool, amount);
            }
        }
    }
}
