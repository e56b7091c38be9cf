//! Nobody grants more than they hold: whether one policy is within another, dimension by dimension.

use super::{AnyOr, Limits, PolicyTerms};
use crate::ConstraintKind;
use core::fmt;

/// The dimension in which a policy goes beyond another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeds {
    /// Another tenant.
    Tenant,
    /// A higher scope.
    Scope,
    /// A capability more.
    Capabilities,
    /// An endpoint more.
    Endpoints,
    /// A blocked endpoint less.
    BlockedEndpoints,
    /// An address more.
    Ips,
    /// A domain more.
    Domains,
    /// Without TLS.
    Tls,
    /// A higher limit.
    Limits,
    /// A wider constraint.
    Constraints,
}

impl Exceeds {
    /// The member of a policy that it is about.
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Scope => "scope",
            Self::Capabilities => "capabilities",
            Self::Endpoints => "endpoints",
            Self::BlockedEndpoints => "blocked_endpoints",
            Self::Ips => "ips",
            Self::Domains => "domains",
            Self::Tls => "require_tls",
            Self::Limits => "limits",
            Self::Constraints => "constraints",
        }
    }
}

impl fmt::Display for Exceeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.member())
    }
}

impl PolicyTerms {
    /// Whether `other` permits nothing that these terms don't. Tenants are for the caller to compare where crossing
    /// them is allowed; here another tenant exceeds.
    pub fn covers(&self, other: &Self) -> Result<(), Exceeds> {
        match self.compare(other).into_iter().find(|(_, holds)| !holds) {
            Some((dimension, _)) => Err(dimension),
            None => Ok(()),
        }
    }

    /// Each dimension, and whether `other` goes no further in it than these terms.
    pub fn compare(&self, other: &Self) -> [(Exceeds, bool); 10] {
        [
            (Exceeds::Tenant, self.tenant == other.tenant),
            (Exceeds::Scope, other.scope <= self.scope),
            (Exceeds::Capabilities, other.capabilities.iter().all(|wanted| self.capabilities.iter().any(|held| held.covers(wanted)))),
            (Exceeds::Endpoints, within(&self.endpoints, &other.endpoints, |held, wanted| held.covers(wanted))),
            (Exceeds::BlockedEndpoints, self.blocks_stay(other)),
            (Exceeds::Ips, within(&self.ips, &other.ips, |held, wanted| held.covers(wanted))),
            (Exceeds::Domains, within(&self.domains, &other.domains, |held, wanted| held.covers(wanted))),
            (Exceeds::Tls, other.require_tls || !self.require_tls),
            (Exceeds::Limits, self.limits.covers(&other.limits)),
            (Exceeds::Constraints, self.constraints_stay(other)),
        ]
    }

    /// Each endpoint that is blocked here is blocked there too, or is out of reach there.
    fn blocks_stay(&self, other: &Self) -> bool {
        self.blocked_endpoints.iter().all(|block| {
            other.blocked_endpoints.iter().any(|theirs| theirs.covers(block)) || !other.endpoints.admits(|allowed| allowed.meets(block))
        })
    }

    /// Each constraint here is there too, and no wider.
    fn constraints_stay(&self, other: &Self) -> bool {
        self.constraints.iter().all(|(name, bound)| {
            let kind = ConstraintKind::of(name);
            matches!((kind, other.constraints.get(name)), (Some(kind), Some(value)) if kind.covers(bound, value))
        })
    }
}

impl Limits {
    /// Whether no limit of `other` is above the one here.
    pub fn covers(&self, other: &Self) -> bool {
        let within = |held: Option<u64>, wanted: Option<u64>| held.is_none_or(|held| wanted.is_some_and(|wanted| wanted <= held));
        within(self.rate_per_hour, other.rate_per_hour)
            && within(self.daily_quota, other.daily_quota)
            && within(self.monthly_quota, other.monthly_quota)
            && within(self.cost_cents, other.cost_cents)
            && within(self.tokens_per_request, other.tokens_per_request)
            && within(self.concurrent, other.concurrent)
    }
}

fn within<T>(held: &AnyOr<T>, wanted: &AnyOr<T>, covers: impl Fn(&T, &T) -> bool) -> bool {
    match (held, wanted) {
        (AnyOr::Any, _) => true,
        (AnyOr::Only(_), AnyOr::Any) => false,
        (AnyOr::Only(held), AnyOr::Only(wanted)) => wanted.iter().all(|wanted| held.iter().any(|held| covers(held, wanted))),
    }
}
