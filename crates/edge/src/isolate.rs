//! An isolate: its state, and the way of a request through it.

use crate::{
    config::{Config, ConfigError},
    decide::{Held, Outcome, Passage, Presented},
    decisions::Decisions,
    denial::Denial,
    flight::{FETCH_MS, Miss, What},
    follow::{Listener, Object},
    forward, headers,
    hold::Hold,
    limits::{
        charge::{self, charge, charge_at_once, limit_fields, refused_fields},
        demand::Demand,
        fields::Field,
        permits::{Charged, Permits},
    },
    node::{Background, Keeper, Node, Pace, State},
    own,
    record::{self, note_answered},
    refuse::{Answer, denied, problem, refusal},
    report,
    sent::{Said, Sent},
    source::{Place, Source, fresh_id, now},
    target::Target,
    usage::{Cost, Seen, Tally},
};
use keyward_api::Code;
use keyward_core::{
    Accelerator, Digest, Missing, PolicyCache, PolicyNumber, Position, Reason, Refusal, StatusIndex, Statuses, Timestamp, WarmKeys,
    bounds::{DEFAULT_POLICY_BUDGET, DEFAULT_POLICY_BYTES, MAX_AMENDMENT_PAGE_LEN, MAX_ISSUED_LEN, MAX_POLICY_LEN, MAX_STATUS_LIST_LEN},
    find_credential,
};
use std::{cell::OnceCell, rc::Rc};
use worker::{Env, console_error, web_sys};

/// How often a request may find something missing: a shard, a page, a policy, each perhaps of a newer state.
const MAX_FETCHES: usize = 6;
/// From so many on it says nothing: js/gate.js reads twelve digits.
const COST_BOUND: u64 = 1_000_000_000_000;
/// Bytes of a part of either kind.
const MAX_PART_LEN: usize = if MAX_STATUS_LIST_LEN > MAX_AMENDMENT_PAGE_LEN { MAX_STATUS_LIST_LEN } else { MAX_AMENDMENT_PAGE_LEN };

/// What an isolate keeps beside the state.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) policies: PolicyCache,
    /// Its tables are a key's own, whatever a manifest says of the key: they outlive every change of keys.
    pub(crate) signatures: Accelerator,
    pub(crate) warm: WarmKeys,
    pub(crate) usage: Tally,
    pub(crate) decisions: Decisions,
    pub(crate) permits: Permits,
}

impl Listener for Cache {
    fn keys(&mut self, _: &str) {
        // A policy counts by the key that signed it.
        self.policies.clear();
        self.warm.clear();
    }
    fn snapshot(&mut self, _: &str, _: Position) {}
    fn delta(&mut self, _: &str, _: Position, _: Position) {}
    fn heartbeat(&mut self, _: &str) {}
}

impl Keeper for Cache {}

/// The state of this isolate.
pub(crate) type Isolate = Node<Cache>;

thread_local! {
    static ISOLATE: OnceCell<Result<Rc<Isolate>, ConfigError>> = const { OnceCell::new() };
}

/// This isolate, made at its first request. A configuration that can't be read stays so until the next deployment.
fn isolate(env: &Env) -> Result<Rc<Isolate>, ConfigError> {
    ISOLATE.with(|isolate| {
        isolate
            .get_or_init(|| {
                let config = read_config(env).inspect_err(|error| console_error!("the edge refuses all requests: {error}"))?;
                let permits = Permits::new(config.isolate_pace, fresh_id(now()));
                let cache = Cache {
                    policies: PolicyCache::new(DEFAULT_POLICY_BUDGET, DEFAULT_POLICY_BYTES),
                    signatures: Accelerator::default(),
                    warm: WarmKeys::default(),
                    usage: Tally::default(),
                    decisions: Decisions::default(),
                    permits,
                };
                Ok(Rc::new(Node::new(Rc::new(config), Pace::ISOLATE, cache)))
            })
            .clone()
    })
}

/// The configuration, read once for an isolate and all objects in it; `None`, with a line in the log, where it can't be read.
pub(crate) fn shared_config(env: &Env) -> Option<Rc<Config>> {
    isolate(env).ok().map(|isolate| isolate.config.clone())
}

/// This isolate, if it has been made and is configured.
pub(crate) fn current() -> Option<Rc<Isolate>> {
    ISOLATE.with(|isolate| isolate.get()?.as_ref().ok().cloned())
}

/// The configuration from the bindings.
pub(crate) fn read_config(env: &Env) -> Result<Config, ConfigError> {
    Config::read(|name| env.var(name).ok().map(|value| value.to_string()))
}

