//! The short way of a request, for what can be decided at once: nearly all of them, once an isolate is warm.
//!
//! A call between JavaScript and WebAssembly is cheap where it passes numbers, and dear where it passes strings or
//! objects: those have to be copied, and tracked. So the entry (`js/gate.js`) writes the few facts that a decision
//! needs into a buffer here, makes one call, and reads from the same buffer what to send on. Whatever is out of the
//! ordinary (a wait, an odd credential, a token) it hands to [`crate::isolate::handle`], which can do everything.
//!
//! The buffer holds lines of ASCII. No line break can come in from outside: neither a method nor a URL nor a header's value
//! can hold one. What are numbers stand beside it, and what was told of a key before isn't told again: reading texts is most of
//! what the short way costs (decision 0098).

use crate::{
    decide::Passage,
    denial::Denial,
    headers,
    isolate::{AtOnce, Isolate, Ticket, current, decide_at_once, tend, upstream_failed},
    limits::fields::Field,
    record::note_answered,
    refuse::{denied, problem},
    sent::Sent,
    source::{Place, Source},
    target::Target,
};
use keyward_api::Code;
use keyward_core::{KeyId, PolicyNumber, Position, Reason, ScopeClass, TenantId, Timestamp};
use serde::Serialize;
use std::{cell::RefCell, fmt, io::Write, rc::Rc, sync::Arc};
use worker::{Context, Env, js_sys, wasm_bindgen, wasm_bindgen::prelude::wasm_bindgen, web_sys};

/// Bytes of the buffer. A request whose facts don't fit goes the long way.
const CAPACITY: usize = 16 * 1024;
/// Bytes of it that a permitted request's constraints, and its path and query where they are written, may take together: what else is
/// written is far shorter than the rest. It is looked at before the request is charged, since on the long way it is charged as well.
const MOST_TEXT: usize = CAPACITY - 4 * 1024;

/// It can't be decided at once: go the long way.
const LONG_WAY: u32 = 0;
/// The buffer isn't the one that was opened: this instance has taken the place of another.
const REOPEN: u32 = 1;
/// It may pass; above these bits stands the length of what is in the buffer.
const PASS: u32 = 2;
/// A limit refuses it; above these bits stands the length of what is in the buffer.
const LIMIT: u32 = 4;
/// It is refused; above these bits stands why.
const REFUSE: u32 = 3;
/// Beside [`PASS`]: the path and query are the URL's own, as they were sent.
const AS_SENT: u32 = 8;
/// Beside [`PASS`]: the entry has been told the values of the identity headers.
const TOLD: u32 = 16;
/// Beside [`PASS`]: the request has a slot until its answer is made.
const HOLDS: u32 = 32;
/// Beside [`PASS`]: the answer may tell what the request has cost.
const COSTS: u32 = 64;
/// Beside one of them: there is something to see to in the background ([`see_to_it`]).
const DUE: u32 = 128;
/// The bits of these codes.
const CODE_BITS: u32 = 8;

/// So many identities the entry remembers, each at its place.
const PLACES: usize = 1024;

/// What is told as numbers of a request that may pass: where its path begins in its URL, the place of its identity, the number under
/// which its answer is to be told, its slot where it has one, and the state that was decided on: epoch, sequence number, age.
const NUMBERS: usize = 7;

#[derive(Default)]
struct Gate {
    /// The number under which the entry opened it; 0: it hasn't.
    opened: u32,
    buffer: Vec<u8>,
    numbers: [f64; NUMBERS],
    /// What the entry was told at each place.
    told: Vec<Option<Identity>>,
}

/// As whom a request passes; what the upstream is told of that is the same whenever this is.
#[derive(PartialEq, Eq)]
struct Identity {
    key: KeyId,
    tenant: TenantId,
    scope: ScopeClass,
    policy: PolicyNumber,
    constraints: Arc<str>,
}

impl Identity {
    fn of(passage: &Passage) -> Self {
        let Passage { key, tenant, scope, policy, ref constraints, .. } = *passage;
        Self { key, tenant, scope, policy, constraints: constraints.clone() }
    }

    /// Where it stands. The end of a key's id is random.
    fn place(&self) -> usize {
        self.key.0.as_u128() as usize % PLACES
    }
}

thread_local! {
    static GATE: RefCell<Gate> = RefCell::default();
}

