//! Problem details (RFC 9457): the one body of every error.

use keyward_core::{Class, Reason};
use serde::{Deserialize, Serialize};

/// The media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong. The codes are part of the interface: they may be added to, never renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The body is not JSON, or the query can't be read.
    MalformedRequest,
    /// Something in the request is out of bounds, ill-typed or unknown; `errors` names each field.
    ValidationFailed,
    /// The body is longer than is read.
    BodyTooLarge,
    /// The body didn't come in time.
    RequestTimeout,
    /// The body is not declared to be JSON.
    UnsupportedMediaType,
    /// No such thing, or none that the caller may know of.
    NotFound,
    /// The resource has no such method.
    MethodNotAllowed,
    /// The caller would grant more than it holds; `errors` names the dimension.
    GrantExceeded,
    /// The caller's scope doesn't reach this.
    ScopeInsufficient,
    /// The key has been revoked, so that this can't be done to it any more.
    KeyRevoked,
    /// The key has expired, so that this can't be done to it any more.
    KeyExpired,
    /// The resource is in another state than the one that `If-Match` names.
    PreconditionFailed,
    /// An earlier rotation's overlap lasts, so that there would be a third raw key.
    RotationInProgress,
    /// No rotation's overlap lasts, so that there is nothing to go back to.
    RotationNotInProgress,
    /// Another policy has taken the place of this one already.
    PolicySuperseded,
    /// The Idempotency-Key was used for another request.
    IdempotencyMismatch,
    /// What the first request with this Idempotency-Key made is no longer usable.
    IdempotencyConflict,
    /// There is one of that name already.
    AlreadyExists,
    /// A signing key in this state can't be turned so.
    SigningKeyState,
    /// Not every edge can have heard of the signing key yet.
    SigningKeyUnseen,
    /// What the signing key signed is in use, and would end.
    SigningKeyInUse,
    /// The manifest is not the one that is due.
    ManifestStale,
    /// The edge says that it has seen more than there is, and shows nothing that proves it.
    PositionUnproved,
    /// The tenant has as many of these as it may.
    CeilingReached,
    /// The owner has been disabled, so that no key of its can be made or used.
    OwnerDisabled,
    /// There is no such session, or it has ended.
    SessionInvalid,
    /// The request comes with a session's cookie and without what proves that the session's own page made it.
    CsrfRefused,
    /// More of this at a time, or in this time, than is served; later it will be.
    RateLimited,
    /// Numbers, list entries or other finite things are used up.
    CapacityExhausted,
    /// A fault of the server, which its log describes.
    Internal,
    /// The edge can't read its configuration, which its log describes; it refuses everything.
    Misconfigured,
    /// The request was permitted, and the upstream behind the edge gave no answer.
    UpstreamUnavailable,
    /// The database can't be reached just now; it will be retried.
    DatabaseUnavailable,
    /// The database went back in time; nothing changes until `keyward recover` has been run.
    RecoveryRequired,
    /// A refused credential or request, as the core names it.
    Refused(Reason),
}

impl Code {
    /// All of them but the reasons, of which [`Reason::ALL`] has all.
    pub const OWN: [Self; 34] = [
        Self::MalformedRequest,
        Self::ValidationFailed,
        Self::BodyTooLarge,
        Self::RequestTimeout,
        Self::UnsupportedMediaType,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::GrantExceeded,
        Self::ScopeInsufficient,
        Self::KeyRevoked,
        Self::KeyExpired,
        Self::PreconditionFailed,
        Self::RotationInProgress,
        Self::RotationNotInProgress,
        Self::PolicySuperseded,
        Self::IdempotencyMismatch,
        Self::IdempotencyConflict,
        Self::AlreadyExists,
        Self::SigningKeyState,
        Self::SigningKeyUnseen,
        Self::SigningKeyInUse,
        Self::ManifestStale,
        Self::PositionUnproved,
        Self::CeilingReached,
        Self::OwnerDisabled,
        Self::SessionInvalid,
        Self::CsrfRefused,
        Self::RateLimited,
        Self::CapacityExhausted,
        Self::Internal,
        Self::Misconfigured,
        Self::UpstreamUnavailable,
        Self::DatabaseUnavailable,
        Self::RecoveryRequired,
    ];

    /// The code of that name; of several reasons that go by one name, the first.
    pub fn parse(name: &str) -> Option<Self> {
        let mut all = Self::OWN.into_iter().chain(Reason::ALL.into_iter().map(Self::Refused));
        all.find(|code| code.as_str() == name)
    }

