//! One key, an authority, two regions' objects and their isolates; everything from one seed.

mod hour;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
};

use keyward_core::{
    Limits, Timestamp,
    limits::{Account, Answered, Ask, Charge, GiveBack, Granted, Holder, Lent, Meter, Pace, Taken, Window},
};
use uuid::Uuid;

use crate::random::Random;

/// How bad a world is.
#[derive(Clone, Copy, Debug)]
pub(super) struct World {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) slowest: u64,
    pub(super) crashes: u64,
    /// How far clocks are off, at the most.
    pub(super) skew: u64,
    pub(super) isolates: usize,
    /// For how long permits stay that aren't used: all of them, and a few ([`Pace::settle_ms`], [`Pace::keep_ms`]).
    pub(super) idle: u64,
    pub(super) keep: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Message {
    Ask(usize, Question),
    /// With the life of who answers.
    Answer(usize, Question, u64, Option<u64>, u64),
    /// With the life of who is believed to be above.
    Back(usize, Return, u64),
    Taken(usize, Return),
}

/// What of an [`Ask`] and a [`GiveBack`] can be ordered.
type Question = (Uuid, Meter, u32, u64, u64);
type Return = (Uuid, Meter, u32, u64);

fn question(ask: &Ask) -> Question {
    (ask.id, ask.meter, ask.window, ask.least, ask.wanted)
}

fn ask((id, meter, window, least, wanted): Question) -> Ask {
    Ask { id, meter, window, least, wanted }
}

/// A region's object (0 and 1) or an isolate. Its authority is `above`; `None`: the one of all.
struct Node {
    above: Option<usize>,
    skew: i64,
    /// New with every crash; and that of who is above, as it last answered.
    life: u64,
    above_life: u64,
    holder: Holder,
    questions: Answered<(u64, Option<u64>)>,
    returns: Answered<()>,
    /// Questions that wait until this object has permits.
    parked: Vec<Message>,
    /// Requests that wait for permits, and until when.
    waiting: Vec<(u64, Charge)>,
    /// Until when it gives back.
    awake: u64,
}

pub(super) struct Simulation {
    world: World,
    random: Random,
    now: u64,
    ids: u64,
    pub(super) limits: Limits,
    accounts: HashMap<Meter, Account>,
    questions: Answered<Granted>,
    returns: Answered<()>,
    nodes: Vec<Node>,
    wire: BinaryHeap<Reverse<(u64, u64, Message)>>,
    sent: u64,
    /// By meter and window: what was admitted, in true time and by the holders' names for windows, and the highest limit.
    admitted: BTreeMap<(Meter, u32), u64>,
    named: BTreeMap<(Meter, u32), u64>,
    highest: BTreeMap<(Meter, u32), u64>,
    pub(super) refused: u64,
    pub(super) waited: u64,
    pub(super) total: u64,
}

pub(super) const HUBS: usize = 2;
/// For how long a request waits, milliseconds.
const PATIENCE: u64 = 2000;
/// 2026-01-01: the edge of an hour, a day and a month.
pub(super) const EDGE: u64 = 1_767_225_600_000;

impl Simulation {
    pub(super) fn new(seed: u64, world: World, limits: Limits, begin: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let nodes = (0..HUBS + world.isolates)
            .map(|at| Node {
                above: (at >= HUBS).then_some(at % HUBS),
                skew: random.below(2 * world.skew + 1) as i64 - world.skew as i64,
                life: 0,
                above_life: 0,
                holder: Holder::new(&limits, Timestamp::from_millis(begin)),
                questions: Answered::default(),
                returns: Answered::default(),
                parked: Vec::new(),
                waiting: Vec::new(),
                awake: 0,
            })
            .collect();
        Self {
            world,
            random,
            now: begin,
            ids: 0,
            limits,
            accounts: HashMap::new(),
            questions: Answered::default(),
            returns: Answered::default(),
            nodes,
            wire: BinaryHeap::new(),
            sent: 0,
            admitted: BTreeMap::new(),
            named: BTreeMap::new(),
            highest: BTreeMap::new(),
            refused: 0,
            waited: 0,
            total: 0,
        }
    }

    fn pace(node: usize, World { idle, keep, .. }: World) -> Pace {
        if node < HUBS { Pace { settle_ms: idle, ..Pace::LEND } } else { Pace { settle_ms: idle, keep_ms: keep, ..Pace::SPEND } }
    }

