//! A rotation on its way, while the old credential overlaps with the new one: finishing it early, or cancelling it.

use keyward_api::{Code, keys::Key};
use keyward_core::{KeyId, TenantId};

use super::{
    create::finish,
    grant,
    precondition::IfMatch,
    rotate::turned,
    row::KeyRow,
    standing::{Changed, announce},
};
use crate::{
    audit::Action,
    auth::Caller,
    clock::{datetime, expiry_seconds},
    error::Result,
    feed::Change,
    state::App,
};

/// Ends the overlap now: only the newest credential is left. Again is as good as once, also where none was left.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `precondition_failed`; `key_revoked`.
pub async fn finish_rotation(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, if_match: &IfMatch) -> Result<Key> {
    let now = app.clock.now();
    let mut tx = app.db.tenant_at_key(tenant, id).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    if_match.check(&key, now)?;
    if key.state == "revoked" {
        return Err(Code::KeyRevoked.into());
    }
    let changed = sqlx::query_as!(
        Changed,
        "UPDATE credentials SET status = 1 WHERE api_key = $1 AND index <> $2 AND status <> 1
         RETURNING index, status, amended_policy, amended_expires",
        id.0,
        key.current_index,
    )
    .fetch_all(tx.connection())
    .await?;
    if changed.is_empty() {
        return key.show(now);
    }
    sqlx::query!("UPDATE api_keys SET updated_at = $2, version = version + 1 WHERE id = $1", id.0, datetime(now))
        .execute(tx.connection())
        .await?;
    let before = key;
    let key = KeyRow::reread(&mut tx, tenant, id).await?;
    tx.record(turned(caller, Action::ApiKeyRotationFinished, &before, &key, now));
    finish(app, tx, &announce(&changed)?).await?;
    tracing::info!(event = "api_key_rotation_finished", key = %id, tenant = %tenant, by = %caller.id());
    key.show(now)
}

/// Goes back to the old credential, with the expiry that it had: the new one is INVALID for ever. Again is as good as
/// once. It takes an overlap that lasts, since what has ended doesn't come back.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `precondition_failed`; `key_revoked`;
/// `rotation_not_in_progress`; `grant_exceeded` (the old raw key lives longer by this, as after a rotation).
pub async fn cancel_rotation(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, if_match: &IfMatch) -> Result<Key> {
    let now = app.clock.now();
    let settings = app.tenants.settings(app, tenant, &[]).await?;
    let mut tx = app.db.tenant_at_key(tenant, id).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    if_match.check(&key, now)?;
    if key.state == "revoked" {
        return Err(Code::KeyRevoked.into());
    }
    let old = sqlx::query!(
        "SELECT index, hint, own_expires, created_at FROM credentials
         WHERE api_key = $1 AND index <> $2 AND status <> 1 AND overlap_ends IS NOT NULL AND amended_expires > $3",
        id.0,
        key.current_index,
        datetime(now),
    )
    .fetch_optional(tx.connection())
    .await?;
    let Some(old) = old else {
        let cancelled = sqlx::query_scalar!(
            r#"SELECT EXISTS (
                   SELECT FROM credentials c JOIN credentials current ON current.index = $2
                   WHERE c.api_key = $1 AND c.cancelled_at IS NOT NULL AND c.created_at >= current.created_at
               ) AS "cancelled!""#,
            id.0,
            key.current_index,
        )
        .fetch_one(tx.connection())
        .await?;
        return if cancelled { key.show(now) } else { Err(Code::RotationNotInProgress.into()) };
    };
    grant::check(caller, &settings, &key.terms.0, expiry_seconds(old.own_expires))?;
    let gone = sqlx::query_as!(
        Changed,
        "UPDATE credentials SET status = 1, cancelled_at = $2 WHERE index = $1
         RETURNING index, status, amended_policy, amended_expires",
        key.current_index,
        datetime(now),
    )
    .fetch_all(tx.connection())
    .await?;
    let back = sqlx::query_as!(
        Changed,
        "UPDATE credentials SET amended_expires = own_expires, own_expires = NULL, overlap_ends = NULL WHERE index = $1
         RETURNING index, status, amended_policy, amended_expires",
        old.index,
    )
    .fetch_all(tx.connection())
    .await?;
    sqlx::query!(
        "UPDATE api_keys
         SET current_index = $2, hint = coalesce($3, hint), expires_at = $4, updated_at = $5, version = version + 1,
             last_rotated = CASE WHEN $6 > created_at THEN $6 END, lapsed = false, wake_at = 'epoch'
         WHERE id = $1",
        id.0,
        old.index,
        old.hint,
        old.own_expires,
        datetime(now),
        old.created_at,
    )
    .execute(tx.connection())
    .await?;
    let before = key;
    let key = KeyRow::reread(&mut tx, tenant, id).await?;
    tx.record(turned(caller, Action::ApiKeyRotationCancelled, &before, &key, now).made_for(&key.owner));
    let (mut change, back): (Change, Change) = (announce(&gone)?, announce(&back)?);
    change.changes.extend(back.changes);
    change.amendments.extend(back.amendments);
    finish(app, tx, &change).await?;
    tracing::info!(event = "api_key_rotation_cancelled", key = %id, tenant = %tenant, by = %caller.id());
    key.show(now)
}
