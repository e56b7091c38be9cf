//! A holder of permits and what it has to say to its authority: plain data, for isolates and objects alike.
//!
//! Whoever is given an [`Errand`] runs it in a context of its own, which can be cut off at any await without a word. So
//! nothing here waits for its end: questions come again under their ids when the holder's patience is over, and returns
//! when theirs is.

use keyward_api::limits::{MAX_PERMITS, PermitsReply, PermitsRequest, PermitsReturned, PermitsWanted, SlotsWanted};
use keyward_core::{
    KeyId, Limits, Timestamp,
    limits::{Ask, GiveBack, Holder, Pace, Renewal, Slots, Window},
};
use uuid::Uuid;

/// For how long an authority that has just failed isn't asked, milliseconds: twice as long after each failure, up to the second.
const FIRST_PAUSE_MS: u64 = 50;
const LONGEST_PAUSE_MS: u64 = 1_000;
/// An authority that hasn't answered for this long is out of reach, milliseconds,
const OUTAGE_MS: u64 = 1_000;
/// unless nobody has tried for this long.
const RECENT_MS: u64 = 3_000;
/// A question that nobody has repeated for this long is given up, milliseconds.
const GIVEN_UP_MS: u64 = 35_000;

/// A holder with its questions and returns.
#[derive(Clone, Debug)]
pub struct Teller {
    /// The permits.
    pub holder: Holder,
    /// The slots, where the key has such a limit, or had.
    pub slots: Option<Slots>,
    /// What goes back and wasn't answered yet.
    backs: Vec<GiveBack>,
    /// What is to go back as well, and was never sent: it can still be added to.
    unsent: Vec<GiveBack>,
    /// Until when these are believed to be under way.
    sent: Timestamp,
    failures: u32,
    /// Since when nobody has answered, and when that was last found.
    failing: Option<(Timestamp, Timestamp)>,
    quiet: Timestamp,
    news: u32,
}

/// What is to be sent to an authority, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    asks: Vec<Ask>,
    backs: Vec<GiveBack>,
    slots: Option<Renewal>,
}

impl Errand {
    /// As it is sent.
    pub fn request(&self, key: KeyId) -> PermitsRequest {
        let wanted = |&Ask { id, meter, window, least, wanted }: &Ask| PermitsWanted { id, key, meter, window, least, wanted };
        let returned = |&GiveBack { id, meter, window, amount }: &GiveBack| PermitsReturned { id, key, meter, window, amount };
        PermitsRequest {
            wanted: self.asks.iter().map(wanted).collect(),
            returned: self.backs.iter().map(returned).collect(),
            slots: self.slots.iter().map(|renewal| SlotsWanted::of(key, renewal)).collect(),
        }
    }
}

impl Teller {
    /// Of nothing yet.
    pub fn new(limits: &Limits, now: Timestamp) -> Self {
        Self {
            holder: Holder::new(limits, now),
            slots: None,
            backs: Vec::new(),
            unsent: Vec::new(),
            sent: Timestamp::default(),
            failures: 0,
            failing: None,
            quiet: Timestamp::default(),
            news: 0,
        }
    }

    /// What is to be sent now, if anything is: returns, and with `ask` questions; ids come from `fresh`.
    pub fn errand(&mut self, pace: &Pace, now: Timestamp, ask: bool, fresh: &mut dyn FnMut() -> Uuid) -> Option<Errand> {
        if self.is_quiet(now) {
            return None;
        }
        let Self { holder, backs, unsent, .. } = self;
        backs.append(unsent);
        let mut asks = Vec::new();
        if ask {
            holder.ask(pace, now, &mut *fresh, |ask| asks.push(ask));
        }
        holder.settle(pace, now, false, &mut *fresh, |back| backs.push(back));
        backs.retain(|back| {
            let lasts = Window::new(back.meter.period(), back.window).end() > now;
            if !lasts {
                holder.returned(back);
            }
            lasts
        });
        let backs = if now < self.sent { Vec::new() } else { self.backs.iter().take(MAX_PERMITS).copied().collect() };
        if !backs.is_empty() {
            self.sent = later(now, pace.patience_ms);
        }
        let slots = self.slots.as_mut().and_then(|slots| slots.ask(now));
        (!asks.is_empty() || !backs.is_empty() || slots.is_some()).then_some(Errand { asks, backs, slots })
    }

    /// Something else goes back: what was spent, and turned out not to have been used.
    pub fn give_back(&mut self, back: GiveBack) {
        match self.unsent.iter_mut().find(|other| (other.meter, other.window) == (back.meter, back.window)) {
            Some(other) => other.amount = other.amount.saturating_add(back.amount),
            None => self.unsent.push(back),
        }
    }