/// Answers a request.
pub(crate) async fn handle(request: web_sys::Request, env: Env, context: &impl Background) -> Result<web_sys::Response, Answer> {
    let isolate = isolate(&env).map_err(|_| problem(Code::Misconfigured))?;
    let source = Source::new(env, Place::Isolate);
    let target = Target::parse(&request.url());
    if let Ok(target) = &target
        && target.is_own()
    {
        return Err(own::answer(&isolate, &source, context, target.path.as_str(), &request.headers()).await);
    }
    let mut seen = Seen::default();
    let answer = match admit(&isolate, &source, context, &request, target, &mut seen).await {
        Ok(Admitted { passage, target, cost, at, slot }) => {
            let hold = slot.map(|slot| Hold::of(slot, &request));
            let sent = length(&request.method(), &request.headers());
            let facts = || record::facts(&isolate, &request, &seen);
            let ticket = isolate.with(|state| state.note_passed(seen, (sent, cost), at, facts));
            let fields = limit_fields(&isolate, &passage, now());
            let count = |answer: &web_sys::Response| answered(&isolate, ticket, &request, answer);
            let answer = forward::send(&isolate.config, &request, &target, &passage, (&fields, hold.as_ref()), count).await;
            answer.map_err(|fault| match &hold {
                Some(hold) if hold.is_lost() => refusal(Reason::LimitUnavailable),
                // Whoever has gone isn't told, and what became of the request isn't known.
                Some(hold) if hold.is_left() => Answer { status: 499, headers: Vec::new(), body: String::new() },
                _ => upstream_failed(&isolate, ticket, &fault),
            })
        }
        Err(denial) => {
            isolate.with(|state| state.note_refused(seen, denial, now(), || record::facts(&isolate, &request, &seen)));
            let mut answer = denied(denial);
            if let (Denial::Limit(kind), Some(key)) = (denial, seen.key) {
                answer.headers.extend(refused_fields(&isolate, key, kind, now()));
            }
            Err(answer)
        }
    };
    tend(&isolate, &source, context);
    answer
}

/// What goes on after a request: handing on what was counted, and seeing to the permits.
pub(crate) fn tend(isolate: &Rc<Isolate>, source: &Source, background: &impl Background) {
    report::tend(isolate, source, background);
    charge::tend(isolate, source, background);
}

/// Counts what the upstream has answered.
fn answered(isolate: &Isolate, ticket: u32, request: &web_sys::Request, answer: &web_sys::Response) {
    let told = answer.headers();
    let bytes = length(&request.method(), &told);
    let cents = number(&told, headers::COST).filter(|cents| *cents < COST_BOUND);
    note_answered(isolate, ticket, answer.status(), (bytes, cents), now());
}

/// The length of a body, where it is declared. Of HEAD and its answer, it is that of what isn't sent.
fn length(method: &str, headers: &web_sys::Headers) -> u64 {
    if method == "HEAD" { 0 } else { number(headers, "content-length").unwrap_or(0) }
}

fn number(headers: &web_sys::Headers, name: &str) -> Option<u64> {
    let text = headers.get(name).ok().flatten().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
}

/// What to answer where the upstream gave no answer.
pub(crate) fn upstream_failed(isolate: &Isolate, ticket: u32, fault: &str) -> Answer {
    isolate.count(|counters| counters.upstream_failures += 1);
    // What it has cost is unknown: the charge stays.
    note_answered(isolate, ticket, 0, (0, None), now());
    console_error!("the upstream gave no answer: {fault}");
    problem(Code::UpstreamUnavailable)
}

/// What an isolate holds to decide by.
pub(crate) fn held(state: &State<Cache>) -> Held<'_> {
    let Cache { policies, signatures, warm, .. } = &state.keeper;
    Held { follower: &state.follower, policies, signatures, warm, proven: state.pulse.proven() }
}

/// How a request is told of again, once it is answered.
pub(crate) struct Ticket {
    /// Its number.
    pub(crate) number: u32,
    /// Whether the answer may tell its cost.
    pub(crate) costs: bool,
    /// The slot that it has until its answer's end.
    pub(crate) slot: Option<u64>,
}

/// A decision that was made at once.
pub(crate) enum AtOnce {
    /// It may pass; its answer is to be told under this number, and the client these.
    Pass(Box<Passage>, Ticket, Vec<Field>),
    /// It may not, and the client is told these.
    Refuse(Denial, Vec<Field>),
}

