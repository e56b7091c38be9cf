//! What a token or key permits now (RFC 7662). Of what doesn't hold, or is another tenant's, nothing but that.

use keyward_api::{Code, oauth::Introspection};
use keyward_core::{Capability, Class, KeyId, ParsedKey, Refusal, TenantId, TokenError, Verifier};

use crate::{
    auth::{self, Freshness, row_at},
    error::{Error, Result},
    state::App,
    tokens,
};

/// Looks at a token or key of a tenant.
///
/// # Errors
/// Where it can't be known.
pub async fn introspect(app: &App, tenant: TenantId, text: &str) -> Result<Introspection> {
    let found = if text.contains('.') { token(app, tenant, text).await } else { key(app, tenant, text).await };
    match found {
        Ok(found) => Ok(found.unwrap_or_default()),
        Err(error) => match error.code() {
            Code::Refused(reason) if reason.class() != Class::Unavailable => Ok(Introspection::default()),
            _ => Err(error),
        },
    }
}

async fn token(app: &App, tenant: TenantId, text: &str) -> Result<Option<Introspection>> {
    let now = app.clock.now();
    let keyring = app.keyrings.current();
    let authentic = keyring.authenticate_token(text, now).map_err(refusal)?;
    let (index, key, environment) = (authentic.index(), authentic.claims().sub, authentic.claims().key.environment);
    if authentic.claims().tenant != tenant {
        return Ok(None);
    }
    let row = row_at(app, index, Freshness::Followed).await?.filter(|row| row.key == key && row.tenant == tenant);
    let Some(row) = row else { return Ok(None) };
    // For whom it is, is for the caller to compare: it may ask for any service of the tenant.
    let audience = authentic.claims().aud.clone();
    let token = Verifier::new(&keyring.keys, &*row, environment).admit_token(authentic, &audience, now).map_err(refusal)?;
    let policy = app.policies.lookup(app, token.key().policy()).await?;
    let claims = token.claims();
    if tokens::is_revoked(app, tenant, claims.jti).await? {
        return Ok(None);
    }
    let held = &policy.policy.claims().capabilities;
    let common = claims.cap.iter().flat_map(|own| held.iter().filter_map(move |theirs| own.common(theirs)));
    Ok(Some(Introspection {
        iat: Some(claims.iat),
        aud: Some(audience),
        jti: Some(claims.jti),
        ..active(app, key, tenant, common, token.key().expires())
    }))
}

async fn key(app: &App, tenant: TenantId, text: &str) -> Result<Option<Introspection>> {
    let holder = auth::of_tenant(app, tenant, &ParsedKey::parse(text)?).await?;
    Ok(holder.map(|holder| active(app, holder.id(), tenant, holder.claims().capabilities.iter(), holder.key().expires())))
}

fn active<'a>(
    app: &App,
    key: KeyId,
    tenant: TenantId,
    capabilities: impl Iterator<Item = &'a Capability>,
    exp: Option<u64>,
) -> Introspection {
    let mut scope: Vec<_> = capabilities.map(Capability::as_str).collect();
    scope.sort_unstable();
    scope.dedup();
    Introspection {
        active: true,
        scope: Some(scope.join(" ")),
        client_id: Some(key),
        token_type: Some("Bearer".to_owned()),
        exp,
        sub: Some(key),
        iss: Some(app.config.issuer.clone()),
        tenant: Some(tenant),
        ..Introspection::default()
    }
}

fn refusal(error: TokenError) -> Error {
    Refusal::from(error).into()
}
