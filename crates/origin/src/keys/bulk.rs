//! One action on many keys: a chunk a call, in one transaction and one delta.

use keyward_api::{
    Code, FieldError,
    bulk::{Bulk, BulkDone, MAX_BULK},
    lists::{Order, Sort},
};
use keyward_core::{KeyId, TenantId, Timestamp};
use serde_json::json;
use sqlx::types::Uuid;

use super::{
    create::finish,
    cursor::Cursor,
    filter::Filter,
    find::{Page, Want, page, those},
    revoke::{revoke_in, revoked},
    row::Held,
    standing::{resume_in, suspend_in, turned},
    terms::Checks,
};
use crate::{
    audit::{self, Event, members},
    auth::Caller,
    clock::datetime,
    db::Tx,
    error::{Error, Result},
    feed::Change,
    state::App,
    tenants::owners,
};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Suspend,
    Resume,
    Revoke,
    Reassign,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Revoke => "revoke",
            Self::Reassign => "reassign",
        }
    }
}

impl Held {
    /// What the audit trail says of it.
    fn event(&self, caller: &Caller, action: Action, request: &Bulk, now: Timestamp) -> Event {
        let id = KeyId(self.id);
        match action {
            Action::Suspend => turned(caller, audit::Action::ApiKeySuspended, id, (&self.state, "suspended"), now),
            Action::Resume => turned(caller, audit::Action::ApiKeyResumed, id, (&self.state, "active"), now).made_for(&self.owner),
            Action::Revoke => revoked(caller, self, request.reason.as_deref(), now),
            Action::Reassign => Event::by(caller.actor(), audit::Action::ApiKeyUpdated, now)
                .on_key(id)
                .before(members(json!({"owner_id": self.owner})))
                .made_for(request.owner_id.clone().unwrap_or_default())
                .after(members(json!({"owner_id": request.owner_id}))),
        }
    }
}

/// Does it to the next chunk of the keys that are meant; or counts them.
///
/// # Errors
/// `validation_failed`; `scope_insufficient` where a caller of user scope names another owner; those of any write.
pub async fn bulk(app: &App, caller: &Caller, tenant: TenantId, action: Action, request: Bulk) -> Result<BulkDone> {
    let now = app.clock.now();
    check(caller, action, &request)?;
    let nothing = BulkDone {
        matched: 0,
        changed: 0,
        key_ids: Vec::new(),
        not_found: request.ids.clone().unwrap_or_default(),
        dry_run: request.dry_run,
        next_cursor: None,
    };
    let Some(filter) = Filter::new(&request.filter.clone().unwrap_or_default(), caller, now)? else { return Ok(nothing) };
    let mut tx = app.db.tenant(tenant).await?;
    let (chosen, next) = match &request.ids {
        Some(ids) => (ids.iter().map(|id| id.0).collect(), None),
        None => {
            let cursor = request.cursor.as_deref().map(|text| Cursor::parse(text, Sort::Created, Order::Desc)).transpose()?;
            let limit = request.limit.unwrap_or(MAX_BULK) as usize;
            let Page { ids, next } =
                page(&mut tx, tenant, &filter, &Want { sort: Sort::Created, order: Order::Desc, cursor, limit }).await?;
            (ids, next)
        }
    };
    let chosen: Vec<Uuid> = chosen;
    // Looked at again now that nobody else changes them.
    let held = Held::hold(&mut tx, tenant, &chosen).await?;
    let matched = those(&mut tx, tenant, &filter, &chosen).await?;
    let (changed, change) = act(&mut tx, tenant, (action, &request), &matched, now).await?;
    let key_ids: Vec<KeyId> = changed.iter().copied().map(KeyId).collect();
    let done = BulkDone {
        matched: matched.len().try_into().unwrap_or(u32::MAX),
        changed: changed.len().try_into().unwrap_or(u32::MAX),
        not_found: request.ids.iter().flatten().copied().filter(|id| !matched.contains(&id.0)).collect(),
        key_ids,
        dry_run: request.dry_run,
        next_cursor: next.map(|next| next.text()),
    };
    // Dropped, the transaction changes nothing: what was counted is exactly what would have been changed.
    if !done.dry_run && done.changed > 0 {
        for key in held.iter().filter(|key| changed.contains(&key.id)) {
            tx.record(key.event(caller, action, &request, now));
        }
        finish(app, tx, &change).await?;
        tracing::info!(event = "api_keys_changed", action = action.as_str(), keys = done.changed, tenant = %tenant, by = %caller.id());
    }
    Ok(done)
}

fn check(caller: &Caller, action: Action, request: &Bulk) -> Result<()> {
    let mut checks = Checks::default();
    match (&request.ids, &request.filter) {
        (Some(ids), None) => {
            if ids.is_empty() || ids.len() > MAX_BULK as usize {
                checks.refuse("ids", format!("1 to {MAX_BULK} ids"));
            }
            for (field, named) in [("limit", request.limit.is_some()), ("cursor", request.cursor.is_some())] {
                if named {
                    checks.refuse(field, "only with a filter");
                }
            }
        }
        (None, Some(_)) => {
            if request.limit.is_some_and(|limit| !(1..=MAX_BULK).contains(&limit)) {
                checks.refuse("limit", format!("1 to {MAX_BULK}"));
            }
        }
        (None, None) => checks.refuse("filter", "this or ids is needed"),
        (Some(_), Some(_)) => checks.refuse("filter", "either this or ids"),
    }
    match (action, &request.reason) {
        (_, None) => {}
        (Action::Revoke, Some(reason)) => checks.reason(reason),
        (_, Some(_)) => checks.refuse("reason", "only to revoke"),
    }
    match (action, &request.owner_id) {
        (Action::Reassign, Some(owner)) => checks.owner(owner),
        (Action::Reassign, None) => checks.refuse("owner_id", "the new owner is needed"),
        (_, None) => {}
        (_, Some(_)) => checks.refuse("owner_id", "only to reassign"),
    }
    checks.finish(())?;
    if request.owner_id.as_deref().is_some_and(|owner| !caller.sees(owner)) {
        let errors = vec![FieldError { field: "owner_id".to_owned(), message: "not the caller's own".to_owned() }];
        return Err(Error::from(Code::ScopeInsufficient).fields(errors));
    }
    Ok(())
}

async fn act(
    tx: &mut Tx,
    tenant: TenantId,
    (action, request): (Action, &Bulk),
    ids: &[Uuid],
    now: Timestamp,
) -> Result<(Vec<Uuid>, Change)> {
    match action {
        Action::Suspend => suspend_in(tx, ids, now).await,
        Action::Resume => resume_in(tx, ids, now).await,
        Action::Revoke => {
            let keys: Vec<_> = ids.iter().map(|id| (*id, request.reason.as_deref())).collect();
            revoke_in(tx, &keys, now).await
        }
        // None of the feed's business: an edge doesn't know of owners.
        Action::Reassign => {
            let owner = request.owner_id.as_deref().unwrap_or_default();
            let changed = sqlx::query_scalar!(
                "UPDATE api_keys SET owner = $2, updated_at = $3, version = version + 1
                 WHERE id = ANY($1) AND owner <> $2 AND state <> 'revoked' RETURNING id",
                ids,
                owner,
                datetime(now),
            )
            .fetch_all(tx.connection())
            .await?;
            if !changed.is_empty() {
                owners::make_for_key(tx, tenant, owner, now).await?;
            }
            Ok((changed, Change::default()))
        }
    }
}
