//! Changing a key's name, description and constraints.

use std::sync::Arc;

use keyward_api::{
    Code, Given,
    keys::{Key, UpdateKey},
};
use keyward_core::{KeyId, PolicyNumber, TenantId};
use serde_json::{Value, json};
use sqlx::types::Json;

use super::{
    create::finish,
    grant,
    row::KeyRow,
    standing::{Changed, announce},
    terms::{Checks, changed_terms},
};
use crate::{
    audit::{Action, Event, changed},
    auth::Caller,
    clock::datetime,
    db::Tx,
    error::Result,
    feed::Change,
    policies::find_or_create,
    state::App,
};

/// Changes a key. New constraints are a new policy for all of its live credentials, in one delta.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `key_revoked`; `validation_failed`; `grant_exceeded`.
pub async fn update(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, request: UpdateKey) -> Result<Key> {
    let now = app.clock.now();
    let settings = app.tenants.settings(app, tenant, request.capabilities.as_deref().unwrap_or_default()).await?;
    let mut tx = app.db.tenant(tenant).await?;
    let mut key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    if key.state == "revoked" {
        return Err(Code::KeyRevoked.into());
    }
    let mut checks = Checks::of(Arc::clone(&settings));
    if let Some(name) = &request.name {
        checks.name(name);
    }
    if let Given::Value(description) = &request.description {
        checks.description(description);
    }
    let old = described(&key);
    let terms = changed_terms(checks, &request, key.terms.0.clone())?;
    let mut change = Change::default();
    if terms != key.terms.0 {
        grant::check_change(caller, &settings, &key.terms.0, &terms, key.expires())?;
        let (policy, is_new) = find_or_create(tx.connection(), &terms, now).await?;
        change = amend(&mut tx, id, policy).await?;
        change.policies.extend(is_new.then_some(policy));
        key.policy_in_force = policy.0.into();
        key.terms = Json(terms);
        sqlx::query!("UPDATE api_keys SET policy = $2 WHERE id = $1", id.0, key.policy_in_force).execute(tx.connection()).await?;
    }
    if let Some(name) = request.name {
        key.name = name;
    }
    match request.description {
        Given::Missing => {}
        Given::Null => key.description = None,
        Given::Value(description) => key.description = Some(description),
    }
    key.updated_at = datetime(now);
    sqlx::query!(
        "UPDATE api_keys SET name = $2, description = $3, updated_at = $4 WHERE id = $1",
        id.0,
        key.name,
        key.description,
        key.updated_at,
    )
    .execute(tx.connection())
    .await?;
    let (before, after) = changed(&old, &described(&key));
    tx.record(Event::by(caller.actor(), Action::ApiKeyUpdated, now).on_key(id).before(before).after(after));
    finish(app, tx, &change).await?;
    tracing::info!(event = "api_key_updated", key = %id, tenant = %tenant, by = %caller.id(), policy = key.policy_in_force);
    key.show(now)
}

/// What can be changed of a key, for the audit trail.
fn described(key: &KeyRow) -> Value {
    let mut all = json!(key.terms.0);
    all["name"] = json!(key.name);
    all["description"] = json!(key.description);
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