/// What the entry has to know of the configuration and of the buffer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opened<'a> {
    address: usize,
    capacity: usize,
    numbers: usize,
    /// The header with the caller's address.
    client_ip: &'a str,
    /// The header that tells of TLS.
    tls: Option<&'a str>,
    /// The header that declares tokens.
    tokens: Option<&'a str>,
    upstream: &'a str,
    /// The number of the denial of a request that has lost its slot.
    lost: usize,
    /// The names of the identity headers, in the order of their values in the buffer.
    identity: [&'static str; headers::IDENTITY.len()],
    /// The name of the header that says on what state it was decided.
    decision: &'static str,
}

/// Opens the gate under a number of the entry's that it has never used before; `undefined` as long as there is no
/// isolate, which only the long way makes.
#[wasm_bindgen(js_name = gateOpen)]
pub fn open(number: u32) -> Option<String> {
    let isolate = current()?;
    let (address, numbers) = GATE.with_borrow_mut(|gate| {
        gate.opened = number;
        gate.buffer.resize(CAPACITY, 0);
        gate.told.clear();
        gate.told.resize_with(PLACES, || None);
        (gate.buffer.as_ptr() as usize, gate.numbers.as_ptr() as usize)
    });
    let config = &isolate.config;
    let opened = Opened {
        address,
        capacity: CAPACITY,
        numbers,
        client_ip: &config.client_ip_header,
        tls: config.tls.header(),
        tokens: config.tokens_header.as_deref(),
        upstream: &config.upstream,
        lost: Denial::Reason(Reason::LimitUnavailable).number(),
        identity: headers::IDENTITY,
        decision: headers::DECISION,
    };
    serde_json::to_string(&opened).ok()
}

/// The memory that the buffer is in.
#[wasm_bindgen(js_name = gateMemory)]
pub fn memory() -> js_sys::Object {
    wasm_bindgen::memory().into()
}

/// Decides on the request whose facts are the first `len` bytes of the buffer, a line each: method, URL, credential,
/// address, origin, TLS header, tokens; the last four are empty where there is none.
#[wasm_bindgen(js_name = gateDecide)]
pub fn decide(number: u32, len: u32, now: f64) -> u32 {
    GATE.with_borrow_mut(|gate| {
        if gate.opened != number || number == 0 {
            return REOPEN;
        }
        let facts = gate.buffer.get(..len as usize).filter(|facts| facts.is_ascii());
        let Some(facts) = facts.and_then(|facts| std::str::from_utf8(facts).ok()) else { return LONG_WAY };
        let Some(decided) = decide_on(facts, Timestamp::from_millis(now as u64)) else { return LONG_WAY };
        let (code, rest) = match &decided.decision {
            AtOnce::Refuse(denial, fields) if fields.is_empty() => (REFUSE, Some(denial.number())),
            AtOnce::Refuse(denial, fields) => (LIMIT, write_limit(&mut gate.buffer, *denial, fields)),
            AtOnce::Pass(passage, ticket, fields) => gate.write(&decided, passage, ticket, fields),
        };
        rest.map_or(LONG_WAY, |rest| (rest as u32) << CODE_BITS | code | if decided.due { DUE } else { 0 })
    })
}

/// What was decided on a request.
struct Decided {
    target: Target,
    /// Where path and query begin in the URL, where they are sent on as they came.
    as_sent: Option<usize>,
    decision: AtOnce,
    /// Whether there is something to see to in the background.
    due: bool,
}

fn decide_on(facts: &str, now: Timestamp) -> Option<Decided> {
    let mut lines = facts.split('\n');
    let mut line = || lines.next();
    let (method, url, key) = (line()?, line()?, line()?);
    let [address, origin, tls, tokens] = [line()?, line()?, line()?, line()?].map(|text| Some(text).filter(|text| !text.is_empty()));
    if lines.next().is_some() {
        return None;
    }
    // Another character is a token's, a list's, or junk of a rarer kind.
    if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return None;
    }
    let target = Target::parse(url).ok().filter(|target| !target.is_own())?;
    let before = url.strip_suffix(target.query.as_str()).and_then(|url| url.strip_suffix(target.path.as_str()));
    let written = if before.is_some() { 0 } else { target.path.as_str().len() + target.query.len() };
    let fits = |passage: &Passage| written + passage.constraints.len() <= MOST_TEXT;
    let sent = Sent { method, target: &target, credential: key, address, origin, tls, tokens };
    let (decision, due) = decide_at_once(&sent, now, fits)?;
    Some(Decided { as_sent: before.map(str::len), target, decision, due })
}

