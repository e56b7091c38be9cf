//! Creating a key.

use std::sync::Arc;

use keyward_api::{
    Code,
    keys::{CreateKey, Key, KeyCreated},
};
use keyward_core::{Environment, PolicyTerms, ScopeClass, TenantId};
use keyward_issuer::SecretKeyText;
use sqlx::types::Json;

use super::{
    WARNING, grant,
    idempotency::Idempotency,
    issue::{Draft, NewKey, Profile, new_id, store_in},
    row::{Holding, KeyRow},
    terms::{Checks, new_terms},
};
use crate::{
    auth::Caller,
    clock::{datetime, expiry},
    db::Tx,
    error::{Error, Result},
    feed::Change,
    policies::find_or_create,
    sealing::random,
    state::App,
};

/// Creates a key in a tenant.
///
/// # Errors
/// `validation_failed`, `grant_exceeded`, `scope_insufficient`, those of idempotency, and those of any write.
pub async fn create(
    app: &App,
    caller: &Caller,
    tenant: TenantId,
    request: CreateKey,
    idempotency: Option<Idempotency>,
) -> Result<KeyCreated> {
    let now = app.clock.now();
    let settings = app.tenants.settings(app, tenant, request.capabilities.as_deref().unwrap_or_default()).await?;
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
    app.tenants.may_create(tenant, now)?;

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
    // The policy that says this is known from before, nearly always: then there is nothing to tell, and many requests'
    // keys are stored together.
    if idempotency.is_none()
        && app.positions.is_open(draft.place)
        && let Some(policy) = app.policies.hint(tenant, terms.digest())
    {
        let minted = draft.mint(&app.keyrings.current(), policy)?;
        let key = NewKey { profile: profile.clone(), draft: draft.clone(), stamp: minted.stamp };
        if app.new_keys.ask(key.clone()).await? {
            return created(key, &minted.raw, terms);
        }
        app.policies.forget(tenant, terms.digest());
    }

    let mut tx = app.db.tenant(tenant).await?;
    if let Some(idempotency) = idempotency
        && let Some(replay) = idempotency.claim(app, &mut tx, caller, tenant, &draft, now).await?
    {
        return Ok(answer(replay.key.show(now)?, &replay.raw));
    }
    let mut change = app.positions.open(tx.connection(), draft.place).await?;
    let (policy, is_new) = find_or_create(tx.connection(), &terms, now).await?;
    let minted = draft.mint(&app.keyrings.current(), policy)?;
    let key = NewKey { profile, draft, stamp: minted.stamp };
    if store_in(tx.connection(), tenant, &[&key]).await? != [true] {
        return Err(Error::internal(anyhow::anyhow!("policy {policy} was superseded while a key was made under it")));
    }
    change.policies.extend(is_new.then_some(policy));
    tx.record(key.event());
    if let Err(error) = finish(app, tx, &change).await {
        app.tenants.remember_refusal(tenant, error.code(), now);
        return Err(error);
    }
    app.positions.opened(key.draft.place);
    app.policies.remember(tenant, terms.digest(), policy);
    created(key, &minted.raw, terms)
}

/// Commits; through the feed where there is something to tell. A key under a known policy is none of the feed's business.
///
/// # Errors
/// As any write.
pub async fn finish(app: &App, tx: Tx, change: &Change) -> Result<()> {
    if change.is_empty() {
        return tx.commit().await;
    }
    app.feed.committed(tx.commit_with(change).await?, change);
    Ok(())
}

fn created(key: NewKey, raw: &SecretKeyText, terms: PolicyTerms) -> Result<KeyCreated> {
    let NewKey { profile, draft, stamp } = key;
    tracing::info!(
        event = "api_key_created",
        key = %draft.id,
        tenant = %profile.tenant,
        by = profile.by.map(|by| tracing::field::display(by.who.key)),
        policy = stamp.policy.0
    );
    let holding = Holding {
        index: draft.place.index.0.into(),
        hint: Some(stamp.hint.clone()),
        created: datetime(profile.created),
        expires: expiry(draft.expires),
    };
    let row = KeyRow {
        id: draft.id.0,
        tenant: profile.tenant.0,
        owner: profile.owner,
        name: profile.name,
        description: profile.description,
        scope: draft.scope as i16,
        environment: draft.environment.as_str().to_owned(),
        exchange: draft.exchange,
        state: "active".to_owned(),
        expires_at: expiry(draft.expires),
        current_index: draft.place.index.0.into(),
        hint: stamp.hint,
        created_at: datetime(profile.created),
        updated_at: datetime(profile.created),
        last_rotated: None,
        rotation_period_days: profile.rotation_period_days,
        version: 1,
        revoked_at: None,
        revocation_reason: None,
        credentials: Some(Json(vec![holding])),
        policy_in_force: stamp.policy.0.into(),
        terms: Json(terms),
        used_requests: None,
        used_bytes: None,
        used_errors: None,
        used_rate_limit_hits: None,
        last_used: None,
    };
    Ok(answer(row.show(profile.created)?, raw))
}

fn answer(api_key: Key, raw: &SecretKeyText) -> KeyCreated {
    KeyCreated { api_key, raw_key: raw.expose().to_owned(), warning: WARNING.to_owned() }
}
