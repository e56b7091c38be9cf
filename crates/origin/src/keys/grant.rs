//! Nobody grants more than they hold.

use keyward_api::{Code, FieldError};
use keyward_core::{Capability, Exceeds, Limits, PolicyTerms, ScopeClass};

use crate::{
    auth::Caller,
    error::{Error, Result},
    tenants::Settings,
};

/// To add to the tenant's catalogue.
const CATALOGUE: &str = "tenants:catalog";

/// Passes where the caller itself holds all that `terms` until `expires` (unix seconds, `None`: for ever) give.
///
/// # Errors
/// `grant_exceeded`, naming the member of the request in which it goes beyond.
pub fn check(caller: &Caller, settings: &Settings, terms: &PolicyTerms, expires: Option<u32>) -> Result<()> {
    check_terms(caller, settings, terms)?;
    let beyond = caller.expires().is_some_and(|ours| expires.is_none_or(|theirs| u64::from(theirs) > ours));
    if beyond { Err(exceeded("expires_in_days")) } else { Ok(()) }
}

/// Passes where a change gives nothing: to narrow a key, one needn't hold what is left of it.
///
/// # Errors
/// As [`check`].
pub fn check_change(caller: &Caller, settings: &Settings, old: &PolicyTerms, new: &PolicyTerms, expires: Option<u32>) -> Result<()> {
    if old.covers(new).is_ok() { Ok(()) } else { check(caller, settings, new, expires) }
}

/// Passes where the caller itself holds all that `terms` give.
///
/// # Errors
/// As [`check`].
fn check_terms(caller: &Caller, settings: &Settings, terms: &PolicyTerms) -> Result<()> {
    let mut held = caller.terms();
    // An admin reaches every tenant that it names.
    if caller.scope() == ScopeClass::Admin {
        held.tenant = terms.tenant;
    }
    // What a tenant has added to its catalogue nobody was given; it is for those to give who may add.
    if caller.scope() > ScopeClass::User
        && held.capabilities.iter().any(|held| Capability::parse(CATALOGUE).is_ok_and(|all| held.covers(&all)))
    {
        held.capabilities.extend(settings.own());
    }
    held.covers(terms).map_err(|dimension| exceeded(member(dimension, &held, terms)))
}

fn exceeded(field: &str) -> Error {
    let message = "goes beyond what the calling key holds".to_owned();
    Error::from(Code::GrantExceeded).fields(vec![FieldError { field: field.to_owned(), message }])
}

/// The name that a dimension has in requests.
fn member(dimension: Exceeds, held: &PolicyTerms, terms: &PolicyTerms) -> &'static str {
    match dimension {
        Exceeds::Endpoints => "allowed_endpoints",
        Exceeds::Ips => "allowed_ips",
        Exceeds::Domains => "allowed_domains",
        Exceeds::Constraints => "tenant_constraints",
        Exceeds::Limits => limit(&held.limits, &terms.limits),
        other => other.member(),
    }
}

fn limit(held: &Limits, wanted: &Limits) -> &'static str {
    let pairs = [
        ("rate_limit_per_hour", held.rate_per_hour, wanted.rate_per_hour),
        ("daily_quota", held.daily_quota, wanted.daily_quota),
        ("monthly_quota", held.monthly_quota, wanted.monthly_quota),
        ("cost_limit_cents", held.cost_cents, wanted.cost_cents),
        ("max_tokens_per_request", held.tokens_per_request, wanted.tokens_per_request),
        ("max_concurrent_requests", held.concurrent, wanted.concurrent),
    ];
    let beyond = |held: Option<u64>, wanted: Option<u64>| held.is_some_and(|held| wanted.is_none_or(|wanted| wanted > held));
    pairs.into_iter().find(|(_, held, wanted)| beyond(*held, *wanted)).map_or("limits", |(name, ..)| name)
}