/// Decides on a request at once, and counts it; `None` where that takes a wait, of whatever kind, or where it may pass and what there is
/// to say of that doesn't fit: then it hasn't been charged. For a request with a credential and a path that are in order, and without a body.
///
/// Beside it says whether something has to be seen to in the background ([`tend`]).
pub(crate) fn decide_at_once(sent: &Sent<'_>, now: Timestamp, fits: impl FnOnce(&Passage) -> bool) -> Option<(AtOnce, bool)> {
    let isolate = current()?;
    if !isolate.is_steady(now) {
        return None;
    }
    let seen = sent.seen(&isolate.config);
    let demand = sent.demand(&isolate.config, &seen);
    let config = &isolate.config;
    let (denial, seen) = match sent.decide(&isolate, &seen, now) {
        Outcome::Fetch(_) => return None,
        Outcome::Refuse(reason, key, policy) => (reason.into(), Seen { key, policy, ..seen }),
        Outcome::Pass(passage) if !fits(&passage) => return None,
        Outcome::Pass(passage) => match charge_at_once(&isolate, &passage, &demand, now) {
            Charged::Wait(_) => return None,
            Charged::Denied(denial) => (denial, seen.by(&passage)),
            charged => {
                let seen = seen.by(&passage);
                let (ticket, due) = isolate.with(|state| {
                    let cost = cost(state, &passage, &demand, charged);
                    state.counters.at_once += 1;
                    state.counters.uncounted += u64::from(charged == Charged::Uncounted);
                    let ticket = state.note_passed(seen, (0, cost), now, || sent.facts(config, &seen));
                    (ticket, state.keeper.permits.is_due(now))
                });
                let fields = limit_fields(&isolate, &passage, now);
                let slot = if let Charged::Passed { slot } = charged { slot } else { None };
                return Some((AtOnce::Pass(passage, Ticket { number: ticket, costs: demand.charge.cents > 0, slot }, fields), due));
            }
        },
    };
    let due = isolate.with(|state| {
        state.counters.at_once += 1;
        state.note_refused(seen, denial, now, || sent.facts(config, &seen));
        state.keeper.usage.is_due(now) || state.keeper.permits.is_due(now)
    });
    let fields = match (denial, seen.key) {
        (Denial::Limit(kind), Some(key)) => refused_fields(&isolate, key, kind, now),
        _ => Vec::new(),
    };
    Some((AtOnce::Refuse(denial, fields), due))
}

/// A request that may pass.
struct Admitted {
    passage: Passage,
    target: Target,
    cost: Cost,
    /// When it was charged.
    at: Timestamp,
    /// Its slot, where its key has few of them.
    slot: Option<u64>,
}

/// What a request may cost that was charged so.
fn cost(state: &State<Cache>, passage: &Passage, demand: &Demand, charged: Charged) -> Cost {
    let taken = matches!(charged, Charged::Passed { .. }) && demand.charge.cents > 0 && passage.limits.cost_cents.is_some();
    let lender = || state.keeper.permits.lender(passage.key);
    Cost { cents: demand.charge.cents, lender: taken.then(lender).flatten() }
}

/// Decides on a request, and says what of it is counted: what can be refused without any state first, then the state, then the key.
async fn admit(
    isolate: &Rc<Isolate>,
    source: &Source,
    context: &impl Background,
    request: &web_sys::Request,
    target: Result<Target, Reason>,
    seen: &mut Seen,
) -> Result<Admitted, Denial> {
    let headers = request.headers();
    let header = |name: &str| headers.get(name).ok().flatten();
    let (authorization, api_key) = (header("authorization"), header("x-api-key"));
    let credential = find_credential(authorization.as_deref(), api_key.as_deref())?.ok_or(Reason::CredentialMissing)?;
    let target = target?;
    let presented = Presented::parse(credential)?;

    isolate.freshen(source, context).await;

    let (method, said) = (request.method(), Said::read(&isolate.config, &headers));
    let sent = said.of(&method, &target, credential);
    *seen = sent.seen(&isolate.config);
    for _ in 0..MAX_FETCHES {
        let now = now();
        let missing = match sent.decide(isolate, seen, now) {
            Outcome::Pass(passage) => {
                *seen = seen.by(&passage);
                let demand = sent.demand(&isolate.config, seen);
                let (at, charged) = charge(isolate, source, context, &passage, &demand).await?;
                let cost = isolate.with(|state| cost(state, &passage, &demand, charged));
                let slot = if let Charged::Passed { slot } = charged { slot } else { None };
                return Ok(Admitted { passage: *passage, target, cost, at, slot });
            }
            Outcome::Refuse(reason, key, policy) => {
                (seen.key, seen.policy) = (key, policy);
                return Err(reason.into());
            }
            Outcome::Fetch(missing) => missing,
        };
        // What can't be found in the state can't be fetched for a credential that isn't proved to stand in it.
        let index = isolate.with(|state| held(state).index(&isolate.config, &presented, now));
        let index = index.ok_or_else(|| Refusal::Undecided(missing).reason())?;
        supply(isolate, source, context, missing, index).await.map_err(|miss| match (missing, miss) {
            // The origin has said no, which is an answer.
            (Missing::Issued(..), Miss::Absent) => Reason::NotIssued,
            _ => Refusal::Undecided(missing).reason(),
        })?;
    }
    Err(Reason::StateUnavailable.into())
}

