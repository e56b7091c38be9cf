//! `/api/v1/audit`: who did what. For callers of tenant and admin scope; each reading is itself recorded.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::try_unfold;
use keyward_api::{
    Code,
    audit::{Checkpoints, ExportHead, SignedCheckpoint},
};
use keyward_core::{AuditRecord, KeyId, ScopeClass, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::{
    extract::{Audit, Authorized, Moment, Query},
    keys::InTenant,
    openapi::ExportLine,
    paging::{page, page_size, shorten},
};
use crate::{
    audit::{self, Action, Event, Filter, Kept, Range, Seat, members},
    auth::Caller,
    error::{Error, Result},
    state::App,
    tenants::acting_in,
};

/// Characters of an action's name.
const MAX_ACTION: usize = 64;
/// Records that an export reads at a time.
const EXPORT_PAGE: i64 = 1000;

/// The query of a search.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// By this key.
    actor: Option<KeyId>,
    /// This action.
    #[param(max_length = 64)]
    action: Option<String>,
    /// Of what was done to this key.
    key: Option<KeyId>,
    /// From this moment on.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Moment>,
    /// Before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Moment>,
    /// Where the last page ended: from its `Link`.
    cursor: Option<u64>,
    /// 1 to 1000; 100 unless named.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The query of an export.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// From this moment on.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Moment>,
    /// Before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Moment>,
}

/// The query for checkpoints.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CheckpointQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// Where the last page ended: from its `Link`.
    cursor: Option<u64>,
    /// 1 to 1000; 100 unless named.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The tenant whose trail is read: people of user scope would read about others.
async fn reading(app: &App, caller: &Caller, named: Option<TenantId>) -> Result<TenantId> {
    if caller.scope() == ScopeClass::User {
        return Err(Error::from(Code::ScopeInsufficient).detail("The trail is the tenant's: it takes a key of tenant or admin scope."));
    }
    acting_in(app, caller, named).await
}

fn event(caller: &Caller, app: &App, action: Action, asked: Value) -> Event {
    Event::by(caller.actor(), action, app.clock.now()).details(members(asked))
}

/// Searches the audit trail, newest first.
///
/// Reading it is itself recorded.
///
/// Takes a key of tenant or admin scope.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "searchAudit", tag = "Audit",
    security(("key" = ["audit:read"])),
    params(SearchQuery),
    responses((status = 200, description = "A page of records", body = [AuditRecord], headers(("Link"))))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Audit>,
    uri: Uri,
    Query(query): Query<SearchQuery>,
) -> Result<Response> {
    let tenant = reading(&app, &caller, query.tenant).await?;
    let limit = page_size(query.limit)?;
    let word = |action: &String| action.len() <= MAX_ACTION && action.bytes().all(|byte| byte.is_ascii_graphic());
    if !query.action.as_ref().is_none_or(word) {
        return Err(Error::field("action", format!("at most {MAX_ACTION} visible ASCII characters")));
    }
    let asked = json!({"query": uri.query()});
    let range = Range { from: query.from.map(Moment::into), to: query.to.map(Moment::into) };
    let filter = Filter { actor: query.actor, action: query.action, key: query.key, range, cursor: query.cursor, limit };
    // Who reads without end mustn't write without end: neither that it does, nor what it is denied meanwhile.
    let at_once = app.audit.readings.take(caller.id(), app.clock.now()).is_ok();
    if at_once {
        audit::Tally::flush_tenant(&app, tenant).await?;
    }
    let mut tx = app.db.tenant(tenant).await?;
    let (records, more) = audit::search(&mut tx, tenant, filter).await?;
    match at_once {
        true => tx.record(event(&caller, &app, Action::AuditRead, asked)),
        false => app.audit.tally.read(tenant, caller.actor(), uri.query(), app.clock.now()),
    }
    tx.commit().await?;
    let next = records.last().filter(|_| more).map(|last| last.seq);
    Ok(page(&uri, records, ("cursor", next)))
}

/// Lists the checkpoints of the trail, with all that proves them beside the pinned root.
///
/// Takes a key of tenant or admin scope.
#[utoipa::path(
    get, path = "/api/v1/audit/checkpoints", operation_id = "listCheckpoints", tag = "Audit",
    security(("key" = ["audit:read"])),
    params(CheckpointQuery),
    responses((status = 200, description = "A page of checkpoints", body = Checkpoints, headers(("Link"))))
)]
pub async fn get_checkpoints(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Audit>,
    uri: Uri,
    Query(query): Query<CheckpointQuery>,
) -> Result<Response> {
    let tenant = reading(&app, &caller, query.tenant).await?;
    let limit = page_size(query.limit)?;
    // They say nothing of what was done, so that reading them isn't reading the trail.
    let mut kept = audit::checkpoints(&app, tenant, query.cursor.unwrap_or(u64::MAX), limit + 1).await?;
    let more = shorten(&mut kept, limit);
    let next = kept.last().filter(|_| more).map(|last| last.checkpoint.seq);
    Ok(page(&uri, answer(&app, kept), ("cursor", next)))
}

