//! Answering for a key that somebody else was given: would it pass?
//!
//! A key that was met lately costs no statement: it is recognised by its digest, its row is one that the feed vouches
//! for, and its policy never changes. A forgery costs one signature. What is decided on beside the key (endpoint,
//! address and so on) is the caller's word, and is checked as if it were the request's own.

use std::{net::IpAddr, sync::Arc};

use keyward_api::{
    Code,
    keys::{KeyValidated, ValidateKey},
    limits::{LimitKind, MAX_AMOUNT},
    usage::PASSED,
};
use keyward_core::{
    AnyOr, Capability, EndpointPattern, ParsedKey, PolicyClaims, Reason, TenantId,
    bounds::MAX_POLICY_STRING,
    host,
    limits::{Charge, Meter},
};

use crate::{
    audit::Actor,
    auth::spender_of_tenant,
    error::Result,
    keys::terms::Checks,
    limits::spend::{Left, Spent, spend},
    state::App,
    tokens,
    usage::tally::Decision,
};

/// All that is said of a key that nobody proved to hold.
const UNRECOGNISED: &str = "Invalid API key";

/// Whether a key of the tenant would pass. Checks and words are those of the API that Keyward grew from.
///
/// # Errors
/// `validation_failed` where what is asserted can't be read; `database_unavailable`. A key that doesn't pass is an
/// answer, not an error.
pub async fn validate(app: &App, actor: &Arc<Actor>, tenant: TenantId, request: ValidateKey) -> Result<KeyValidated> {
    let asserted = Asserted::read(&request)?;
    let Ok(key) = ParsedKey::parse(&request.api_key) else { return Ok(refused(UNRECOGNISED)) };
    let count = |outcome| app.usage.tally.count(&asserted.decision(tenant, &key, outcome), app.clock.now());
    let (holder, account) = match spender_of_tenant(app, tenant, &key).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(refused(UNRECOGNISED)),
        Err(error) => {
            let Code::Refused(reason) = error.code() else { return Err(error) };
            let message = match reason {
                Reason::Revoked => "API key is revoked",
                Reason::Suspended => "API key is suspended",
                Reason::Expired | Reason::SigningKeyExpired => "API key has expired",
                _ => return Err(error),
            };
            count(reason.code());
            return Ok(refused(message));
        }
    };
    if let Some((outcome, message)) = asserted.refusal(holder.claims()) {
        count(outcome);
        return Ok(refused(&message));
    }
    let left = match spend(app, &holder, asserted.charge(), account).await? {
        Spent::Charged(left) => left,
        Spent::Refused { limit, used, of, left } => {
            count(limit.code());
            return Ok(KeyValidated { error_message: Some(limit.message(used, of)), ..answer(left) });
        }
    };
    count(PASSED);
    let token = if holder.key().exchange() { tokens::whole(app, actor, &holder)? } else { None };
    let capability_token = token.map(|text| text.as_ref().to_owned());
    Ok(KeyValidated { valid: true, capability_token, ..answer(left) })
}

/// The request that the key would make, as the caller tells it.
struct Asserted<'a> {
    request: &'a ValidateKey,
    endpoint: Option<EndpointPattern>,
    address: Option<IpAddr>,
    capability: Option<Capability>,
    domain: Option<String>,
}

impl<'a> Asserted<'a> {
    fn read(request: &'a ValidateKey) -> Result<Self> {
        let mut checks = Checks::default();
        let endpoint = checks.endpoint(request.endpoint.as_deref());
        let address = checks.address(request.client_ip.as_deref());
        let capability = checks.capability(request.capability.as_deref());
        if request.cost_cents.is_some_and(|cents| cents > MAX_AMOUNT) {
            checks.refuse("cost_cents", format!("at most {MAX_AMOUNT}"));
        }
        let domain = request.domain.as_deref().and_then(host);
        if request.domain.as_ref().is_some_and(|text| text.len() > MAX_POLICY_STRING || domain.is_none()) {
            checks.refuse("domain", "a host is `app.example.com`, without scheme or port");
        }
        checks.finish(Self { request, endpoint, address, capability, domain })
    }

