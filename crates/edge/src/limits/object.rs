//! The Durable Object of a key: it has blocks of permits from the origin, and lends small ones to isolates. Those are in memory
//! only: what is lost with it was deducted when it was given. Who has slots is written down (`ledger.rs`).
#![allow(missing_docs, reason = "the macro that exports the object writes methods without any")]

use super::{
    answer::read,
    ledger::Ledger,
    permits::Limited,
    shift::{SETTLE_MS, Shift},
    teller::{Errand, Teller},
    wire::{self, Lend, MAX_LEND_LEN},
};
use crate::{
    config::Config,
    isolate::shared_config,
    node::Background,
    source::{ask_origin_with, fresh_id, now},
};
use keyward_api::limits::{MAX_AMOUNT, MAX_PERMITS_LEN, PermitsFault, PermitsGranted, PermitsReply, PermitsTaken, SlotsGranted};
use keyward_core::{
    KeyId, Timestamp,
    limits::{Answered, EDGE_MS, Leases, Lent},
};
use std::{
    cell::{OnceCell, RefCell},
    rc::Rc,
    time::Duration,
};
use uuid::Uuid;
use worker::{Delay, DurableObject, Env, Method, Request, Response, ResponseBuilder, Result, State, console_error, durable_object};

/// How long an isolate is kept waiting for the origin, milliseconds.
const WAIT_MS: u64 = 700;
/// How often it is looked whether there is news.
const TICK_MS: u64 = 2;
/// How long the origin may take. Its answer counts whenever it comes; the question goes out again meanwhile, under its id.
const ASK_MS: u64 = 2_000;

/// A key's object.
#[durable_object(fetch)]
pub struct Limiter {
    state: State,
    config: Option<Rc<Config>>,
    desk: Rc<OnceCell<RefCell<Desk>>>,
}

impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

/// What an object holds once it knows of which key it is.
#[derive(Debug)]
struct Desk {
    /// With the newest limits that it has heard of.
    about: Limited,
    /// Names what this object remembers.
    life: Uuid,
    teller: Teller,
    /// What isolates were answered: an amount, and what was left.
    answered: Answered<(u64, u64)>,
    /// Who has slots, and where that is written down; opened when first asked about any.
    leases: Leases,
    ledger: Option<Ledger>,
    used: Timestamp,
    shift: Shift,
    /// Whether the clocks were found to differ.
    askew: bool,
    /// Whether the origin has said nothing when it was last asked.
    silent: bool,
}

impl DurableObject for Limiter {
    fn new(state: State, env: Env) -> Self {
        Self { state, config: shared_config(&env), desk: Rc::default() }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let Some(config) = &self.config else { return status(503) };
        if request.method() != Method::Post {
            return status(405);
        }
        let text = request.text().await?;
        let lend = Some(text).filter(|text| text.len() <= MAX_LEND_LEN).and_then(|text| serde_json::from_str::<Lend>(&text).ok());
        let Some(lend) = lend else { return status(400) };
        let new = || {
            let (about, teller) = (lend.about(), Teller::new(&lend.limits, now()));
            RefCell::new(Desk {
                about,
                life: fresh_id(now()),
                teller,
                answered: Answered::default(),
                leases: Leases::default(),
                ledger: None,
                used: now(),
                shift: Shift::default(),
                askew: false,
                silent: false,
            })
        };
        if !self.desk.get_or_init(new).borrow_mut().learn(&lend) {
            return status(409);
        }
        if !lend.permits.slots.is_empty() {
            self.open()?;
        }
        self.answer(config, &lend).await
    }
}

impl Limiter {
    /// Sees to it that what was written down is known.
    fn open(&self) -> Result<()> {
        let Some(mut desk) = self.desk.get().map(RefCell::borrow_mut).filter(|desk| desk.ledger.is_none()) else { return Ok(()) };
        let (ledger, slots, leases) = Ledger::open(&self.state, || fresh_id(now()))?;
        (desk.ledger, desk.teller.slots, desk.leases) = (Some(ledger), Some(slots), leases);
        Ok(())
    }

