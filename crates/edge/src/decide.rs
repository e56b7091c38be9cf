//! The decision: what is held, and one request. No I/O; whatever is missing is named.

use crate::{config::Config, follow::Follower, limits::permits::Limited, outage::Ages};
use keyward_core::{
    Accelerator, Class, Decision, KeyId, Limits, Missing, ParsedKey, Policy, PolicyCache, PolicyNumber, Position, Reason, Refusal, Request,
    ScopeClass, StatusIndex, TenantId, Timestamp, VerifiedKey, Verifier, WarmKeys, bounds::MAX_TOKEN_LEN,
};
use std::sync::Arc;

/// A credential of the right shape. Nothing in it is proved.
#[derive(Clone, Copy)]
pub enum Presented<'a> {
    /// An API key.
    Key(ParsedKey<'a>),
    /// A capability token: three parts of base64url with dots between them. No key has a dot.
    Token(&'a str),
}

impl<'a> Presented<'a> {
    /// Tells which it is. Costs no cryptography.
    ///
    /// # Errors
    /// [`Reason::Malformed`], [`Reason::ChecksumMismatch`].
    pub fn parse(text: &'a str) -> Result<Self, Reason> {
        if !text.contains('.') {
            return ParsedKey::parse(text).map(Self::Key);
        }
        let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        let shaped = text.len() <= MAX_TOKEN_LEN && text.split('.').count() == 3 && text.split('.').all(part);
        if shaped { Ok(Self::Token(text)) } else { Err(Reason::Malformed) }
    }
}

/// What came of looking.
#[derive(Debug)]
pub enum Outcome {
    /// The request may pass.
    Pass(Box<Passage>),
    /// It may not. The key, where the caller has proved to hold it, and the policy, where it came to that.
    Refuse(Reason, Option<KeyId>, Option<PolicyNumber>),
    /// It can't be decided without this.
    Fetch(Missing),
}

/// As whom a request passes, and at what state that was decided: what the upstream is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The key.
    pub key: KeyId,
    /// Which of its credentials was presented, by where its status stands.
    pub index: StatusIndex,
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
    /// How much its key may do.
    pub limits: Limits,
    /// The token that was presented in the key's place, if one was.
    pub token: Option<TokenPassage>,
}

impl Passage {
    /// What its request is charged to.
    pub const fn limited(&self) -> Limited {
        Limited { key: self.key, limits: self.limits, position: self.position }
    }
}

/// What the upstream is told of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPassage {
    /// Its id.
    pub id: String,
    /// Its capabilities, spaces between them: the key may have others.
    pub scope: String,
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

/// Decides on a request with the key `key` at `now`.
pub fn decide(held: Held<'_>, config: &Config, key: &str, request: &Request<'_>, now: Timestamp) -> Outcome {
    let Some(verifier) = held.verifier(config) else { return Outcome::Fetch(Missing::State) };
    match held.warm.verify(&verifier, key, now) {
        Ok(verified) => held.conclude(config, &verified, now, |policy| policy.decide(&verified, request)),
        Err(Refusal::Undecided(missing)) => Outcome::Fetch(missing),
        Err(Refusal::Denied(reason)) => {
            let held = reason.proved() && reason.class() != Class::Unavailable;
            let key = held.then(|| ParsedKey::parse(key).ok().map(|key| key.unverified_claims().id)).flatten();
            Outcome::Refuse(reason, key, None)
        }
    }
}