/// Fetches what a decision on the key at `index` was found to lack.
async fn supply(
    isolate: &Rc<Isolate>,
    source: &Source,
    context: &impl Background,
    missing: Missing,
    index: StatusIndex,
) -> Result<(), Miss> {
    match missing {
        // All that can be done was done before.
        Missing::State => Err(Miss::Failed),
        Missing::Shard(_) | Missing::AmendmentPage(_) => {
            let digest = isolate.with(|state| state.follower.part_digest(missing)).ok_or(Miss::Failed)?;
            let what = What::Part(digest);
            // Another snapshot may have come meanwhile, in which it is another part.
            let ready = |state: &mut State<Cache>| {
                state.follower.part_digest(missing) != Some(digest) || state.follower.replica().standing(index) != Err(missing)
            };
            let source = source.clone();
            isolate.once(what, context, ready, |isolate| fetch_part(isolate, source, missing, digest)).await
        }
        Missing::Policy(number) => {
            let ready = |state: &mut State<Cache>| state.keeper.policies.lookup(number).is_ok();
            let source = source.clone();
            isolate.once(What::Policy(number), context, ready, |isolate| fetch_policy(isolate, source, number)).await
        }
        Missing::Issued(index, digest) => {
            let ready = |state: &mut State<Cache>| state.follower.replica().issued(index, &digest) == Ok(true);
            let source = source.clone();
            isolate.once(What::Issued(index, digest), context, ready, |isolate| fetch_issued(isolate, source, (index, digest))).await
        }
        // A key that is newer than the state, or an amendment that is: the feed has it, or is about to.
        Missing::UnknownShard(_) | Missing::Amendment(_) => {
            let before = isolate.with(|state| state.follower.replica().position());
            let ready = |state: &mut State<Cache>| state.follower.replica().position() > before;
            let source = source.clone();
            let fetch = |isolate: Rc<Isolate>| async move {
                isolate.refresh(&source, FETCH_MS * 7 / 10, FETCH_MS).await;
                if isolate.with(|state| state.follower.replica().position()) > before { Ok(()) } else { Err(Miss::Absent) }
            };
            isolate.once(What::Feed, context, ready, fetch).await
        }
    }
}

async fn fetch_part(isolate: Rc<Isolate>, source: Source, missing: Missing, digest: Digest) -> Result<(), Miss> {
    match source.text(&isolate, &format!("/edge/v1/parts/{digest}"), MAX_PART_LEN, FETCH_MS).await {
        Ok(text) => isolate.with(|state| state.follower.take_part(missing, &text, now(), &mut state.counters)).map_err(|_| Miss::Failed),
        // The snapshot that names it is too old.
        Err(Miss::Absent) => {
            isolate.with(|state| state.follower.want_snapshot());
            if isolate.refresh(&source, 0, FETCH_MS).await { Ok(()) } else { Err(Miss::Failed) }
        }
        Err(miss) => Err(miss),
    }
}

async fn fetch_policy(isolate: Rc<Isolate>, source: Source, number: PolicyNumber) -> Result<(), Miss> {
    let text = source.text(&isolate, &format!("/edge/v1/policies/{number}"), MAX_POLICY_LEN, FETCH_MS).await?;
    isolate.with(|state| {
        let keys = state.follower.replica().keys().ok_or(Miss::Failed)?;
        state.keeper.policies.install(&text, number, keys, now()).map_err(|error| {
            state.counters.rejected(Object::Policy, error.into());
            Miss::Failed
        })
    })
}

async fn fetch_issued(isolate: Rc<Isolate>, source: Source, about: (StatusIndex, Digest)) -> Result<(), Miss> {
    let (index, digest) = about;
    let text = source.text(&isolate, &format!("/edge/v1/issued/{index}/{digest}"), MAX_ISSUED_LEN, FETCH_MS).await?;
    isolate.with(|state| state.follower.take_issued(about, &text, now(), &mut state.counters)).map_err(|_| Miss::Failed)
}
