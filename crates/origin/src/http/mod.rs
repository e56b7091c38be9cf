//! The routes.

mod audit;
mod body;
mod decisions;
mod deployment;
mod door;
mod edge;
mod events;
mod extract;
mod keys;
mod lifecycle;
mod oauth;
mod observe;
mod openapi;
mod pages;
mod paging;
mod public;
mod session;
mod signing;
mod tenants;
mod trace;
mod usage;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::{delete, get, post},
};
use keyward_api::Code;
use tokio::time::timeout;

pub use body::read as read_body;
pub use door::Door;

use crate::{
    error::{Error, Result},
    state::App,
};

/// How long any request may take; the longest poll takes five seconds.
const LONGEST: Duration = Duration::from_secs(20);

/// The route that is asked more often than all others together.
const VALIDATE: &str = "/api/v1/api-keys/validate";

/// Everything that the server answers to.
pub fn router(app: Arc<App>) -> Router {
    let api = Router::new()
        .route("/api/v1/api-keys", get(keys::get_all).post(keys::post))
        .route("/api/v1/api-keys/validate", post(keys::post_validate))
        .route("/api/v1/api-keys/catalog/capabilities", get(keys::get_capabilities).post(tenants::post_capability))
        .route("/api/v1/api-keys/catalog/scopes", get(keys::get_scopes))
        .route("/api/v1/api-keys/analytics/summary", get(usage::get_summary))
        .route("/api/v1/api-keys/analytics/series", get(usage::get_series))
        .route("/api/v1/api-keys/{id}", get(keys::get).patch(keys::patch))
        .route("/api/v1/api-keys/{id}/policy", get(keys::get_policy))
        .route("/api/v1/api-keys/{id}/usage", get(usage::get_of_key))
        .route("/api/v1/api-keys/{id}/rotate", post(lifecycle::post_rotate))
        .route("/api/v1/api-keys/{id}/rotate/finish", post(lifecycle::post_rotate_finish))
        .route("/api/v1/api-keys/{id}/rotate/cancel", post(lifecycle::post_rotate_cancel))
        .route("/api/v1/api-keys/{id}/renew", post(lifecycle::post_renew))
        .route("/api/v1/api-keys/{id}/revoke", delete(lifecycle::delete_revoke))
        .route("/api/v1/api-keys/{id}/suspend", post(lifecycle::post_suspend))
        .route("/api/v1/api-keys/{id}/resume", post(lifecycle::post_resume))
        .route("/api/v1/api-keys/bulk/create", post(keys::post_bulk_create))
        .route("/api/v1/api-keys/bulk/suspend", post(lifecycle::post_bulk_suspend))
        .route("/api/v1/api-keys/bulk/resume", post(lifecycle::post_bulk_resume))
        .route("/api/v1/api-keys/bulk/revoke", post(lifecycle::post_bulk_revoke))
        .route("/api/v1/api-keys/bulk/reassign", post(lifecycle::post_bulk_reassign))
        .route("/api/v1/events", get(events::get))
        .route("/api/v1/decisions", get(decisions::get_all))
        .route("/api/v1/decisions/stream", get(decisions::get_stream))
        .route("/api/v1/decisions/{number}", get(decisions::get))
        .route("/api/v1/policies/replay", post(decisions::post_replay))
        .route("/api/v1/policies/{number}/supersede", post(keys::post_supersede))
        .route("/api/v1/edges", get(deployment::get_edges))
        .route("/api/v1/settings", get(deployment::get_settings))
        .route("/api/v1/tenants", get(tenants::get_all).post(tenants::post))
        .route("/api/v1/tenants/{id}", get(tenants::get).patch(tenants::patch))
        .route("/api/v1/owners", get(tenants::get_owners).post(tenants::post_owner))
        .route("/api/v1/owners/{id}", get(tenants::get_owner).patch(tenants::patch_owner))
        .route("/api/v1/audit", get(audit::get))
        .route("/api/v1/audit/export", get(audit::get_export))
        .route("/api/v1/audit/checkpoints", get(audit::get_checkpoints).post(audit::post_checkpoints))
        .route("/api/v1/signing-keys", get(signing::get_all).post(signing::post))
        .route("/api/v1/signing-keys/{kid}/activate", post(signing::post_activate))
        .route("/api/v1/signing-keys/{kid}/retire", post(signing::post_retire))
        .route("/api/v1/signing-keys/{kid}/freeze", post(signing::post_freeze))
        .route("/api/v1/manifest", post(signing::post_manifest))
        .route("/api/v1/manifest/proposal", get(signing::get_proposal))
        .route("/session", get(session::get).post(session::post).delete(session::delete))
        .route("/oauth/token", post(oauth::post_token))
        .route("/oauth/introspect", post(oauth::post_introspect))
        .route("/oauth/revoke", post(oauth::post_revoke))
        .route("/.well-known/oauth-authorization-server", get(oauth::get_metadata))
        .route("/edge/v1/feed", get(edge::get_feed))
        .route("/edge/v1/snapshot", get(edge::get_snapshot))
        .route("/edge/v1/parts/{digest}", get(edge::get_part))
        .route("/edge/v1/policies/{number}", get(edge::get_policy))
        .route("/edge/v1/issued/{index}/{digest}", get(edge::get_issued))
        .route("/edge/v1/manifest", get(edge::get_manifest))
        .route("/edge/v1/usage", post(usage::post))
        .route("/edge/v1/decisions", post(decisions::post))
        .route("/edge/v1/permits", post(edge::post_permits))
        .route("/.well-known/jwks.json", get(public::get_jwks))
        .route("/.well-known/keyward-manifest", get(public::get_manifest))
        .route("/.well-known/keyward-root", get(public::get_root))
        .route("/status-lists/{shard}", get(public::get_status_list))
        // What the database says can't be trusted after it went back in time: nothing above answers then.
        .route_layer(from_fn_with_state(Arc::clone(&app), stand_still));
    api.route("/openapi.json", get(openapi::get_document))
        .route("/docs", get(openapi::get_page))
        .route("/docs/style.css", get(openapi::get_style))
        .route("/healthz", get(public::get_healthz))
        .route("/readyz", get(public::get_readyz))
        .route("/metrics", get(public::get_metrics))
        .method_not_allowed_fallback(|| async { Error::from(Code::MethodNotAllowed) })
        .merge(pages::pages(&app))
        .layer(from_fn_with_state(Arc::clone(&app), observe::observe))
        .with_state(app)
}

/// See [`guarded`].
async fn stand_still(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response> {
    guarded(&app, async { Ok(next.run(request).await) }).await
}

/// Refuses while the database can't be trusted, and gives up where it doesn't answer. An answer is kept by nobody on the way unless it
/// says that it may be; a problem never is.
async fn guarded(app: &App, answer: impl Future<Output = Result<Response>>) -> Result<Response> {
    app.recovery.guard()?;
    // Nothing takes this long but a database that has fallen silent.
    let mut response = timeout(LONGEST, answer).await.map_err(|_| Code::DatabaseUnavailable)??;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}