    /// Its stable name. A reason that says something of a key which the caller hasn't proved to hold is `invalid_token`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MalformedRequest => "malformed_request",
            Self::ValidationFailed => "validation_failed",
            Self::BodyTooLarge => "body_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::GrantExceeded => "grant_exceeded",
            Self::ScopeInsufficient => "scope_insufficient",
            Self::KeyRevoked => "key_revoked",
            Self::KeyExpired => "key_expired",
            Self::PreconditionFailed => "precondition_failed",
            Self::RotationInProgress => "rotation_in_progress",
            Self::RotationNotInProgress => "rotation_not_in_progress",
            Self::PolicySuperseded => "policy_superseded",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::AlreadyExists => "already_exists",
            Self::SigningKeyState => "signing_key_state",
            Self::SigningKeyUnseen => "signing_key_unseen",
            Self::SigningKeyInUse => "signing_key_in_use",
            Self::ManifestStale => "manifest_stale",
            Self::PositionUnproved => "position_unproved",
            Self::CeilingReached => "ceiling_reached",
            Self::OwnerDisabled => "owner_disabled",
            Self::SessionInvalid => "session_invalid",
            Self::CsrfRefused => "csrf_refused",
            Self::RateLimited => "rate_limited",
            Self::CapacityExhausted => "capacity_exhausted",
            Self::Internal => "internal",
            Self::Misconfigured => "misconfigured",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::DatabaseUnavailable => "database_unavailable",
            Self::RecoveryRequired => "recovery_required",
            Self::Refused(reason) if reason.proved() => reason.code(),
            Self::Refused(_) => "invalid_token",
        }
    }

    /// Its HTTP status (RFC 9110 section 15).
    pub const fn status(self) -> u16 {
        match self {
            Self::MalformedRequest => 400,
            Self::SessionInvalid => 401,
            Self::GrantExceeded | Self::ScopeInsufficient | Self::CsrfRefused => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::KeyRevoked
            | Self::KeyExpired
            | Self::RotationInProgress
            | Self::RotationNotInProgress
            | Self::PolicySuperseded
            | Self::IdempotencyConflict => 409,
            Self::AlreadyExists | Self::CeilingReached | Self::OwnerDisabled | Self::PositionUnproved => 409,
            Self::SigningKeyState | Self::SigningKeyUnseen | Self::SigningKeyInUse | Self::ManifestStale => 409,
            Self::PreconditionFailed => 412,
            Self::BodyTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::ValidationFailed | Self::IdempotencyMismatch => 422,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::UpstreamUnavailable => 502,
            Self::CapacityExhausted | Self::DatabaseUnavailable | Self::RecoveryRequired | Self::Misconfigured => 503,
            Self::Refused(reason) => match reason.class() {
                Class::BadRequest => 400,
                Class::Unauthenticated => 401,
                Class::Forbidden => 403,
                Class::Unavailable => 503,
            },
        }
    }

    /// A sentence for people, the same for every occurrence.
    pub const fn title(self) -> &'static str {
        match self {
            Self::MalformedRequest => "The request can't be read",
            Self::ValidationFailed => "The request is not valid",
            Self::BodyTooLarge => "The body is too large",
            Self::RequestTimeout => "The body didn't come in time",
            Self::UnsupportedMediaType => "The body must be application/json",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::GrantExceeded => "The caller can't grant more than it holds",
            Self::ScopeInsufficient => "The caller's scope does not reach this",
            Self::KeyRevoked => "The key has been revoked",
            Self::KeyExpired => "The key has expired",
            Self::PreconditionFailed => "It has changed since",
            Self::RotationInProgress => "An earlier rotation is in progress",
            Self::RotationNotInProgress => "No rotation is in progress",
            Self::PolicySuperseded => "Another policy has taken the place of this one",
            Self::IdempotencyMismatch => "The Idempotency-Key belongs to another request",
            Self::IdempotencyConflict => "What the first request made is no longer usable",
            Self::AlreadyExists => "There is one of that name already",
            Self::SigningKeyState => "The signing key's state does not allow this",
            Self::SigningKeyUnseen => "Not every edge can know the signing key yet",
            Self::SigningKeyInUse => "What the signing key signed is in use",
            Self::ManifestStale => "The manifest is not the one that is due",
            Self::PositionUnproved => "There is no such position",
            Self::CeilingReached => "The tenant has as many as it may",
            Self::OwnerDisabled => "The owner is disabled",
            Self::SessionInvalid => "There is no such session",
            Self::CsrfRefused => "The request is not known to be the session's own",
            Self::RateLimited => "Too many requests",
            Self::CapacityExhausted => "A finite resource is used up",
            Self::Internal => "Internal error",
            Self::Misconfigured => "The edge is not configured",
            Self::UpstreamUnavailable => "The upstream gives no answer",
            Self::DatabaseUnavailable => "The database is unavailable",
            Self::RecoveryRequired => "The origin has to be recovered",
            Self::Refused(reason) => match reason.class() {
                Class::BadRequest => "The request was refused",
                Class::Unauthenticated => "The credential was refused",
                Class::Forbidden => "The credential does not permit this",
                Class::Unavailable => "This can't be decided now",
            },
        }
    }
}

impl From<Reason> for Code {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

/// One field of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// Its path in the body or query: `allowed_ips[2]`.
    pub field: String,
    /// What is wrong with it, for people.
    pub message: String,
}

/// The body of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A URI that names the kind: `urn:keyward:problem:{code}`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The kind's stable code.
    pub code: String,
    /// This occurrence in words, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub detail: Option<String>,
    /// The fields at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl Problem {
    /// A problem of a kind, with nothing more to say.
    pub fn new(code: impl Into<Code>) -> Self {
        let code = code.into();
        Self {
            kind: format!("urn:keyward:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            code: code.as_str().to_owned(),
            detail: None,
            errors: Vec::new(),
        }
    }

    /// The problem with words on this occurrence. They reach the caller: no secret, nothing internal.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

/// The `WWW-Authenticate` challenge (RFC 6750 section 3) that goes with a refusal; `None` where none is due.
///
/// ```
/// use keyward_api::challenge;
/// use keyward_core::Reason;
/// assert_eq!(challenge(Reason::CredentialMissing).unwrap(), r#"Bearer realm="keyward""#);
/// assert_eq!(challenge(Reason::Revoked).unwrap(), r#"Bearer realm="keyward", error="invalid_token""#);
/// ```
pub const fn challenge(reason: Reason) -> Option<&'static str> {
    match reason {
        // RFC 6750: no error code where no credential was presented.
        Reason::CredentialMissing => Some(r#"Bearer realm="keyward""#),
        Reason::CapabilityMissing => Some(r#"Bearer realm="keyward", error="insufficient_scope""#),
        _ => match reason.class() {
            Class::Unauthenticated => Some(r#"Bearer realm="keyward", error="invalid_token""#),
            Class::BadRequest | Class::Forbidden | Class::Unavailable => None,
        },
    }
}