    /// Answers an isolate; waits for permits where it has to, and says 503 where they don't come. Then nothing is known, and
    /// the isolate sends the same again.
    async fn answer(&self, config: &Rc<Config>, lend: &Lend) -> Result<Response> {
        let began = now();
        let mut patience = true;
        loop {
            let Some(desk) = self.desk.get() else { return status(503) };
            let now = now();
            let (reply, news) = {
                let mut desk = desk.borrow_mut();
                let permits = desk.serve(lend, patience, now);
                desk.write(now)?;
                (permits.map(|permits| wire::Lent { life: desk.life, permits }), desk.teller.news())
            };
            self.tend(config, !lend.permits.wanted.is_empty(), now);
            if let Some(reply) = reply {
                let text = serde_json::to_vec(&reply)?;
                return Ok(ResponseBuilder::new().with_header("content-type", "application/json")?.fixed(text));
            }
            if !patience {
                return status(503);
            }
            while patience && desk.borrow().teller.news() == news {
                patience = crate::source::now().since(began) < WAIT_MS && !desk.borrow().teller.is_outage(now);
                Delay::from(Duration::from_millis(TICK_MS)).await;
            }
            patience &= !desk.borrow().teller.is_failing();
        }
    }

    /// Sees to it that the origin is asked, and that what isn't used goes back.
    fn tend(&self, config: &Rc<Config>, ask: bool, now: Timestamp) {
        let Some(desk) = self.desk.get() else { return };
        let (key, errand, shift) = {
            let mut desk = desk.borrow_mut();
            let errand = desk.errand(config, now, ask);
            let shift = desk.shift.is_open(now).then(|| desk.shift.begin(now));
            (desk.about.key, errand, shift)
        };
        if let Some(errand) = errand {
            self.state.run(run(self.desk.clone(), config.clone(), key, errand));
        }
        if let Some(shift) = shift {
            self.state.run(settle(self.desk.clone(), config.clone(), shift));
        }
    }
}

impl Lend {
    fn about(&self) -> Limited {
        let &Self { key, limits, position, .. } = self;
        Limited { key, limits, position }
    }
}

impl Desk {
    /// Takes over limits that are newer than those known; `false` where it is another key's.
    fn learn(&mut self, lend: &Lend) -> bool {
        let permits = &lend.permits;
        let mut keys = permits.wanted.iter().map(|entry| entry.key).chain(permits.returned.iter().map(|entry| entry.key));
        if permits.slots.iter().any(|entry| entry.key != lend.key) || lend.key != self.about.key || keys.any(|key| key != lend.key) {
            return false;
        }
        if lend.position >= self.about.position {
            self.about = lend.about();
        }
        true
    }

    /// What is to be sent to the origin.
    fn errand(&mut self, config: &Config, now: Timestamp, ask: bool) -> Option<Errand> {
        if let Some(slots) = &mut self.teller.slots {
            slots.uses(self.leases.total(now));
        }
        self.teller.errand(&config.object_pace, now, ask, &mut || fresh_id(now))
    }

    /// Writes down how it stands with the slots.
    fn write(&mut self, now: Timestamp) -> Result<()> {
        match (&mut self.ledger, &self.teller.slots) {
            (Some(ledger), Some(slots)) => ledger.write(slots, &self.leases, now),
            _ => Ok(()),
        }
    }

