//! `/api/v1/tenants`, `/api/v1/owners`, and a tenant's own catalogue.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::Response,
};
use keyward_api::{
    catalogue::OwnCapability,
    tenants::{AddCapability, CreateOwner, CreateTenant, Owner, Tenant, TenantCreated, UpdateOwner, UpdateTenant},
};
use keyward_core::TenantId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    extract::{Authorized, Body, Catalogue, CreateTenants, KeyPath, OwnerPath, Owners, Query, SeeTenants, UpdateTenants},
    keys::{InTenant, secret},
    paging::{cut, page, page_size},
};
use crate::{
    error::{Error, Result},
    keys::idempotency::Idempotency,
    state::App,
    tenants::{acting_in, catalogue, manage, owners},
};

/// The query of a list of tenants.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct TenantsQuery {
    /// Where the last page ended: from its `Link`.
    cursor: Option<TenantId>,
    /// 1 to 1000; 100 unless named.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The query of a list of owners.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct OwnersQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// With this in id, name or email, in any case of ASCII's letters. A page looks at 10,000 owners at most: it may have fewer
    /// than were asked for, or none, and a `Link` to the next.
    #[param(min_length = 1, max_length = 128)]
    search: Option<String>,
    /// Where the last page ended: from its `Link`.
    cursor: Option<String>,
    /// 1 to 1000; 100 unless named.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Makes a tenant, and its first management key where that is asked for: both or neither.
///
/// Takes a key of admin scope.
#[utoipa::path(
    post, path = "/api/v1/tenants", operation_id = "createTenant", tag = "Tenants",
    security(("key" = ["tenants:create"])),
    params(Idempotency),
    request_body = CreateTenant,
    responses(
        (status = 201, description = "The tenant", body = TenantCreated),
        (status = "default", description = "grant_exceeded, already_exists, owner_disabled, ceiling_reached, rate_limited, capacity_exhausted"),
    )
)]
pub async fn post(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<CreateTenants>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body<CreateTenant>,
) -> Result<Response> {
    let idempotency = Idempotency::from_request(&headers, &method, uri.path(), caller.tenant(), &body.bytes)?;
    Ok(secret((StatusCode::CREATED, Json(manage::make(&app, &caller, body.value, idempotency).await?))))
}

/// Lists the tenants that the caller sees.
#[utoipa::path(
    get, path = "/api/v1/tenants", operation_id = "listTenants", tag = "Tenants",
    security(("key" = ["tenants:read"])),
    params(TenantsQuery),
    responses(
        (status = 200, description = "A page of tenants", body = [Tenant], headers(("Link"))),
        (status = "default", description = "not_found"),
    )
)]
pub async fn get_all(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<SeeTenants>,
    uri: Uri,
    Query(query): Query<TenantsQuery>,
) -> Result<Response> {
    let limit = page_size(query.limit)?;
    let found = manage::list(&app, &caller, query.cursor, limit + 1).await?;
    Ok(cut(&uri, found, limit, |tenant| tenant.id.to_string()))
}

/// Shows a tenant.
#[utoipa::path(
    get, path = "/api/v1/tenants/{id}", operation_id = "showTenant", tag = "Tenants",
    security(("key" = ["tenants:read"])),
    params(KeyPath),
    responses((status = 200, description = "The tenant", body = Tenant))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<SeeTenants>,
    KeyPath(id): KeyPath,
) -> Result<Json<Tenant>> {
    Ok(Json(manage::find(&app, &caller, TenantId(id.0)).await?))
}

/// Changes a tenant.
///
/// Takes a key of admin scope.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{id}", operation_id = "changeTenant", tag = "Tenants",
    security(("key" = ["tenants:update"])),
    params(KeyPath),
    request_body = UpdateTenant,
    responses(
        (status = 200, description = "The tenant as it is now", body = Tenant),
        (status = "default", description = "owner_disabled, rate_limited"),
    )
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<UpdateTenants>,
    KeyPath(id): KeyPath,
    body: Body<UpdateTenant>,
) -> Result<Json<Tenant>> {
    Ok(Json(manage::update(&app, &caller, TenantId(id.0), body.value).await?))
}

