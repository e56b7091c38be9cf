//! Suspend and resume: one transaction and one delta for all credentials of a key, or of many.

use keyward_api::{Code, keys::Key};
use keyward_core::{Amendment, KeyId, Status, StatusIndex, TenantId, Timestamp};
use serde::Serialize;
use sqlx::types::{Uuid, time::OffsetDateTime};

use super::{create::finish, precondition::IfMatch, row::KeyRow};
use crate::{
    audit::{Action, Event, in_order},
    auth::Caller,
    clock::{datetime, expiry_seconds},
    db::Tx,
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
pub fn turned(caller: &Caller, action: Action, id: KeyId, states: (&str, &str), now: Timestamp) -> Event {
    let [before, after] = [states.0, states.1].map(|state| in_order(&Turned { state }));
    Event { before, after, ..Event::by(caller.actor(), action, now).on_key(id) }
}

/// What changes of a key that is turned.
#[derive(Serialize)]
struct Turned<'a> {
    state: &'a str,
}

/// Takes a key out of use until it is resumed. Again is as good as once.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `precondition_failed`; `key_revoked`.
pub async fn suspend(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, if_match: &IfMatch) -> Result<Key> {
    let now = app.clock.now();
    let mut tx = app.db.tenant_at_key(tenant, id).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    if_match.check(&key, now)?;
    match key.state.as_str() {
        "active" => {}
        "suspended" => return key.show(now),
        _ => return Err(Code::KeyRevoked.into()),
    }
    let (_, change) = suspend_in(&mut tx, &[key.id], now).await?;
    let key = KeyRow::reread(&mut tx, tenant, id).await?;
    tx.record(turned(caller, Action::ApiKeySuspended, id, ("active", "suspended"), now));
    finish(app, tx, &change).await?;
    tracing::info!(event = "api_key_suspended", key = %id, tenant = %tenant, by = %caller.id());
    key.show(now)
}

/// Takes a suspended key into use again, with the amendment that it had. Again is as good as once.
///
/// # Errors
/// As [`suspend`].
pub async fn resume(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, if_match: &IfMatch) -> Result<Key> {
    let now = app.clock.now();
    let mut tx = app.db.tenant_at_key(tenant, id).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    if_match.check(&key, now)?;
    match key.state.as_str() {
        "suspended" => {}
        "active" => return key.show(now),
        _ => return Err(Code::KeyRevoked.into()),
    }
    let (_, change) = resume_in(&mut tx, &[key.id], now).await?;
    let key = KeyRow::reread(&mut tx, tenant, id).await?;
    tx.record(turned(caller, Action::ApiKeyResumed, id, ("suspended", "active"), now).made_for(&key.owner));
    finish(app, tx, &change).await?;
    tracing::info!(event = "api_key_resumed", key = %id, tenant = %tenant, by = %caller.id());
    key.show(now)
}

/// Suspends those of some keys, which are held, that are active.
///
/// # Errors
/// As any write.
pub async fn suspend_in(tx: &mut Tx, ids: &[Uuid], now: Timestamp) -> Result<(Vec<Uuid>, Change)> {
    let keys = sqlx::query_scalar!(
        "UPDATE api_keys SET state = 'suspended', lapsed = false, updated_at = $2, version = version + 1
         WHERE id = ANY($1) AND state = 'active' RETURNING id",
        ids,
        datetime(now),
    )
    .fetch_all(tx.connection())
    .await?;
    let changed = sqlx::query_as!(
        Changed,
        "UPDATE credentials SET status = 2 WHERE api_key = ANY($1) AND status IN (0, 3)
         RETURNING index, status, amended_policy, amended_expires",
        &keys,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok((keys, announce(&changed)?))
}

/// Resumes those of some keys, which are held, that are suspended.
///
/// # Errors
/// As any write.
pub async fn resume_in(tx: &mut Tx, ids: &[Uuid], now: Timestamp) -> Result<(Vec<Uuid>, Change)> {
    let keys = sqlx::query_scalar!(
        "UPDATE api_keys SET state = 'active', lapsed = coalesce(expires_at <= $2, false), updated_at = $2, version = version + 1
         WHERE id = ANY($1) AND state = 'suspended' RETURNING id",
        ids,
        datetime(now),
    )
    .fetch_all(tx.connection())
    .await?;
    let changed = sqlx::query_as!(
        Changed,
        "UPDATE credentials SET status = CASE WHEN amended_policy IS NULL THEN 0 ELSE 3 END
         WHERE api_key = ANY($1) AND status = 2
         RETURNING index, status, amended_policy, amended_expires",
        &keys,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok((keys, announce(&changed)?))
}
