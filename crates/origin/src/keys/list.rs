//! Finding keys.

use keyward_api::keys::{Key, KeyStatus};
use keyward_core::{KeyId, ScopeClass, TenantId};

use super::row::{KeyRow, key_rows};
use crate::{auth::Caller, clock::datetime, error::Result, state::App};

/// Keys in one answer, at most.
pub const MAX_PAGE: u32 = 1000;
/// Keys in one answer where the caller doesn't say.
pub const DEFAULT_PAGE: u32 = 100;

/// Which keys to list.
pub struct Filter {
    /// Only with this status at this moment.
    pub status: Option<KeyStatus>,
    /// Only of this owner.
    pub owner: Option<String>,
    /// Only those before this one: the last one of the page before.
    pub cursor: Option<KeyId>,
    /// At most so many.
    pub limit: u32,
}

/// The keys of a tenant that a caller sees, newest first, and whether there are more.
///
/// # Errors
/// As any read.
pub async fn list(app: &App, caller: &Caller, tenant: TenantId, filter: Filter) -> Result<(Vec<Key>, bool)> {
    let now = app.clock.now();
    // A caller of user scope sees its owner's: asking for another's finds nothing.
    let owner = match (caller.scope(), filter.owner) {
        (ScopeClass::User, Some(other)) if other != caller.owner() => return Ok((Vec::new(), false)),
        (ScopeClass::User, _) => Some(caller.owner().to_owned()),
        (_, owner) => owner,
    };
    // Ids of UUIDv7 are below all ones.
    let before = filter.cursor.map_or(uuid::Uuid::max(), |cursor| cursor.0);
    let status = filter.status.map(KeyStatus::as_str);
    let limit = i64::from(filter.limit.min(MAX_PAGE)) + 1;
    let mut tx = app.db.tenant(tenant).await?;
    // Two statements, so that each has its index. The status is KeyRow::status, at this moment.
    let mut rows: Vec<KeyRow> = match owner {
        Some(owner) => {
            key_rows!(
                "WHERE tenant = $1 AND owner = $2 AND id < $3 AND ($4::text IS NULL OR $4 = CASE
                     WHEN state = 'revoked' THEN 'revoked' WHEN expires_at <= $5 THEN 'expired' ELSE state END)
                 ORDER BY id DESC LIMIT $6",
                tenant.0,
                owner,
                before,
                status,
                datetime(now),
                limit,
            )
            .fetch_all(tx.connection())
            .await?
        }
        None => {
            key_rows!(
                "WHERE tenant = $1 AND id < $2 AND ($3::text IS NULL OR $3 = CASE
                     WHEN state = 'revoked' THEN 'revoked' WHEN expires_at <= $4 THEN 'expired' ELSE state END)
                 ORDER BY id DESC LIMIT $5",
                tenant.0,
                before,
                status,
                datetime(now),
                limit,
            )
            .fetch_all(tx.connection())
            .await?
        }
    };
    tx.commit().await?;
    let page = usize::try_from(limit - 1).unwrap_or(usize::MAX);
    let more = rows.len() > page;
    rows.truncate(page);
    let keys = rows.into_iter().map(|row| row.show(now)).collect::<Result<_>>()?;
    Ok((keys, more))
}

/// One key.
///
/// # Errors
/// `not_found` where there is none that the caller sees.
pub async fn find(app: &App, caller: &Caller, tenant: TenantId, id: KeyId) -> Result<Key> {
    let mut tx = app.db.tenant(tenant).await?;
    let row = KeyRow::find(&mut tx, caller, tenant, id).await?;
    tx.commit().await?;
    row.show(app.clock.now())
}
