//! A policy's rules, asked one by one.

use super::{AnyOr, DomainPattern, Limits, Policy, Request};
use crate::{
    Capability, EndpointPattern, Network, Reason, Requirement, VerifiedKey,
    explain::{Rule, Source, Step},
    limits::CODES,
};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};

impl Policy {
    /// The steps of [`Self::decide`], in its order, and after them whether a limit is zero. All of them are looked at: what a
    /// request is refused for is the first that is broken. Without a key, as for one that was made with this policy.
    pub fn explain(&self, key: Option<&VerifiedKey>, request: &Request<'_>) -> Vec<Step> {
        let told = |rule: Reason| match (key, rule) {
            (None, Reason::PolicyUnavailable | Reason::ScopeExceeded) => Step::told(Source::Policy, rule, true, None),
            (key, rule) => Step::told(Source::Policy, rule, self.keeps(rule, key, request), self.decides_by(rule, request)),
        };
        let mut steps: Vec<Step> = Self::RULES.into_iter().map(told).collect();
        steps.push(self.claims().limits.explain());
        steps
    }

    fn decides_by(&self, rule: Reason, request: &Request<'_>) -> Option<String> {
        let claims = self.claims();
        match rule {
            Reason::EndpointNotAllowed => endpoint(claims.endpoints.only()?, request),
            Reason::EndpointBlocked => endpoint(&claims.blocked_endpoints, request),
            Reason::AddressNotAllowed => network(&claims.ips, request),
            Reason::DomainNotAllowed => {
                let named = |domain: &&DomainPattern| request.domain.is_some_and(|host| domain.matches(host));
                claims.domains.only()?.iter().find(named).map(|domain| domain.as_str().to_string())
            }
            Reason::CapabilityMissing => capability(&claims.capabilities, request),
            _ => None,
        }
    }
}

impl Limits {
    /// Whether one of them lets no request pass at all. (No cost is as good as free.)
    fn explain(&self) -> Step {
        let limits = [self.rate_per_hour, self.daily_quota, self.monthly_quota, None, None, self.concurrent];
        let zero = CODES.into_iter().zip(limits).find(|(_, limit)| *limit == Some(0)).map(|(names, _)| names);
        let (by, code) = (zero.map(|(member, _)| member.to_string()), zero.map(|(_, code)| code));
        Step { rule: Rule::Limits, source: Source::Policy, passed: Some(zero.is_none()), code, by }
    }
}

/// The endpoint of a list that a request is for.
pub(crate) fn endpoint(list: &[EndpointPattern], request: &Request<'_>) -> Option<String> {
    list.iter().find(|pattern| pattern.matches(request.method, request.path)).map(ToString::to_string)
}

/// The network of a list that a request comes from.
pub(crate) fn network(list: &AnyOr<Network>, request: &Request<'_>) -> Option<String> {
    let address = request.address?;
    list.only()?.iter().find(|network| network.contains(address)).map(ToString::to_string)
}

/// The capability of a list that covers what is asked for.
pub(crate) fn capability(list: &[Capability], request: &Request<'_>) -> Option<String> {
    let Some(Requirement::Capability(wanted)) = request.requirement else { return None };
    list.iter().find(|held| held.covers(wanted)).map(ToString::to_string)
}