impl Gate {
    /// Writes what the upstream is sent: the path and query, unless they are sent on as they came; the values of the identity headers,
    /// unless they have been told; and the names and values of headers for the client. Numbers stand apart.
    fn write(&mut self, decided: &Decided, passage: &Passage, ticket: &Ticket, fields: &[Field]) -> (u32, Option<usize>) {
        let identity = Identity::of(passage);
        let place = identity.place();
        let known = self.told.get(place).is_some_and(|told| told.as_ref() == Some(&identity));
        let mut lines = Lines::over(&mut self.buffer);
        if decided.as_sent.is_none() {
            lines.add(format_args!("{}{}", decided.target.path.as_str(), decided.target.query));
        }
        if !known {
            headers::identity(passage, |value| lines.add(value));
        }
        lines.add_fields(fields);
        let len = lines.len();
        if let (false, Some(_), Some(told)) = (known, len, self.told.get_mut(place)) {
            *told = Some(identity);
        }
        let (Position { epoch, seq }, slot) = (passage.position, ticket.slot.unwrap_or(0));
        let begins = decided.as_sent.unwrap_or(0) as f64;
        self.numbers = [begins, place as f64, ticket.number.into(), slot as f64, epoch as f64, seq as f64, passage.age_ms as f64];
        let flags = [(decided.as_sent.is_some(), AS_SENT), (known, TOLD), (ticket.costs, COSTS), (ticket.slot.is_some(), HOLDS)];
        (flags.iter().fold(PASS, |code, (is, flag)| if *is { code | flag } else { code }), len)
    }
}

/// Writes the number of a denial, and the names and values of the headers that it has beside its own.
fn write_limit(buffer: &mut [u8], denial: Denial, fields: &[Field]) -> Option<usize> {
    let mut lines = Lines::over(buffer);
    lines.add(format_args!("{}", denial.number()));
    lines.add_fields(fields);
    lines.len()
}

/// Lines in the buffer, each with its end.
struct Lines<'a> {
    capacity: usize,
    rest: &'a mut [u8],
    fits: bool,
}

impl<'a> Lines<'a> {
    fn over(buffer: &'a mut [u8]) -> Self {
        Self { capacity: buffer.len(), rest: buffer, fits: true }
    }

    fn add(&mut self, line: fmt::Arguments<'_>) {
        self.fits &= writeln!(self.rest, "{line}").is_ok();
    }

    fn add_fields(&mut self, fields: &[Field]) {
        for (name, value) in fields {
            self.add(format_args!("{name}\n{value}"));
        }
    }

    /// How long they are; `None` where they don't fit.
    fn len(&self) -> Option<usize> {
        self.fits.then_some(self.capacity - self.rest.len())
    }
}

/// The answer to a denial, by its number: `{"status", "headers": [[name, value]], "body"}`.
#[wasm_bindgen(js_name = gateRefusal)]
pub fn refusal_of(number: u32) -> Option<String> {
    serde_json::to_string(&denied(Denial::from_number(number as usize)?)).ok()
}

/// Whether a header of this name (lower case) is kept from the upstream.
#[wasm_bindgen(js_name = gateStrips)]
pub fn strips(name: &str) -> bool {
    headers::is_stripped(name)
}

/// Counts the upstream's answer: its status, the length of its body, and what it has cost, or no number. Says whether there is something to see to.
#[wasm_bindgen(js_name = gateAnswered)]
pub fn answered(number: u32, ticket: u32, status: u32, bytes: f64, cost: f64, now: f64) -> bool {
    let isolate = opened_under(number);
    let (status, now) = (status.try_into().unwrap_or(0), Timestamp::from_millis(now as u64));
    isolate.is_some_and(|isolate| {
        // What is no number of bytes is none; what is none of cents tells nothing.
        let cost = (cost >= 0.0).then_some(cost as u64);
        note_answered(&isolate, ticket, status, (bytes as u64, cost), now);
        isolate.with(|state| state.keeper.usage.is_due(now) || state.keeper.permits.is_due(now))
    })
}

/// The answer where the upstream gave none.
#[wasm_bindgen(js_name = gateFailed)]
pub fn failed(number: u32, ticket: u32, fault: &str) -> Result<web_sys::Response, worker::wasm_bindgen::JsValue> {
    let isolate = opened_under(number);
    isolate.map_or_else(|| problem(Code::UpstreamUnavailable), |isolate| upstream_failed(&isolate, ticket, fault)).into_response()
}

/// The isolate, where the gate was opened under this number: a ticket of another instance's may be of another request here.
fn opened_under(number: u32) -> Option<Rc<Isolate>> {
    GATE.with_borrow(|gate| gate.opened == number).then(current).flatten()
}

/// Sees in the background of a request to what is due.
#[wasm_bindgen(js_name = gateTend)]
pub fn see_to_it(env: Env, context: worker::worker_sys::Context) {
    if let Some(isolate) = current() {
        tend(&isolate, &Source::new(env, Place::Isolate), &Context::new(context));
    }
}
