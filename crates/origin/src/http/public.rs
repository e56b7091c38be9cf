//! What anyone may ask for: public keys, status lists, health, and the static pages.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderName, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use keyward_core::{KeyState, Role, codec::base64url};
use serde_json::{Value, json};

use super::{extract::number_in_path, openapi::Jwks};
use crate::{error::Result, metrics::Readings, state::App};

/// What pages may do: nothing from elsewhere, and WebAssembly.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers of all static pages, beside those of every answer.
pub const PAGE_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Lists the public keys of tokens and status lists (RFC 7517), also the next ones, so that they are known when they begin
/// to sign.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "jwks", tag = "Published",
    responses((status = 200, description = "A JWK set", body = Jwks))
)]
pub async fn get_jwks(State(app): State<Arc<App>>) -> Response {
    let keyring = app.keyrings.current();
    let published = keyring
        .keys
        .manifest()
        .keys
        .iter()
        .filter(|key| (key.state.verifies() || key.state == KeyState::PrePublished) && matches!(key.role, Role::Token | Role::Feed));
    let keys: Vec<Value> = published
        .map(|key| {
            // RFC 8037 section 2.
            json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": key.kid, "x": base64url(key.x.as_bytes())})
        })
        .collect();
    ([(header::CACHE_CONTROL, "public, max-age=60")], Json(json!({ "keys": keys }))).into_response()
}

/// Shows the manifest, which holds public keys alone and proves itself.
#[utoipa::path(
    get, path = "/.well-known/keyward-manifest", operation_id = "manifest", tag = "Published",
    responses((status = 200, description = "A signed manifest", content_type = "application/jwt", body = String))
)]
pub async fn get_manifest(State(app): State<Arc<App>>) -> Response {
    published("application/jwt", app.keyrings.current().manifest.to_string())
}

/// Shows the root's public key, for the pages that come from here too.
///
/// What decides on requests pins it instead: from a root that travels with the manifest nothing follows.
#[utoipa::path(
    get, path = "/.well-known/keyward-root", operation_id = "root", tag = "Published",
    responses((status = 200, description = "32 bytes of base64url", content_type = "text/plain", body = String))
)]
pub async fn get_root(State(app): State<Arc<App>>) -> Response {
    published("text/plain", base64url(app.keyrings.current().root.as_bytes()))
}

fn published(media_type: &'static str, text: String) -> Response {
    let headers =
        [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=60"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, text).into_response()
}

/// Shows a status list (draft-ietf-oauth-status-list section 8).
#[utoipa::path(
    get, path = "/status-lists/{shard}", operation_id = "statusList", tag = "Published",
    params(("shard" = u32, Path, description = "The status index, divided by 2^20")),
    responses((status = 200, description = "A status list token", content_type = "application/statuslist+jwt", body = String))
)]
pub async fn get_status_list(State(app): State<Arc<App>>, mut parts: Parts) -> Result<Response> {
    let shard = number_in_path(&mut parts).await?;
    let jws = app.feed.lists.public(&app, shard).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/statuslist+jwt"),
        (header::CACHE_CONTROL, "public, max-age=5"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    Ok((headers, jws.to_string()).into_response())
}

/// Says that this process answers.
#[utoipa::path(
    get, path = "/healthz", operation_id = "health", tag = "Health",
    responses((status = 200, description = "It does", content_type = "text/plain", body = String))
)]
pub async fn get_healthz() -> &'static str {
    "ok\n"
}

/// Says whether requests would be served: the database answers, and needs no recovery.
#[utoipa::path(
    get, path = "/readyz", operation_id = "readiness", tag = "Health",
    responses(
        (status = 200, description = "They would", content_type = "text/plain", body = String),
        (status = "default", description = "database_unavailable, recovery_required"),
    )
)]
pub async fn get_readyz(State(app): State<Arc<App>>) -> Result<&'static str> {
    app.feed.check(&app).await?;
    Ok("ready\n")
}

/// Shows what happened, in numbers (OpenMetrics 1.0).
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "Health",
    responses((status = 200, description = "The metrics", content_type = "application/openmetrics-text", body = String))
)]
pub async fn get_metrics(State(app): State<Arc<App>>) -> Response {
    let position = app.feed.position();
    let text = app.metrics.render(&Readings {
        epoch: position.epoch,
        seq: position.seq,
        waiting: app.feed.waiting(),
        decision_streams: app.decisions.streams.count(),
        manifest_expires: app.keyrings.current().keys.manifest().exp,
        connections: app.db.connections(),
    });
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
