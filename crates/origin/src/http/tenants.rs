//! `/api/v1/tenants`, `/api/v1/owners`, and a tenant's own catalogue.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use keyward_api::{
    catalogue::OwnCapability,
    tenants::{AddCapability, CreateOwner, CreateTenant, Owner, Tenant, UpdateOwner, UpdateTenant},
};
use keyward_core::TenantId;
use serde::{Deserialize, Serialize};

use super::{
    audit::page_size,
    extract::{Authorized, Body, Catalogue, CreateTenants, KeyPath, OwnerPath, Owners, Query, SeeTenants, UpdateTenants},
    keys::{InTenant, next_page, secret},
};
use crate::{
    error::{Error, Result},
    state::App,
    tenants::{acting_in, catalogue, manage, owners},
};

/// The query of a list of tenants.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantsQuery {
    cursor: Option<TenantId>,
    limit: Option<u32>,
}

/// The query of a list of owners.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnersQuery {
    tenant: Option<TenantId>,
    cursor: Option<String>,
    limit: Option<u32>,
}

/// A page of at most `limit` of what was found, with a link to the next where there was more.
fn page<T: Serialize>(uri: &Uri, mut found: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Response {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).and_then(|last| next_page(uri, "cursor", cursor(last)));
    let mut response = Json(found).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    response
}

/// `POST /api/v1/tenants`
pub async fn post(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<CreateTenants>,
    body: Body<CreateTenant>,
) -> Result<Response> {
    Ok(secret((StatusCode::CREATED, Json(manage::make(&app, &caller, body.value).await?))))
}

/// `GET /api/v1/tenants`
pub async fn get_all(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<SeeTenants>,
    uri: Uri,
    Query(query): Query<TenantsQuery>,
) -> Result<Response> {
    let limit = page_size(query.limit)?;
    let found = manage::list(&app, &caller, query.cursor, limit + 1).await?;
    Ok(page(&uri, found, limit, |tenant| tenant.id.to_string()))
}

/// `GET /api/v1/tenants/{id}`
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<SeeTenants>,
    KeyPath(id): KeyPath,
) -> Result<Json<Tenant>> {
    Ok(Json(manage::find(&app, &caller, TenantId(id.0)).await?))
}

/// `PATCH /api/v1/tenants/{id}`
pub async fn patch(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<UpdateTenants>,
    KeyPath(id): KeyPath,
    body: Body<UpdateTenant>,
) -> Result<Json<Tenant>> {
    Ok(Json(manage::update(&app, &caller, TenantId(id.0), body.value).await?))
}

/// `GET /api/v1/owners`
pub async fn get_owners(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Owners>,
    uri: Uri,
    Query(query): Query<OwnersQuery>,
) -> Result<Response> {
    let (tenant, limit) = (acting_in(&caller, query.tenant)?, page_size(query.limit)?);
    if query.cursor.as_ref().is_some_and(|cursor| cursor.contains('\0')) {
        return Err(Error::field("cursor", "an owner's id"));
    }
    let found = owners::list(&app, &caller, tenant, query.cursor.as_deref(), limit + 1).await?;
    Ok(page(&uri, found, limit, |owner| percent_encoded(&owner.id)))
}

/// As it stands in a query: unreserved characters as they are (RFC 3986 section 2.3).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// `POST /api/v1/owners`
pub async fn post_owner(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Owners>,
    Query(query): Query<InTenant>,
    body: Body<CreateOwner>,
) -> Result<(StatusCode, Json<Owner>)> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok((StatusCode::CREATED, Json(owners::make(&app, &caller, tenant, body.value).await?)))
}

/// `GET /api/v1/owners/{id}`
pub async fn get_owner(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Owners>,
    OwnerPath(id): OwnerPath,
    Query(query): Query<InTenant>,
) -> Result<Json<Owner>> {
    Ok(Json(owners::find(&app, &caller, acting_in(&caller, query.tenant)?, &id).await?))
}

/// `PATCH /api/v1/owners/{id}`
pub async fn patch_owner(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Owners>,
    OwnerPath(id): OwnerPath,
    Query(query): Query<InTenant>,
    body: Body<UpdateOwner>,
) -> Result<Json<Owner>> {
    Ok(Json(owners::update(&app, &caller, acting_in(&caller, query.tenant)?, &id, body.value).await?))
}

/// `POST /api/v1/api-keys/catalog/capabilities`
pub async fn post_capability(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Catalogue>,
    Query(query): Query<InTenant>,
    body: Body<AddCapability>,
) -> Result<(StatusCode, Json<OwnCapability>)> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok((StatusCode::CREATED, Json(catalogue::add(&app, &caller, tenant, body.value).await?)))
}
