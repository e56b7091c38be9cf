//! From a parsed key to a verified one: signature, then status and amendment, then the time window.

use crate::{
    Environment, KeyId, KeySet, KeyState, Missing, ParsedKey, PolicyNumber, Reason, Reference, ScopeClass, Standing, StatusIndex, Statuses,
    Timestamp, VerifySignature,
};

/// Why a key is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not hold.
    Denied(Reason),
    /// It can't be decided: something is missing.
    Undecided(Missing),
}

impl Refusal {
    /// The reason to give where nothing more can be fetched.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Denied(reason) => reason,
            Self::Undecided(Missing::State) => Reason::StateUnavailable,
            Self::Undecided(Missing::Shard(_) | Missing::UnknownShard(_)) => Reason::StatusUnavailable,
            Self::Undecided(Missing::AmendmentPage(_) | Missing::Amendment(_)) => Reason::AmendmentUnavailable,
            Self::Undecided(Missing::Policy(_)) => Reason::PolicyUnavailable,
            Self::Undecided(Missing::Issued(..)) => Reason::IssuanceUnavailable,
        }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::Denied(reason)
    }
}

impl From<Missing> for Refusal {
    fn from(missing: Missing) -> Self {
        Self::Undecided(missing)
    }
}

/// A key that was issued: its signature holds, and where its signing key is frozen, it is known to be one of those that
/// were issued. Says nothing of whether it still counts: that is decided anew each time, by [`Verifier::admit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticKey {
    claims: crate::ApiKeyClaims,
    environment: Environment,
    /// Unix seconds from which what its signing key signed counts no more.
    signer_expires: Option<u64>,
}

impl AuthenticKey {
    /// What the key says; true, since its signature holds.
    pub const fn claims(&self) -> &crate::ApiKeyClaims {
        &self.claims
    }

    /// The environment that it was made for.
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// The key that a genuine token was made from, as far as the token lets it count: until `expires`, and not to be
    /// exchanged.
    pub(crate) const fn behind_token(
        id: KeyId,
        index: StatusIndex,
        scope: ScopeClass,
        policy: PolicyNumber,
        environment: Environment,
        expires: u64,
    ) -> Self {
        let claims = crate::ApiKeyClaims { scope, exchange: false, signing_key: [0; 3], expires: None, index, policy, id };
        Self { claims, environment, signer_expires: Some(expires) }
    }
}

/// A key that holds now: genuine, of the right environment, neither revoked nor suspended nor expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedKey {
    id: KeyId,
    index: StatusIndex,
    scope: ScopeClass,
    exchange: bool,
    policy: PolicyNumber,
    expires: Option<u64>,
}

impl VerifiedKey {
    /// The id of the key.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Where its status stands.
    pub const fn index(&self) -> StatusIndex {
        self.index
    }

    /// How far it reaches at most, as signed.
    pub const fn scope(&self) -> ScopeClass {
        self.scope
    }

    /// Whether it may be exchanged for tokens.
    pub const fn exchange(&self) -> bool {
        self.exchange
    }

    /// The policy in force: amendments and supersessions are applied.
    pub const fn policy(&self) -> PolicyNumber {
        self.policy
    }

    /// Unix seconds from which it is no longer valid, by its own expiry, its amendment's or its signing key's,
    /// whichever comes first; `None` for never.
    pub const fn expires(&self) -> Option<u64> {
        self.expires
    }
}

/// Verifies keys against a key set and what is known of their status.
pub struct Verifier<'a, S: ?Sized> {
    keys: &'a KeySet,
    statuses: &'a S,
    environment: Environment,
    signatures: &'a dyn VerifySignature,
}

impl<'a, S: Statuses + ?Sized> Verifier<'a, S> {
    /// A verifier for keys of one environment.
    pub const fn new(keys: &'a KeySet, statuses: &'a S, environment: Environment) -> Self {
        Self { keys, statuses, environment, signatures: &Reference }
    }

