//! Signed objects and keys, judged against a world: a manifest, a snapshot and its parts.

use crate::{input, outcome, replica::World};
use keyward_core::{
    Environment, Manifest, NormalPath, ParsedKey, Policy, PolicyClaims, PolicyNumber, Reason, Refusal, Request, RouteTable, Timestamp,
    VerifiedKey, Verifier,
    explain::{self, Rule, Step},
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyCase {
    key: String,
    now_ms: u64,
}

/// The whole way of a key; refusals by their reason's code, which is also the first step that isn't passed.
pub(crate) fn key(given: &Value, case: Value) -> Result<Value, String> {
    let KeyCase { key, now_ms } = input(case)?;
    let world = World::load(given)?;
    Ok(match verified(&world, &key, Timestamp::from_millis(now_ms))? {
        Ok(key) => json!({ "ok": {
            "id": key.id(), "index": key.index(), "scope": key.scope(), "exchange": key.exchange(), "policy": key.policy(), "expires": key.expires(),
        }}),
        Err(reason) => refused(reason),
    })
}

fn verified(world: &World, text: &str, now: Timestamp) -> Result<Result<VerifiedKey, Reason>, String> {
    let keys = world.replica.keys().ok_or("a world without keys")?;
    let verify =
        || -> Result<VerifiedKey, Refusal> { Verifier::new(keys, &world.replica, Environment::Live).verify(&ParsedKey::parse(text)?, now) };
    let verified = verify();
    let steps = explain::of_key(verified.err());
    same_verdict(verified.map_err(Refusal::reason).err(), &steps)?;
    Ok(verified.map_err(Refusal::reason))
}

/// An explanation says what the decision says. (A limit that is zero is no part of the decision.)
fn same_verdict(reason: Option<Reason>, steps: &[Step]) -> Result<(), String> {
    let steps: Vec<_> = steps.iter().filter(|step| step.rule != Rule::Limits).cloned().collect();
    let (decided, explained) = (reason.map(Reason::code), explain::refusal(&steps));
    if decided == explained { Ok(()) } else { Err(format!("decided {decided:?} and explained {explained:?}")) }
}

fn refused(reason: Reason) -> Value {
    json!({ "error": reason.code() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextCase {
    text: String,
    now_ms: u64,
}

pub(crate) fn manifest(given: &Value, case: Value) -> Result<Value, String> {
    let TextCase { text, now_ms } = input(case)?;
    let keys = Manifest::open(&text, &World::roots(given)?, Timestamp::from_millis(now_ms));
    Ok(outcome(keys.map(|keys| json!({ "version": keys.manifest().version, "epoch": keys.manifest().epoch, "digest": keys.digest() }))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyCase {
    text: String,
    number: u32,
    now_ms: u64,
}

pub(crate) fn policy(given: &Value, case: Value) -> Result<Value, String> {
    let PolicyCase { text, number, now_ms } = input(case)?;
    let world = World::load(given)?;
    let keys = world.replica.keys().ok_or("a world without keys")?;
    let policy = Policy::open(&text, PolicyNumber(number), keys, Timestamp::from_millis(now_ms));
    Ok(outcome(policy.map(|policy| json!(policy.claims().number))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenCase {
    text: String,
    audience: String,
    now_ms: u64,
}

pub(crate) fn token(given: &Value, case: Value) -> Result<Value, String> {
    let TokenCase { text, audience, now_ms } = input(case)?;
    let world = World::load(given)?;
    let keys = world.replica.keys().ok_or("a world without keys")?;
    let verifier = Verifier::new(keys, &world.replica, Environment::Live);
    let now = Timestamp::from_millis(now_ms);
    let token = verifier.verify_token(&text, &audience, now);
    let reason = token.as_ref().err().copied().map(|error| Refusal::from(error).reason());
    let over = verifier.authenticate_token(&text, now).is_ok_and(|token| now.secs() >= token.claims().exp);
    same_verdict(reason, &explain::of_token(token.as_ref().err().copied().map(Refusal::from), over))?;
    Ok(outcome(token.map(|token| json!({ "sub": token.claims().sub, "policy": token.key().policy(), "expires": token.key().expires() }))))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenDecisionCase {
    token: String,
    audience: String,
    policy: PolicyClaims,
    request: RequestCase,
    now_ms: u64,
}

/// As [`decision`], with a token in a key's place.
pub(crate) fn token_decision(given: &Value, case: Value) -> Result<Value, String> {
    let TokenDecisionCase { token, audience, policy, request, now_ms } = input(case)?;
    let (world, routes) = (World::load(given)?, routes(given)?);
    let Ok(path) = NormalPath::parse(&request.path) else { return Ok(refused(Reason::PathRefused)) };
    let keys = world.replica.keys().ok_or("a world without keys")?;
    let verifier = Verifier::new(keys, &world.replica, Environment::Live);
    let token = match verifier.verify_token(&token, &audience, Timestamp::from_millis(now_ms)) {
        Ok(token) => token,
        Err(error) => return Ok(refused(Refusal::from(error).reason())),
    };
    request.decide(&path, &routes, policy, |policy, request| (token.decide(policy, request).reason(), token.explain(policy, request)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionCase {
    key: String,
    policy: PolicyClaims,
    request: RequestCase,
    now_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestCase {
    method: String,
    path: String,
    address: Option<core::net::IpAddr>,
    domain: Option<String>,
    tls: bool,
}

/// The whole way of a request, given the policy's claims and, as `given.routes`, the route table.
pub(crate) fn decision(given: &Value, case: Value) -> Result<Value, String> {
    let DecisionCase { key, policy, request, now_ms } = input(case)?;
    let world = World::load(given)?;
    let routes = routes(given)?;
    let Ok(path) = NormalPath::parse(&request.path) else { return Ok(refused(Reason::PathRefused)) };
    let key = match verified(&world, &key, Timestamp::from_millis(now_ms))? {
        Ok(key) => key,
        Err(reason) => return Ok(refused(reason)),
    };
    request.decide(&path, &routes, policy, |policy, asked| (policy.decide(&key, asked).reason(), policy.explain(Some(&key), asked)))
}

fn routes(given: &Value) -> Result<RouteTable, String> {
    let routes = given["routes"].as_str().ok_or("no route table is given")?;
    RouteTable::parse(routes).map_err(|error| error.to_string())
}

impl RequestCase {
    /// What a policy (its claims, trusted) makes of the request.
    fn decide(
        &self,
        path: &NormalPath,
        routes: &RouteTable,
        policy: PolicyClaims,
        decide: impl FnOnce(&Policy, &Request<'_>) -> (Option<Reason>, Vec<Step>),
    ) -> Result<Value, String> {
        let policy = match Policy::compile(policy) {
            Ok(policy) => policy,
            Err(error) => return Ok(outcome::<Value, _>(Err(error))),
        };
        let asked = Request {
            method: &self.method,
            path,
            address: self.address,
            domain: self.domain.as_deref(),
            tls: self.tls,
            requirement: routes.requirement(&self.method, path),
        };
        let (reason, steps) = decide(&policy, &asked);
        same_verdict(reason, &steps)?;
        Ok(match reason {
            None => json!({ "ok": "permit" }),
            Some(reason) => refused(reason),
        })
    }
}
