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
    keys::{Key, KeyRevoked, KeyRotated, RenewKey, RevokeKey, RotateKey},
};
use keyward_core::TenantId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    extract::{Authorized, Body, KeyPath, OptionalBody, Precondition, Presumed, Query, Revoke, Rotate, Update},
    keys::{InTenant, secret, tagged},
};
use crate::{
    auth::Caller,
    error::{Error, Result},
    keys::{
        bulk::{Action, bulk},
        idempotency::Idempotency,
        overlap,
        precondition::IfMatch,
        renew::renew,
        revoke::{revoke, revoke_at_once},
        rotate::rotate,
        standing,
    },
    state::App,
    tenants::acting_in,
};

/// The query of a revoke.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RevokeQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// See [`RevokeKey::reason`].
    #[param(min_length = 1, max_length = 256)]
    reason: Option<String>,
}

/// Makes a new raw key for a key; the old one ends with an overlap.
///
/// The new raw key is in this answer and in no other. An overlap of 0 ends all older raw keys at once.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{id}/rotate", operation_id = "rotateKey", tag = "Keys",
    security(("key" = ["keys:rotate"])),
    params(KeyPath, InTenant, Precondition, Idempotency),
    request_body = Option<RotateKey>,
    responses(
        (status = 200, description = "The key, and what to present from now on", body = KeyRotated, headers(("ETag"))),
        (status = "default", description = "grant_exceeded, key_revoked, key_expired, rotation_in_progress, owner_disabled, ceiling_reached, rate_limited, capacity_exhausted"),
    )
)]
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
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let idempotency = Idempotency::from_request(&headers, &method, uri.path(), tenant, &body.bytes)?;
    let rotated = rotate(&app, &caller, tenant, id, &if_match, body.value, idempotency).await?;
    let etag = rotated.api_key.etag.clone();
    Ok(secret(tagged(&etag, Json(rotated))))
}

/// Ends the overlap of a rotation: the old raw key ends now.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{id}/rotate/finish", operation_id = "finishRotation", tag = "Keys",
    security(("key" = ["keys:rotate"])),
    params(KeyPath, InTenant, Precondition),
    responses(
        (status = 200, description = "The key as it is now", body = Key, headers(("ETag"))),
        (status = "default", description = "key_revoked, owner_disabled, rate_limited"),
    )
)]
pub async fn post_rotate_finish(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Rotate>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let key = overlap::finish_rotation(&app, &caller, tenant, id, &if_match).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// Takes a rotation back: the new raw key ends now, and the old one is as before.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{id}/rotate/cancel", operation_id = "cancelRotation", tag = "Keys",
    security(("key" = ["keys:rotate"])),
    params(KeyPath, InTenant, Precondition),
    responses(
        (status = 200, description = "The key as it is now", body = Key, headers(("ETag"))),
        (status = "default", description = "grant_exceeded, key_revoked, rotation_not_in_progress, owner_disabled, ceiling_reached, rate_limited"),
    )
)]
pub async fn post_rotate_cancel(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Rotate>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let key = overlap::cancel_rotation(&app, &caller, tenant, id, &if_match).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// Gives a key another expiry; the raw key stays.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{id}/renew", operation_id = "renewKey", tag = "Keys",
    security(("key" = ["keys:update"])),
    params(KeyPath, InTenant, Precondition),
    request_body = RenewKey,
    responses(
        (status = 200, description = "The key as it is now", body = Key, headers(("ETag"))),
        (status = "default", description = "grant_exceeded, key_revoked, key_expired, owner_disabled, ceiling_reached, rate_limited"),
    )
)]
pub async fn post_renew(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
    body: Body<RenewKey>,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let key = renew(&app, &caller, tenant, id, &if_match, body.value).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// Ends a key for ever.
///
/// The reason stands in the body or in the query. Once more does no harm.
#[utoipa::path(
    delete, path = "/api/v1/api-keys/{id}/revoke", operation_id = "revokeKey", tag = "Keys",
    security(("key" = ["keys:revoke"])),
    params(KeyPath, RevokeQuery, Precondition),
    request_body = Option<RevokeKey>,
    responses((status = 200, description = "It has ended", body = KeyRevoked))
)]
pub async fn delete_revoke(
    State(app): State<Arc<App>>,
    presumed: Presumed<Revoke>,
    KeyPath(id): KeyPath,
    Query(query): Query<RevokeQuery>,
    Precondition(if_match): Precondition,
    OptionalBody(body): OptionalBody<RevokeKey>,
) -> Result<Json<KeyRevoked>> {
    let own = query.tenant.is_none_or(|tenant| tenant == presumed.caller.tenant());
    if own
        && query.reason.is_none()
        && if_match == IfMatch::Any
        && let Some(revoked) = revoke_at_once(&app, &presumed.caller, id, &body.value).await?
    {
        return Ok(Json(revoked));
    }
    let caller = presumed.confirm(&app).await?;
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let reason = match (query.reason, body.value.reason) {
        (Some(_), Some(_)) => return Err(Error::field("reason", "either in the query or in the body")),
        (one, other) => one.or(other),
    };
    Ok(Json(revoke(&app, &caller, tenant, id, if_match, RevokeKey { reason }).await?))
}