    /// The same, with another way to verify signatures: an [`crate::Accelerator`] that the host keeps.
    #[must_use]
    pub const fn with_signatures(self, signatures: &'a dyn VerifySignature) -> Self {
        Self { signatures, ..self }
    }

    pub(crate) const fn keys(&self) -> &'a KeySet {
        self.keys
    }

    pub(crate) const fn signatures(&self) -> &'a dyn VerifySignature {
        self.signatures
    }

    /// The key, verified at `now`.
    pub fn verify(&self, key: &ParsedKey<'_>, now: Timestamp) -> Result<VerifiedKey, Refusal> {
        self.admit(&self.authenticate(key, now)?, now)
    }

    /// The key, if its signature holds and proves something: by a frozen signing key, a signature counts only where
    /// [`Statuses::issued`] vouches for the whole text. The costly half of [`Self::verify`], whose result stays true for
    /// as long as the key set is the same one.
    pub fn authenticate(&self, key: &ParsedKey<'_>, now: Timestamp) -> Result<AuthenticKey, Refusal> {
        if !self.keys.is_current(now) {
            return Err(Reason::StateUnavailable.into());
        }
        let signer = self.keys.api_key_signer(key.unverified_claims().signing_key)?;
        let (message, len) = key.signed_message();
        if !self.signatures.verifies(&signer.x, &message[..len], key.signature()) {
            return Err(Reason::SignatureInvalid.into());
        }
        // Before anything else is said of it: whoever has stolen the signing key has proved nothing yet.
        if signer.state == KeyState::Frozen && !self.statuses.issued(key.unverified_claims().index, &key.digest())? {
            return Err(Reason::NotIssued.into());
        }
        Ok(AuthenticKey { claims: *key.unverified_claims(), environment: key.environment(), signer_expires: signer.exp })
    }

    /// The key of a text that was found authentic before and isn't at hand any more: of it the host has kept what it says
    /// and its digest. In place of the signature, whatever the state of its signing key, [`Statuses::issued`] has to vouch
    /// for that text; and what its signing key signed still has to count.
    pub fn authenticate_kept(
        &self,
        claims: &crate::ApiKeyClaims,
        environment: Environment,
        digest: &crate::Digest,
        now: Timestamp,
    ) -> Result<AuthenticKey, Refusal> {
        if !self.keys.is_current(now) {
            return Err(Reason::StateUnavailable.into());
        }
        let signer = self.keys.api_key_signer(claims.signing_key)?;
        if !self.statuses.issued(claims.index, digest)? {
            return Err(Reason::NotIssued.into());
        }
        Ok(AuthenticKey { claims: *claims, environment, signer_expires: signer.exp })
    }

    /// Whether an authentic key counts now: its environment, status, amendment and time. Cheap, and due on every
    /// request.
    pub fn admit(&self, key: &AuthenticKey, now: Timestamp) -> Result<VerifiedKey, Refusal> {
        if !self.keys.is_current(now) {
            return Err(Reason::StateUnavailable.into());
        }
        if key.environment != self.environment {
            return Err(Reason::WrongEnvironment.into());
        }
        if key.signer_expires.is_some_and(|expires| now.secs() >= expires) {
            return Err(Reason::SigningKeyExpired.into());
        }
        let claims = &key.claims;
        let (policy, expires) = match self.statuses.standing(claims.index)? {
            Standing::Invalid => return Err(Reason::Revoked.into()),
            Standing::Suspended => return Err(Reason::Suspended.into()),
            Standing::Valid => (claims.policy, claims.expires),
            // The amendment replaces the expiry: it can end a key early (rotation) or renew it.
            Standing::Amended(amendment) => (amendment.policy, amendment.expires),
        };
        if expires.is_some_and(|expires| now.secs() >= u64::from(expires)) {
            return Err(Reason::Expired.into());
        }
        let expires = [expires.map(u64::from), key.signer_expires].into_iter().flatten().min();
        Ok(VerifiedKey {
            id: claims.id,
            index: claims.index,
            scope: claims.scope,
            exchange: claims.exchange,
            policy: self.statuses.policy_in_force(policy),
            expires,
        })
    }
}
