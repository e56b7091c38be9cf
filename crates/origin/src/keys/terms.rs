//! From what a request names to the terms of a policy, every field that is wrong named in one answer.

use std::{collections::BTreeMap, sync::Arc};

use keyward_api::{
    FieldError, Given,
    catalogue::{DEFAULT_CONSTRAINTS, default_limits},
    keys::{Constraints, CreateKey, GivenLimits, Limit, Restriction, UpdateKey},
};
use keyward_core::{
    AnyOr, Capability, ConstraintKind, DomainPattern, EndpointPattern, Limits, Network, PolicyTerms, ScopeClass, TenantId, Timestamp,
    bounds::{MAX_CONSTRAINTS, MAX_POLICY_LIST},
};
use serde_json::Value;

use crate::{
    error::{Error, Result},
    tenants::Settings,
};

/// The highest limit that can be named: what any JSON reader takes exactly.
const MAX_LIMIT: u64 = 1 << 53;
/// Bytes of a policy's terms as JSON: base64 and its frame then fit a signed policy.
const MAX_TERMS_LEN: usize = 40 * 1024;
/// Levels of lists and objects in a constraint: whoever reads the audit trail reads them too, and JSON readers have bounds of their own.
const MAX_CONSTRAINT_DEPTH: usize = 16;
/// Characters of a name and an owner.
const MAX_NAME: usize = 128;
/// Characters of a description.
const MAX_DESCRIPTION: usize = 1024;
/// Characters of a reason.
const MAX_REASON: usize = 256;
const DAY: u64 = 24 * 3600;
const MAX_DAYS: u32 = 3650;
const DEFAULT_DAYS: u32 = 90;

/// Gathers what is wrong with a request.
#[derive(Default)]
pub struct Checks {
    errors: Vec<FieldError>,
    settings: Arc<Settings>,
}

impl Checks {
    /// Checks by what a tenant has set: capabilities of its own can be named.
    pub fn of(settings: Arc<Settings>) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Something is wrong with a field.
    pub fn refuse(&mut self, field: impl Into<String>, message: impl ToString) {
        self.errors.push(FieldError { field: field.into(), message: message.to_string() });
    }

    /// A text of `least` to `most` characters without control characters.
    fn text(&mut self, field: &str, text: &str, least: usize, most: usize) {
        let len = text.chars().count();
        if len < least || len > most || text.chars().any(char::is_control) {
            self.refuse(field, format!("{least} to {most} characters, none of them a control character"));
        }
    }

    /// A key's name.
    pub fn name(&mut self, name: &str) {
        self.text("name", name, 1, MAX_NAME);
    }

    /// A text for people that has to be there.
    pub fn label(&mut self, field: &str, text: &str) {
        self.text(field, text, 1, MAX_NAME);
    }

    /// A key's description.
    pub fn description(&mut self, description: &str) {
        self.text("description", description, 0, MAX_DESCRIPTION);
    }

    /// A key's owner.
    pub fn owner(&mut self, owner: &str) {
        self.text("owner_id", owner, 1, MAX_NAME);
    }

    /// Why a key is revoked.
    pub fn reason(&mut self, reason: &str) {
        self.text("reason", reason, 1, MAX_REASON);
    }

    /// A number of days, from one to ten years.
    pub fn days(&mut self, field: &str, days: u32) {
        if !(1..=MAX_DAYS).contains(&days) {
            self.refuse(field, format!("1 to {MAX_DAYS}"));
        }
    }

    /// How long a raw key is meant to be used, days.
    pub fn rotation_period(&mut self, days: Option<u32>) -> Option<i32> {
        let days = days?;
        self.days("rotation_period_days", days);
        i32::try_from(days).ok()
    }

    fn list<T, E: ToString>(&mut self, field: &str, texts: &[String], parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        if texts.len() > MAX_POLICY_LIST {
            self.refuse(field, format!("at most {MAX_POLICY_LIST} entries"));
            return Vec::new();
        }
        let mut list = Vec::with_capacity(texts.len());
        for (at, text) in texts.iter().enumerate() {
            match parse(text) {
                Ok(entry) => list.push(entry),
                Err(error) => self.refuse(format!("{field}[{at}]"), error.to_string()),
            }
        }
        list
    }

