//! Renewing a key: another expiry for the same raw key, as an amendment.

use keyward_api::{
    Code, Given,
    keys::{Key, RenewKey},
};
use keyward_core::{KeyId, TenantId, Timestamp};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    create::finish,
    grant,
    precondition::IfMatch,
    rotate::turned,
    row::KeyRow,
    standing::{Changed, announce},
    terms::Checks,
};
use crate::{
    audit::Action,
    auth::Caller,
    clock::{datetime, expiry},
    error::{Error, Result},
    state::App,
};

/// Gives a key another expiry, later or earlier. One that has expired can be used again by it. An overlap that lasts
/// ends when it would have, or with the key where that is before.
///
/// # Errors
/// `validation_failed`; `not_found` where there is none that the caller sees; `precondition_failed`; `key_revoked`;
/// `key_expired` where its signing key has been retired; `grant_exceeded` (a key that lives longer is one given out anew, so the caller has to hold as much).
pub async fn renew(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, if_match: &IfMatch, request: RenewKey) -> Result<Key> {
    let now = app.clock.now();
    let expires = wanted(&request, now)?;
    let settings = app.tenants.settings(app, tenant, &[]).await?;
    let mut tx = app.db.tenant_at_key(tenant, id).await?;
    let key = KeyRow::hold(&mut tx, caller, tenant, id).await?;
    if_match.check(&key, now)?;
    if key.state == "revoked" {
        return Err(Code::KeyRevoked.into());
    }
    grant::check(caller, &settings, &key.terms.0, expires)?;
    // Another expiry would revive nothing.
    let signer =
        sqlx::query_scalar!("SELECT signing_key FROM credentials WHERE index = $1", key.current_index).fetch_one(tx.connection()).await?;
    if !app.keyrings.current().counts(&signer) {
        return Err(Error::from(Code::KeyExpired).detail("The key that signed it has been retired: rotate it."));
    }
    if expires == key.expires() {
        return key.show(now);
    }
    // `least` passes over null, which is never. What has expired may be of a policy that edges were told to forget.
    let changed = sqlx::query_as!(
        Changed,
        "UPDATE credentials
         SET status = CASE status WHEN 2 THEN 2 ELSE 3 END,
             amended_policy = $5,
             amended_expires = CASE WHEN index = $2 THEN $3 ELSE least(amended_expires, $3) END,
             own_expires = CASE WHEN index = $2 THEN own_expires ELSE $3 END
         WHERE api_key = $1 AND status <> 1 AND (index = $2 OR overlap_ends IS NOT NULL AND amended_expires > $4)
         RETURNING index, status, amended_policy, amended_expires",
        id.0,
        key.current_index,
        expiry(expires),
        datetime(now),
        key.policy_in_force,
    )
    .fetch_all(tx.connection())
    .await?;
    sqlx::query!(
        "UPDATE api_keys SET expires_at = $2, updated_at = $3, version = version + 1, lapsed = false, wake_at = 'epoch' WHERE id = $1",
        id.0,
        expiry(expires),
        datetime(now),
    )
    .execute(tx.connection())
    .await?;
    let before = key;
    let key = KeyRow::reread(&mut tx, tenant, id).await?;
    tx.record(turned(caller, Action::ApiKeyRenewed, &before, &key, now).made_for(&key.owner));
    finish(app, tx, &announce(&changed)?).await?;
    tracing::info!(event = "api_key_renewed", key = %id, tenant = %tenant, by = %caller.id());
    key.show(now)
}

/// The expiry that a request names: unix seconds, `None` for never.
fn wanted(request: &RenewKey, now: Timestamp) -> Result<Option<u32>> {
    let mut checks = Checks::default();
    match (&request.expires_at, request.expires_in_days) {
        (None, Given::Missing) => Err(Error::field("expires_in_days", "this or expires_at is needed")),
        (None, days) => {
            let expires = checks.expiry(days, now, None);
            checks.finish(expires)
        }
        (Some(text), Given::Missing) => {
            let moment = OffsetDateTime::parse(text, &Rfc3339).ok().and_then(|moment| u64::try_from(moment.unix_timestamp()).ok());
            let latest = checks.latest(now);
            match moment.filter(|moment| (now.secs() + 1..=latest).contains(moment)).and_then(|moment| u32::try_from(moment).ok()) {
                // All ones mean none.
                Some(moment) if moment < u32::MAX => Ok(Some(moment)),
                _ => Err(Error::field("expires_at", "a moment to come within 3650 days, as RFC 3339 writes it")),
            }
        }
        (Some(_), _) => Err(Error::field("expires_at", "either this or expires_in_days")),
    }
}
