//! Capability tokens: RFC 9068 access tokens that say what their key permits, and die with it.

use crate::{
    AnyOr, AuthenticKey, Capability, Decision, EndpointPattern, Environment, KeyId, Limits, Missing, Network, OpenError, Policy,
    PolicyNumber, PolicyTerms, Reason, Refusal, Request, Requirement, Role, ScopeClass, Signed, StatusIndex, Statuses, TenantId, Timestamp,
    VerifiedKey, Verifier,
    bounds::MAX_TOKEN_LEN,
    explain::{Source, Step},
    json, policy,
};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The payload of an `at+jwt` (RFC 9068 section 2.2), with what Keyward adds: see `docs/formats.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessTokenClaims {
    /// The origin's URL.
    pub iss: String,
    /// The key that it was made from.
    pub sub: KeyId,
    /// Whom it is for.
    pub aud: String,
    /// From when it is no longer valid, unix seconds.
    pub exp: u64,
    /// When it was made, unix seconds.
    pub iat: u64,
    /// Its own id.
    pub jti: Uuid,
    /// The key again (RFC 8693 section 4.3).
    pub client_id: KeyId,
    /// `cap`, joined by spaces (RFC 9068 section 2.2.3).
    pub scope: String,
    /// What it permits.
    pub cap: Vec<Capability>,
    /// The tenant of its key.
    pub tenant: TenantId,
    /// Where.
    pub ep: AnyOr<EndpointPattern>,
    /// Where not, whatever else is said.
    pub blocked: Vec<EndpointPattern>,
    /// From which addresses.
    pub ip: AnyOr<Network>,
    /// How much.
    #[serde(deserialize_with = "json::object")]
    pub lim: Limits,
    /// What its key says.
    #[serde(deserialize_with = "json::object")]
    pub key: SignedKey,
    /// Where the status of its key stands.
    #[serde(deserialize_with = "json::object")]
    pub status: StatusReference,
}

/// The `key` claim: what the key that a token was made from says of itself, as it was signed. By it the policy in force
/// is found, as for the key itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedKey {
    /// The policy that it was made with.
    pub policy: PolicyNumber,
    /// How far it reaches at most.
    pub scope: ScopeClass,
    /// The environment that it was made for.
    pub environment: Environment,
}

/// The `status` claim (draft-ietf-oauth-status-list section 6.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusReference {
    /// The reference.
    #[serde(deserialize_with = "json::object")]
    pub status_list: StatusRef,
}

/// A place in a status list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusRef {
    /// The place within the list.
    pub idx: u32,
    /// The list's URI, which ends in `/{shard}`.
    pub uri: String,
}

impl StatusRef {
    /// The index that it names among the issuer's own lists; `None` for another issuer's.
    pub fn index(&self, issuer: &str) -> Option<StatusIndex> {
        let shard = self.uri.strip_prefix(issuer)?.strip_prefix("/status-lists/")?;
        // A number has one spelling: no sign, no leading zero.
        let canonical = shard == "0" || !shard.is_empty() && !shard.starts_with('0') && shard.bytes().all(|b| b.is_ascii_digit());
        if !canonical {
            return None;
        }
        StatusIndex::new(shard.parse().ok()?, self.idx)
    }
}

impl Signed for AccessTokenClaims {
    const TYP: &'static str = "at+jwt";
    const ROLE: Option<Role> = Some(Role::Token);
    const MAX_LEN: usize = MAX_TOKEN_LEN;
}

/// A token whose signature holds, and that doesn't contradict itself. Says nothing of whether it still counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticToken {
    claims: AccessTokenClaims,
    index: StatusIndex,
}

impl AuthenticToken {
    /// What it says; true, since its signature holds.
    pub const fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// Where the status of its key stands.
    pub const fn index(&self) -> StatusIndex {
        self.index
    }
}

/// A token that holds now, and whose key does. It permits what both permit, and nothing else: see
/// [`VerifiedToken::decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    claims: AccessTokenClaims,
    key: VerifiedKey,
}

/// Why a text is not a token for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of this issuer.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Genuine, and refused.
    #[error("{0}")]
    Refused(Reason),
    /// It can't be decided: something is missing.
    #[error("cannot decide: {0}")]
    Undecided(Missing),
}

impl<S: Statuses + ?Sized> Verifier<'_, S> {
    /// Reads a token for `audience`, and asks whether it, and its key, hold at `now`.
    pub fn verify_token(&self, text: &str, audience: &str, now: Timestamp) -> Result<VerifiedToken, TokenError> {
        self.admit_token(self.authenticate_token(text, now)?, audience, now)
    }

    /// The token, if its signature holds: by a key of the role `token`, of this issuer. The costly half of
    /// [`Self::verify_token`], whose result stays true for as long as the key set is the same one and its signing key
    /// has not expired.
    pub fn authenticate_token(&self, text: &str, now: Timestamp) -> Result<AuthenticToken, TokenError> {
        let keys = self.keys();
        let claims: AccessTokenClaims = keys.open_with(text, self.signatures(), now)?;
        if claims.iss != keys.manifest().iss {
            return Err(TokenError::Refused(Reason::SignatureInvalid));
        }
        // What is said twice has to be said alike: readers differ in which of the two they take.
        let scope = claims.cap.iter().map(Capability::as_str);
        if claims.client_id != claims.sub || !claims.scope.split(' ').filter(|word| !word.is_empty()).eq(scope) {
            return Err(TokenError::Refused(Reason::Malformed));
        }
        let index = claims.status.status_list.index(&claims.iss).ok_or(TokenError::Refused(Reason::SignatureInvalid))?;
        Ok(AuthenticToken { claims, index })
    }

    /// The token, if it is for `audience` and counts now; and its key, admitted as if it had been presented itself.
    pub fn admit_token(&self, token: AuthenticToken, audience: &str, now: Timestamp) -> Result<VerifiedToken, TokenError> {
        let AuthenticToken { claims, index } = token;
        if claims.iat.saturating_mul(1000) > now.latest_iat() {
            return Err(TokenError::Refused(Reason::SignatureInvalid));
        }
        if claims.aud != audience {
            return Err(TokenError::Refused(Reason::WrongAudience));
        }
        if now.secs() >= claims.exp {
            return Err(TokenError::Refused(Reason::Expired));
        }
        let SignedKey { policy, scope, environment } = claims.key;
        let key = self.admit(&AuthenticKey::behind_token(claims.sub, index, scope, policy, environment, claims.exp), now)?;
        Ok(VerifiedToken { claims, key })
    }
}

