//! Changing a key's name, description, owner and constraints.

use std::sync::Arc;

use keyward_api::{
    Code, Given,
    keys::{Key, UpdateKey},
};
use keyward_core::{KeyId, PolicyNumber, TenantId};
use serde_json::{Value, json};

use super::{
    create::finish,
    grant,
    precondition::IfMatch,
    row::KeyRow,
    standing::{Changed, announce},
    terms::{Checks, changed_terms},
};
use crate::{
    audit::{Action, Event, changed},
    auth::Caller,
    clock::datetime,
    db::Tx,
    error::{Error, Result},
    feed::Change,
    policies::find_or_create,
    state::App,
    tenants::owners,
};

/// Changes a key. New constraints are a new policy for all of its live credentials, in one delta.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `precondition_failed`; `key_revoked`; `validation_failed`;
/// `grant_exceeded`; `scope_insufficient` where a caller of user scope names another owner.
pub async fn update(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, if_match: &IfMatch, request: UpdateKey) -> Result<Key> {
    let now = app.clock.now();
    let settings = app.tenants.settings(app, tenant, request.capabilities.as_deref().unwrap_or_default()).await?;
    let mut tx = app.db.tenant_at_key(tenant, id).await?;
    let mut key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    if_match.check(&key, now)?;
    if key.state == "revoked" {
        return Err(Code::KeyRevoked.into());
    }
    let old = described(&key);
    let mut checks = Checks::of(Arc::clone(&settings));
    if let Some(name) = &request.name {
        checks.name(name);
    }
    if let Given::Value(description) = &request.description {
        checks.description(description);
    }
    if let Some(owner) = &request.owner_id {
        checks.owner(owner);
    }
    match request.rotation_period_days {
        Given::Missing => {}
        Given::Null => key.rotation_period_days = None,
        Given::Value(days) => key.rotation_period_days = checks.rotation_period(Some(days)),
    }
    let terms = changed_terms(checks, &request, key.terms.0.clone())?;
    if let Some(owner) = request.owner_id {
        if !caller.sees(&owner) {
            return Err(Error::from(Code::ScopeInsufficient).detail("A key of user scope can give keys to its own owner alone."));
        }
        owners::make_for_key(&mut tx, tenant, &owner, now).await?;
        key.owner = owner;
    }
    let mut change = Change::default();
    if terms != key.terms.0 {
        grant::check_change(caller, &settings, &key.terms.0, &terms, key.expires())?;
        let (policy, is_new) = find_or_create(tx.connection(), &terms, now).await?;
        change = amend(&mut tx, id, policy).await?;
        change.policies.extend(is_new.then_some(policy));
        sqlx::query!("UPDATE api_keys SET policy = $2 WHERE id = $1", id.0, i64::from(policy.0)).execute(tx.connection()).await?;
    }
    if let Some(name) = request.name {
        key.name = name;
    }
    match request.description {
        Given::Missing => {}
        Given::Null => key.description = None,
        Given::Value(description) => key.description = Some(description),
    }
    sqlx::query!(
        "UPDATE api_keys
         SET name = $2, description = $3, owner = $4, rotation_period_days = $5, updated_at = $6, version = version + 1, wake_at = 'epoch'
         WHERE id = $1",
        id.0,
        key.name,
        key.description,
        key.owner,
        key.rotation_period_days,
        datetime(now),
    )
    .execute(tx.connection())
    .await?;
    let key = KeyRow::reread(&mut tx, tenant, id).await?;
    let (before, after) = changed(&old, &described(&key));
    let event = Event::by(caller.actor(), Action::ApiKeyUpdated, now).on_key(id).before(before).after(after);
    tx.record(if old["owner_id"] == key.owner { event } else { event.made_for(&key.owner) });
    finish(app, tx, &change).await?;
    tracing::info!(event = "api_key_updated", key = %id, tenant = %tenant, by = %caller.id(), policy = key.policy_in_force);
    key.show(now)
}

/// What can be changed of a key, for the audit trail.
fn described(key: &KeyRow) -> Value {
    let mut all = json!(key.terms.0);
    all["name"] = json!(key.name);
    all["description"] = json!(key.description);
    all["owner_id"] = json!(key.owner);
    all["rotation_period_days"] = json!(key.rotation_period_days);
    all["policy"] = json!(key.policy_in_force);
    all
}

/// Puts all live credentials of a key under another policy. Each keeps its expiry; suspended ones stay suspended.
async fn amend(tx: &mut Tx, id: KeyId, policy: PolicyNumber) -> Result<Change> {
    let changed = sqlx::query_as!(
        Changed,
        "UPDATE credentials
         SET status = CASE status WHEN 2 THEN 2 ELSE 3 END,
             amended_expires = CASE WHEN amended_policy IS NULL THEN expires_at ELSE amended_expires END,
             amended_policy = $2
         WHERE api_key = $1 AND status <> 1
         RETURNING index, status, amended_policy, amended_expires",
        id.0,
        i64::from(policy.0),
    )
    .fetch_all(tx.connection())
    .await?;
    announce(&changed)
}
