//! A follower of the feed at work: the state of an isolate or of a hub, the loop that keeps it fresh, and the fetching
//! of what is missing. The state is plain data behind one cell that is never held over an await.

use crate::{
    config::Config,
    flight::{FETCH_MS, Flights, Miss, Move, What},
    follow::{Ask, Follower, Listener, Next},
    metrics::Counters,
    outage::Ages,
    pulse::{Pulse, Start, Turn},
    source::{Source, now},
};
use keyward_core::{
    FeedReply, SnapshotReply, Timestamp,
    bounds::{MAX_HEARTBEAT_LEN, MAX_MANIFEST_LEN, MAX_SNAPSHOT_LEN},
};
use std::{cell::RefCell, pin::Pin, rc::Rc, time::Duration};
use worker::Delay;

/// How often waiting requests look whether the state has changed.
const TICK_MS: u64 = 4;
/// How long a request waits for the state at most.
const BUDGET_MS: u64 = 1_000;
/// Rounds of questions in one refresh: a snapshot, and then what came after it.
const MAX_ROUNDS: usize = 4;
/// Bytes of an answer with a snapshot; JSON around three texts without anything to escape.
const MAX_SNAPSHOT_REPLY: usize = MAX_SNAPSHOT_LEN + MAX_MANIFEST_LEN + MAX_HEARTBEAT_LEN + 1024;
/// Bytes of an answer with deltas.
const MAX_FEED_REPLY: usize = 4 * 1024 * 1024;

/// How one place follows the feed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long a probe may take.
    pub(crate) probe_ms: u64,
    /// How long the other side may keep a question.
    pub(crate) wait_ms: u64,
    /// How much longer than that an answer may take.
    pub(crate) slack_ms: u64,
}

impl Pace {
    /// An isolate's: the hub answers at each heartbeat, so that the wait is only a bound.
    pub(crate) const ISOLATE: Self = Self { probe_ms: BUDGET_MS, wait_ms: 2_500, slack_ms: 1_500 };
    /// A hub's: its probe has to end within an isolate's.
    pub(crate) const HUB: Self = Self { probe_ms: 600, wait_ms: 2_000, slack_ms: 1_500 };
}

/// The state of an isolate or of a hub.
#[derive(Debug)]
pub(crate) struct Node<K> {
    pub(crate) config: Rc<Config>,
    pace: Pace,
    state: RefCell<State<K>>,
}

/// What is known, what else is kept of it, and how it is kept fresh.
#[derive(Debug)]
pub(crate) struct State<K> {
    pub(crate) follower: Follower,
    pub(crate) keeper: K,
    pub(crate) pulse: Pulse,
    pub(crate) flights: Flights,
    pub(crate) counters: Counters,
    /// Whether the last answer was refused, in whole or in part.
    pub(crate) refusing: bool,
}

/// A listener that is told as well when a refresh is over, whatever came of it.
pub(crate) trait Keeper: Listener + 'static {
    /// No more is coming for now.
    fn settled(&mut self) {}

    /// Whether what is kept is complete. As long as it isn't, it counts as nothing, and is waited for.
    fn is_ready(&self) -> bool {
        true
    }
}

/// Where work goes on after the answer.
pub(crate) trait Background {
    /// Runs it to its end, or until the runtime cuts it off.
    fn run(&self, work: impl Future<Output = ()> + 'static);
}

impl Background for worker::Context {
    fn run(&self, work: impl Future<Output = ()> + 'static) {
        // Boxed, so that what turns a future into a promise is compiled once.
        self.wait_until(Box::pin(work) as Pin<Box<dyn Future<Output = ()>>>);
    }
}

impl Background for worker::State {
    fn run(&self, work: impl Future<Output = ()> + 'static) {
        // Boxed, so that what turns a future into a promise is compiled once.
        self.wait_until(Box::pin(work) as Pin<Box<dyn Future<Output = ()>>>);
    }
}

impl<K> Node<K> {
    pub(crate) fn new(config: Rc<Config>, pace: Pace, keeper: K) -> Self {
        let follower = Follower::new(config.roots.clone());
        let state = State {
            follower,
            keeper,
            pulse: Pulse::default(),
            flights: Flights::default(),
            counters: Counters::default(),
            refusing: false,
        };
        Self { config, pace, state: RefCell::new(state) }
    }

    /// The state, for as long as `look` looks; it can't await.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State<K>) -> T) -> T {
        look(&mut self.state.borrow_mut())
    }

    /// Counts something.
    pub(crate) fn count(&self, count: impl FnOnce(&mut Counters)) {
        self.with(|state| count(&mut state.counters));
    }

    fn ages(&self) -> Ages {
        Ages { soft_ms: self.config.soft_age_ms, hard_ms: self.config.hard_age_ms }
    }
}

impl<K: Keeper> Node<K> {
    /// Sees to it that somebody follows the feed. Says whether the state is too old to be decided on and may yet
    /// become younger, so that it is worth waiting for.
    pub(crate) fn tend(self: &Rc<Self>, source: &Source, background: &impl Background) -> bool {
        let now = now();
        let advice = self.with(|state| {
            let age = state.follower.age_ms(now).filter(|_| state.keeper.is_ready());
            state.pulse.on_request(now, age, self.ages())
        });
        if let Some(start) = advice.start {
            background.run(self.clone().run(source.clone(), start));
        }
        advice.wait
    }

