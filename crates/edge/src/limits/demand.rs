//! What a request wants of its key's limits.

use keyward_api::limits::LimitKind;
use keyward_core::{
    Limits,
    limits::{Charge, Meter},
};

/// What a request wants of its key's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// What it is charged, unless the upstream says that it cost less.
    pub charge: Charge,
    /// The tokens that it declares. What can't be read is more than any limit.
    tokens: Option<u64>,
}

impl Demand {
    /// Of a request that may cost so many cents, with this declaration of its tokens.
    pub fn new(cost_cents: u64, tokens: Option<&str>) -> Self {
        let read = |text: &str| text.trim().parse().unwrap_or(u64::MAX);
        Self { charge: Charge::request(cost_cents), tokens: tokens.map(read) }
    }

    /// The limit that refuses it by itself, whatever is left of others.
    pub fn refused(&self, limits: &Limits) -> Option<LimitKind> {
        let tokens = self.tokens.unwrap_or(0);
        if limits.tokens_per_request.is_some_and(|limit| tokens > limit) {
            return Some(LimitKind::TokensPerRequest);
        }
        (limits.concurrent == Some(0)).then_some(LimitKind::Concurrent)
    }

    /// Whether no limit is about it.
    pub fn is_free(&self, limits: &Limits) -> bool {
        let counted = |meter: Meter| meter.limit(limits).is_some() && (meter != Meter::CostCents || self.charge.cents > 0);
        !Meter::ALL.into_iter().any(counted) && limits.concurrent.is_none() && self.refused(limits).is_none()
    }
}