    /// As it is counted. The key is genuine; whether it is the tenant's, the writer looks up.
    fn decision(&self, tenant: TenantId, key: &ParsedKey<'_>, outcome: &'static str) -> Decision<'_> {
        let endpoint = self.request.endpoint.as_deref().unwrap_or_default();
        let cost = if outcome == PASSED { self.charge().cents } else { 0 };
        Decision { tenant, key: key.unverified_claims().id, endpoint, address: self.address, outcome, cost }
    }

    /// What it is charged.
    fn charge(&self) -> Charge {
        Charge::request(self.request.cost_cents.unwrap_or(0))
    }

    /// The first of the policy's rules that it breaks: its code, and in words. What isn't told may be anything, so that it breaks
    /// every rule about it; but for TLS and the capability, which are judged where they are told.
    fn refusal(&self, claims: &PolicyClaims) -> Option<(&'static str, String)> {
        let Self { request, endpoint, address, capability, domain } = self;
        let told = |word: &Option<String>| word.as_deref().unwrap_or("(none)").to_owned();
        // An endpoint without a method stands for all methods: all of them have to be allowed, none of them blocked.
        let allowed = within(&claims.endpoints, endpoint.as_ref(), |pattern, endpoint| pattern.covers(endpoint));
        let blocked = match endpoint {
            Some(endpoint) => claims.blocked_endpoints.iter().any(|pattern| pattern.meets(endpoint)),
            None => !claims.blocked_endpoints.is_empty(),
        };
        if !allowed {
            return Some((Reason::EndpointNotAllowed.code(), format!("Endpoint {} not allowed", told(&request.endpoint))));
        }
        if blocked {
            return Some((Reason::EndpointBlocked.code(), format!("Endpoint {} is blocked", told(&request.endpoint))));
        }
        if !within(&claims.ips, address.as_ref(), |network, address| network.contains(*address)) {
            return Some((Reason::AddressNotAllowed.code(), format!("IP {} not allowed", told(&request.client_ip))));
        }
        if !within(&claims.domains, domain.as_ref(), |pattern, host| pattern.matches(host)) {
            return Some((Reason::DomainNotAllowed.code(), format!("Domain {} not allowed", told(&request.domain))));
        }
        if claims.require_tls && request.tls == Some(false) {
            return Some((Reason::TlsRequired.code(), "TLS is required".to_owned()));
        }
        if let Some(wanted) = capability
            && !claims.capabilities.iter().any(|held| held.covers(wanted))
        {
            return Some((Reason::CapabilityMissing.code(), format!("Capability {wanted} not granted")));
        }
        uncounted(claims, request.tokens)
    }
}

/// Whether something is admitted; what isn't known is admitted where there is no restriction.
fn within<P, T>(restriction: &AnyOr<P>, given: Option<&T>, admits: impl Fn(&P, &T) -> bool) -> bool {
    match (restriction, given) {
        (AnyOr::Any, _) => true,
        (AnyOr::Only(list), Some(given)) => list.iter().any(|entry| admits(entry, given)),
        (AnyOr::Only(_), None) => false,
    }
}

/// The limits that nobody counts: on one request, and on requests at one time. Of those nobody tells `validate` the end, so that it
/// judges only whether there may be any.
fn uncounted(claims: &PolicyClaims, tokens: Option<u64>) -> Option<(&'static str, String)> {
    let limits = &claims.limits;
    if let (Some(limit), Some(tokens)) = (limits.tokens_per_request, tokens)
        && tokens > limit
    {
        return Some((LimitKind::TokensPerRequest.code(), LimitKind::TokensPerRequest.message(tokens, limit)));
    }
    (limits.concurrent == Some(0)).then(|| (LimitKind::Concurrent.code(), LimitKind::Concurrent.message(0, 0)))
}

fn refused(message: &str) -> KeyValidated {
    KeyValidated { error_message: Some(message.to_owned()), ..answer(Left::default()) }
}

/// An answer that says what is left of the key's limits, and no more yet.
fn answer(left: Left) -> KeyValidated {
    let today = [Meter::DailyQuota, Meter::MonthlyQuota].into_iter().filter_map(|meter| left.get(meter));
    KeyValidated {
        valid: false,
        error_message: None,
        capability_token: None,
        rate_limit_remaining: left.get(Meter::RatePerHour),
        quota_remaining: today.min(),
    }
}

impl Checks {
    fn endpoint(&mut self, text: Option<&str>) -> Option<EndpointPattern> {
        let text = text?;
        if text.len() > MAX_POLICY_STRING {
            self.refuse("endpoint", "too long");
            return None;
        }
        // A star in a path would be taken for a pattern.
        if text.contains('*') {
            self.refuse("endpoint", "an endpoint is a path, and not a pattern");
            return None;
        }
        EndpointPattern::parse(text).map_err(|error| self.refuse("endpoint", error)).ok()
    }

    fn address(&mut self, text: Option<&str>) -> Option<IpAddr> {
        text?.parse().map_err(|_| self.refuse("client_ip", "not an IP address")).ok()
    }

    fn capability(&mut self, text: Option<&str>) -> Option<Capability> {
        Capability::parse(text?).map_err(|error| self.refuse("capability", error)).ok()
    }
}
