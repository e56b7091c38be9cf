//! `/api/v1/api-keys` and what belongs to it.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use keyward_api::{
    FieldError, Given,
    catalogue::{Capabilities, Scopes, scopes},
    keys::{CreateKey, KeyStatus, KeyValidated, PolicySuperseded, UpdateKey, ValidateKey},
    lists::{KeyFilter, Order, Sort},
};
use keyward_core::{Kid, ScopeClass, TenantId};
use serde::Deserialize;

use super::extract::{Authorized, Body, Create, KeyPath, PolicyPath, Precondition, Query, Read, Update, Validate};
use crate::{
    error::{Error, Result},
    keys::{
        create::create,
        idempotency::Idempotency,
        list::{self, DEFAULT_PAGE, Listing, MAX_PAGE},
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

/// The query of a list. (Its filter written out: `#[serde(flatten)]` and refusing unknown members exclude each other.)
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    tenant: Option<TenantId>,
    status: Option<KeyStatus>,
    owner_id: Option<String>,
    scope: Option<ScopeClass>,
    capability: Option<String>,
    search: Option<String>,
    expiring_within_days: Option<u32>,
    signing_key: Option<Kid>,
    created_after: Option<String>,
    created_before: Option<String>,
    #[serde(default)]
    sort: Sort,
    #[serde(default)]
    order: Order,
    cursor: Option<String>,
    limit: Option<u32>,
    include_usage: Option<bool>,
    unused_for_days: Option<u32>,
    never_used: Option<bool>,
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
    let etag = created.api_key.etag.clone();
    Ok(secret(tagged(&etag, (StatusCode::CREATED, Json(created)))))
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
    let filter = KeyFilter {
        status: query.status,
        owner_id: query.owner_id,
        scope: query.scope,
        capability: query.capability,
        search: query.search,
        expiring_within_days: query.expiring_within_days,
        signing_key: query.signing_key,
        created_after: query.created_after,
        created_before: query.created_before,
        unused_for_days: query.unused_for_days,
        never_used: query.never_used,
    };
    let usage = query.include_usage.unwrap_or(true);
    let listing = Listing { filter, sort: query.sort, order: query.order, cursor: query.cursor, limit, usage };
    let (keys, next) = list::list(&app, &caller, tenant, listing).await?;
    let next = next.and_then(|cursor| next_page(&uri, "cursor", &cursor));
    let mut response = Json(keys).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

/// The next page (RFC 8288): the same query with another cursor.
pub fn next_page(uri: &Uri, name: &str, cursor: impl std::fmt::Display) -> Option<HeaderValue> {
    let others = uri.query().unwrap_or_default().split('&');
    let others = others.filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name));
    let query: Vec<String> = others.map(str::to_owned).chain([format!("{name}={cursor}")]).collect();
    HeaderValue::from_str(&format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))).ok()
}

/// `GET /api/v1/api-keys/{id}`
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let key = list::find(&app, &caller, tenant, id).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// `PATCH /api/v1/api-keys/{id}`
pub async fn patch(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
    body: Body<UpdateKey>,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let key = update(&app, &caller, tenant, id, &if_match, body.value).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// `POST /api/v1/api-keys/validate`
pub async fn post_validate(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Validate>,
    Query(query): Query<InTenant>,
    body: Body<ValidateKey>,
) -> Result<Json<KeyValidated>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(validate(&app, caller.actor(), tenant, body.value).await?))
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
    let keys_only = [
        ("name", body.value.name.is_some()),
        ("description", body.value.description != Given::Missing),
        ("owner_id", body.value.owner_id.is_some()),
        ("rotation_period_days", body.value.rotation_period_days != Given::Missing),
    ];
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

/// An answer that shows a key, with the entity tag of what it shows.
pub fn tagged(etag: &str, answer: impl IntoResponse) -> Response {
    ([(header::ETAG, etag)], answer).into_response()
}
