use super::{AnyOr, Decision, Grant, PolicyClaims, Request};
use crate::{
    ConstraintError, ConstraintKind, KeySet, OpenError, PolicyNumber, Reason, Requirement, Timestamp, VerifiedKey,
    bounds::{MAX_CONSTRAINTS, MAX_POLICY_LIST},
};
use alloc::{string::String, sync::Arc};
use core::fmt::Write;

/// A policy that has been checked once and can decide.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    claims: PolicyClaims,
    /// Whether all of its constraints are known: where one isn't, nothing is permitted.
    constraints_known: bool,
    /// Its constraints as JSON in ASCII, written once and not for each request.
    constraints_json: Arc<str>,
}

/// Why a policy is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not a signed policy.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It has another number than was asked for.
    #[error("another policy than the one asked for")]
    Number,
    /// Of an epoch to come, or of an older one with a number that this epoch has given anew.
    #[error("a policy of another epoch")]
    Epoch,
    /// A list longer than allowed.
    #[error("a list of the policy is too long")]
    TooLong,
    /// A constraint of another type than its name has.
    #[error("a constraint of another type than its name has")]
    Constraint,
}

impl Policy {
    /// Reads the signed policy of that number.
    pub fn open(text: &str, number: PolicyNumber, keys: &KeySet, now: Timestamp) -> Result<Self, PolicyError> {
        let claims: PolicyClaims = keys.open(text, now)?;
        if claims.number != number {
            return Err(PolicyError::Number);
        }
        let manifest = keys.manifest();
        if claims.epoch > manifest.epoch || (claims.epoch < manifest.epoch && number.0 >= manifest.first_policy) {
            return Err(PolicyError::Epoch);
        }
        Self::compile(claims)
    }

    /// Checks claims that are trusted already: the origin's own.
    pub fn compile(claims: PolicyClaims) -> Result<Self, PolicyError> {
        let lists = [
            claims.capabilities.len(),
            claims.blocked_endpoints.len(),
            claims.endpoints.only().map_or(0, <[_]>::len),
            claims.ips.only().map_or(0, <[_]>::len),
            claims.domains.only().map_or(0, <[_]>::len),
        ];
        if lists.into_iter().any(|len| len > MAX_POLICY_LIST) || claims.constraints.len() > MAX_CONSTRAINTS {
            return Err(PolicyError::TooLong);
        }
        let mut constraints_known = true;
        for (name, value) in &claims.constraints {
            match ConstraintKind::check(name, value) {
                Ok(_) => {}
                Err(ConstraintError::Unknown) => constraints_known = false,
                Err(ConstraintError::Type) => return Err(PolicyError::Constraint),
            }
        }
        let constraints_json = ascii_json(&claims.constraints).into();
        Ok(Self { claims, constraints_known, constraints_json })
    }

    /// What it was made from.
    pub const fn claims(&self) -> &PolicyClaims {
        &self.claims
    }

    /// About how many bytes of memory it takes, rather too many than too few. Reckoned from its JSON: what a comma, a slash or a bracket begins
    /// (an element, a segment, a list) is a value with text of its own, and what a brace begins a node of a tree.
    pub fn footprint(&self) -> usize {
        let weight = |byte: &u8| match byte {
            b'{' => 512,
            b',' | b'[' | b'/' => 64,
            _ => 1,
        };
        let json = serde_json::to_vec(&self.claims).unwrap_or_default();
        size_of::<Self>() + self.constraints_json.len() + json.iter().map(weight).sum::<usize>()
    }

    /// Whether a verified key with this policy may make a request. Pure and total.
    ///
    /// The order of the checks is the order in which reasons are given: route, endpoint, address, domain, TLS,
    /// capability. A policy with another number than the key's permits nothing.
    pub fn decide(&self, key: &VerifiedKey, request: &Request<'_>) -> Decision<'_> {
        match self.refusal(key, request) {
            Some(reason) => Decision::Deny(reason),
            None => Decision::Permit(Grant { key: *key, policy: &self.claims, constraints_json: &self.constraints_json }),
        }
    }

    /// Its rules, by the reasons for which a request that breaks them is refused, in the order in which they are looked at.
    pub(super) const RULES: [Reason; 10] = [
        Reason::PolicyUnavailable,
        Reason::ScopeExceeded,
        Reason::ConstraintUnknown,
        Reason::NoRoute,
        Reason::EndpointNotAllowed,
        Reason::EndpointBlocked,
        Reason::AddressNotAllowed,
        Reason::DomainNotAllowed,
        Reason::TlsRequired,
        Reason::CapabilityMissing,
    ];

    fn refusal(&self, key: &VerifiedKey, request: &Request<'_>) -> Option<Reason> {
        Self::RULES.into_iter().find(|rule| !self.keeps(*rule, Some(key), request))
    }

    /// Why a request would be refused to any key of this policy and its scope: by the rules of [`Policy::decide`] that come after
    /// those about the key, in the same order. For trying a policy out before there is a key.
    pub fn refuses(&self, request: &Request<'_>) -> Option<Reason> {
        let [_, _, rest @ ..] = Self::RULES;
        rest.into_iter().find(|rule| !self.keeps(*rule, None, request))
    }

    /// Whether a request keeps one of the rules. What isn't one is kept by nothing, and what is about the key by no request
    /// without one.
    pub(super) fn keeps(&self, rule: Reason, key: Option<&VerifiedKey>, request: &Request<'_>) -> bool {
        let claims = &self.claims;
        let endpoint = |pattern: &crate::EndpointPattern| pattern.matches(request.method, request.path);
        match rule {
            Reason::PolicyUnavailable => key.is_some_and(|key| key.policy() == claims.number),
            Reason::ScopeExceeded => key.is_some_and(|key| claims.scope <= key.scope()),
            Reason::ConstraintUnknown => self.constraints_known,
            // A method in other letters is another method here, but not to every upstream (RFC 9110 section 9.1).
            Reason::NoRoute => request.requirement.is_some() && request.method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-'),
            Reason::EndpointNotAllowed => claims.endpoints.admits(endpoint),
            Reason::EndpointBlocked => !claims.blocked_endpoints.iter().any(endpoint),
            Reason::AddressNotAllowed => match &claims.ips {
                AnyOr::Any => true,
                AnyOr::Only(list) => request.address.is_some_and(|address| list.iter().any(|network| network.contains(address))),
            },
            Reason::DomainNotAllowed => match &claims.domains {
                AnyOr::Any => true,
                AnyOr::Only(list) => request.domain.is_some_and(|domain| list.iter().any(|pattern| pattern.matches(domain))),
            },
            Reason::TlsRequired => request.tls || !claims.require_tls,
            Reason::CapabilityMissing => match request.requirement {
                Some(Requirement::Capability(wanted)) => claims.capabilities.iter().any(|held| held.covers(wanted)),
                _ => true,
            },
            _ => false,
        }
    }
}

/// JSON that can stand in a header: what isn't ASCII is escaped (RFC 8259 section 7).
fn ascii_json(value: &impl serde::Serialize) -> String {
    // It was read from JSON, so that it can be written as JSON.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut ascii = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            ascii.push(character);
        } else {
            // A string takes whatever is written to it.
            let _ = character.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(ascii, "\\u{unit:04x}"));
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    #[test]
    fn constraints_fit_into_a_header() {
        let value = serde_json::json!({"a": "é😀\n"});
        let text = super::ascii_json(&value);
        assert_eq!(text, r#"{"a":"\u00e9\ud83d\ude00\n"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
