//! What is asked for as a new key, checked, and with a place in the status lists.

use std::sync::Arc;

use keyward_api::{Code, keys::CreateKey};
use keyward_core::{Digest, Environment, PolicyTerms, ScopeClass, TenantId, Timestamp};

use super::{
    grant,
    issue::{Draft, Profile},
    terms::{Checks, new_terms},
};
use crate::{
    auth::Caller,
    error::{Error, Result},
    ids::new_id,
    positions::Place,
    sealing::random,
    state::App,
    tenants::Settings,
};

/// A key that may be made.
pub struct Prepared {
    pub draft: Draft,
    pub profile: Profile,
    pub terms: PolicyTerms,
    /// Of the terms.
    pub digest: Digest,
}

/// The places of keys.
pub fn places(prepared: &[Prepared]) -> Vec<Place> {
    prepared.iter().map(|key| key.draft.place).collect()
}

/// As [`prepare`], in a tenant that is there.
///
/// # Errors
/// As [`prepare`]; `not_found` where it isn't.
pub async fn prepare_in(app: &App, caller: &Caller, tenant: TenantId, request: CreateKey, now: Timestamp) -> Result<Prepared> {
    let settings = app.tenants.settings(app, tenant, request.capabilities.as_deref().unwrap_or_default()).await?;
    prepare(app, caller, (tenant, settings), request, now).await
}

/// Checks all that is asked for, and takes a place for it.
///
/// # Errors
/// `validation_failed`, `grant_exceeded`, `scope_insufficient`, `capacity_exhausted`.
pub async fn prepare(
    app: &App,
    caller: &Caller,
    (tenant, settings): (TenantId, Arc<Settings>),
    request: CreateKey,
    now: Timestamp,
) -> Result<Prepared> {
    let mut checks = Checks::of(Arc::clone(&settings));
    checks.name(&request.name);
    checks.description(request.description.as_deref().unwrap_or_default());
    let owner = request.owner_id.as_deref().unwrap_or(caller.owner());
    checks.owner(owner);
    let expires = checks.expiry(request.expires_in_days, now, caller.expires());
    let rotation_period_days = checks.rotation_period(request.rotation_period_days);
    let terms = new_terms(checks, &request, tenant, &caller.terms())?;
    if !caller.sees(owner) {
        return Err(Error::from(Code::ScopeInsufficient).detail("A key of user scope can create keys for its own owner alone."));
    }
    grant::check(caller, &settings, &terms, expires)?;
    let draft = Draft {
        id: new_id(now)?,
        scope: request.scope.unwrap_or(ScopeClass::User),
        exchange: request.token_exchange.unwrap_or(true),
        prefix: settings.prefix,
        environment: request.environment.unwrap_or(Environment::Live),
        expires,
        place: app.positions.take(app).await?,
        entropy: random()?,
    };
    let profile = Profile {
        tenant,
        owner: owner.to_owned(),
        name: request.name,
        description: request.description,
        rotation_period_days,
        by: Some(Arc::clone(caller.actor())),
        created: now,
    };
    Ok(Prepared { draft, profile, digest: terms.digest(), terms })
}
