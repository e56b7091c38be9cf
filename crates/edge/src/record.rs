//! What is noted of a request: it is counted, and taken as a sample now and then.

use crate::{
    decisions::{Facts, Ground},
    denial::Denial,
    isolate::{Cache, Isolate},
    limits::charge::refund,
    node::State,
    sent::Said,
    target::Target,
    usage::{Cost, Seen},
};
use keyward_core::{Timestamp, find_credential};
use worker::web_sys;

impl State<Cache> {
    /// Notes a request that is refused.
    pub(crate) fn note_refused(&mut self, seen: Seen, denial: Denial, now: Timestamp, facts: impl FnOnce() -> Facts) {
        self.counters.refused(denial);
        self.keeper.usage.refused(seen, denial, now);
        if let Some(ground) = self.ground(seen, now) {
            self.keeper.decisions.refused(ground, denial, facts);
        }
    }

    /// Notes a request that goes on to the upstream, at this cost; [`note_answered`] takes the number.
    pub(crate) fn note_passed(&mut self, seen: Seen, (bytes_in, cost): (u64, Cost), now: Timestamp, facts: impl FnOnce() -> Facts) -> u32 {
        self.counters.passed += 1;
        let ticket = self.keeper.usage.passed(seen, (bytes_in, cost), now);
        if let Some(ground) = self.ground(seen, now) {
            self.keeper.decisions.passed(ground, (ticket, cost.cents), facts);
        }
        ticket
    }

    fn ground(&self, seen: Seen, at: Timestamp) -> Option<Ground> {
        let position = self.follower.replica().position().unwrap_or_default();
        seen.key.map(|key| Ground { key, policy: seen.policy, position, at })
    }
}

/// Notes what the upstream has answered: its status (0: nothing), the bytes of its body, and the cents that it says the request
/// has cost.
pub(crate) fn note_answered(isolate: &Isolate, ticket: u32, status: u16, (bytes, cost): (u64, Option<u64>), now: Timestamp) {
    let excess = isolate.with(|state| {
        state.keeper.decisions.answered(ticket, status, cost, now);
        state.keeper.usage.answered(ticket, status, (bytes, cost), now)
    });
    refund(isolate, excess, now);
}

/// What is kept of a request that went the long way, read anew: few are taken.
pub(crate) fn facts(isolate: &Isolate, request: &web_sys::Request, seen: &Seen) -> Facts {
    let (headers, method) = (request.headers(), request.method());
    let header = |name: &str| headers.get(name).ok().flatten();
    let (authorization, api_key) = (header("authorization"), header("x-api-key"));
    let credential = find_credential(authorization.as_deref(), api_key.as_deref()).ok().flatten().unwrap_or_default();
    // It has been parsed once.
    let target = Target::parse(&request.url()).or_else(|_| Target::parse("http://edge/"));
    let said = Said::read(&isolate.config, &headers);
    target.map(|target| said.of(&method, &target, credential).facts(&isolate.config, seen)).unwrap_or_default()
}