    fn capabilities(&mut self, texts: &[String]) -> Vec<Capability> {
        let settings = Arc::clone(&self.settings);
        self.list("capabilities", texts, |text| match Capability::parse(text) {
            Ok(capability) if settings.knows(text) => Ok(capability),
            Ok(_) => Err("not in the catalogue".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    fn endpoints(&mut self, field: &str, texts: &[String]) -> Vec<EndpointPattern> {
        self.list(field, texts, EndpointPattern::parse)
    }

    fn networks(&mut self, texts: &[String]) -> Vec<Network> {
        self.list("allowed_ips", texts, Network::parse)
    }

    fn domains(&mut self, texts: &[String]) -> Vec<DomainPattern> {
        self.list("allowed_domains", texts, |text| {
            DomainPattern::parse(text).ok_or("a domain is `app.example.com` or `*.example.com`, lower case, without scheme or port")
        })
    }

    fn limit(&mut self, field: &str, limit: Limit) -> Option<u64> {
        match limit {
            Limit::Unlimited => None,
            Limit::AtMost(value) => {
                if value > MAX_LIMIT {
                    self.refuse(field, format!("at most {MAX_LIMIT}"));
                }
                Some(value)
            }
        }
    }

    /// Each limit as named, else as it is in `otherwise`.
    fn limits(&mut self, given: GivenLimits, otherwise: Limits) -> Limits {
        let mut pick = |field, given: Option<Limit>, otherwise| given.map_or(otherwise, |limit| self.limit(field, limit));
        Limits {
            rate_per_hour: pick("rate_limit_per_hour", given.rate_limit_per_hour, otherwise.rate_per_hour),
            daily_quota: pick("daily_quota", given.daily_quota, otherwise.daily_quota),
            monthly_quota: pick("monthly_quota", given.monthly_quota, otherwise.monthly_quota),
            cost_cents: pick("cost_limit_cents", given.cost_limit_cents, otherwise.cost_cents),
            tokens_per_request: pick("max_tokens_per_request", given.max_tokens_per_request, otherwise.tokens_per_request),
            concurrent: pick("max_concurrent_requests", given.max_concurrent_requests, otherwise.concurrent),
        }
    }

    fn constraints(&mut self, constraints: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
        if constraints.len() > MAX_CONSTRAINTS {
            self.refuse("tenant_constraints", format!("at most {MAX_CONSTRAINTS} entries"));
        }
        for (name, value) in constraints {
            if let Err(error) = ConstraintKind::check(name, value) {
                self.refuse(format!("tenant_constraints.{name}"), error);
            } else if !is_plain(value, MAX_CONSTRAINT_DEPTH) {
                self.refuse(
                    format!("tenant_constraints.{name}"),
                    format!("at most {MAX_CONSTRAINT_DEPTH} levels deep, and no character U+0000"),
                );
            }
        }
        constraints.clone()
    }

    /// The expiry that a request names: unix seconds, `None` for never. `ceiling` is the caller's own.
    pub fn expiry(&mut self, days: Given<u32>, now: Timestamp, ceiling: Option<u64>) -> Option<u32> {
        let after = |days: u32| now.secs() + u64::from(days) * DAY;
        let expires = match days {
            Given::Null => return None,
            Given::Missing => after(DEFAULT_DAYS).min(ceiling.unwrap_or(u64::MAX)),
            Given::Value(days) => {
                if !(1..=MAX_DAYS).contains(&days) {
                    self.refuse("expires_in_days", format!("1 to {MAX_DAYS}, or null for never"));
                }
                after(days.min(MAX_DAYS))
            }
        };
        // All ones mean none; the year 2106 is for another format.
        Some(u32::try_from(expires).unwrap_or(u32::MAX - 1).min(u32::MAX - 1))
    }

    /// The last moment that an expiry can be named for, unix seconds.
    pub fn latest(&self, now: Timestamp) -> u64 {
        now.secs() + u64::from(MAX_DAYS) * DAY
    }

    /// The value, if nothing is wrong.
    ///
    /// # Errors
    /// `validation_failed` with all that is.
    pub fn finish<T>(self, value: T) -> Result<T> {
        if self.errors.is_empty() { Ok(value) } else { Err(Error::invalid(self.errors)) }
    }

    fn terms(mut self, terms: PolicyTerms) -> Result<PolicyTerms> {
        let terms = terms.canonical();
        if serde_json::to_vec(&terms).map_or(usize::MAX, |text| text.len()) > MAX_TERMS_LEN {
            self.refuse("", format!("all restrictions together have at most {MAX_TERMS_LEN} bytes"));
        }
        self.finish(terms)
    }
}

/// Whether a value can be stored, and read again by whoever reads the trail: of at most so many levels, and without the one character
/// that the database's texts can't have.
fn is_plain(value: &Value, levels: usize) -> bool {
    let text = |text: &str| !text.contains('\0');
    match value {
        Value::String(word) => text(word),
        Value::Array(list) => levels > 0 && list.iter().all(|value| is_plain(value, levels - 1)),
        Value::Object(members) => levels > 0 && members.iter().all(|(name, value)| text(name) && is_plain(value, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The terms of a new key. What is left out takes its default, or what the caller itself has where that is narrower:
/// whoever names nothing asks for nothing beyond the caller.
///
/// # Errors
/// `validation_failed`, with every field that is wrong.
pub fn new_terms(mut checks: Checks, request: &CreateKey, tenant: TenantId, caller: &PolicyTerms) -> Result<PolicyTerms> {
    let scope = request.scope.unwrap_or(ScopeClass::User);
    let given = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let constraints = match &request.tenant_constraints {
        Some(Constraints::None) => BTreeMap::new(),
        Some(Constraints::Named(named)) => with_defaults(checks.constraints(named), caller),
        None => with_defaults(BTreeMap::new(), caller),
    };
    let terms = PolicyTerms {
        tenant,
        scope,
        capabilities: checks.capabilities(&given(&request.capabilities)),
        endpoints: any_if_empty(checks.endpoints("allowed_endpoints", &given(&request.allowed_endpoints))),
        blocked_endpoints: checks.endpoints("blocked_endpoints", &given(&request.blocked_endpoints)),
        ips: any_if_empty(checks.networks(&given(&request.allowed_ips))),
        domains: any_if_empty(checks.domains(&given(&request.allowed_domains))),
        require_tls: request.require_tls.unwrap_or(true),
        limits: checks.limits(request.limits(), narrower(defaults(scope), caller.limits)),
        constraints,
    };
    checks.terms(terms)
}

/// The terms with a change applied.
///
/// # Errors
/// As [`new_terms`].
pub fn changed_terms(mut checks: Checks, request: &UpdateKey, mut terms: PolicyTerms) -> Result<PolicyTerms> {
    if let Some(list) = &request.capabilities {
        terms.capabilities = checks.capabilities(list);
    }
    if let Some(restriction) = &request.allowed_endpoints {
        terms.endpoints = restrict(restriction, |list| checks.endpoints("allowed_endpoints", list));
    }
    if let Some(list) = &request.blocked_endpoints {
        terms.blocked_endpoints = checks.endpoints("blocked_endpoints", list);
    }
    if let Some(restriction) = &request.allowed_ips {
        terms.ips = restrict(restriction, |list| checks.networks(list));
    }
    if let Some(restriction) = &request.allowed_domains {
        terms.domains = restrict(restriction, |list| checks.domains(list));
    }
    if let Some(require) = request.require_tls {
        terms.require_tls = require;
    }
    match &request.tenant_constraints {
        Some(Constraints::None) => terms.constraints.clear(),
        Some(Constraints::Named(named)) => terms.constraints = checks.constraints(named),
        None => {}
    }
    terms.limits = checks.limits(request.limits(), terms.limits);
    checks.terms(terms)
}

fn restrict<T>(restriction: &Restriction, parse: impl FnOnce(&[String]) -> Vec<T>) -> AnyOr<T> {
    match restriction {
        Restriction::Any => AnyOr::Any,
        Restriction::Only(list) => AnyOr::Only(parse(list)),
    }
}

fn any_if_empty<T>(list: Vec<T>) -> AnyOr<T> {
    if list.is_empty() { AnyOr::Any } else { AnyOr::Only(list) }
}

fn defaults(scope: ScopeClass) -> Limits {
    let limits = default_limits(scope);
    Limits {
        rate_per_hour: Some(limits.rate_limit_per_hour),
        daily_quota: Some(limits.daily_quota),
        monthly_quota: Some(limits.monthly_quota),
        cost_cents: Some(limits.cost_limit_cents),
        tokens_per_request: Some(limits.max_tokens_per_request),
        concurrent: Some(limits.max_concurrent_requests),
    }
}

fn narrower(one: Limits, other: Limits) -> Limits {
    let least = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
    Limits {
        rate_per_hour: least(one.rate_per_hour, other.rate_per_hour),
        daily_quota: least(one.daily_quota, other.daily_quota),
        monthly_quota: least(one.monthly_quota, other.monthly_quota),
        cost_cents: least(one.cost_cents, other.cost_cents),
        tokens_per_request: least(one.tokens_per_request, other.tokens_per_request),
        concurrent: least(one.concurrent, other.concurrent),
    }
}

fn with_defaults(mut constraints: BTreeMap<String, Value>, caller: &PolicyTerms) -> BTreeMap<String, Value> {
    for (name, value) in DEFAULT_CONSTRAINTS {
        // The table is ours, and a test reads all of it.
        let Ok(value) = serde_json::from_str::<Value>(value) else { continue };
        let held = caller.constraints.get(name);
        let within = held.is_none_or(|held| ConstraintKind::of(name).is_some_and(|kind| kind.covers(held, &value)));
        let value = if within { value } else { held.cloned().unwrap_or(value) };
        constraints.entry(name.to_owned()).or_insert(value);
    }
    for (name, value) in &caller.constraints {
        constraints.entry(name.clone()).or_insert_with(|| value.clone());
    }
    constraints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_constraint_has_the_type_of_its_name() {
        for (name, value) in DEFAULT_CONSTRAINTS {
            let value = serde_json::from_str(value).unwrap();
            assert_ne!(ConstraintKind::check(name, &value), Ok(ConstraintKind::Object), "{name}");
        }
    }
}
