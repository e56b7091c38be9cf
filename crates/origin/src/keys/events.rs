//! Reading the events that the sweeper writes.

use keyward_api::events::{Event, EventKind};
use keyward_core::{KeyId, ScopeClass, TenantId};

use crate::{
    auth::Caller,
    clock::rfc3339,
    error::{Error, Result},
    state::App,
};

/// Events in one answer, at most.
pub const MAX_EVENTS: u32 = 1000;
/// Events in one answer where the caller doesn't say.
pub const DEFAULT_EVENTS: u32 = 100;

struct Row {
    id: i64,
    api_key: sqlx::types::Uuid,
    owner: String,
    name: String,
    kind: String,
    due_at: time::OffsetDateTime,
    created_at: time::OffsetDateTime,
}

/// The events of a tenant after one of them, oldest first, as far as a caller sees their keys; and whether there are more.
///
/// # Errors
/// As any read.
pub async fn events(app: &App, caller: &Caller, tenant: TenantId, after: i64, limit: u32) -> Result<(Vec<Event>, bool)> {
    let limit = limit.min(MAX_EVENTS);
    let mut tx = app.db.tenant(tenant).await?;
    // Two statements, so that each has its index.
    let mut rows = if caller.scope() == ScopeClass::User {
        sqlx::query_as!(
            Row,
            "SELECT id, api_key, owner, name, kind, due_at, created_at FROM events
             WHERE tenant = $1 AND owner = $2 AND id > $3 ORDER BY id LIMIT $4",
            tenant.0,
            caller.owner(),
            after,
            i64::from(limit) + 1,
        )
        .fetch_all(tx.connection())
        .await?
    } else {
        sqlx::query_as!(
            Row,
            "SELECT id, api_key, owner, name, kind, due_at, created_at FROM events
             WHERE tenant = $1 AND id > $2 ORDER BY id LIMIT $3",
            tenant.0,
            after,
            i64::from(limit) + 1,
        )
        .fetch_all(tx.connection())
        .await?
    };
    tx.commit().await?;
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let events = rows.into_iter().map(show).collect::<Result<_>>()?;
    Ok((events, more))
}

fn show(row: Row) -> Result<Event> {
    let kind = EventKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind);
    Ok(Event {
        id: row.id,
        kind: kind.ok_or_else(|| Error::internal(anyhow::anyhow!("a kind of event that is none")))?,
        created_at: rfc3339(row.created_at),
        key_id: KeyId(row.api_key),
        key_name: row.name,
        owner_id: row.owner,
        due_at: rfc3339(row.due_at),
    })
}
