//! The rows of sessions.

use anyhow::{Context, anyhow};
use keyward_core::{ApiKeyClaims, Digest, KeyId, Timestamp};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{IDLE, MOST, USE};
use crate::{
    audit,
    clock::datetime,
    db::{Tx, again},
    error::{Error, Result},
    state::App,
};

/// A session as the database has it.
pub struct Stored {
    /// Names it in the audit trail; nothing can be done by it.
    pub id: Uuid,
    /// The digest of its secret.
    pub secret: Digest,
    /// What its credential says.
    pub claims: ApiKeyClaims,
    /// The digest of its credential.
    pub digest: Digest,
    /// Whether that credential was issued.
    pub issued: bool,
    /// When it was started.
    pub created: Timestamp,
    /// When it was used last, to the minute.
    pub used: Timestamp,
    /// From when it counts no longer.
    pub expires: Timestamp,
}

/// What people know a key by.
pub struct Names {
    /// The key's name.
    pub name: String,
    /// The last characters of it.
    pub hint: String,
    /// Its tenant's.
    pub tenant_name: String,
    /// Whether that is the operator's.
    pub operator: bool,
}

/// Stores a session, and ends those in whose place it comes: the one with that secret, and its key's oldest where there are
/// too many. Says which, and why.
///
/// # Errors
/// As any write.
pub async fn insert(tx: &mut Tx, session: &Stored, replaced: Option<Digest>) -> Result<Vec<(Uuid, &'static str)>> {
    let index = i64::from(session.claims.index.0);
    let replaced = replaced.map(|digest| digest.as_bytes().to_vec());
    let replaced = sqlx::query_scalar!("DELETE FROM sessions WHERE secret = $1 RETURNING id", replaced).fetch_all(tx.connection()).await?;
    let displaced = sqlx::query_scalar!(
        "DELETE FROM sessions WHERE id IN (
             SELECT id FROM sessions WHERE api_key = $1 ORDER BY created_at DESC, id DESC OFFSET $2
         ) RETURNING id",
        session.claims.id.0,
        MOST - 1,
    )
    .fetch_all(tx.connection())
    .await?;
    sqlx::query!(
        "INSERT INTO sessions (id, secret, tenant, api_key, index, claims, digest, created_at, used_at, expires_at)
         VALUES ($1, $2, nullif(current_setting('keyward.tenant', true), '')::uuid, $3, $4, $5, $6, $7, $7, $8)",
        session.id,
        &session.secret.as_bytes()[..],
        session.claims.id.0,
        index,
        &session.claims.to_bytes()[..],
        &session.digest.as_bytes()[..],
        datetime(session.created),
        datetime(session.expires),
    )
    .execute(tx.connection())
    .await?;
    let replaced = replaced.into_iter().map(|id| (id, "replaced"));
    Ok(replaced.chain(displaced.into_iter().map(|id| (id, "too many of one key"))).collect())
}

/// The session whose secret has this digest, whether it lasts or not.
///
/// # Errors
/// As any read.
pub async fn find(app: &App, secret: Digest) -> Result<Option<Stored>> {
    let found = again!(
        sqlx::query!(
            r#"SELECT id, claims, digest, created_at, used_at, expires_at,
                      EXISTS (SELECT FROM credentials AS c WHERE c.index = s.index AND c.digest = s.digest) AS "issued!"
               FROM sessions AS s WHERE secret = $1"#,
            &secret.as_bytes()[..],
        )
        .fetch_optional(app.db.system())
    )?;
    let Some(row) = found else { return Ok(None) };
    let claims = row.claims.as_slice().try_into().ok().and_then(ApiKeyClaims::from_bytes);
    Ok(Some(Stored {
        id: row.id,
        secret,
        claims: claims.ok_or_else(|| Error::internal(anyhow!("a session's key says what no key says")))?,
        digest: audit::digest(&row.digest)?,
        issued: row.issued,
        created: timestamp(row.created_at)?,
        used: timestamp(row.used_at)?,
        expires: timestamp(row.expires_at)?,
    }))
}

/// Writes down that it was used.
///
/// # Errors
/// As any write.
pub async fn touch(app: &App, session: &Stored, now: Timestamp) -> Result<()> {
    // Requests that come together write once.
    let before = Timestamp::from_millis(now.millis().saturating_sub(USE * 1000));
    again!(
        sqlx::query!("UPDATE sessions SET used_at = $2 WHERE id = $1 AND used_at <= $3", session.id, datetime(now), datetime(before))
            .execute(app.db.system())
    )?;
    Ok(())
}

/// Removes it; `false` where somebody else has.
///
/// # Errors
/// As any write.
pub async fn remove(tx: &mut Tx, session: &Stored) -> Result<bool> {
    let removed = sqlx::query!("DELETE FROM sessions WHERE id = $1", session.id).execute(tx.connection()).await?;
    Ok(removed.rows_affected() > 0)
}

/// Removes one whose key isn't there any more.
///
/// # Errors
/// As any write.
pub async fn forget(app: &App, session: &Stored) -> Result<()> {
    sqlx::query!("DELETE FROM sessions WHERE id = $1", session.id).execute(app.db.system()).await?;
    Ok(())
}

/// Forgets those that have ended.
///
/// # Errors
/// As any write.
pub async fn sweep(app: &App) -> Result<()> {
    let now = app.clock.now();
    let idle = Timestamp::from_millis(now.millis().saturating_sub(IDLE * 1000));
    sqlx::query!("DELETE FROM sessions WHERE expires_at <= $1 OR used_at <= $2", datetime(now), datetime(idle))
        .execute(app.db.system())
        .await?;
    Ok(())
}

/// What people know a key by.
///
/// # Errors
/// As any read.
pub async fn names(app: &App, key: KeyId) -> Result<Names> {
    let found = again!(
        sqlx::query_as!(
            Names,
            r#"SELECT k.name, k.hint, t.name AS tenant_name,
                      EXISTS (SELECT FROM deployment WHERE operator = t.id) AS "operator!"
               FROM api_keys AS k JOIN tenants AS t ON t.id = k.tenant WHERE k.id = $1"#,
            key.0
        )
        .fetch_one(app.db.system())
    )?;
    Ok(found)
}

fn timestamp(moment: OffsetDateTime) -> Result<Timestamp> {
    let millis = u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).context("a time before 1970")?;
    Ok(Timestamp::from_millis(millis))
}