    fn clock(&self, node: usize) -> Timestamp {
        Timestamp::from_millis(self.now.saturating_add_signed(self.nodes[node].skew))
    }

    fn send(&mut self, message: Message) {
        if self.random.happens(self.world.lost) {
            return;
        }
        let copies = if self.random.happens(self.world.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.now + 1 + self.random.below(self.world.slowest);
            self.sent += 1;
            self.wire.push(Reverse((at, self.sent, message)));
        }
    }

    /// A UUIDv7 by a node's clock.
    fn fresh(ids: &mut u64, now: Timestamp) -> Uuid {
        *ids += 1;
        Uuid::from_u128(u128::from(now.millis()) << 80 | 7 << 76 | 2 << 62 | u128::from(*ids))
    }

    /// Sends what a node wants to ask.
    fn ask(&mut self, node: usize) {
        let (now, mut ids, mut asks) = (self.clock(node), self.ids, Vec::new());
        self.nodes[node].holder.ask(&Self::pace(node, self.world), now, || Self::fresh(&mut ids, now), |ask| asks.push(ask));
        self.ids = ids;
        asks.iter().for_each(|ask| self.send(Message::Ask(node, question(ask))));
    }

    fn settle(&mut self, node: usize, all: bool) {
        let (now, mut ids, mut backs) = (self.clock(node), self.ids, Vec::new());
        self.nodes[node].holder.settle(&Self::pace(node, self.world), now, all, || Self::fresh(&mut ids, now), |back| backs.push(back));
        self.ids = ids;
        for GiveBack { id, meter, window, amount } in backs {
            // Sent again, since nobody tells that it has come.
            for _ in 0..2 {
                self.send(Message::Back(node, (id, meter, window, amount), self.nodes[node].above_life));
            }
        }
    }

    /// Tries a request; whether it is answered.
    fn attempt(&mut self, node: usize, charge: Charge, again: bool) -> bool {
        let now = self.clock(node);
        let taken = self.nodes[node].holder.take(&self.limits, charge, now);
        match taken {
            Taken::All { due } => {
                self.admit(node, charge);
                if due {
                    self.ask(node);
                    self.settle(node, false);
                }
                true
            }
            Taken::Refused(_) => {
                self.refused += 1;
                true
            }
            Taken::Later(moment) => {
                assert!(moment.since(now) <= 1000 && moment > now);
                false
            }
            Taken::Short => {
                self.waited += u64::from(!again);
                self.ask(node);
                self.settle(node, false);
                false
            }
        }
    }

    fn try_again(&mut self, node: usize) {
        for (until, charge) in std::mem::take(&mut self.nodes[node].waiting) {
            if until > self.now && !self.attempt(node, charge, true) {
                self.nodes[node].waiting.push((until, charge));
            }
        }
    }

