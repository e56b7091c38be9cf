//! `/edge/v1`: what edges ask for (docs/formats.md, "The edge's protocol").

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use keyward_api::{
    Code,
    limits::{MAX_PERMITS_LEN, PermitsReply, PermitsRequest},
};
use keyward_core::{AmendmentPage, Digest, FeedReply, Position, SnapshotReply, StatusIndex, bounds::MAX_HEARTBEAT_LEN};
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Authorized, Body, Follow, PolicyPath, Query};
use crate::{
    error::{Error, Result},
    feed::Follower,
    keys::issued::statement,
    limits::check::check,
    state::App,
};

/// The longest poll, milliseconds.
const MAX_WAIT: u64 = 5000;

/// Where the edge stands, and how long it waits.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FeedQuery {
    /// The epoch of the caller's state.
    epoch: u32,
    /// The sequence number of the caller's state.
    after: u64,
    /// The version of the caller's manifest.
    manifest: u64,
    /// How long to wait for news, milliseconds.
    #[param(maximum = 5000)]
    wait_ms: u64,
    /// The last heartbeat that the caller has heard: proves that there was what it knows.
    #[serde(default)]
    #[param(max_length = 1024)]
    heartbeat: String,
}

/// Waits for what has changed.
///
/// `docs/formats.md` has the protocol.
#[utoipa::path(
    get, path = "/edge/v1/feed", operation_id = "followFeed", tag = "Edge",
    security(("key" = ["edge:sync"])),
    params(FeedQuery),
    responses(
        (status = 200, description = "Signed deltas and a heartbeat", body = FeedReply),
        (status = "default", description = "position_unproved"),
    )
)]
pub async fn get_feed(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Follow>,
    Query(query): Query<FeedQuery>,
) -> Result<Json<FeedReply>> {
    if query.wait_ms > MAX_WAIT {
        return Err(Error::field("wait_ms", format!("0 to {MAX_WAIT}")));
    }
    let follower = Follower { position: Position { epoch: query.epoch, seq: query.after }, manifest: query.manifest };
    if query.heartbeat.len() > MAX_HEARTBEAT_LEN {
        return Err(Error::field("heartbeat", format!("at most {MAX_HEARTBEAT_LEN} bytes")));
    }
    app.followers.note(&caller, follower, app.clock.now());
    Ok(Json(app.feed.follow(&app, follower, &query.heartbeat, Duration::from_millis(query.wait_ms)).await?))
}

/// Shows the whole state by digests.
#[utoipa::path(
    get, path = "/edge/v1/snapshot", operation_id = "takeSnapshot", tag = "Edge",
    security(("key" = ["edge:sync"])),
    responses((status = 200, description = "A signed snapshot", body = SnapshotReply))
)]
pub async fn get_snapshot(State(app): State<Arc<App>>, _: Authorized<Follow>) -> Result<Json<SnapshotReply>> {
    Ok(Json(app.feed.snapshots.reply(&app).await?))
}

/// Shows a part of a snapshot.
#[utoipa::path(
    get, path = "/edge/v1/parts/{digest}", operation_id = "takePart", tag = "Edge",
    security(("key" = ["edge:sync"])),
    params(("digest" = Digest, Path, description = "As the snapshot names it")),
    responses(
        (status = 200, description = "A status list, or a page of amendments", content((String = "application/statuslist+jwt"), (AmendmentPage = "application/json"))),
    )
)]
pub async fn get_part(State(app): State<Arc<App>>, _: Authorized<Follow>, Path(digest): Path<String>) -> Result<Response> {
    let digest = Digest::parse(&digest).ok_or(Code::NotFound)?;
    let body = app.feed.snapshots.part(&app, &digest).await?;
    let kind = if body.starts_with('{') { "application/json" } else { "application/statuslist+jwt" };
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

/// Shows a signed policy.
#[utoipa::path(
    get, path = "/edge/v1/policies/{number}", operation_id = "takePolicy", tag = "Edge",
    security(("key" = ["edge:sync"])),
    params(PolicyPath),
    responses((status = 200, description = "The policy", content_type = "application/jwt", body = String))
)]
pub async fn get_policy(State(app): State<Arc<App>>, _: Authorized<Follow>, PolicyPath(number): PolicyPath) -> Result<Response> {
    Ok(jwt(app.policies.signed(&app, number).await?.to_string()))
}

/// Says that a key was issued: for keys whose signing key is frozen.
#[utoipa::path(
    get, path = "/edge/v1/issued/{index}/{digest}", operation_id = "takeIssued", tag = "Edge",
    security(("key" = ["edge:sync"])),
    params(("index" = u32, Path, description = "Where the key's status stands"), ("digest" = Digest, Path, description = "Of the key's whole text")),
    responses((status = 200, description = "It was: a signed statement", content_type = "application/jwt", body = String))
)]
pub async fn get_issued(
    State(app): State<Arc<App>>,
    _: Authorized<Follow>,
    Path((index, digest)): Path<(String, String)>,
) -> Result<Response> {
    let index = index.parse().ok().filter(|number: &u32| number.to_string() == index).ok_or(Code::NotFound)?;
    let digest = Digest::parse(&digest).ok_or(Code::NotFound)?;
    Ok(jwt(statement(&app, StatusIndex(index), digest).await?))
}

/// Shows the manifest in force.
#[utoipa::path(
    get, path = "/edge/v1/manifest", operation_id = "takeManifest", tag = "Edge",
    security(("key" = ["edge:sync"])),
    responses((status = 200, description = "The manifest", content_type = "application/jwt", body = String))
)]
pub async fn get_manifest(State(app): State<Arc<App>>, _: Authorized<Follow>) -> Response {
    jwt(app.keyrings.current().manifest.to_string())
}

/// Gives permits of keys' limits, and takes them back.
///
/// `docs/limits.md` has the protocol.
#[utoipa::path(
    post, path = "/edge/v1/permits", operation_id = "askForPermits", tag = "Edge",
    security(("key" = ["edge:sync"])),
    request_body = PermitsRequest,
    responses((status = 200, description = "What was given and taken, in the order of the request", body = PermitsReply))
)]
pub async fn post_permits(
    State(app): State<Arc<App>>,
    _: Authorized<Follow>,
    body: Body<PermitsRequest, MAX_PERMITS_LEN>,
) -> Result<Json<PermitsReply>> {
    check(&body.value)?;
    Ok(Json(app.limits.answer(body.value).await?))
}

fn jwt(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/jwt")], text).into_response()
}
