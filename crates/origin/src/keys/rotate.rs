//! Rotating a key: a new credential for the same key, and an end for the old one.

use keyward_api::{
    Code, Given,
    keys::{KeyRotated, RotateKey},
};
use keyward_core::{KeyId, Status, TenantId, Timestamp};
use keyward_issuer::SecretKeyText;
use serde_json::json;
use time::Duration;

use super::{
    WARNING,
    create::finish,
    grant,
    idempotency::Idempotency,
    issue::Draft,
    precondition::IfMatch,
    row::KeyRow,
    standing::{Changed, announce},
    terms::Checks,
};
use crate::{
    audit::{Action, Event, changed, members},
    auth::Caller,
    clock::{datetime, expiry, rfc3339},
    db::Tx,
    error::{Error, Result},
    feed::Change,
    sealing::random,
    state::App,
};

const DEFAULT_OVERLAP: u64 = 24 * 3600;
const MAX_OVERLAP: u64 = 30 * 24 * 3600;

/// Gives a key a new credential. The one before stays usable for the overlap; its end is announced now, as an amendment
/// of its expiry, so that nothing has to happen later.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `precondition_failed`; `key_revoked`; `key_expired` where no new
/// expiry is named; `rotation_in_progress` where an overlap lasts and another is asked for; `grant_exceeded` (the raw key
/// is shown to the caller, so the caller has to hold as much); those of idempotency.
pub async fn rotate(
    app: &App,
    caller: &Caller,
    tenant: TenantId,
    id: KeyId,
    if_match: &IfMatch,
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
    let mut tx = app.db.tenant_at_key(tenant, id).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    if let Some(idempotency) = &idempotency
        && let Some(replay) = idempotency.earlier(app, &mut tx, caller, tenant, 0, now).await?
    {
        return answer(replay.key, &replay.raw, now);
    }
    // After the replay: a retry finds the state that the first request made.
    if_match.check(&key, now)?;
    if key.state == "revoked" {
        return Err(Code::KeyRevoked.into());
    }
    let expires = if request.expires_in_days == Given::Missing { key.expires() } else { renewed };
    if expires.is_some_and(|expires| u64::from(expires) <= now.secs()) {
        return Err(Error::from(Code::KeyExpired).detail("Name a new expiry (expires_in_days) to rotate it."));
    }
    // Ending the older one unasked could end what is in use: whoever rotates twice has mostly lost the first answer.
    if overlap > 0 && key.overlapping(now).is_some() {
        let words = "Finish or cancel it first; or rotate with no overlap, which ends all older raw keys at once.";
        return Err(Error::from(Code::RotationInProgress).detail(words));
    }
    grant::check(caller, &settings, &key.terms.0, expires)?;

    // Last, since there is a finite number of them and no ceiling on what is refused.
    let place = app.positions.take(app).await?;
    let draft = Draft {
        id,
        scope: key.scope()?,
        exchange: key.exchange,
        prefix: settings.prefix,
        environment: key.environment()?,
        expires,
        place,
        entropy: random()?,
    };
    let rotated = with(app, caller, tx, key, (draft, overlap), idempotency, now).await;
    app.positions.unless_made(&[place], rotated)
}

