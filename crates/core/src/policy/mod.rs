//! Policies: what a key permits. As they are signed ([`PolicyClaims`]), compared ([`PolicyTerms::covers`]), compiled
//! ([`Policy`]) and kept ([`PolicyCache`]).

mod cache;
mod claims;
mod compiled;
mod cover;
mod decision;
mod domain;
mod explain;

pub use cache::PolicyCache;
pub use claims::{AnyOr, Limits, PolicyClaims, PolicyTerms};
pub use compiled::{Policy, PolicyError};
pub use cover::Exceeds;
pub use decision::{Decision, Grant, Request};
pub use domain::{DomainPattern, host, origin_host};
pub(crate) use explain::{capability, endpoint, network};