    fn admit(&mut self, node: usize, charge: Charge) {
        for meter in Meter::ALL {
            let amount = if meter == Meter::CostCents { charge.cents } else { charge.requests };
            let at = |moment| (meter, Window::at(meter.period(), moment).number());
            *self.admitted.entry(at(Timestamp::from_millis(self.now))).or_default() += amount;
            *self.named.entry(at(self.clock(node))).or_default() += amount;
        }
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Ask(from, (id, meter, window, least, wanted)) => {
                let answer = match self.nodes[from].above {
                    None => {
                        let (limit, account) = (meter.limit(&self.limits), self.accounts.entry(meter).or_default());
                        let now = Timestamp::from_millis(self.now);
                        let granted = self.questions.once(id, now, || account.grant(window, limit, least, wanted).unwrap_or_default());
                        granted.map(|granted| (granted.amount, granted.left))
                    }
                    Some(object) => {
                        let (limits, now) = (self.limits, self.clock(object));
                        let node = &mut self.nodes[object];
                        let mut short = false;
                        // What can't be answered yet isn't remembered: it waits here, or comes again.
                        let known = node.questions.once(id, now, || match node.holder.lend(&limits, meter, window, (least, wanted), now) {
                            Lent::Granted { amount, left } => (amount, Some(left)),
                            Lent::Short => {
                                short = true;
                                (0, None)
                            }
                        });
                        self.ask(object);
                        if short {
                            self.nodes[object].questions.forget(id);
                            self.nodes[object].parked.push(message);
                            return;
                        }
                        known
                    }
                };
                if let Some((amount, left)) = answer {
                    let life = self.nodes[from].above.map_or(0, |object| self.nodes[object].life);
                    self.send(Message::Answer(from, (id, meter, window, least, wanted), amount, left, life));
                }
            }
            Message::Answer(to, question, amount, left, life) => {
                self.nodes[to].above_life = life;
                let now = self.clock(to);
                self.nodes[to].holder.answer(&ask(question), amount, left, now);
                self.try_again(to);
                std::mem::take(&mut self.nodes[to].parked).into_iter().for_each(|message| self.deliver(message));
            }
            Message::Taken(to, (id, meter, window, amount)) => self.nodes[to].holder.returned(&GiveBack { id, meter, window, amount }),
            Message::Back(from, back @ (id, meter, window, amount), life) => {
                self.send(Message::Taken(from, back));
                match self.nodes[from].above {
                    None => {
                        let account = self.accounts.entry(meter).or_default();
                        let now = Timestamp::from_millis(self.now);
                        self.returns.once(id, now, || {
                            account.take_back(window, amount);
                        });
                    }
                    Some(object) => {
                        let now = self.clock(object);
                        let node = &mut self.nodes[object];
                        if node.life == life {
                            node.returns.once(id, now, || node.holder.reclaim(meter, window, amount));
                        }
                    }
                }
            }
        }
    }

    fn deliver_due(&mut self) {
        while self.wire.peek().is_some_and(|Reverse((at, ..))| *at <= self.now) {
            if let Some(Reverse((.., message))) = self.wire.pop() {
                self.deliver(message);
            }
        }
    }

    fn crash(&mut self, node: usize) {
        let now = self.clock(node);
        let (above, skew) = (self.nodes[node].above, self.nodes[node].skew);
        self.nodes[node] = Node {
            above,
            skew,
            life: self.nodes[node].life + 1,
            above_life: 0,
            holder: Holder::new(&self.limits, now),
            questions: Answered::default(),
            returns: Answered::default(),
            parked: Vec::new(),
            waiting: Vec::new(),
            awake: 0,
        };
    }

    /// Runs for so long, with requests `every` so many milliseconds on the average; then checks what holds always.
    pub(super) fn run(&mut self, millis: u64, every: u64, cents: u64) {
        let end = self.now + millis;
        while self.now < end {
            self.now += 1 + self.random.below(2 * every);
            self.deliver_due();
            for meter in Meter::ALL {
                let limit = meter.limit(&self.limits).unwrap_or(u64::MAX);
                // Also for the windows that somebody may name, by a clock that is off.
                for by in [-(self.world.skew as i64), 0, self.world.skew as i64] {
                    let moment = Timestamp::from_millis(self.now.saturating_add_signed(by));
                    let highest = self.highest.entry((meter, Window::at(meter.period(), moment).number())).or_default();
                    *highest = limit.max(*highest);
                }
            }
            let node = HUBS + self.random.below(self.world.isolates as u64) as usize;
            let charge = Charge::request(if cents > 0 { self.random.below(cents) } else { 0 });
            self.total += 1;
            if !self.attempt(node, charge, false) {
                self.nodes[node].waiting.push((self.now + PATIENCE, charge));
            }
            if self.random.happens(20) {
                (0..self.nodes.len()).for_each(|node| self.settle(node, false));
            }
            // Questions that got no answer are asked again by whoever waits.
            if self.random.happens(50) {
                for node in (0..self.nodes.len()).rev() {
                    self.try_again(node);
                    self.ask(node);
                }
            }
            if self.random.happens(self.world.crashes) {
                let node = self.random.below(self.nodes.len() as u64) as usize;
                self.crash(node);
            }
        }
    }

    pub(super) fn named_requests(&self) -> u64 {
        self.named.iter().filter(|((meter, _), _)| *meter == Meter::RatePerHour).map(|(_, admitted)| admitted).sum()
    }

    #[track_caller]
    pub(super) fn check(&self, seed: u64) {
        let admitted = if self.world.skew <= 1000 { &self.admitted } else { &self.named };
        for ((meter, window), admitted) in admitted {
            if let Some(highest) = self.highest.get(&(*meter, *window)) {
                assert!(admitted <= highest, "seed {seed}, {:?}: {admitted} of {highest} of {meter:?} in {window}", self.world);
            }
        }
    }
}