/// Signs a checkpoint for what there is now.
///
/// Takes a key of tenant or admin scope.
#[utoipa::path(
    post, path = "/api/v1/audit/checkpoints", operation_id = "makeCheckpoint", tag = "Audit",
    security(("key" = ["audit:read"])),
    params(InTenant),
    responses((status = 200, description = "The newest checkpoint", body = Checkpoints))
)]
pub async fn post_checkpoints(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Audit>,
    Query(query): Query<InTenant>,
) -> Result<Json<Checkpoints>> {
    let tenant = reading(&app, &caller, query.tenant).await?;
    if app.audit.readings.take(caller.id(), app.clock.now()).is_ok() {
        audit::Tally::flush_tenant(&app, tenant).await?;
    }
    let kept = audit::checkpoint(&app, tenant).await?;
    Ok(Json(answer(&app, kept.into_iter().collect())))
}

fn answer(app: &App, kept: Vec<Kept>) -> Checkpoints {
    let show =
        |Kept { checkpoint, jws }: Kept| SignedCheckpoint { seq: checkpoint.seq, hash: checkpoint.hash, iat_ms: checkpoint.iat_ms, jws };
    Checkpoints { manifest: app.keyrings.current().manifest.to_string(), checkpoints: kept.into_iter().map(show).collect() }
}

/// Streams the trail, or a part of it.
///
/// The first line says what follows; then each line is a record, oldest first.
///
/// Takes a key of tenant or admin scope.
#[utoipa::path(
    get, path = "/api/v1/audit/export", operation_id = "exportAudit", tag = "Audit",
    security(("key" = ["audit:read"])),
    params(ExportQuery),
    responses(
        (status = 200, description = "Lines of JSON", content_type = "application/x-ndjson", body = ExportLine),
        (status = "default", description = "rate_limited"),
    )
)]
pub async fn get_export(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Audit>,
    uri: Uri,
    Query(query): Query<ExportQuery>,
) -> Result<Response> {
    let tenant = reading(&app, &caller, query.tenant).await?;
    let now = app.clock.now();
    app.audit
        .exported
        .take(caller.id(), now)
        .map_err(|wait| Error::from(Code::RateLimited).detail("The key has begun too many exports within the hour.").retry_after(wait))?;
    let seat = app.audit.exports.open(tenant, now)?;
    audit::Tally::flush_tenant(&app, tenant).await?;
    let mut tx = app.db.tenant(tenant).await?;
    tx.record(event(&caller, &app, Action::AuditExported, json!({"query": uri.query()})));
    tx.commit().await?;
    // All that there is now, this export among it.
    if let Err(error) = audit::checkpoint(&app, tenant).await {
        // A trail that was changed is worth most to who wants to see how.
        tracing::error!(%tenant, error = %anyhow::Error::from(error), "exporting without a new checkpoint");
    }
    let mut tx = app.db.tenant(tenant).await?;
    let range = Range { from: query.from.map(Moment::into), to: query.to.map(Moment::into) };
    let (first, last) = range.bounds(tx.connection(), tenant).await?;
    drop(tx);
    let (first, last) = if first > last { (1, 0) } else { (first, last) };
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    let checkpoint = audit::newest_up_to(&app, tenant, positive(last)).await?.filter(|kept| kept.checkpoint.seq >= positive(first));
    let head = ExportHead {
        manifest: app.keyrings.current().manifest.to_string(),
        checkpoint: checkpoint.map(|kept| kept.jws),
        first: positive(first),
        last: positive(last),
    };
    let begin = Export { app, tenant, next: first, last, head: Some(head), seat };
    // A read that fails on the way breaks the answer off, and the client sees that it did.
    let lines = try_unfold(begin, |mut export| async move {
        let lines = export.lines().await.map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok::<_, std::io::Error>(lines.map(|lines| (lines, export)))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")], Body::from_stream(lines)).into_response())
}

/// An export on its way.
struct Export {
    app: Arc<App>,
    tenant: TenantId,
    next: i64,
    last: i64,
    head: Option<ExportHead>,
    seat: Seat,
}

impl Export {
    /// The next lines; `None` at the end.
    async fn lines(&mut self) -> Result<Option<String>> {
        if !self.seat.reads(self.app.clock.now()) {
            return Err(Error::from(Code::RateLimited).detail("Nobody has read for too long."));
        }
        let mut lines = String::new();
        if let Some(head) = self.head.take() {
            line(&mut lines, &head)?;
            return Ok(Some(lines));
        }
        if self.next > self.last {
            return Ok(None);
        }
        let mut tx = self.app.db.tenant(self.tenant).await?;
        let records: Vec<AuditRecord> = audit::page(&mut tx, self.tenant, self.next, self.last, EXPORT_PAGE).await?;
        tx.commit().await?;
        for record in &records {
            line(&mut lines, record)?;
        }
        // Records that somebody has taken out of the table must not end it early: what is missing then shows.
        self.next = records.last().map_or(self.last, |last| i64::try_from(last.seq).unwrap_or(self.last)) + 1;
        Ok(Some(lines))
    }
}

fn line(lines: &mut String, value: &impl Serialize) -> Result<()> {
    lines.push_str(&serde_json::to_string(value).map_err(Error::internal)?);
    lines.push('\n');
    Ok(())
}
