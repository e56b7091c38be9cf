//! `/api/v1/edges`, `/api/v1/settings`: how a deployment runs.

use std::sync::Arc;

use axum::{Json, extract::State};
use keyward_api::{
    Code,
    deployment::{EdgeHeard, Edges, Settings},
};
use keyward_core::ScopeClass;

use super::extract::{Authorized, Read};
use crate::{
    clock::{datetime, rfc3339},
    error::{Error, Result},
    feed::Heard,
    sessions,
    state::App,
    tokens::LIFETIME,
};

/// Lists the edges that follow, and how far each has got.
///
/// One behind the origin for more than a moment decides on what was. Takes a key of tenant or admin scope; a tenant's shows the
/// edges that follow with keys of that tenant.
#[utoipa::path(
    get, path = "/api/v1/edges", operation_id = "listEdges", tag = "Deployment",
    security(("key" = ["keys:read"])),
    responses((status = 200, description = "Where the origin stands, and who follows it", body = Edges))
)]
pub async fn get_edges(State(app): State<Arc<App>>, Authorized { caller, .. }: Authorized<Read>) -> Result<Json<Edges>> {
    if caller.scope() == ScopeClass::User {
        return Err(Error::from(Code::ScopeInsufficient).detail("Edges take a key of tenant or admin scope."));
    }
    let (position, now) = (app.feed.position(), app.clock.now());
    let told = |moment| rfc3339(datetime(moment));
    // A key of another tenant is nobody's to know of.
    let seen = |heard: &Heard| caller.scope() == ScopeClass::Admin || heard.tenant == caller.tenant();
    let heard = app.followers.lately(now).into_iter().filter(|(_, _, heard)| seen(heard)).map(|(key, address, heard)| EdgeHeard {
        key,
        owner: heard.owner,
        address: address.map(|address| address.to_string()),
        epoch: heard.stood.position.epoch,
        seq: heard.stood.position.seq,
        manifest: heard.stood.manifest,
        heard: told(heard.at),
    });
    let manifest = app.keyrings.current().keys.manifest().version;
    Ok(Json(Edges { epoch: position.epoch, seq: position.seq, manifest, now: told(now), edges: heard.collect() }))
}

/// Shows what the deployment is set to.
///
/// Takes a key of admin scope.
#[utoipa::path(
    get, path = "/api/v1/settings", operation_id = "showSettings", tag = "Deployment",
    security(("key" = ["keys:read"])),
    responses((status = 200, description = "The settings", body = Settings))
)]
pub async fn get_settings(State(app): State<Arc<App>>, Authorized { caller, .. }: Authorized<Read>) -> Result<Json<Settings>> {
    if caller.scope() != ScopeClass::Admin {
        return Err(Error::from(Code::ScopeInsufficient).detail("Settings take a key of admin scope."));
    }
    let config = &app.config;
    Ok(Json(Settings {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        issuer: config.issuer.clone(),
        secure: config.is_secure(),
        trusted_proxies: config.trusted_proxies.iter().map(ToString::to_string).collect(),
        failures_per_minute: config.failures_per_minute,
        token_reuse_seconds: config.token_reuse_seconds,
        token_seconds: LIFETIME,
        session_seconds: sessions::LIFETIME,
        session_idle_seconds: sessions::IDLE,
        usage_days: config.usage_days,
        decision_hours: config.decision_hours,
    }))
}
