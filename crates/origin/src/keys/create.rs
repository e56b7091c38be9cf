//! Creating a key.

use keyward_api::{
    Code,
    keys::{CreateKey, Key, KeyCreated},
};
use keyward_core::{Environment, PolicyTerms, ScopeClass, TenantId, Timestamp};
use keyward_issuer::SecretKeyText;
use sqlx::types::Json;

use super::{
    WARNING, grant,
    idempotency::Idempotency,
    issue::{Draft, Minted, Profile, new_id, store_key},
    row::KeyRow,
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
    let mut checks = Checks::default();
    checks.name(&request.name);
    checks.description(request.description.as_deref().unwrap_or_default());
    let owner = request.owner_id.as_deref().unwrap_or(caller.owner());
    checks.owner(owner);
    let expires = checks.expiry(request.expires_in_days, now, caller.expires());
    let terms = new_terms(checks, &request, tenant, &caller.terms())?;
    if !caller.sees(owner) {
        return Err(Error::from(Code::ScopeInsufficient).detail("A key of user scope can create keys for its own owner alone."));
    }
    grant::check(caller, &terms, expires)?;

    let draft = Draft {
        id: new_id(now)?,
        scope: request.scope.unwrap_or(ScopeClass::User),
        exchange: request.token_exchange.unwrap_or(true),
        prefix: app.tenants.prefix(app, tenant).await?,
        environment: request.environment.unwrap_or(Environment::Live),
        expires,
        place: app.positions.take(app).await?,
        entropy: random()?,
    };
    let profile = Profile {
        tenant: tenant.0,
        owner,
        name: &request.name,
        description: request.description.as_deref(),
        created_by: Some(caller.id()),
    };

    let mut tx = app.db.tenant(tenant).await?;
    if let Some(idempotency) = idempotency
        && let Some(replay) = idempotency.claim(app, &mut tx, caller, tenant, &draft, now).await?
    {
        return Ok(answer(replay.key.show(now)?, &replay.raw));
    }
    let mut change = app.positions.open(tx.connection(), draft.place).await?;
    let (minted, policy_is_new) = store(app, &mut tx, &draft, &profile, &terms, now).await?;
    change.policies.extend(policy_is_new.then_some(minted.policy()));
    finish(app, tx, &change).await?;
    app.positions.opened(draft.place);
    app.policies.remember(tenant, terms.digest(), minted.policy());
    tracing::info!(event = "api_key_created", key = %draft.id, tenant = %tenant, by = %caller.id(), policy = minted.policy().0);
    let key = shown(&draft, &minted, &profile, terms, now)?;
    Ok(answer(key, &minted.raw))
}

/// Stores the key under the tenant's policy with these terms, made if there is none; whether it was made.
async fn store(
    app: &App,
    tx: &mut Tx,
    draft: &Draft,
    profile: &Profile<'_>,
    terms: &PolicyTerms,
    now: Timestamp,
) -> Result<(Minted, bool)> {
    let keyring = app.keyrings.current();
    // The policy that says this is known from before, nearly always: then one statement does it.
    let digest = terms.digest();
    if let Some(policy) = app.policies.hint(terms.tenant, digest) {
        let minted = draft.mint(&keyring, policy)?;
        if store_key(tx.connection(), draft, &minted, profile, now).await? {
            return Ok((minted, false));
        }
        app.policies.forget(terms.tenant, digest);
    }
    let (policy, is_new) = find_or_create(tx.connection(), terms, now).await?;
    let minted = draft.mint(&keyring, policy)?;
    if store_key(tx.connection(), draft, &minted, profile, now).await? {
        return Ok((minted, is_new));
    }
    Err(Error::internal(anyhow::anyhow!("policy {policy} was superseded while a key was made under it")))
}

/// Commits; through the feed where there is something to tell. A key under a known policy is none of the feed's business.
///
/// # Errors
/// As any write.
pub async fn finish(app: &App, tx: Tx, change: &Change) -> Result<()> {
    if change.is_empty() {
        return tx.commit().await;
    }
    app.feed.committed(tx.commit_with(change).await?);
    Ok(())
}

fn shown(draft: &Draft, minted: &Minted, profile: &Profile<'_>, terms: PolicyTerms, now: Timestamp) -> Result<Key> {
    let row = KeyRow {
        id: draft.id.0,
        tenant: profile.tenant,
        owner: profile.owner.to_owned(),
        name: profile.name.to_owned(),
        description: profile.description.map(str::to_owned),
        scope: draft.scope as i16,
        environment: draft.environment.as_str().to_owned(),
        exchange: draft.exchange,
        state: "active".to_owned(),
        expires_at: expiry(draft.expires),
        current_index: draft.place.index.0.into(),
        hint: minted.hint.clone(),
        created_at: datetime(now),
        updated_at: datetime(now),
        last_rotated: None,
        policy_in_force: minted.policy().0.into(),
        terms: Json(terms),
    };
    row.show(now)
}

fn answer(api_key: Key, raw: &SecretKeyText) -> KeyCreated {
    KeyCreated { api_key, raw_key: raw.expose().to_owned(), warning: WARNING.to_owned() }
}
