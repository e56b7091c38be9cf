//! Rotating a key: a new credential for the same key, and an end for the old one.

use keyward_api::{
    Code, Given,
    keys::{KeyRotated, RotateKey},
};
use keyward_core::{KeyId, Status, TenantId, Timestamp};
use serde_json::{Value, json};
use sqlx::types::time::OffsetDateTime;
use time::Duration;

use super::{
    WARNING,
    create::finish,
    grant,
    idempotency::Idempotency,
    issue::Draft,
    row::KeyRow,
    standing::{Changed, announce},
    terms::Checks,
};
use crate::{
    audit::{Action, Event, changed, members},
    auth::Caller,
    clock::{datetime, expiry, expiry_seconds, rfc3339},
    db::Tx,
    error::{Error, Result},
    feed::Change,
    sealing::random,
    state::App,
};

const DEFAULT_OVERLAP: u64 = 24 * 3600;
const MAX_OVERLAP: u64 = 30 * 24 * 3600;

/// Gives a key a new credential. The old ones stay usable for the overlap; its end is announced now, as an amendment of
/// their expiry, so that nothing has to happen later.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `key_revoked`; `key_expired` where no new expiry is named;
/// `grant_exceeded` (the raw key is shown to the caller, so the caller has to hold as much); those of idempotency.
pub async fn rotate(
    app: &App,
    caller: &Caller,
    tenant: TenantId,
    id: KeyId,
    request: RotateKey,
    idempotency: Option<Idempotency>,
) -> Result<KeyRotated> {
    let now = app.clock.now();
    let overlap = request.overlap_seconds.unwrap_or(DEFAULT_OVERLAP);
    if overlap > MAX_OVERLAP {
        return Err(Error::field("overlap_seconds", format!("0 to {MAX_OVERLAP}")));
    }
    let mut checks = Checks::default();
    let renewed = checks.expiry(request.expires_in_days, now, caller.expires());
    checks.finish(())?;
    let settings = app.tenants.settings(app, tenant, &[]).await?;
    let place = app.positions.take(app).await?;

    let mut tx = app.db.tenant(tenant).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    let draft = Draft {
        id,
        scope: key.scope()?,
        exchange: key.exchange,
        prefix: settings.prefix,
        environment: key.environment()?,
        expires: if request.expires_in_days == Given::Missing { key.expires() } else { renewed },
        place,
        entropy: random()?,
    };
    if let Some(idempotency) = idempotency
        && let Some(replay) = idempotency.claim(app, &mut tx, caller, tenant, &draft, now).await?
    {
        let old = old_expiry(&mut tx, &replay.key).await?.filter(|moment| *moment > datetime(now));
        return Ok(KeyRotated {
            api_key: replay.key.show(now)?,
            new_raw_key: replay.raw.expose().to_owned(),
            old_key_expires_at: old.map(rfc3339),
            warning: WARNING.to_owned(),
        });
    }
    if key.state == "revoked" {
        return Err(Code::KeyRevoked.into());
    }
    if draft.expires.is_some_and(|expires| u64::from(expires) <= now.secs()) {
        return Err(Error::from(Code::KeyExpired).detail("Name a new expiry (expires_in_days) to rotate it."));
    }
    grant::check(caller, &settings, &key.terms.0, draft.expires)?;

    let minted = draft.mint(&app.keyrings.current(), key.policy())?;
    let mut change = app.positions.open(tx.connection(), place).await?;
    let (old, retired) = retire(&mut tx, id, overlap, now).await?;
    change.changes.extend(retired.changes);
    change.amendments.extend(retired.amendments);
    let status = if key.state == "suspended" { Status::Suspended } else { Status::Valid };
    draft.store(tx.connection(), &minted.stamp, tenant, status, now).await?;
    if status == Status::Suspended {
        change.changes.push((place.index, status));
    }
    let replaced = key;
    let key = KeyRow {
        expires_at: expiry(draft.expires),
        current_index: place.index.0.into(),
        hint: minted.stamp.hint.clone(),
        updated_at: datetime(now),
        last_rotated: Some(datetime(now)),
        ..replaced.clone()
    };
    sqlx::query!(
        "UPDATE api_keys SET policy = $2, expires_at = $3, current_index = $4, hint = $5, updated_at = $6, last_rotated = $6 WHERE id = $1",
        id.0,
        key.policy_in_force,
        key.expires_at,
        key.current_index,
        key.hint,
        key.updated_at,
    )
    .execute(tx.connection())
    .await?;
    let (before, after) = changed(&ends(&replaced), &ends(&key));
    tx.record(
        Event::by(caller.actor(), Action::ApiKeyRotated, now)
            .on_key(id)
            .before(before)
            .after(after)
            .details(members(json!({"old_key_expires_at": old.map(rfc3339)}))),
    );
    finish(app, tx, &change).await?;
    app.positions.opened(place);
    tracing::info!(event = "api_key_rotated", key = %id, tenant = %tenant, by = %caller.id());
    Ok(KeyRotated {
        api_key: key.show(now)?,
        new_raw_key: minted.raw.expose().to_owned(),
        old_key_expires_at: old.map(rfc3339),
        warning: WARNING.to_owned(),
    })
}

/// What a rotation changes of a key, for the audit trail.
fn ends(key: &KeyRow) -> Value {
    json!({"key_hint": key.hint, "expires_at": key.expires_at.map(rfc3339), "policy": key.policy_in_force})
}

/// Ends all live credentials of a key at the end of the overlap, or where they end before, then; and says when the last
/// of them does. Without an overlap they are INVALID.
async fn retire(tx: &mut Tx, id: KeyId, overlap: u64, now: Timestamp) -> Result<(Option<OffsetDateTime>, Change)> {
    if overlap == 0 {
        let changed = sqlx::query_as!(
            Changed,
            "UPDATE credentials SET status = 1 WHERE api_key = $1 AND status <> 1
             RETURNING index, status, amended_policy, amended_expires",
            id.0
        )
        .fetch_all(tx.connection())
        .await?;
        return Ok((None, announce(&changed)?));
    }
    // Whole seconds: expiries have no others.
    let end = datetime(Timestamp::from_secs(now.secs())) + Duration::seconds(i64::try_from(overlap).unwrap_or(i64::MAX));
    // Those that have ended already are left as they are. `least` passes over null, which is never.
    let changed = sqlx::query_as!(
        Changed,
        "UPDATE credentials
         SET status = CASE status WHEN 2 THEN 2 ELSE 3 END,
             amended_expires = least(CASE WHEN amended_policy IS NULL THEN expires_at ELSE amended_expires END, $2),
             amended_policy = coalesce(amended_policy, policy)
         WHERE api_key = $1 AND status <> 1
           AND coalesce(CASE WHEN amended_policy IS NULL THEN expires_at ELSE amended_expires END > $3, true)
         RETURNING index, status, amended_policy, amended_expires",
        id.0,
        end,
        datetime(now),
    )
    .fetch_all(tx.connection())
    .await?;
    let last = changed.iter().filter_map(|credential| expiry_seconds(credential.amended_expires)).max();
    Ok((expiry(last), announce(&changed)?))
}

/// When the last credential but the newest ends.
async fn old_expiry(tx: &mut Tx, key: &KeyRow) -> Result<Option<OffsetDateTime>> {
    let last = sqlx::query_scalar!(
        "SELECT max(amended_expires) FROM credentials WHERE api_key = $1 AND index <> $2 AND status <> 1",
        key.id,
        key.current_index,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(last)
}
