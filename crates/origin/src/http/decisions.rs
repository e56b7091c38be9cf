//! Recent decisions: `/edge/v1/decisions`, `/api/v1/decisions`, `/api/v1/policies/replay`.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header, request::Parts},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::stream::{StreamExt, iter, unfold};
use keyward_api::decisions::{
    Decision, DecisionBatch, DecisionExplained, DecisionsReceived, MAX_DECISIONS_LEN, MAX_SAMPLED_PATH, Replay, Replayed, Verdict,
};
use keyward_core::{Capability, KeyId, TenantId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    extract::{Authorized, Body, DecisionPath, Follow, Needs, Query, Read},
    keys::InTenant,
    paging::{page, page_size},
};
use crate::{
    decisions::{
        check::check,
        explain::explained,
        live::{Watched, Watcher},
        read::{Filter, View},
        replay::replay,
    },
    error::{Error, Result},
    state::App,
    tenants::acting_in,
};

/// Characters of a reason's code.
const MAX_REASON: usize = 64;
/// Between two signs of life of a stream that has nothing to tell.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Which decisions.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DecisionsQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// On this key.
    key: Option<KeyId>,
    /// `passed` or `refused`.
    outcome: Option<Verdict>,
    /// For this reason: its code.
    #[param(max_length = 64)]
    reason: Option<String>,
    /// On paths that begin so.
    #[param(max_length = 1024)]
    path: Option<String>,
    /// Where the last page ended: from its `Link`.
    cursor: Option<u64>,
    /// 1 to 1000; 100 unless named.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Which decisions, as they come.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StreamQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// On this key.
    key: Option<KeyId>,
    /// `passed` or `refused`.
    outcome: Option<Verdict>,
    /// For this reason: its code.
    #[param(max_length = 64)]
    reason: Option<String>,
    /// On paths that begin so.
    #[param(max_length = 1024)]
    path: Option<String>,
    /// Those after the decision with this `id`; `Last-Event-ID` says the same, and counts more. Left out: those to come.
    after: Option<u64>,
}

fn filter(key: Option<KeyId>, verdict: Option<Verdict>, reason: Option<String>, path: Option<String>) -> Result<Filter> {
    let code =
        |reason: &String| (1..=MAX_REASON).contains(&reason.len()) && reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if !reason.as_ref().is_none_or(code) {
        return Err(Error::field("reason", "the code of a reason"));
    }
    let begin = |path: &String| path.starts_with('/') && path.len() <= MAX_SAMPLED_PATH && !path.chars().any(char::is_control);
    if !path.as_ref().is_none_or(begin) {
        return Err(Error::field("path", format!("begins with a slash, and has at most {MAX_SAMPLED_PATH} bytes")));
    }
    Ok(Filter { key, verdict, reason, path })
}

/// Adds a sample of what an edge has decided.
///
/// A batch is added once, however often it is sent.
#[utoipa::path(
    post, path = "/edge/v1/decisions", operation_id = "reportDecisions", tag = "Edge",
    security(("key" = ["edge:sync"])),
    request_body = DecisionBatch,
    responses((status = 200, description = "It is added", body = DecisionsReceived))
)]
pub async fn post(
    State(app): State<Arc<App>>,
    _: Authorized<Follow>,
    body: Body<DecisionBatch, MAX_DECISIONS_LEN>,
) -> Result<Json<DecisionsReceived>> {
    check(&body.value, app.clock.now())?;
    Ok(Json(app.decisions.writer.ask(body.value).await?))
}

/// Lists recent decisions of edges, newest first.
///
/// A sample: each stands for `weight` requests. A page looks at a bounded number of decisions, so that it may have few or none
/// and yet a next one.
#[utoipa::path(
    get, path = "/api/v1/decisions", operation_id = "listDecisions", tag = "Decisions",
    security(("key" = ["keys:read"])),
    params(DecisionsQuery),
    responses((status = 200, description = "A page of decisions", body = [Decision], headers(("Link"))))
)]
pub async fn get_all(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    uri: Uri,
    Query(query): Query<DecisionsQuery>,
) -> Result<Response> {
    let view = View::of(&app, &caller, acting_in(&app, &caller, query.tenant).await?);
    let limit = page_size(query.limit)?;
    let filter = filter(query.key, query.outcome, query.reason, query.path)?;
    let (decisions, next) = view.page(&app, &filter, query.cursor, limit).await?;
    Ok(page(&uri, decisions, ("cursor", next)))
}

/// Shows a decision, step by step.
#[utoipa::path(
    get, path = "/api/v1/decisions/{number}", operation_id = "showDecision", tag = "Decisions",
    security(("key" = ["keys:read"])),
    params(DecisionPath, InTenant),
    responses((status = 200, description = "The decision, and the rules that it was made by", body = DecisionExplained))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    DecisionPath(number): DecisionPath,
    Query(query): Query<InTenant>,
) -> Result<Json<DecisionExplained>> {
    let view = View::of(&app, &caller, acting_in(&app, &caller, query.tenant).await?);
    Ok(Json(explained(&app, &view.one(&app, number).await?).await?))
}

/// Tells decisions as they come: an event stream.
///
/// Each event is a `decision`, with its `id`. At most 50 are told a second; where there are more, those that are told stand for
/// the others by their `weight`. The stream ends with the key that asks for it, and after an hour: ask again with
/// `Last-Event-ID`.
#[utoipa::path(
    get, path = "/api/v1/decisions/stream", operation_id = "watchDecisions", tag = "Decisions",
    security(("key" = ["keys:read"])),
    params(StreamQuery, ("Last-Event-ID" = Option<u64>, Header, description = "The `id` of the last decision that was told")),
    responses(
        (status = 200, description = "Events (HTML Standard, section 9.2)", content_type = "text/event-stream", body = String),
        (status = "default", description = "rate_limited"),
    )
)]
pub async fn get_stream(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    Query(query): Query<StreamQuery>,
    parts: Parts,
) -> Result<Response> {
    let asked = Watched {
        capability: Capability::parse(Read::CAPABILITY).map_err(Error::internal)?,
        tenant: query.tenant,
        filter: filter(query.key, query.outcome, query.reason, query.path)?,
        after: last_event(&parts.headers)?.or(query.after),
    };
    let watcher = Watcher::open(Arc::clone(&app), (parts, &caller), asked).await?;
    let told = unfold(watcher, |mut watcher| async move { Some((watcher.next().await?, watcher)) });
    let events = told.flat_map(|decisions| iter(decisions.into_iter().filter_map(event).map(Ok::<_, Infallible>)));
    let mut response = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What buffers answers would keep the news to itself.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event(headers: &HeaderMap) -> Result<Option<u64>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| Error::field("Last-Event-ID", "the id of a decision"))
}

fn event(decision: Decision) -> Option<Event> {
    Event::default().id(decision.id.to_string()).event("decision").json_data(decision).ok()
}

/// Says what another policy would have decided.
///
/// Holds a draft, named as the terms of a new key or as a change of present ones, against recent decisions. Nothing is
/// changed. Limits aren't replayed: how much was left of them isn't known any more.
#[utoipa::path(
    post, path = "/api/v1/policies/replay", operation_id = "replayPolicy", tag = "Decisions",
    security(("key" = ["keys:read"])),
    params(InTenant),
    request_body = Replay,
    responses((status = 200, description = "What would change", body = Replayed), (status = "default", description = "not_found"))
)]
pub async fn post_replay(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    Query(query): Query<InTenant>,
    body: Body<Replay>,
) -> Result<Json<Replayed>> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    Ok(Json(replay(&app, &caller, tenant, body.value).await?))
}