/// Rotates a key, which is held, to a credential that it may be given.
async fn with(
    app: &App,
    caller: &Caller,
    mut tx: Tx,
    key: KeyRow,
    (draft, overlap): (Draft, u64),
    idempotency: Option<Idempotency>,
    now: Timestamp,
) -> Result<KeyRotated> {
    let (id, tenant, place) = (key.id(), TenantId(key.tenant), draft.place);
    if let Some(idempotency) = idempotency
        && idempotency.claim(app, &mut tx, caller, tenant, (0, &draft), now).await?.is_some()
    {
        // The same request would have held the key, and been found above.
        return Err(Code::IdempotencyConflict.into());
    }
    let minted = draft.mint(&app.keyrings.current(), key.policy())?;
    let mut change = app.positions.open(tx.connection(), place).await?;
    let retired = retire(&mut tx, &key, overlap, now).await?;
    change.changes.extend(retired.changes);
    change.amendments.extend(retired.amendments);
    let status = if key.state == "suspended" { Status::Suspended } else { Status::Valid };
    draft.store(tx.connection(), &minted.stamp, tenant, status, now).await?;
    if status == Status::Suspended {
        change.changes.push((place.index, status));
    }
    sqlx::query!(
        "UPDATE api_keys SET policy = $2, expires_at = $3, current_index = $4, hint = $5, updated_at = $6, last_rotated = $6,
                             version = version + 1, lapsed = false, wake_at = 'epoch'
         WHERE id = $1",
        id.0,
        key.policy_in_force,
        expiry(draft.expires),
        i64::from(place.index.0),
        minted.stamp.hint,
        datetime(now),
    )
    .execute(tx.connection())
    .await?;
    let replaced = key;
    let key = KeyRow::reread(&mut tx, tenant, id).await?;
    let old = key.overlapping(now).and_then(|old| old.expires).map(rfc3339);
    tx.record(turned(caller, Action::ApiKeyRotated, &replaced, &key, now).details(members(json!({"old_key_expires_at": old}))));
    finish(app, tx, &change).await?;
    app.positions.opened(place);
    tracing::info!(event = "api_key_rotated", key = %id, tenant = %tenant, by = %caller.id());
    answer(key, &minted.raw, now)
}

/// What the audit trail says of a key whose credentials were changed.
pub fn turned(caller: &Caller, action: Action, before: &KeyRow, after: &KeyRow, now: Timestamp) -> Event {
    let ends = |key: &KeyRow| json!({"key_hint": key.hint, "expires_at": key.expires_at.map(rfc3339), "policy": key.policy_in_force});
    let (was, is) = changed(&ends(before), &ends(after));
    let lives_again = before.has_expired(now) && !after.has_expired(now);
    Event::by(caller.actor(), action, now).on_key(after.id()).of_expired(lives_again).before(was).after(is)
}

fn answer(key: KeyRow, raw: &SecretKeyText, now: Timestamp) -> Result<KeyRotated> {
    let old = key.overlapping(now).and_then(|old| old.expires);
    Ok(KeyRotated {
        api_key: key.show(now)?,
        new_raw_key: raw.expose().to_owned(),
        old_key_expires_at: old.map(rfc3339),
        warning: WARNING.to_owned(),
    })
}

/// Ends the newest credential at the end of the overlap, or where it ends before, then; and all others now. Without an
/// overlap all are INVALID. So there are never more than two that can be presented.
async fn retire(tx: &mut Tx, key: &KeyRow, overlap: u64, now: Timestamp) -> Result<Change> {
    let mut ended = sqlx::query_as!(
        Changed,
        "UPDATE credentials SET status = 1 WHERE api_key = $1 AND status <> 1 AND ($3 OR index <> $2)
         RETURNING index, status, amended_policy, amended_expires",
        key.id,
        key.current_index,
        overlap == 0,
    )
    .fetch_all(tx.connection())
    .await?;
    // Whole seconds: expiries have no others.
    let end = datetime(Timestamp::from_secs(now.secs())) + Duration::seconds(i64::try_from(overlap).unwrap_or(i64::MAX));
    // One that has ended already is left as it is. `least` passes over null, which is never.
    let overlapping = sqlx::query_as!(
        Changed,
        "UPDATE credentials
         SET status = CASE status WHEN 2 THEN 2 ELSE 3 END,
             own_expires = CASE WHEN amended_policy IS NULL THEN expires_at ELSE amended_expires END,
             overlap_ends = $2,
             amended_expires = least(CASE WHEN amended_policy IS NULL THEN expires_at ELSE amended_expires END, $2),
             amended_policy = coalesce(amended_policy, policy)
         WHERE index = $1 AND status <> 1
           AND coalesce(CASE WHEN amended_policy IS NULL THEN expires_at ELSE amended_expires END > $3, true)
         RETURNING index, status, amended_policy, amended_expires",
        key.current_index,
        end,
        datetime(now),
    )
    .fetch_all(tx.connection())
    .await?;
    ended.extend(overlapping);
    announce(&ended)
}