    /// Gives up what goes back, where it can't be known whether it has.
    pub fn forget_returns(&mut self) {
        for back in self.backs.drain(..).chain(self.unsent.drain(..)) {
            self.holder.returned(&back);
        }
    }

    /// The authority has answered; `None`: it hasn't, or with something else than an answer to this.
    pub fn answered(&mut self, errand: &Errand, reply: Option<&PermitsReply>, now: Timestamp) {
        let Self { holder, backs, slots, .. } = self;
        self.news = self.news.wrapping_add(1);
        let fits = |reply: &&PermitsReply| {
            reply.granted.iter().map(|granted| granted.id).eq(errand.asks.iter().map(|ask| ask.id))
                && reply.taken.iter().map(|taken| taken.id).eq(errand.backs.iter().map(|back| back.id))
                && reply
                    .slots
                    .iter()
                    .map(|slots| (slots.holder, slots.serial))
                    .eq(errand.slots.iter().map(|slots| (slots.holder, slots.serial)))
        };
        let Some(reply) = reply.filter(fits) else {
            errand.asks.iter().for_each(|ask| holder.failed(ask, now));
            if let (Some(slots), Some(renewal)) = (slots, errand.slots) {
                slots.failed(renewal.serial, now);
            }
            self.sent = Timestamp::default();
            self.fails(now);
            return;
        };
        for (ask, granted) in errand.asks.iter().zip(&reply.granted) {
            holder.answer(ask, granted.amount, granted.left, now);
        }
        for back in &errand.backs {
            holder.returned(back);
            backs.retain(|other| other.id != back.id);
        }
        let mut unknown = false;
        if let (Some(slots), Some(granted)) = (slots, reply.slots.first()) {
            match granted.leased() {
                Some(leased) => {
                    unknown = granted.fault.is_some();
                    slots.answer(granted.serial, &leased, !unknown, now);
                }
                None => slots.failed(granted.serial, now),
            }
        }
        if !errand.backs.is_empty() {
            self.sent = Timestamp::default();
        }
        // That what is leased goes on doesn't say that there are permits to be had.
        let goes_on =
            errand.asks.is_empty() && errand.slots.is_some_and(|renewal| renewal.wanted <= renewal.leased || !self.holder.is_empty());
        if unknown {
            self.fails(now);
        } else if !goes_on {
            (self.failures, self.failing, self.quiet) = (0, None, Timestamp::default());
        }
    }

    fn fails(&mut self, now: Timestamp) {
        self.quiet = later(now, LONGEST_PAUSE_MS.min(FIRST_PAUSE_MS << self.failures.min(8)));
        self.failures = self.failures.saturating_add(1);
        self.failing = Some((self.failing.map_or(now, |(since, _)| since), now));
    }

    /// Something else has changed for who waits.
    pub const fn tell(&mut self) {
        self.news = self.news.wrapping_add(1);
    }

    /// Changes with every answer, and every one that didn't come.
    pub const fn news(&self) -> u32 {
        self.news
    }

    /// For how long the authority has given no answer, milliseconds; `None`: it has given the last one.
    pub fn failing_ms(&self, now: Timestamp) -> Option<u64> {
        self.failing.map(|(since, _)| now.since(since))
    }

    /// Whether the last errand found nobody.
    pub const fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// Whether the authority is out of reach: it hasn't answered for a second, and was found so just now. Then nobody waits for it.
    pub fn is_outage(&self, now: Timestamp) -> bool {
        self.failing.is_some_and(|(since, last)| now.since(since) >= OUTAGE_MS && now.since(last) < RECENT_MS)
    }

    /// Whether the authority isn't asked just now.
    pub fn is_quiet(&self, now: Timestamp) -> bool {
        now < self.quiet
    }

    /// Whether something of it has still to go back, where it was last used at `used`. A question that nobody repeats is
    /// given up in the end.
    pub fn is_busy(&self, pace: &Pace, used: Timestamp, now: Timestamp) -> bool {
        let recent = now.since(used) < GIVEN_UP_MS.max(pace.keep_ms) + 3 * pace.settle_ms;
        !self.backs.is_empty()
            || !self.unsent.is_empty()
            || (!self.holder.is_empty() && recent)
            || self.slots.as_ref().is_some_and(|slots| !slots.is_empty(now))
    }
}

const fn later(now: Timestamp, millis: u64) -> Timestamp {
    Timestamp::from_millis(now.millis().saturating_add(millis))
}
