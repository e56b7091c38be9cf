//! Capability tokens: RFC 9068 access tokens that say what their key permits, and die with it.

use crate::{
    AnyOr, Capability, EndpointPattern, KeyId, KeySet, Limits, Missing, Network, OpenError, Reason, Refusal, Role, Signed, Standing,
    StatusIndex, Statuses, TenantId, Timestamp, bounds::MAX_TOKEN_LEN, json,
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
    /// From which addresses.
    pub ip: AnyOr<Network>,
    /// How much.
    #[serde(deserialize_with = "json::object")]
    pub lim: Limits,
    /// Where the status of its key stands.
    #[serde(deserialize_with = "json::object")]
    pub status: StatusReference,
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

/// A token that holds now, and whose key does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    claims: AccessTokenClaims,
    index: StatusIndex,
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

impl VerifiedToken {
    /// Reads a token for `audience` and asks whether it, and its key, hold at `now`.
    pub fn verify<S: Statuses + ?Sized>(
        text: &str,
        audience: &str,
        keys: &KeySet,
        statuses: &S,
        now: Timestamp,
    ) -> Result<Self, TokenError> {
        let claims: AccessTokenClaims = keys.open(text, now)?;
        if claims.iss != keys.manifest().iss || claims.iat.saturating_mul(1000) > now.latest_iat() {
            return Err(TokenError::Refused(Reason::SignatureInvalid));
        }
        // What is said twice has to be said alike: readers differ in which of the two they take.
        let scope = claims.cap.iter().map(Capability::as_str);
        if claims.client_id != claims.sub || !claims.scope.split(' ').filter(|word| !word.is_empty()).eq(scope) {
            return Err(TokenError::Refused(Reason::Malformed));
        }
        if claims.aud != audience {
            return Err(TokenError::Refused(Reason::WrongAudience));
        }
        let index = claims.status.status_list.index(&claims.iss).ok_or(TokenError::Refused(Reason::SignatureInvalid))?;
        match statuses.standing(index).map_err(TokenError::Undecided)? {
            Standing::Invalid => return Err(TokenError::Refused(Reason::Revoked)),
            Standing::Suspended => return Err(TokenError::Refused(Reason::Suspended)),
            Standing::Amended(amendment) if amendment.expires.is_some_and(|expires| now.secs() >= u64::from(expires)) => {
                return Err(TokenError::Refused(Reason::Expired));
            }
            Standing::Valid | Standing::Amended(_) => {}
        }
        if now.secs() >= claims.exp {
            return Err(TokenError::Refused(Reason::Expired));
        }
        Ok(Self { claims, index })
    }

    /// What it says.
    pub const fn claims(&self) -> &AccessTokenClaims {
        &self.claims
    }

    /// Where the status of its key stands.
    pub const fn index(&self) -> StatusIndex {
        self.index
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
