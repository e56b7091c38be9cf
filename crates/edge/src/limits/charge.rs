//! Charging a request to its key's limits where its permits have to come first, and what goes on in the background.

use super::{
    answer::read,
    demand::Demand,
    fields::Field,
    permits::{Charged, Excess, Turn},
    shift::SETTLE_MS,
    teller::Errand,
    wire::Lent,
};
use crate::{
    decide::Passage,
    denial::Denial,
    isolate::Isolate,
    node::Background,
    source::{Source, fresh_id, now},
};
use futures_util::future::join_all;
use keyward_api::limits::LimitKind;
use keyward_core::{KeyId, Reason, Timestamp};
use std::{rc::Rc, time::Duration};
use worker::{Delay, console_error};

/// How long a request waits for permits at most, milliseconds.
const WAIT_MS: u64 = 1_000;
/// How often it looks whether there is news.
const TICK_MS: u64 = 2;
/// How long an object may take: less than a request waits, so that it learns of an object that gives no answer.
const ASK_MS: u64 = 900;
/// Bytes of an object's answer.
const MAX_REPLY: usize = 64 * 1024;

/// Charges a permitted request to its key's limits, where it has any, by what is here.
pub(crate) fn charge_at_once(isolate: &Isolate, passage: &Passage, demand: &Demand, now: Timestamp) -> Charged {
    let about = passage.limited();
    if demand.is_free(&about.limits) {
        return Charged::Passed { slot: None };
    }
    let mode = isolate.config.limit_outage.mode(passage.scope);
    isolate.with(|state| state.keeper.permits.charge(&about, demand, (mode, Turn::AtOnce), now))
}

/// What a request that passes is told of its key's limits.
pub(crate) fn limit_fields(isolate: &Isolate, passage: &Passage, now: Timestamp) -> Vec<Field> {
    let asked = isolate.config.limit_fields;
    if !asked.passed {
        return Vec::new();
    }
    isolate.with(|state| state.keeper.permits.fields(passage.key, None, asked.legacy, now))
}

/// What a request is told that a limit refuses.
pub(crate) fn refused_fields(isolate: &Isolate, key: KeyId, kind: LimitKind, now: Timestamp) -> Vec<Field> {
    isolate.with(|state| state.keeper.permits.fields(key, Some(kind), isolate.config.limit_fields.legacy, now))
}

/// Charges a request to all limits of its key, or to none; waits for permits where it has to. Says when, and
/// whether it was charged or passes uncounted.
///
/// # Errors
/// The limit that is reached; [`Reason::LimitUnavailable`] where the permits don't come.
pub(crate) async fn charge(
    isolate: &Rc<Isolate>,
    source: &Source,
    background: &impl Background,
    passage: &Passage,
    demand: &Demand,
) -> Result<(Timestamp, Charged), Denial> {
    let (about, mode) = (passage.limited(), isolate.config.limit_outage.mode(passage.scope));
    if demand.is_free(&about.limits) {
        return Ok((now(), Charged::Passed { slot: None }));
    }
    let began = now();
    let mut waited = false;
    loop {
        let now = now();
        let over = now.since(began) >= WAIT_MS;
        let turn = match (over, waited) {
            (true, _) => Turn::Last,
            (false, true) => Turn::Again,
            (false, false) => Turn::First,
        };
        let charged = isolate.with(|state| state.keeper.permits.charge(&about, demand, (mode, turn), now));
        let until = match charged {
            Charged::Passed { .. } => return Ok((now, charged)),
            Charged::Uncounted => {
                isolate.count(|counters| counters.uncounted += 1);
                return Ok((now, charged));
            }
            Charged::Denied(denial) => return Err(denial),
            Charged::Wait(until) => until,
        };
        if over {
            return Err(Reason::LimitUnavailable.into());
        }
        if !waited {
            waited = true;
            isolate.count(|counters| counters.limit_waits += 1);
        }
        let errand = isolate.with(|state| state.keeper.permits.errand(about.key, now, &mut || fresh_id(now)));
        if let Some(errand) = errand {
            background.run(run(isolate.clone(), source.clone(), about.key, errand));
        }
        wait_for_news(isolate, about.key, until, Timestamp::from_millis(began.millis() + WAIT_MS)).await;
    }
}

/// Waits until there is news of a key, or that moment has come; no longer than to the deadline.
async fn wait_for_news(isolate: &Isolate, key: KeyId, until: Option<Timestamp>, deadline: Timestamp) {
    let news = || isolate.with(|state| state.keeper.permits.news(key));
    let until = until.map_or(deadline, |until| until.min(deadline));
    let (before, began) = (news(), now());
    loop {
        Delay::from(Duration::from_millis(TICK_MS)).await;
        // Whoever was to bring the news may be cut off: then another asks again, after the holder's patience.
        if news() != before || now() >= until || now().since(began) >= SETTLE_MS {
            return;
        }
    }
}

/// Gives back what a request cost less than it was charged for: what `usage` has found out.
pub(crate) fn refund(isolate: &Isolate, excess: Option<Excess>, now: Timestamp) {
    if let Some(excess) = excess {
        isolate.with(|state| state.keeper.permits.refund(&excess, now, &mut || fresh_id(now)));
    }
}

/// Sees to it that permits are asked for before they run out, and that those go back that aren't used.
pub(crate) fn tend(isolate: &Rc<Isolate>, source: &Source, background: &impl Background) {
    let now = now();
    let (due, turn) = isolate.with(|state| {
        let permits = &mut state.keeper.permits;
        if !permits.is_due(now) {
            return (Vec::new(), None);
        }
        (permits.due(now, &mut || fresh_id(now)), permits.begin(now))
    });
    for (key, errand) in due {
        background.run(run(isolate.clone(), source.clone(), key, errand));
    }
    if let Some(turn) = turn {
        background.run(settle(isolate.clone(), source.clone(), turn));
    }
}

/// Gives back what isn't used, until nothing is left, or its time is over, or another loop takes its place. It may be cut
/// off at any await, without a word.
async fn settle(isolate: Rc<Isolate>, source: Source, turn: u32) {
    while isolate.with(|state| state.keeper.permits.shift.goes_on(turn, now())) {
        Delay::from(Duration::from_millis(SETTLE_MS)).await;
        let now = now();
        let Some(errands) = isolate.with(|state| state.keeper.permits.settle(now, &mut || fresh_id(now))) else { break };
        join_all(errands.into_iter().map(|(key, errand)| run(isolate.clone(), source.clone(), key, errand))).await;
    }
    isolate.with(|state| state.keeper.permits.shift.ends(turn));
}

/// Asks a key's object, and takes what it answers.
async fn run(isolate: Rc<Isolate>, source: Source, key: KeyId, errand: Errand) {
    let message = isolate.with(|state| {
        state.counters.permit_requests += 1;
        state.keeper.permits.message(key, &errand).and_then(|message| serde_json::to_string(&message).ok())
    });
    let Some(message) = message else { return };
    let reply = read::<Lent>(source.ask_limiter(&isolate.config, key, &message, MAX_REPLY, ASK_MS).await.ok());
    let news = isolate.with(|state| {
        state.counters.permit_failures += u64::from(reply.is_err());
        state.keeper.permits.answered(key, &errand, reply.as_ref().ok(), now());
        std::mem::replace(&mut state.keeper.permits.silent, reply.is_err()) != reply.is_err()
    });
    if let (Err(silence), true) = (reply, news) {
        console_error!("asked for permits, the object of {key} gives {silence}");
    }
}