    /// The answer to an isolate, with everything in its order; `None` where permits have to come first. Without patience slots are
    /// renewed as far as there are any: what is under way goes on.
    fn serve(&mut self, lend: &Lend, patience: bool, now: Timestamp) -> Option<PermitsReply> {
        let Self { about, life, teller, answered, leases, used, .. } = self;
        *used = now;
        let holder = &mut teller.holder;
        let mut reply = PermitsReply { now_ms: now.millis(), ..PermitsReply::default() };
        for entry in &lend.permits.returned {
            let done = answered.once(entry.id, now, || {
                // What another life took back may be at the origin by now.
                if lend.life == Some(*life) {
                    holder.reclaim(entry.meter, entry.window, entry.amount);
                }
                (0, 0)
            });
            reply.taken.push(PermitsTaken { id: entry.id, fault: done.is_none().then_some(PermitsFault::IdRefused) });
        }
        let mut short = false;
        for entry in &lend.permits.wanted {
            let mut waits = false;
            let granted = answered.once(entry.id, now, || {
                match holder.lend(&about.limits, entry.meter, entry.window, (entry.least, entry.wanted), now) {
                    Lent::Granted { amount, left } => (amount, left),
                    Lent::Short => {
                        waits = true;
                        (0, 0)
                    }
                }
            });
            if waits {
                answered.forget(entry.id);
                short = true;
            }
            let (amount, left) = granted.unwrap_or_default();
            let fault = granted.is_none().then_some(PermitsFault::IdRefused);
            reply.granted.push(PermitsGranted { id: entry.id, amount, left: Some(left), fault });
        }
        let limit = about.limits.concurrent.unwrap_or(MAX_AMOUNT);
        for entry in &lend.permits.slots {
            let Some(slots) = &mut teller.slots else { return None };
            short |= leases.lacks(slots, limit, &entry.renewal(), now) && patience;
        }
        // A renewal is done once: not before all is there that comes with it.
        for entry in lend.permits.slots.iter().filter(|_| !short) {
            let Some(slots) = &mut teller.slots else { return None };
            let leased = leases.sublet(slots, limit, &entry.renewal(), now);
            let fault = match leased {
                None => Some(PermitsFault::HolderRefused),
                Some(leased) => (!patience && leased.target < entry.wanted).then_some(PermitsFault::Unavailable),
            };
            reply.slots.push(SlotsGranted::of(entry, leased.unwrap_or_default(), fault));
        }
        (!short).then_some(reply)
    }
}

/// Asks the origin, and takes what it answers.
async fn run(desk: Rc<OnceCell<RefCell<Desk>>>, config: Rc<Config>, key: KeyId, errand: Errand) {
    let Ok(body) = serde_json::to_string(&errand.request(key)) else { return };
    let answer = ask_origin_with(config, "/edge/v1/permits", body, MAX_PERMITS_LEN, ASK_MS).await.ok();
    let reply = read::<PermitsReply>(answer);
    let Some(desk) = desk.get() else { return };
    let (mut desk, now) = (desk.borrow_mut(), now());
    if let Err(silence) = reply
        && !desk.silent
    {
        console_error!("asked for permits, the origin gives {silence}");
    }
    desk.silent = reply.is_err();
    let reply = reply.ok();
    let off = reply.as_ref().is_some_and(|reply| reply.now_ms.abs_diff(now.millis()) > EDGE_MS);
    if off && !desk.askew {
        console_error!("this clock and the origin's are more than a second apart: near the edges of their windows limits may be exceeded");
    }
    desk.askew = off;
    desk.teller.answered(&errand, reply.as_ref(), now);
    if let Err(error) = desk.write(now) {
        console_error!("can't write down who has slots: {error}");
    }
}

/// Gives back what isn't used, until nothing is left, or its time is over, or another loop takes its place.
async fn settle(desk: Rc<OnceCell<RefCell<Desk>>>, config: Rc<Config>, shift: u32) {
    let Some(cell) = desk.get() else { return };
    while cell.borrow_mut().shift.goes_on(shift, now()) {
        Delay::from(Duration::from_millis(SETTLE_MS)).await;
        let now = now();
        let (key, errand, busy) = {
            let mut desk = cell.borrow_mut();
            let errand = desk.errand(&config, now, false);
            (desk.about.key, errand, desk.teller.is_busy(&config.object_pace, desk.used, now))
        };
        if let Some(errand) = errand {
            run(desk.clone(), config.clone(), key, errand).await;
        } else if !busy {
            break;
        }
    }
    cell.borrow_mut().shift.ends(shift);
}

fn status(code: u16) -> Result<Response> {
    Ok(ResponseBuilder::new().with_status(code).empty())
}
