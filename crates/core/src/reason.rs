use core::fmt;

/// Why a request was refused: stable codes, one for each rule.
///
/// The codes are part of the interface: metrics, problem bodies and the audit trail show them. A code that says more
/// than "invalid" is shown to a caller only where [`Reason::proved`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// No credential was presented.
    CredentialMissing,
    /// Two different credentials were presented.
    CredentialsConflict,
    /// The path has no normal form: see [`crate::NormalPath`].
    PathRefused,
    /// The credential does not have the shape of a key or token.
    Malformed,
    /// The key's checksum is wrong: a typing error, or junk.
    ChecksumMismatch,
    /// No signing key in the key set has that name, or it may not sign any more.
    UnknownSigningKey,
    /// The signature does not hold.
    SignatureInvalid,
    /// The key that signed it is frozen, and it is none of the keys that were issued.
    NotIssued,
    /// The key is genuine, of the other environment.
    WrongEnvironment,
    /// The key that signed it has expired.
    SigningKeyExpired,
    /// The key has been revoked.
    Revoked,
    /// The key is suspended.
    Suspended,
    /// The key's time is over.
    Expired,
    /// The token is not for this audience.
    WrongAudience,
    /// The route table has no entry for the request.
    NoRoute,
    /// The endpoint is not among those allowed.
    EndpointNotAllowed,
    /// The endpoint is among those blocked.
    EndpointBlocked,
    /// The caller's address is not among those allowed, or is not known.
    AddressNotAllowed,
    /// The request's Origin is not among the domains allowed, or is missing.
    DomainNotAllowed,
    /// The policy asks for TLS.
    TlsRequired,
    /// The route needs a capability that the policy does not have.
    CapabilityMissing,
    /// The policy's scope is above the one that was signed.
    ScopeExceeded,
    /// The policy has a constraint that this version does not know.
    ConstraintUnknown,
    /// No state was ever loaded, or the manifest has expired.
    StateUnavailable,
    /// The state is older than the outage mode admits.
    StateStale,
    /// The status shard of the key can't be had.
    StatusUnavailable,
    /// The amendment of the key can't be had.
    AmendmentUnavailable,
    /// The policy of the key can't be had.
    PolicyUnavailable,
    /// The key that signed it is frozen, and whether it was issued can't be had.
    IssuanceUnavailable,
    /// How much of its key's limits is left can't be had.
    LimitUnavailable,
}

/// What kind of answer a reason leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request itself is at fault (400).
    BadRequest,
    /// The credential does not hold (401).
    Unauthenticated,
    /// The credential holds and does not permit this (403).
    Forbidden,
    /// It can't be decided now (503).
    Unavailable,
}

impl Reason {
    /// All reasons, in the order of the checks.
    pub const ALL: [Self; 30] = [
        Self::CredentialMissing,
        Self::CredentialsConflict,
        Self::PathRefused,
        Self::Malformed,
        Self::ChecksumMismatch,
        Self::UnknownSigningKey,
        Self::SignatureInvalid,
        Self::NotIssued,
        Self::WrongEnvironment,
        Self::SigningKeyExpired,
        Self::Revoked,
        Self::Suspended,
        Self::Expired,
        Self::WrongAudience,
        Self::NoRoute,
        Self::EndpointNotAllowed,
        Self::EndpointBlocked,
        Self::AddressNotAllowed,
        Self::DomainNotAllowed,
        Self::TlsRequired,
        Self::CapabilityMissing,
        Self::ScopeExceeded,
        Self::ConstraintUnknown,
        Self::StateUnavailable,
        Self::StateStale,
        Self::StatusUnavailable,
        Self::AmendmentUnavailable,
        Self::PolicyUnavailable,
        Self::IssuanceUnavailable,
        Self::LimitUnavailable,
    ];

    /// Its place in [`Self::ALL`]: cheaper to pass between two programs of one build than its code, and good for nothing
    /// else, since it changes when reasons are added.
    pub const fn number(self) -> usize {
        self as usize
    }

    /// Its stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::CredentialMissing => "credential_missing",
            Self::CredentialsConflict => "credentials_conflict",
            Self::PathRefused => "path_refused",
            Self::Malformed => "malformed",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::UnknownSigningKey => "unknown_signing_key",
            Self::SignatureInvalid => "signature_invalid",
            Self::NotIssued => "not_issued",
            Self::WrongEnvironment => "wrong_environment",
            Self::SigningKeyExpired => "signing_key_expired",
            Self::Revoked => "key_revoked",
            Self::Suspended => "key_suspended",
            Self::Expired => "key_expired",
            Self::WrongAudience => "wrong_audience",
            Self::NoRoute => "no_route",
            Self::EndpointNotAllowed => "endpoint_not_allowed",
            Self::EndpointBlocked => "endpoint_blocked",
            Self::AddressNotAllowed => "address_not_allowed",
            Self::DomainNotAllowed => "domain_not_allowed",
            Self::TlsRequired => "tls_required",
            Self::CapabilityMissing => "capability_missing",
            Self::ScopeExceeded => "scope_exceeded",
            Self::ConstraintUnknown => "constraint_unknown",
            Self::StateUnavailable => "state_unavailable",
            Self::StateStale => "state_stale",
            Self::StatusUnavailable => "status_unavailable",
            Self::AmendmentUnavailable => "amendment_unavailable",
            Self::PolicyUnavailable => "policy_unavailable",
            Self::IssuanceUnavailable => "issuance_unavailable",
            Self::LimitUnavailable => "limit_unavailable",
        }
    }

    /// Which kind of answer it leads to.
    pub const fn class(self) -> Class {
        match self {
            Self::CredentialsConflict | Self::PathRefused => Class::BadRequest,
            Self::CredentialMissing
            | Self::Malformed
            | Self::ChecksumMismatch
            | Self::UnknownSigningKey
            | Self::SignatureInvalid
            | Self::NotIssued
            | Self::WrongEnvironment
            | Self::SigningKeyExpired
            | Self::Revoked
            | Self::Suspended
            | Self::Expired
            | Self::WrongAudience => Class::Unauthenticated,
            Self::NoRoute
            | Self::EndpointNotAllowed
            | Self::EndpointBlocked
            | Self::AddressNotAllowed
            | Self::DomainNotAllowed
            | Self::TlsRequired
            | Self::CapabilityMissing
            | Self::ScopeExceeded
            | Self::ConstraintUnknown => Class::Forbidden,
            Self::StateUnavailable
            | Self::StateStale
            | Self::StatusUnavailable
            | Self::AmendmentUnavailable
            | Self::PolicyUnavailable
            | Self::IssuanceUnavailable
            | Self::LimitUnavailable => Class::Unavailable,
        }
    }

    /// Whether the caller has proved to hold a genuine key when this reason is reached, and so may be told it. Before
    /// that, a caller learns `invalid_token` and nothing else.
    pub const fn proved(self) -> bool {
        !matches!(self, Self::Malformed | Self::ChecksumMismatch | Self::UnknownSigningKey | Self::SignatureInvalid | Self::NotIssued)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_place_among_all() {
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason.number(), at, "{reason}");
        }
    }
}