/// Takes a key out of use until it is resumed.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{id}/suspend", operation_id = "suspendKey", tag = "Keys",
    security(("key" = ["keys:update"])),
    params(KeyPath, InTenant, Precondition),
    responses(
        (status = 200, description = "The key as it is now", body = Key, headers(("ETag"))),
        (status = "default", description = "key_revoked, owner_disabled"),
    )
)]
pub async fn post_suspend(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let key = standing::suspend(&app, &caller, tenant, id, &if_match).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// Takes a suspended key into use again, as it was.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{id}/resume", operation_id = "resumeKey", tag = "Keys",
    security(("key" = ["keys:update"])),
    params(KeyPath, InTenant, Precondition),
    responses(
        (status = 200, description = "The key as it is now", body = Key, headers(("ETag"))),
        (status = "default", description = "key_revoked, owner_disabled, rate_limited"),
    )
)]
pub async fn post_resume(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let key = standing::resume(&app, &caller, tenant, id, &if_match).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// Suspends many keys.
///
/// One call is one chunk, done as a whole or not at all; `next_cursor` is where the next one begins.
#[utoipa::path(
    post, path = "/api/v1/api-keys/bulk/suspend", operation_id = "suspendKeys", tag = "Many keys at once",
    security(("key" = ["keys:update"])),
    params(InTenant),
    request_body = Bulk,
    responses((status = 200, description = "What was done", body = BulkDone))
)]
pub async fn post_bulk_suspend(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    Query(query): Query<InTenant>,
    body: Body<Bulk>,
) -> Result<Json<BulkDone>> {
    many(&app, &caller, query, Action::Suspend, body.value).await
}

/// Resumes many keys.
///
/// One call is one chunk, done as a whole or not at all; `next_cursor` is where the next one begins.
#[utoipa::path(
    post, path = "/api/v1/api-keys/bulk/resume", operation_id = "resumeKeys", tag = "Many keys at once",
    security(("key" = ["keys:update"])),
    params(InTenant),
    request_body = Bulk,
    responses(
        (status = 200, description = "What was done", body = BulkDone),
        (status = "default", description = "owner_disabled, rate_limited"),
    )
)]
pub async fn post_bulk_resume(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    Query(query): Query<InTenant>,
    body: Body<Bulk>,
) -> Result<Json<BulkDone>> {
    many(&app, &caller, query, Action::Resume, body.value).await
}

/// Revokes many keys.
///
/// One call is one chunk, done as a whole or not at all; `next_cursor` is where the next one begins.
#[utoipa::path(
    post, path = "/api/v1/api-keys/bulk/revoke", operation_id = "revokeKeys", tag = "Many keys at once",
    security(("key" = ["keys:revoke"])),
    params(InTenant),
    request_body = Bulk,
    responses((status = 200, description = "What was done", body = BulkDone))
)]
pub async fn post_bulk_revoke(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Revoke>,
    Query(query): Query<InTenant>,
    body: Body<Bulk>,
) -> Result<Json<BulkDone>> {
    many(&app, &caller, query, Action::Revoke, body.value).await
}

/// Gives many keys to another owner.
///
/// One call is one chunk, done as a whole or not at all; `next_cursor` is where the next one begins.
#[utoipa::path(
    post, path = "/api/v1/api-keys/bulk/reassign", operation_id = "reassignKeys", tag = "Many keys at once",
    security(("key" = ["keys:update"])),
    params(InTenant),
    request_body = Bulk,
    responses(
        (status = 200, description = "What was done", body = BulkDone),
        (status = "default", description = "owner_disabled, rate_limited"),
    )
)]
pub async fn post_bulk_reassign(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    Query(query): Query<InTenant>,
    body: Body<Bulk>,
) -> Result<Json<BulkDone>> {
    many(&app, &caller, query, Action::Reassign, body.value).await
}

async fn many(app: &App, caller: &Caller, query: InTenant, action: Action, request: Bulk) -> Result<Json<BulkDone>> {
    let tenant = acting_in(app, caller, query.tenant).await?;
    Ok(Json(bulk(app, caller, tenant, action, request).await?))
}
