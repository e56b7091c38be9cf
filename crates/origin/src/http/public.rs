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

use super::extract::number_in_path;
use crate::{error::Result, metrics::Readings, state::App};

/// What pages may do: nothing from elsewhere, and WebAssembly.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// Headers of all static pages, beside those of every answer.
pub const PAGE_HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// `GET /.well-known/jwks.json` (RFC 7517): the keys of what others verify, tokens and status lists; also the next ones,
/// so that they are known when they begin to sign.
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

/// `GET /.well-known/keyward-manifest`: the manifest, which holds public keys alone and proves itself.
pub async fn get_manifest(State(app): State<Arc<App>>) -> Response {
    published("application/jwt", app.keyrings.current().manifest.to_string())
}

/// `GET /.well-known/keyward-root`: the root's public key, for the pages that come from here too. What decides on
/// requests pins it instead: from a root that travels with the manifest nothing follows.
pub async fn get_root(State(app): State<Arc<App>>) -> Response {
    published("text/plain", base64url(app.keyrings.current().root.as_bytes()))
}

fn published(media_type: &'static str, text: String) -> Response {
    let headers =
        [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "public, max-age=60"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, text).into_response()
}

/// `GET /status-lists/{shard}` (draft-ietf-oauth-status-list section 8)
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

/// `GET /healthz`: this process answers.
pub async fn get_healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: requests would be served: the database answers, and needs no recovery.
pub async fn get_readyz(State(app): State<Arc<App>>) -> Result<&'static str> {
    app.feed.check(&app).await?;
    Ok("ready\n")
}

/// `GET /metrics` (OpenMetrics 1.0)
pub async fn get_metrics(State(app): State<Arc<App>>) -> Response {
    let position = app.feed.position();
    let text = app.metrics.render(&Readings {
        epoch: position.epoch,
        seq: position.seq,
        waiting: app.feed.waiting(),
        manifest_expires: app.keyrings.current().keys.manifest().exp,
        connections: app.db.connections(),
    });
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
