//! `/api/v1/api-keys` and what belongs to it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use keyward_api::{
    FieldError,
    catalogue::{Capabilities, Scopes, scopes},
    keys::{CreateKey, Key, KeyRevoked, KeyStatus, KeyValidated, PolicySuperseded, RotateKey, UpdateKey, ValidateKey},
};
use keyward_core::{KeyId, TenantId};
use serde::Deserialize;

use super::extract::{Authorized, Body, Create, KeyPath, OptionalBody, PolicyPath, Query, Read, Revoke, Rotate, Update, Validate};
use crate::{
    error::{Error, Result},
    keys::{
        create::create,
        idempotency::Idempotency,
        list::{self, DEFAULT_PAGE, Filter, MAX_PAGE},
        rotate::rotate,
        standing,
        supersede::supersede,
        update::update,
        validate::validate,
    },
    state::App,
    tenants::{acting_in, catalogue},
};

/// The query of most calls.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InTenant {
    /// The tenant that an admin acts in, where it isn't its own.
    pub tenant: Option<TenantId>,
}

/// The query of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    tenant: Option<TenantId>,
    status: Option<KeyStatus>,
    owner_id: Option<String>,
    cursor: Option<KeyId>,
    limit: Option<u32>,
    /// Of the API that Keyward grew from. Usage isn't counted yet, so that there is none to include.
    #[serde(rename = "include_usage")]
    _include_usage: Option<bool>,
}

/// `POST /api/v1/api-keys`
pub async fn post(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Create>,
    Query(query): Query<InTenant>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body<CreateKey>,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let idempotency = Idempotency::from_request(&headers, &method, uri.path(), tenant, &body.bytes)?;
    let created = create(&app, &caller, tenant, body.value, idempotency).await?;
    Ok(secret((StatusCode::CREATED, Json(created))))
}

/// `GET /api/v1/api-keys`
pub async fn get_all(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    uri: Uri,
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return Err(Error::field("limit", format!("1 to {MAX_PAGE}")));
    }
    let filter = Filter { status: query.status, owner: query.owner_id, cursor: query.cursor, limit };
    let (keys, more) = list::list(&app, &caller, tenant, filter).await?;
    let next = keys.last().filter(|_| more).and_then(|last| next_page(&uri, last.id));
    let mut response = Json(keys).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

/// The next page (RFC 8288): the same query with another cursor.
pub fn next_page(uri: &Uri, cursor: impl std::fmt::Display) -> Option<HeaderValue> {
    let others = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<String> = others.map(str::to_owned).chain([format!("cursor={cursor}")]).collect();
    HeaderValue::from_str(&format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))).ok()
}

/// `GET /api/v1/api-keys/{id}`
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
) -> Result<Json<Key>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(list::find(&app, &caller, tenant, id).await?))
}

/// `PATCH /api/v1/api-keys/{id}`
pub async fn patch(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    body: Body<UpdateKey>,
) -> Result<Json<Key>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(update(&app, &caller, tenant, id, body.value).await?))
}

/// `POST /api/v1/api-keys/{id}/rotate`
#[allow(clippy::too_many_arguments)] // Each is an extractor.
pub async fn post_rotate(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Rotate>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    OptionalBody(body): OptionalBody<RotateKey>,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let idempotency = Idempotency::from_request(&headers, &method, uri.path(), tenant, &body.bytes)?;
    Ok(secret(Json(rotate(&app, &caller, tenant, id, body.value, idempotency).await?)))
}

/// `DELETE /api/v1/api-keys/{id}/revoke`
pub async fn delete_revoke(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Revoke>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
) -> Result<Json<KeyRevoked>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(standing::revoke(&app, &caller, tenant, id).await?))
}

/// `POST /api/v1/api-keys/{id}/suspend`
pub async fn post_suspend(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
) -> Result<Json<Key>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(standing::suspend(&app, &caller, tenant, id).await?))
}

/// `POST /api/v1/api-keys/{id}/resume`
pub async fn post_resume(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
) -> Result<Json<Key>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(standing::resume(&app, &caller, tenant, id).await?))
}

/// `POST /api/v1/api-keys/validate`
pub async fn post_validate(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Validate>,
    Query(query): Query<InTenant>,
    body: Body<ValidateKey>,
) -> Result<Json<KeyValidated>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(validate(&app, tenant, body.value).await?))
}

/// `GET /api/v1/api-keys/catalog/capabilities`
pub async fn get_capabilities(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    Query(query): Query<InTenant>,
) -> Result<Json<Capabilities>> {
    Ok(Json(catalogue::list(&app, acting_in(&caller, query.tenant)?).await?))
}

/// `GET /api/v1/api-keys/catalog/scopes`
pub async fn get_scopes(_: Authorized<Read>) -> Json<Scopes> {
    Json(scopes())
}

/// `POST /api/v1/policies/{number}/supersede`
pub async fn post_supersede(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    PolicyPath(number): PolicyPath,
    Query(query): Query<InTenant>,
    body: Body<UpdateKey>,
) -> Result<Json<PolicySuperseded>> {
    let tenant = acting_in(&caller, query.tenant)?;
    let keys_only = [("name", body.value.name.is_some()), ("description", body.value.description != keyward_api::Given::Missing)];
    let errors: Vec<_> = keys_only
        .into_iter()
        .filter(|(_, named)| *named)
        .map(|(field, _)| FieldError { field: field.to_owned(), message: "a policy has none".to_owned() })
        .collect();
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    Ok(Json(supersede(&app, &caller, tenant, number, body.value).await?))
}

/// An answer that holds a secret: kept by nobody on the way (RFC 9111 section 5.2.2.5).
pub fn secret(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], answer).into_response()
}
