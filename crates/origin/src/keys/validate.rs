//! Answering for a key that somebody else was given: would it pass?

use keyward_api::keys::{KeyValidated, ValidateKey};
use keyward_core::{
    AccessTokenClaims, AnyOr, EndpointPattern, ParsedKey, PolicyClaims, Reason, Role, StatusRef, StatusReference, TenantId, VerifiedKey,
    bounds::{MAX_KEY_LEN, MAX_POLICY_STRING},
};
use keyward_issuer::{SignError, status_list_uri};
use std::net::IpAddr;

use super::issue::new_id;
use crate::{
    auth::verify,
    error::{Error, Result},
    keys::terms::Checks,
    state::App,
};
use keyward_api::Code;

/// For how long a token counts, seconds.
const TOKEN_SECONDS: u64 = 300;
/// All that is said of a key that nobody proved to hold.
const UNRECOGNISED: &str = "Invalid API key";

/// Whether a key of the tenant would pass. Checks and words are those of the API that Keyward grew from.
///
/// # Errors
/// `validation_failed` where the endpoint or address can't be read; `database_unavailable`. A key that doesn't pass is
/// an answer, not an error.
pub async fn validate(app: &App, tenant: TenantId, request: ValidateKey) -> Result<KeyValidated> {
    let mut checks = Checks::default();
    let endpoint = checks.endpoint(request.endpoint.as_deref());
    let address = checks.address(request.client_ip.as_deref());
    checks.finish(())?;
    let recognised = match request.api_key.len() {
        ..=MAX_KEY_LEN => ParsedKey::parse(&request.api_key).ok(),
        _ => None,
    };
    let Some(parsed) = recognised else { return Ok(refused(UNRECOGNISED)) };
    let (key, row) = match verify(app, &parsed, parsed.environment()).await {
        Ok(found) => found,
        Err(error) => {
            return match error.code() {
                Code::Refused(reason) if reason.proved() && reason.class() == keyward_core::Class::Unauthenticated => {
                    refuse_genuine(app, tenant, &parsed, reason).await
                }
                Code::Refused(_) => Ok(refused(UNRECOGNISED)),
                _ => Err(error),
            };
        }
    };
    if row.tenant != tenant {
        return Ok(refused(UNRECOGNISED));
    }
    let stored = app.policies.lookup(app, key.policy()).await?;
    let claims = stored.policy.claims();
    if let Some(message) = refusal(claims, &request, endpoint.as_ref(), address) {
        return Ok(refused(&message));
    }
    let capability_token = if key.exchange() { token(app, &key, claims)? } else { None };
    Ok(KeyValidated { valid: true, error_message: None, capability_token, rate_limit_remaining: None, quota_remaining: None })
}

/// The words for a key that is genuine and doesn't hold, where it is the tenant's.
async fn refuse_genuine(app: &App, tenant: TenantId, parsed: &ParsedKey<'_>, reason: Reason) -> Result<KeyValidated> {
    let claims = parsed.unverified_claims();
    let theirs =
        sqlx::query_scalar!("SELECT tenant FROM credentials WHERE index = $1 AND api_key = $2", i64::from(claims.index.0), claims.id.0)
            .fetch_optional(app.db.system())
            .await?;
    let message = match reason {
        _ if theirs != Some(tenant.0) => UNRECOGNISED,
        Reason::Revoked => "API key is revoked",
        Reason::Suspended => "API key is suspended",
        Reason::Expired => "API key has expired",
        _ => UNRECOGNISED,
    };
    Ok(refused(message))
}

fn refusal(claims: &PolicyClaims, request: &ValidateKey, endpoint: Option<&EndpointPattern>, address: Option<IpAddr>) -> Option<String> {
    let asked = request.endpoint.as_deref().unwrap_or("(none)");
    // An endpoint without a method stands for all methods: all of them have to be allowed, none of them blocked. One
    // that isn't named may be any.
    let allowed = match (&claims.endpoints, endpoint) {
        (AnyOr::Any, _) => true,
        (AnyOr::Only(list), Some(endpoint)) => list.iter().any(|pattern| pattern.covers(endpoint)),
        (AnyOr::Only(_), None) => false,
    };
    if !allowed {
        return Some(format!("Endpoint {asked} not allowed"));
    }
    let blocked = match endpoint {
        Some(endpoint) => claims.blocked_endpoints.iter().any(|pattern| pattern.meets(endpoint)),
        None => !claims.blocked_endpoints.is_empty(),
    };
    if blocked {
        return Some(format!("Endpoint {asked} is blocked"));
    }
    let admitted = match &claims.ips {
        AnyOr::Any => true,
        AnyOr::Only(list) => address.is_some_and(|address| list.iter().any(|network| network.contains(address))),
    };
    (!admitted).then(|| format!("IP {} not allowed", request.client_ip.as_deref().unwrap_or("(none)")))
}

/// A capability token for what the key permits (RFC 9068), never past the key's own expiry; `None` where that is more
/// than a token may hold.
fn token(app: &App, key: &VerifiedKey, claims: &PolicyClaims) -> Result<Option<String>> {
    let now = app.clock.now();
    let issuer = &app.config.issuer;
    let scope: Vec<_> = claims.capabilities.iter().map(|capability| capability.as_str()).collect();
    let payload = AccessTokenClaims {
        iss: issuer.clone(),
        sub: key.id(),
        aud: issuer.clone(),
        exp: (now.secs() + TOKEN_SECONDS).min(key.expires().unwrap_or(u64::MAX)),
        iat: now.secs(),
        jti: new_id(now)?.0,
        client_id: key.id(),
        scope: scope.join(" "),
        cap: claims.capabilities.clone(),
        tenant: claims.tenant,
        ep: claims.endpoints.clone(),
        ip: claims.ips.clone(),
        lim: claims.limits,
        status: StatusReference {
            status_list: StatusRef {
                idx: u32::try_from(key.index().offset()).map_err(Error::internal)?,
                uri: status_list_uri(issuer, key.index().shard()),
            },
        },
    };
    match app.keyrings.current().signer(Role::Token)?.sign(&payload) {
        Ok(token) => Ok(Some(token)),
        Err(SignError::TooLong) => Ok(None),
        Err(error) => Err(Error::internal(error)),
    }
}

fn refused(message: &str) -> KeyValidated {
    KeyValidated {
        valid: false,
        error_message: Some(message.to_owned()),
        capability_token: None,
        rate_limit_remaining: None,
        quota_remaining: None,
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
}