/// Decides on a request with a token at `now`: it permits what both the token and its key's policy permit.
pub fn decide_token(held: Held<'_>, config: &Config, token: &str, request: &Request<'_>, now: Timestamp) -> Outcome {
    let Some(verifier) = held.verifier(config) else { return Outcome::Fetch(Missing::State) };
    let issuer = held.follower.replica().keys().map(|keys| keys.manifest().iss.as_str());
    let audience = config.audience.as_deref().or(issuer).unwrap_or_default();
    let authentic = match verifier.authenticate_token(token, now) {
        Ok(token) => token,
        Err(error) => return Outcome::refused(error, None),
    };
    let key = authentic.claims().sub;
    let token = match verifier.admit_token(authentic, audience, now) {
        Ok(token) => token,
        Err(error) => return Outcome::refused(error, Some(key)),
    };
    let mut outcome = held.conclude(config, token.key(), now, |policy| token.decide(policy, request));
    if let Outcome::Pass(passage) = &mut outcome {
        passage.token = Some(TokenPassage { id: token.claims().jti.to_string(), scope: token.claims().scope.clone() });
    }
    outcome
}

impl<'a> Held<'a> {
    fn verifier(&self, config: &Config) -> Option<Verifier<'a, keyward_core::Replica>> {
        let replica = self.follower.replica();
        Some(Verifier::new(replica.keys()?, replica, config.environment).with_signatures(self.signatures))
    }

    /// Where the status of the credential stands, if it is genuine.
    pub fn index(&self, config: &Config, presented: &Presented<'_>, now: Timestamp) -> Option<StatusIndex> {
        match presented {
            Presented::Key(key) => Some(key.unverified_claims().index),
            Presented::Token(text) => Some(self.verifier(config)?.authenticate_token(text, now).ok()?.index()),
        }
    }

    /// What is due once a credential holds: the state's age, and the policy of its key, by which `decide` decides.
    fn conclude(&self, config: &Config, key: &VerifiedKey, now: Timestamp, decide: impl FnOnce(&Policy) -> Decision<'_>) -> Outcome {
        let Some(age_ms) = self.follower.age_ms(now) else { return Outcome::Fetch(Missing::State) };
        let ages = Ages { soft_ms: config.soft_age_ms, hard_ms: config.hard_age_ms };
        // After the signature, so that it is the signed scope that counts; and after the status, since what was revoked
        // stays revoked at any age.
        if let Err(reason) = config.outage.admits(key.scope(), age_ms, ages, self.proven) {
            return Outcome::Refuse(reason, Some(key.id()), None);
        }
        let policy = match self.policies.lookup(key.policy()) {
            Ok(policy) => policy,
            Err(missing) => return Outcome::Fetch(missing),
        };
        match decide(&policy) {
            Decision::Deny(reason) => Outcome::Refuse(reason, Some(key.id()), Some(key.policy())),
            Decision::Permit(grant) => Outcome::Pass(Box::new(Passage {
                key: grant.key.id(),
                index: grant.key.index(),
                tenant: grant.policy.tenant,
                scope: grant.policy.scope,
                policy: grant.policy.number,
                constraints: grant.constraints_json.clone(),
                position: self.follower.replica().position().unwrap_or_default(),
                age_ms,
                limits: grant.policy.limits,
                token: None,
            })),
        }
    }
}

impl Outcome {
    fn refused(refusal: impl Into<Refusal>, key: Option<KeyId>) -> Self {
        match refusal.into() {
            Refusal::Denied(reason) => Self::Refuse(reason, key, None),
            Refusal::Undecided(missing) => Self::Fetch(missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_dots_is_a_token_where_it_is_shaped_like_one() {
        let shape = |text: &str| match Presented::parse(text) {
            Ok(Presented::Key(_)) => "key",
            Ok(Presented::Token(_)) => "token",
            Err(reason) => reason.code(),
        };
        for (text, expected) in [
            ("YQ.Y-_9.YQ", "token"),
            ("a.b", "malformed"),
            ("a.b.c.d", "malformed"),
            ("a..c", "malformed"),
            (".b.c", "malformed"),
            ("a.b.c=", "malformed"),
            ("a.b. c", "malformed"),
            ("kwd_live_x", "malformed"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
        assert_eq!(shape(&format!("a.{}.c", "b".repeat(MAX_TOKEN_LEN))), "malformed");
    }
}