    /// Whether [`Self::tend`] would have nothing to do.
    pub(crate) fn is_steady(&self, now: Timestamp) -> bool {
        self.with(|state| {
            let age = state.follower.age_ms(now).filter(|_| state.keeper.is_ready());
            state.pulse.is_steady(now, age, self.ages())
        })
    }

    /// As [`Self::tend`], and waits where it is worth it. Afterwards the state is as good as can be had; how good that
    /// is, its age tells.
    pub(crate) async fn freshen(self: &Rc<Self>, source: &Source, background: &impl Background) {
        let began = now();
        let mut waited = false;
        while self.tend(source, background) && now().since(began) < BUDGET_MS {
            if !waited {
                waited = true;
                self.count(|counters| counters.blocked_waits += 1);
            }
            Delay::from(Duration::from_millis(TICK_MS)).await;
        }
    }

    /// The loop that follows the feed, until its time is over or another takes its place.
    async fn run(self: Rc<Self>, source: Source, start: Start) {
        loop {
            let asked = now();
            let turn = self.with(|state| state.pulse.turn(start, asked));
            let (wait_ms, timeout_ms) = match turn {
                Turn::Stop => break,
                Turn::Probe => (0, self.pace.probe_ms),
                Turn::Follow => (self.pace.wait_ms, self.pace.wait_ms + self.pace.slack_ms),
            };
            self.with(|state| state.pulse.waits(start, asked, timeout_ms));
            let answered = self.refresh(&source, wait_ms, timeout_ms).await;
            let now = now();
            let pause = self.with(|state| {
                let age = state.follower.age_ms(now);
                let pause = state.pulse.answered(start, answered, age, self.ages());
                state.counters.refreshes += 1;
                state.counters.refresh_failures += u64::from(pause.is_some());
                if let Some(pause) = pause {
                    state.pulse.waits(start, now, pause);
                }
                pause
            });
            if let Some(pause) = pause {
                Delay::from(Duration::from_millis(pause)).await;
            }
        }
        self.with(|state| state.pulse.ends(start));
    }

    /// Asks until the state is the other side's, and says whether it is.
    pub(crate) async fn refresh(&self, source: &Source, wait_ms: u64, timeout_ms: u64) -> bool {
        let deadline = now().millis() + timeout_ms;
        let mut wait_ms = wait_ms;
        let mut done = false;
        for _ in 0..MAX_ROUNDS {
            let (ask, path) = self.with(|state| {
                let ask = state.follower.ask();
                (ask, ask.path(wait_ms, state.follower.heartbeat()))
            });
            let limit = if ask == Ask::Snapshot { MAX_SNAPSHOT_REPLY } else { MAX_FEED_REPLY };
            let left = deadline.saturating_sub(now().millis());
            let Ok(text) = source.text(self, &path, limit, left).await else { break };
            match self.take(ask, &text, now()) {
                Some(Next::Again) => wait_ms = 0,
                next => {
                    done = next.is_some();
                    break;
                }
            }
        }
        self.with(|state| state.keeper.settled());
        done
    }

    /// Takes an answer, whole and at once; `None` where something in it was refused.
    fn take(&self, ask: Ask, text: &str, now: Timestamp) -> Option<Next> {
        self.with(|state| {
            let State { follower, keeper, counters, refusing, .. } = state;
            let next = match ask {
                Ask::Snapshot => {
                    counters.parsed(text).and_then(|reply: SnapshotReply| follower.take_snapshot(&reply, now, keeper, counters).ok())
                }
                Ask::Feed { after, manifest } => counters
                    .parsed(text)
                    .and_then(|reply: FeedReply| follower.take_feed((after, manifest), &reply, now, keeper, counters).ok()),
            };
            *refusing = next.is_none();
            next
        })
    }

    /// Waits until `ready`, which is when `fetch` (run by one request for all, in its background) has succeeded.
    pub(crate) async fn once<F>(
        self: &Rc<Self>,
        what: What,
        background: &impl Background,
        ready: impl Fn(&mut State<K>) -> bool,
        fetch: impl FnOnce(Rc<Self>) -> F,
    ) -> Result<(), Miss>
    where
        F: Future<Output = Result<(), Miss>> + 'static,
    {
        let began = now();
        let mut fetch = Some(fetch);
        while !self.with(&ready) {
            let now = now();
            if now.since(began) > FETCH_MS {
                return Err(Miss::Failed);
            }
            match self.with(|state| state.flights.want(what, now)) {
                Move::GiveUp(miss) => return Err(miss),
                Move::Wait => {}
                Move::Start => {
                    // A request fetches a thing once; if that was in vain, the next one may try.
                    let Some(fetch) = fetch.take() else { return Err(Miss::Failed) };
                    let (node, work) = (self.clone(), fetch(self.clone()));
                    background.run(async move {
                        let outcome = work.await;
                        node.with(|state| state.flights.ended(what, outcome, crate::source::now()));
                    });
                }
            }
            Delay::from(Duration::from_millis(TICK_MS)).await;
        }
        Ok(())
    }
}
