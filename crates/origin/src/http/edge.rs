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
use keyward_core::{Digest, FeedReply, Position, SnapshotReply, StatusIndex};
use serde::Deserialize;

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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedQuery {
    epoch: u32,
    after: u64,
    manifest: u64,
    wait_ms: u64,
}

/// `GET /edge/v1/feed`
pub async fn get_feed(State(app): State<Arc<App>>, _: Authorized<Follow>, Query(query): Query<FeedQuery>) -> Result<Json<FeedReply>> {
    if query.wait_ms > MAX_WAIT {
        return Err(Error::field("wait_ms", format!("0 to {MAX_WAIT}")));
    }
    let follower = Follower { position: Position { epoch: query.epoch, seq: query.after }, manifest: query.manifest };
    Ok(Json(app.feed.follow(&app, follower, Duration::from_millis(query.wait_ms)).await?))
}

/// `GET /edge/v1/snapshot`
pub async fn get_snapshot(State(app): State<Arc<App>>, _: Authorized<Follow>) -> Result<Json<SnapshotReply>> {
    Ok(Json(app.feed.snapshots.reply(&app).await?))
}

/// `GET /edge/v1/parts/{digest}`
pub async fn get_part(State(app): State<Arc<App>>, _: Authorized<Follow>, Path(digest): Path<String>) -> Result<Response> {
    let digest = Digest::parse(&digest).ok_or(Code::NotFound)?;
    let body = app.feed.snapshots.part(&app, &digest).await?;
    let kind = if body.starts_with('{') { "application/json" } else { "application/statuslist+jwt" };
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

/// `GET /edge/v1/policies/{number}`
pub async fn get_policy(State(app): State<Arc<App>>, _: Authorized<Follow>, PolicyPath(number): PolicyPath) -> Result<Response> {
    Ok(jwt(app.policies.signed(&app, number).await?.to_string()))
}

/// `GET /edge/v1/issued/{index}/{digest}`
pub async fn get_issued(
    State(app): State<Arc<App>>,
    _: Authorized<Follow>,
    Path((index, digest)): Path<(String, String)>,
) -> Result<Response> {
    let index = index.parse().ok().filter(|number: &u32| number.to_string() == index).ok_or(Code::NotFound)?;
    let digest = Digest::parse(&digest).ok_or(Code::NotFound)?;
    Ok(jwt(statement(&app, StatusIndex(index), digest).await?))
}

/// `GET /edge/v1/manifest`
pub async fn get_manifest(State(app): State<Arc<App>>, _: Authorized<Follow>) -> Response {
    jwt(app.keyrings.current().manifest.to_string())
}

/// `POST /edge/v1/permits`
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
