//! The decision: what is held, and one request. No I/O; whatever is missing is named.

use crate::{config::Config, follow::Follower, outage::Ages};
use keyward_core::{
    Accelerator, Decision, KeyId, Missing, PolicyCache, PolicyNumber, Position, Reason, Refusal, Request, ScopeClass, TenantId, Timestamp,
    Verifier, WarmKeys,
};
use std::sync::Arc;

/// What came of looking.
#[derive(Debug)]
pub enum Outcome {
    /// The request may pass.
    Pass(Box<Passage>),
    /// It may not.
    Refuse(Reason),
    /// It can't be decided without this.
    Fetch(Missing),
}

/// As whom a request passes, and at what state that was decided: what the upstream is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The key.
    pub key: KeyId,
    /// The tenant of its policy.
    pub tenant: TenantId,
    /// The scope of its policy.
    pub scope: ScopeClass,
    /// The policy in force.
    pub policy: PolicyNumber,
    /// The policy's constraints as JSON in ASCII.
    pub constraints: Arc<str>,
    /// The position of the state.
    pub position: Position,
    /// The age of the state, in milliseconds.
    pub age_ms: u64,
}

/// What is held to decide by.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The state.
    pub follower: &'a Follower,
    /// The policies.
    pub policies: &'a PolicyCache,
    /// How signatures are verified.
    pub signatures: &'a Accelerator,
    /// Which have been.
    pub warm: &'a WarmKeys,
    /// Whether the state was ever fresh in this life.
    pub proven: bool,
}

/// Decides on a request with the credential `key` at `now`.
pub fn decide(held: Held<'_>, config: &Config, key: &str, request: &Request<'_>, now: Timestamp) -> Outcome {
    let replica = held.follower.replica();
    let Some(keys) = replica.keys() else { return Outcome::Fetch(Missing::State) };
    let verifier = Verifier::new(keys, replica, config.environment).with_signatures(held.signatures);
    let verified = match held.warm.verify(&verifier, key, now) {
        Ok(verified) => verified,
        Err(Refusal::Denied(reason)) => return Outcome::Refuse(reason),
        Err(Refusal::Undecided(missing)) => return Outcome::Fetch(missing),
    };
    let Some(age_ms) = held.follower.age_ms(now) else { return Outcome::Fetch(Missing::State) };
    let ages = Ages { soft_ms: config.soft_age_ms, hard_ms: config.hard_age_ms };
    // After the signature, so that it is the signed scope that counts; and after the status, since what was revoked
    // stays revoked at any age.
    if let Err(reason) = config.outage.admits(verified.scope(), age_ms, ages, held.proven) {
        return Outcome::Refuse(reason);
    }
    let policy = match held.policies.lookup(verified.policy()) {
        Ok(policy) => policy,
        Err(missing) => return Outcome::Fetch(missing),
    };
    match policy.decide(&verified, request) {
        Decision::Deny(reason) => Outcome::Refuse(reason),
        Decision::Permit(grant) => Outcome::Pass(Box::new(Passage {
            key: grant.key.id(),
            tenant: grant.policy.tenant,
            scope: grant.policy.scope,
            policy: grant.policy.number,
            constraints: grant.constraints_json.clone(),
            position: replica.position().unwrap_or_default(),
            age_ms,
        })),
    }
}