impl VerifiedToken {
    /// What it says.
    pub const fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// Its key, as it holds now; it expires with the token, and can't be exchanged.
    pub const fn key(&self) -> &VerifiedKey {
        &self.key
    }

    /// Whether a request may be made: where the key's policy permits it (with the policy's reasons, in its order), and
    /// the token does. A policy that isn't the key's in force, or is of another tenant, permits nothing.
    pub fn decide<'a>(&self, policy: &'a Policy, request: &Request<'_>) -> Decision<'a> {
        let decision = policy.decide(&self.key, request);
        if decision.reason().is_some() {
            return decision;
        }
        match Self::RULES.into_iter().find(|rule| !self.keeps(*rule, policy, request)) {
            Some(reason) => Decision::Deny(reason),
            None => decision,
        }
    }

    /// The steps of [`Self::decide`]: the policy's, then the token's own, and last whether a limit is zero. All of them are
    /// looked at.
    pub fn explain(&self, policy: &Policy, request: &Request<'_>) -> Vec<Step> {
        let mut steps = policy.explain(Some(&self.key), request);
        let limits = steps.pop();
        steps.extend(Self::RULES.into_iter().map(|rule| {
            let by = match rule {
                Reason::EndpointNotAllowed => self.claims.ep.only().and_then(|list| policy::endpoint(list, request)),
                Reason::EndpointBlocked => policy::endpoint(&self.claims.blocked, request),
                Reason::AddressNotAllowed => policy::network(&self.claims.ip, request),
                Reason::CapabilityMissing => policy::capability(&self.claims.cap, request),
                _ => None,
            };
            Step::told(Source::Token, rule, self.keeps(rule, policy, request), by)
        }));
        steps.extend(limits);
        steps
    }

    /// What it adds to its key's rules, in the order in which they are looked at.
    const RULES: [Reason; 5] = [
        Reason::PolicyUnavailable,
        Reason::EndpointNotAllowed,
        Reason::EndpointBlocked,
        Reason::AddressNotAllowed,
        Reason::CapabilityMissing,
    ];

    fn keeps(&self, rule: Reason, policy: &Policy, request: &Request<'_>) -> bool {
        let claims = &self.claims;
        let endpoint = |pattern: &EndpointPattern| pattern.matches(request.method, request.path);
        let within = |list: &[Network], address| list.iter().any(|network| network.contains(address));
        let has = |wanted: &Capability| claims.cap.iter().any(|held| held.covers(wanted));
        match rule {
            Reason::PolicyUnavailable => claims.tenant == policy.claims().tenant,
            Reason::EndpointNotAllowed => claims.ep.admits(endpoint),
            Reason::EndpointBlocked => !claims.blocked.iter().any(endpoint),
            Reason::AddressNotAllowed => claims.ip.only().is_none_or(|list| request.address.is_some_and(|address| within(list, address))),
            Reason::CapabilityMissing => !matches!(request.requirement, Some(Requirement::Capability(wanted)) if !has(wanted)),
            _ => false,
        }
    }
}

impl AccessTokenClaims {
    /// What is left of its key's policy for whoever has the token, where it was made from these terms: the token says less in
    /// some dimensions, and in the others the policy holds as it is.
    #[must_use]
    pub fn narrowed(&self, policy: &PolicyTerms) -> PolicyTerms {
        let mut blocked_endpoints = policy.blocked_endpoints.clone();
        blocked_endpoints.extend(self.blocked.iter().filter(|own| !policy.blocked_endpoints.contains(own)).cloned());
        PolicyTerms {
            tenant: self.tenant,
            capabilities: self.cap.clone(),
            endpoints: self.ep.clone(),
            blocked_endpoints,
            ips: self.ip.clone(),
            limits: self.lim,
            ..policy.clone()
        }
    }
}

impl From<Refusal> for TokenError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(reason) => Self::Refused(reason),
            Refusal::Undecided(missing) => Self::Undecided(missing),
        }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Open(OpenError::ManifestExpired) => Self::Denied(Reason::StateUnavailable),
            TokenError::Open(OpenError::UnknownKey | OpenError::KeyState) => Self::Denied(Reason::UnknownSigningKey),
            TokenError::Open(OpenError::Jws(crate::JwsError::Signature)) => Self::Denied(Reason::SignatureInvalid),
            TokenError::Open(OpenError::Jws(_)) => Self::Denied(Reason::Malformed),
            TokenError::Refused(reason) => Self::Denied(reason),
            TokenError::Undecided(missing) => Self::Undecided(missing),
        }
    }
}
