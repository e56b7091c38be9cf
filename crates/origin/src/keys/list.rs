//! Finding keys.

use std::collections::HashMap;

use keyward_api::{
    keys::Key,
    lists::{KeyFilter, Order, Sort},
};
use keyward_core::{KeyId, TenantId};
use sqlx::types::Uuid;

use super::{
    cursor::Cursor,
    filter::Filter,
    find::{Page, Want, page},
    row::{KeyRow, key_rows},
};
use crate::{auth::Caller, error::Result, state::App};

/// Keys in one answer, at most.
pub const MAX_PAGE: u32 = 1000;
/// Keys in one answer where the caller doesn't say.
pub const DEFAULT_PAGE: u32 = 100;

/// Which keys to list, and how.
pub struct Listing {
    pub filter: KeyFilter,
    pub sort: Sort,
    pub order: Order,
    /// As it was given out.
    pub cursor: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// Whether to say what each was used for.
    pub usage: bool,
}

/// The keys of a tenant that a caller sees, and with what to go on where there may be more.
///
/// # Errors
/// `validation_failed`; else as any read.
pub async fn list(app: &App, caller: &Caller, tenant: TenantId, listing: Listing) -> Result<(Vec<Key>, Option<String>)> {
    let now = app.clock.now();
    let Listing { filter, sort, order, cursor, limit, usage } = listing;
    let cursor = cursor.map(|text| Cursor::parse(&text, sort, order)).transpose()?;
    let Some(filter) = Filter::new(&filter, caller, now)? else { return Ok((Vec::new(), None)) };
    let want = Want { sort, order, cursor, limit: limit.min(MAX_PAGE) as usize };
    let mut tx = app.db.tenant(tenant).await?;
    let Page { ids, next } = page(&mut tx, tenant, &filter, &want).await?;
    let mut rows: HashMap<Uuid, KeyRow> = key_rows!("WHERE tenant = $1 AND id = ANY($2)", tenant.0, &ids)
        .fetch_all(tx.connection())
        .await?
        .into_iter()
        .map(|row| (row.id, row))
        .collect();
    tx.commit().await?;
    let mut keys = ids.iter().filter_map(|id| rows.remove(id)).map(|row| row.show(now)).collect::<Result<Vec<_>>>()?;
    if !usage {
        keys.iter_mut().for_each(|key| key.usage = None);
    }
    Ok((keys, next.map(|next| next.text())))
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
