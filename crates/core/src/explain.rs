//! A decision step by step, for people who ask why.
//!
//! Never a second opinion: what [`Verifier`](crate::Verifier) and [`Policy::decide`](crate::Policy::decide) answered says which step
//! failed, and a policy's steps are its own rules, asked one by one.

use crate::{Reason, Refusal};
use alloc::{string::String, vec::Vec};

macro_rules! rules {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)*) => {
        /// A rule of a decision.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule {
            $($(#[$meta])* $name,)*
        }

        impl Rule {
            /// Its stable name.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

rules! {
    /// The path has a normal form.
    Path = "path";
    /// The text has the shape of a key or token.
    Shape = "shape";
    /// The checksum is right.
    Checksum = "checksum";
    /// The manifest counts.
    KeySet = "key_set";
    /// A key that may sign this has signed it; and where that key is frozen, it was issued.
    Signature = "signature";
    /// The token is for this audience.
    Audience = "audience";
    /// The key is of the right environment.
    Environment = "environment";
    /// What its signing key signed still counts.
    SigningKey = "signing_key";
    /// Neither revoked nor suspended.
    Status = "status";
    /// Its time isn't over.
    Time = "time";
    /// The policy is the key's, in force.
    Policy = "policy";
    /// The policy reaches no further than what was signed.
    Scope = "scope";
    /// All constraints are known.
    Constraints = "constraints";
    /// There is a route for the request.
    Route = "route";
    /// The endpoint is among those allowed.
    Endpoint = "endpoint";
    /// The endpoint isn't among those blocked.
    Blocked = "blocked";
    /// The address is among those allowed.
    Address = "address";
    /// The Origin is among the domains allowed.
    Domain = "domain";
    /// The request came over TLS, where that is asked for.
    Tls = "tls";
    /// The capability that the route asks for is held.
    Capability = "capability";
    /// No limit is zero. (How much of the others is left, only who counts can tell.)
    Limits = "limits";
}

impl Rule {
    /// The rule that is broken for this reason.
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::PathRefused => Self::Path,
            Reason::CredentialMissing | Reason::CredentialsConflict | Reason::Malformed => Self::Shape,
            Reason::ChecksumMismatch => Self::Checksum,
            Reason::StateUnavailable | Reason::StateStale => Self::KeySet,
            Reason::UnknownSigningKey | Reason::SignatureInvalid | Reason::NotIssued | Reason::IssuanceUnavailable => Self::Signature,
            Reason::WrongAudience => Self::Audience,
            Reason::WrongEnvironment => Self::Environment,
            Reason::SigningKeyExpired => Self::SigningKey,
            Reason::Revoked | Reason::Suspended | Reason::StatusUnavailable | Reason::AmendmentUnavailable => Self::Status,
            Reason::Expired => Self::Time,
            Reason::PolicyUnavailable => Self::Policy,
            Reason::ScopeExceeded => Self::Scope,
            Reason::ConstraintUnknown => Self::Constraints,
            Reason::NoRoute => Self::Route,
            Reason::EndpointNotAllowed => Self::Endpoint,
            Reason::EndpointBlocked => Self::Blocked,
            Reason::AddressNotAllowed => Self::Address,
            Reason::DomainNotAllowed => Self::Domain,
            Reason::TlsRequired => Self::Tls,
            Reason::CapabilityMissing => Self::Capability,
            Reason::LimitUnavailable => Self::Limits,
        }
    }
}

/// Whose rule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// What holds for every key.
    Key,
    /// What the policy in force says.
    Policy,
    /// What the token says.
    Token,
}

impl Source {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Policy => "policy",
            Self::Token => "token",
        }
    }
}

/// A rule, and whether it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// Whose it is.
    pub source: Source,
    /// Whether it is kept; `None`: nobody has looked, since an earlier one is broken.
    pub passed: Option<bool>,
    /// The code with which the request is refused for it, where it is broken.
    pub code: Option<&'static str>,
    /// What decided, as it is written: the pattern, network, domain or capability.
    pub by: Option<String>,
}

impl Step {
    /// A rule that was looked at: kept, or broken for a reason.
    pub(crate) fn told(source: Source, reason: Reason, passed: bool, by: Option<String>) -> Self {
        Self { rule: Rule::of(reason), source, passed: Some(passed), code: (!passed).then_some(reason.code()), by }
    }
}

/// The rules of a key by itself, in the order in which they are looked at.
const OF_KEY: [(Source, Rule); 8] = [
    (Source::Key, Rule::Shape),
    (Source::Key, Rule::Checksum),
    (Source::Key, Rule::KeySet),
    (Source::Key, Rule::Signature),
    (Source::Key, Rule::Environment),
    (Source::Key, Rule::SigningKey),
    (Source::Key, Rule::Status),
    (Source::Key, Rule::Time),
];

/// Those of a token, and of the key behind it.
const OF_TOKEN: [(Source, Rule); 8] = [
    (Source::Token, Rule::Shape),
    (Source::Token, Rule::KeySet),
    (Source::Token, Rule::Signature),
    (Source::Token, Rule::Audience),
    (Source::Token, Rule::Time),
    (Source::Key, Rule::Environment),
    (Source::Key, Rule::Status),
    (Source::Key, Rule::Time),
];

/// What verifying a key came to: `None` where it holds.
pub fn of_key(refusal: Option<Refusal>) -> Vec<Step> {
    told(&OF_KEY, refusal.map(|refusal| (refusal.reason(), Source::Key)))
}

/// What verifying a token came to: `None` where it holds. A time that is over may be the token's own, or its key's.
pub fn of_token(refusal: Option<Refusal>, own_time_is_over: bool) -> Vec<Step> {
    let source = |reason| match (Rule::of(reason), own_time_is_over) {
        (Rule::Time, true) => Source::Token,
        (rule, _) => OF_TOKEN.into_iter().rev().find(|(_, other)| *other == rule).map_or(Source::Token, |(source, _)| source),
    };
    told(&OF_TOKEN, refusal.map(Refusal::reason).map(|reason| (reason, source(reason))))
}

fn told(rules: &[(Source, Rule)], broken: Option<(Reason, Source)>) -> Vec<Step> {
    let at = broken.map(|(reason, source)| {
        let found = rules.iter().position(|rule| *rule == (source, Rule::of(reason)));
        // What none of these rules is about came before them.
        (found.unwrap_or(0), reason)
    });
    let step = |(place, (source, rule)): (usize, &(Source, Rule))| {
        let (passed, code) = match at {
            Some((broken, reason)) if place == broken => (Some(false), Some(reason.code())),
            Some((broken, _)) if place > broken => (None, None),
            _ => (Some(true), None),
        };
        Step { rule: *rule, source: *source, passed, code, by: None }
    };
    rules.iter().enumerate().map(step).collect()
}

/// The code with which a request is refused that these steps are about: of the first rule that is broken.
pub fn refusal(steps: &[Step]) -> Option<&'static str> {
    steps.iter().find_map(|step| step.code)
}
