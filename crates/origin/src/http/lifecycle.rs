//! What is done to keys that are there: `/api/v1/api-keys/{id}/…`, and many at once.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Method, Uri},
    response::Response,
};
use keyward_api::{
    bulk::{Bulk, BulkDone},
    keys::{KeyRevoked, RenewKey, RevokeKey, RotateKey},
};
use keyward_core::TenantId;
use serde::Deserialize;

use super::{
    extract::{Authorized, Body, KeyPath, OptionalBody, Precondition, Query, Revoke, Rotate, Update},
    keys::{InTenant, secret, tagged},
};
use crate::{
    auth::Caller,
    error::{Error, Result},
    keys::{
        bulk::{Action, bulk},
        idempotency::Idempotency,
        overlap,
        renew::renew,
        revoke::revoke,
        rotate::rotate,
        standing,
    },
    state::App,
    tenants::acting_in,
};

/// The query of a revoke.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeQuery {
    tenant: Option<TenantId>,
    reason: Option<String>,
}

/// `POST /api/v1/api-keys/{id}/rotate`
#[allow(clippy::too_many_arguments)] // Each is an extractor.
pub async fn post_rotate(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Rotate>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    OptionalBody(body): OptionalBody<RotateKey>,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let idempotency = Idempotency::from_request(&headers, &method, uri.path(), tenant, &body.bytes)?;
    let rotated = rotate(&app, &caller, tenant, id, &if_match, body.value, idempotency).await?;
    let etag = rotated.api_key.etag.clone();
    Ok(secret(tagged(&etag, Json(rotated))))
}

/// `POST /api/v1/api-keys/{id}/rotate/finish`
pub async fn post_rotate_finish(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Rotate>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let key = overlap::finish_rotation(&app, &caller, tenant, id, &if_match).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// `POST /api/v1/api-keys/{id}/rotate/cancel`
pub async fn post_rotate_cancel(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Rotate>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let key = overlap::cancel_rotation(&app, &caller, tenant, id, &if_match).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// `POST /api/v1/api-keys/{id}/renew`
pub async fn post_renew(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
    body: Body<RenewKey>,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let key = renew(&app, &caller, tenant, id, &if_match, body.value).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// `DELETE /api/v1/api-keys/{id}/revoke`
pub async fn delete_revoke(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Revoke>,
    KeyPath(id): KeyPath,
    Query(query): Query<RevokeQuery>,
    Precondition(if_match): Precondition,
    OptionalBody(body): OptionalBody<RevokeKey>,
) -> Result<Json<KeyRevoked>> {
    let tenant = acting_in(&caller, query.tenant)?;
    let reason = match (query.reason, body.value.reason) {
        (Some(_), Some(_)) => return Err(Error::field("reason", "either in the query or in the body")),
        (one, other) => one.or(other),
    };
    Ok(Json(revoke(&app, &caller, tenant, id, if_match, RevokeKey { reason }).await?))
}

/// `POST /api/v1/api-keys/{id}/suspend`
pub async fn post_suspend(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let key = standing::suspend(&app, &caller, tenant, id, &if_match).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// `POST /api/v1/api-keys/{id}/resume`
pub async fn post_resume(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let key = standing::resume(&app, &caller, tenant, id, &if_match).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// `POST /api/v1/api-keys/bulk/suspend`
pub async fn post_bulk_suspend(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    Query(query): Query<InTenant>,
    body: Body<Bulk>,
) -> Result<Json<BulkDone>> {
    many(&app, &caller, query, Action::Suspend, body.value).await
}

/// `POST /api/v1/api-keys/bulk/resume`
pub async fn post_bulk_resume(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    Query(query): Query<InTenant>,
    body: Body<Bulk>,
) -> Result<Json<BulkDone>> {
    many(&app, &caller, query, Action::Resume, body.value).await
}

/// `POST /api/v1/api-keys/bulk/revoke`
pub async fn post_bulk_revoke(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Revoke>,
    Query(query): Query<InTenant>,
    body: Body<Bulk>,
) -> Result<Json<BulkDone>> {
    many(&app, &caller, query, Action::Revoke, body.value).await
}

/// `POST /api/v1/api-keys/bulk/reassign`
pub async fn post_bulk_reassign(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    Query(query): Query<InTenant>,
    body: Body<Bulk>,
) -> Result<Json<BulkDone>> {
    many(&app, &caller, query, Action::Reassign, body.value).await
}

async fn many(app: &App, caller: &Caller, query: InTenant, action: Action, request: Bulk) -> Result<Json<BulkDone>> {
    let tenant = acting_in(caller, query.tenant)?;
    Ok(Json(bulk(app, caller, tenant, action, request).await?))
}
