//! Revoke, suspend and resume: one transaction and one delta for all credentials of a key.

use keyward_api::{
    Code,
    keys::{Key, KeyRevoked},
};
use keyward_core::{Amendment, KeyId, Status, StatusIndex, TenantId, Timestamp};
use serde_json::json;
use sqlx::types::time::OffsetDateTime;

use super::{create::finish, row::KeyRow};
use crate::{
    audit::{Action, Event, members},
    auth::Caller,
    clock::{datetime, expiry_seconds},
    error::{Error, Result},
    feed::Change,
    policies::policy_number,
    state::App,
};

/// A credential after a change of its status.
pub struct Changed {
    pub index: i64,
    pub status: i16,
    pub amended_policy: Option<i64>,
    pub amended_expires: Option<OffsetDateTime>,
}

/// What the feed has to tell of changed credentials: the status, and with it the amendment where there is one.
///
/// # Errors
/// Never with what the database admits.
pub fn announce(changed: &[Changed]) -> Result<Change> {
    let mut change = Change::default();
    for row in changed {
        let index = StatusIndex(u32::try_from(row.index).map_err(Error::internal)?);
        let status = u8::try_from(row.status).ok().and_then(Status::from_value);
        let status = status.ok_or_else(|| Error::internal(anyhow::anyhow!("a status that is none")))?;
        change.changes.push((index, status));
        if let Some(policy) = row.amended_policy
            && status != Status::Invalid
        {
            change.amendments.push(Amendment { index, policy: policy_number(policy), expires: expiry_seconds(row.amended_expires) });
        }
    }
    Ok(change)
}

/// What the audit trail says of a key whose state was changed.
fn turned(caller: &Caller, action: Action, key: &KeyRow, state: &str, now: Timestamp) -> Event {
    Event::by(caller.actor(), action, now)
        .on_key(key.id())
        .before(members(json!({"state": key.state})))
        .after(members(json!({"state": state})))
}

/// Revokes a key for ever. Again is as good as once.
///
/// # Errors
/// `not_found` where there is none that the caller sees.
pub async fn revoke(app: &App, caller: &Caller, tenant: TenantId, id: KeyId) -> Result<KeyRevoked> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(tenant).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    if key.state != "revoked" {
        sqlx::query!("UPDATE api_keys SET state = 'revoked', updated_at = $2 WHERE id = $1", id.0, datetime(now))
            .execute(tx.connection())
            .await?;
        let changed = sqlx::query_as!(
            Changed,
            "UPDATE credentials SET status = 1 WHERE api_key = $1 AND status <> 1
             RETURNING index, status, amended_policy, amended_expires",
            id.0
        )
        .fetch_all(tx.connection())
        .await?;
        tx.record(turned(caller, Action::ApiKeyRevoked, &key, "revoked", now));
        finish(app, tx, &announce(&changed)?).await?;
        tracing::info!(event = "api_key_revoked", key = %id, tenant = %tenant, by = %caller.id());
    }
    Ok(KeyRevoked { success: true, message: "API key revoked successfully".to_owned(), key_id: id })
}

/// Takes a key out of use until it is resumed. Again is as good as once.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `key_revoked`.
pub async fn suspend(app: &App, caller: &Caller, tenant: TenantId, id: KeyId) -> Result<Key> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(tenant).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    match key.state.as_str() {
        "active" => {}
        "suspended" => return key.show(now),
        _ => return Err(Code::KeyRevoked.into()),
    }
    sqlx::query!("UPDATE api_keys SET state = 'suspended', updated_at = $2 WHERE id = $1", id.0, datetime(now))
        .execute(tx.connection())
        .await?;
    let changed = sqlx::query_as!(
        Changed,
        "UPDATE credentials SET status = 2 WHERE api_key = $1 AND status IN (0, 3)
         RETURNING index, status, amended_policy, amended_expires",
        id.0
    )
    .fetch_all(tx.connection())
    .await?;
    tx.record(turned(caller, Action::ApiKeySuspended, &key, "suspended", now));
    finish(app, tx, &announce(&changed)?).await?;
    tracing::info!(event = "api_key_suspended", key = %id, tenant = %tenant, by = %caller.id());
    KeyRow { state: "suspended".to_owned(), updated_at: datetime(now), ..key }.show(now)
}

/// Takes a suspended key into use again, with the amendment that it had. Again is as good as once.
///
/// # Errors
/// As [`suspend`].
pub async fn resume(app: &App, caller: &Caller, tenant: TenantId, id: KeyId) -> Result<Key> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(tenant).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    match key.state.as_str() {
        "suspended" => {}
        "active" => return key.show(now),
        _ => return Err(Code::KeyRevoked.into()),
    }
    sqlx::query!("UPDATE api_keys SET state = 'active', updated_at = $2 WHERE id = $1", id.0, datetime(now))
        .execute(tx.connection())
        .await?;
    let changed = sqlx::query_as!(
        Changed,
        "UPDATE credentials SET status = CASE WHEN amended_policy IS NULL THEN 0 ELSE 3 END WHERE api_key = $1 AND status = 2
         RETURNING index, status, amended_policy, amended_expires",
        id.0
    )
    .fetch_all(tx.connection())
    .await?;
    tx.record(turned(caller, Action::ApiKeyResumed, &key, "active", now).made_for(&key.owner));
    finish(app, tx, &announce(&changed)?).await?;
    tracing::info!(event = "api_key_resumed", key = %id, tenant = %tenant, by = %caller.id());
    KeyRow { state: "active".to_owned(), updated_at: datetime(now), ..key }.show(now)
}