/// Lists the owners that the caller sees.
#[utoipa::path(
    get, path = "/api/v1/owners", operation_id = "listOwners", tag = "Owners",
    security(("key" = ["tenants:owners"])),
    params(OwnersQuery),
    responses((status = 200, description = "A page of owners", body = [Owner], headers(("Link"))))
)]
pub async fn get_owners(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Owners>,
    uri: Uri,
    Query(query): Query<OwnersQuery>,
) -> Result<Response> {
    let (tenant, limit) = (acting_in(&app, &caller, query.tenant).await?, page_size(query.limit)?);
    if query.cursor.as_ref().is_some_and(|cursor| cursor.contains('\0')) {
        return Err(Error::field("cursor", "an owner's id"));
    }
    let (found, next) = owners::list(&app, &caller, tenant, (query.search.as_deref(), query.cursor.as_deref()), limit).await?;
    Ok(page(&uri, found, ("cursor", next.map(|id| percent_encoded(&id)))))
}

/// As it stands in a query: unreserved characters as they are (RFC 3986 section 2.3).
fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Makes an owner.
///
/// Takes a key of tenant or admin scope.
#[utoipa::path(
    post, path = "/api/v1/owners", operation_id = "createOwner", tag = "Owners",
    security(("key" = ["tenants:owners"])),
    params(InTenant),
    request_body = CreateOwner,
    responses(
        (status = 201, description = "The owner", body = Owner),
        (status = "default", description = "not_found, already_exists, owner_disabled, rate_limited"),
    )
)]
pub async fn post_owner(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Owners>,
    Query(query): Query<InTenant>,
    body: Body<CreateOwner>,
) -> Result<(StatusCode, Json<Owner>)> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    Ok((StatusCode::CREATED, Json(owners::make(&app, &caller, tenant, body.value).await?)))
}

/// Shows an owner.
#[utoipa::path(
    get, path = "/api/v1/owners/{id}", operation_id = "showOwner", tag = "Owners",
    security(("key" = ["tenants:owners"])),
    params(OwnerPath, InTenant),
    responses((status = 200, description = "The owner", body = Owner))
)]
pub async fn get_owner(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Owners>,
    OwnerPath(id): OwnerPath,
    Query(query): Query<InTenant>,
) -> Result<Json<Owner>> {
    Ok(Json(owners::find(&app, &caller, acting_in(&app, &caller, query.tenant).await?, &id).await?))
}

/// Changes an owner; disabling it suspends all of its keys.
///
/// Takes a key of tenant or admin scope.
#[utoipa::path(
    patch, path = "/api/v1/owners/{id}", operation_id = "changeOwner", tag = "Owners",
    security(("key" = ["tenants:owners"])),
    params(OwnerPath, InTenant),
    request_body = UpdateOwner,
    responses(
        (status = 200, description = "The owner as it is now", body = Owner),
        (status = "default", description = "owner_disabled, rate_limited"),
    )
)]
pub async fn patch_owner(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Owners>,
    OwnerPath(id): OwnerPath,
    Query(query): Query<InTenant>,
    body: Body<UpdateOwner>,
) -> Result<Json<Owner>> {
    Ok(Json(owners::update(&app, &caller, acting_in(&app, &caller, query.tenant).await?, &id, body.value).await?))
}

/// Adds a capability to the tenant's catalogue.
///
/// Takes a key of tenant or admin scope.
#[utoipa::path(
    post, path = "/api/v1/api-keys/catalog/capabilities", operation_id = "addCapability", tag = "Catalogue",
    security(("key" = ["tenants:catalog"])),
    params(InTenant),
    request_body = AddCapability,
    responses(
        (status = 201, description = "It can be given from now on", body = OwnCapability),
        (status = "default", description = "not_found, already_exists, ceiling_reached, owner_disabled, rate_limited"),
    )
)]
pub async fn post_capability(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Catalogue>,
    Query(query): Query<InTenant>,
    body: Body<AddCapability>,
) -> Result<(StatusCode, Json<OwnCapability>)> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    Ok((StatusCode::CREATED, Json(catalogue::add(&app, &caller, tenant, body.value).await?)))
}
