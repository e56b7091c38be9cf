//! `/api/v1/api-keys` and what belongs to it.

use std::sync::Arc;

use axum::{
    BoxError, Json,
    body::{Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use keyward_api::{
    FieldError, Given,
    bulk::{CreateKeys, KeysCreated},
    catalogue::{Capabilities, Scopes, scopes},
    deployment::KeyPolicy,
    keys::{CreateKey, Key, KeyCreated, KeyStatus, KeyValidated, PolicySuperseded, UpdateKey, ValidateKey},
    lists::{KeyFilter, Order, Sort},
};
use keyward_core::{Kid, ScopeClass, TenantId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    extract::{Authorized, Body, Create, KeyPath, PolicyPath, Precondition, Presumed, Query, Read, Update, Validate},
    paging::{page, page_size},
};
use crate::{
    auth::Asked,
    error::{Error, Result},
    keys::{
        create::{create, create_at_once, create_many},
        decided_by::decided_by,
        idempotency::Idempotency,
        list::{self, Listing},
        supersede::supersede,
        update::update,
        validate::validate,
    },
    state::App,
    tenants::{acting_in, catalogue},
};

/// Bytes of the body of a call for many new keys.
const MAX_BULK_BODY: usize = 1024 * 1024;

/// The query of most calls.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct InTenant {
    /// The tenant that an admin acts in, where it isn't its own.
    pub tenant: Option<TenantId>,
}

/// The query of a list. (Its filter written out: `#[serde(flatten)]` and refusing unknown members exclude each other.)
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// See [`KeyFilter::status`].
    status: Option<KeyStatus>,
    /// See [`KeyFilter::owner_id`].
    owner_id: Option<String>,
    /// See [`KeyFilter::scope`].
    scope: Option<ScopeClass>,
    /// See [`KeyFilter::capability`].
    capability: Option<String>,
    /// See [`KeyFilter::search`].
    #[param(min_length = 3, max_length = 128)]
    search: Option<String>,
    /// See [`KeyFilter::expiring_within_days`].
    #[param(minimum = 1, maximum = 3650)]
    expiring_within_days: Option<u32>,
    /// See [`KeyFilter::signing_key`].
    signing_key: Option<Kid>,
    /// See [`KeyFilter::created_after`].
    #[param(format = DateTime)]
    created_after: Option<String>,
    /// See [`KeyFilter::created_before`].
    #[param(format = DateTime)]
    created_before: Option<String>,
    /// By what the list is ordered.
    #[serde(default)]
    sort: Sort,
    /// In which direction.
    #[serde(default)]
    order: Order,
    /// Where the last page ended: from its `Link`.
    cursor: Option<String>,
    /// 1 to 1000; 100 unless named.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `false`: the keys' `usage` is `null`.
    include_usage: Option<bool>,
    /// See [`KeyFilter::unused_for_days`].
    #[param(minimum = 1, maximum = 3650)]
    unused_for_days: Option<u32>,
    /// See [`KeyFilter::never_used`].
    never_used: Option<bool>,
}

/// Creates a key.
///
/// The raw key is in this answer and in no other. Nobody gives out more than they hold themselves.
///
/// A key of user scope creates keys of its own owner alone.
#[utoipa::path(
    post, path = "/api/v1/api-keys", operation_id = "createKey", tag = "Keys",
    security(("key" = ["keys:create"])),
    params(InTenant, Idempotency),
    request_body = CreateKey,
    responses(
        (status = 201, description = "The key, and what to present for it", body = KeyCreated, headers(("ETag"))),
        (status = "default", description = "grant_exceeded, not_found, owner_disabled, ceiling_reached, rate_limited, capacity_exhausted"),
    )
)]
pub async fn post(
    State(app): State<Arc<App>>,
    presumed: Presumed<Create>,
    Query(query): Query<InTenant>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body<CreateKey>,
) -> Result<Response> {
    let own = query.tenant.is_none_or(|tenant| tenant == presumed.caller.tenant());
    let at_once = match own && !Idempotency::is_asked(&headers) {
        true => create_at_once(&app, &presumed.caller, &body.value).await?,
        false => None,
    };
    let created = match at_once {
        Some(created) => created,
        None => {
            let caller = presumed.confirm(&app).await?;
            let tenant = acting_in(&app, &caller, query.tenant).await?;
            let idempotency = Idempotency::from_request(&headers, &method, uri.path(), tenant, &body.bytes)?;
            create(&app, &caller, tenant, body.value, idempotency).await?
        }
    };
    let etag = created.api_key.etag.clone();
    Ok(secret(tagged(&etag, (StatusCode::CREATED, Json(created)))))
}

/// Creates many keys.
///
/// All of them or none, in one transaction; with an `Idempotency-Key` a repetition answers with the same keys.
#[utoipa::path(
    post, path = "/api/v1/api-keys/bulk/create", operation_id = "createKeys", tag = "Many keys at once",
    security(("key" = ["keys:create"])),
    params(InTenant, Idempotency),
    request_body = CreateKeys,
    responses(
        (status = 201, description = "The keys, in the order of the request, and what to present for each", body = KeysCreated),
        (status = "default", description = "grant_exceeded, not_found, owner_disabled, ceiling_reached, rate_limited, capacity_exhausted"),
    )
)]
pub async fn post_bulk_create(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Create>,
    Query(query): Query<InTenant>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body<CreateKeys, MAX_BULK_BODY>,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let idempotency = Idempotency::from_request(&headers, &method, uri.path(), tenant, &body.bytes)?;
    let keys = create_many(&app, &caller, tenant, body.value.keys, idempotency).await?;
    Ok(secret((StatusCode::CREATED, Json(KeysCreated { keys }))))
}

/// Lists keys.
///
/// A page may be shorter than its limit, also empty, and still not be the last: the last one has no `Link`.
#[utoipa::path(
    get, path = "/api/v1/api-keys", operation_id = "listKeys", tag = "Keys",
    security(("key" = ["keys:read"])),
    params(ListQuery),
    responses(
        (status = 200, description = "A page of keys", body = [Key], headers(("Link"))),
        (status = "default", description = "not_found"),
    )
)]
pub async fn get_all(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    uri: Uri,
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let limit = page_size(query.limit)?;
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
    Ok(page(&uri, keys, ("cursor", next)))
}

/// Shows a key.
#[utoipa::path(
    get, path = "/api/v1/api-keys/{id}", operation_id = "showKey", tag = "Keys",
    security(("key" = ["keys:read"])),
    params(KeyPath, InTenant),
    responses((status = 200, description = "The key as it is now", body = Key, headers(("ETag"))))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let key = list::find(&app, &caller, tenant, id).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// Shows what edges decide on a key by: its policy in force, signed, and what holds for its raw keys.
///
/// With this, the published status lists and the manifest, anybody can decide as an edge does.
#[utoipa::path(
    get, path = "/api/v1/api-keys/{id}/policy", operation_id = "showKeyPolicy", tag = "Keys",
    security(("key" = ["keys:read"])),
    params(KeyPath, InTenant),
    responses((status = 200, description = "The policy and its raw keys", body = KeyPolicy))
)]
pub async fn get_policy(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
) -> Result<Json<KeyPolicy>> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    Ok(Json(decided_by(&app, &caller, tenant, id).await?))
}

/// Changes a key.
///
/// What is left out stays. The edge knows within a second.
#[utoipa::path(
    patch, path = "/api/v1/api-keys/{id}", operation_id = "changeKey", tag = "Keys",
    security(("key" = ["keys:update"])),
    params(KeyPath, InTenant, Precondition),
    request_body = UpdateKey,
    responses(
        (status = 200, description = "The key as it is now", body = Key, headers(("ETag"))),
        (status = "default", description = "grant_exceeded, key_revoked, owner_disabled, ceiling_reached, rate_limited, capacity_exhausted"),
    )
)]
pub async fn patch(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    KeyPath(id): KeyPath,
    Query(query): Query<InTenant>,
    Precondition(if_match): Precondition,
    body: Body<UpdateKey>,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let key = update(&app, &caller, tenant, id, &if_match, body.value).await?;
    Ok(tagged(&key.etag.clone(), Json(key)))
}

/// Says whether a key would pass.
///
/// The key is not changed by it. A request that would pass is charged to the key's limits, and every answer about a genuine key is
/// counted as its use.
#[utoipa::path(
    post, path = "/api/v1/api-keys/validate", operation_id = "validateKey", tag = "Keys",
    security(("key" = ["keys:validate"])),
    params(InTenant),
    request_body = ValidateKey,
    responses((status = 200, description = "Whether it would, and why not", body = KeyValidated))
)]
pub async fn post_validate(State(app): State<Arc<App>>, request: Request) -> Result<Response> {
    let (parts, body) = request.into_parts();
    answer_validate(&app, &Asked::new(&parts), body).await
}

/// The same, of a request as it came ([`super::Door`]).
///
/// # Errors
/// As each of its steps.
pub async fn answer_validate(app: &App, asked: &Asked<'_>, body: impl HttpBody<Data = Bytes, Error: Into<BoxError>>) -> Result<Response> {
    let caller = Authorized::<Validate>::of(app, asked).await?.caller;
    let Query(query) = Query::<InTenant>::of(asked.uri())?;
    let body = Body::<ValidateKey>::of(asked.headers(), body).await?;
    let tenant = acting_in(app, &caller, query.tenant).await?;
    let answer = validate(app, caller.actor(), tenant, body.value).await?;
    // Its token is nearly all of it: room for it, and for the rest.
    let mut text = Vec::with_capacity(answer.capability_token.as_ref().map_or(0, String::len) + 256);
    serde_json::to_writer(&mut text, &answer).map_err(Error::internal)?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response())
}

/// Lists the capabilities that keys can be given.
#[utoipa::path(
    get, path = "/api/v1/api-keys/catalog/capabilities", operation_id = "listCapabilities", tag = "Catalogue",
    security(("key" = ["keys:read"])),
    params(InTenant),
    responses(
        (status = 200, description = "What ships with Keyward, then the tenant's own", body = Capabilities),
        (status = "default", description = "not_found"),
    )
)]
pub async fn get_capabilities(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    Query(query): Query<InTenant>,
) -> Result<Json<Capabilities>> {
    Ok(Json(catalogue::list(&app, acting_in(&app, &caller, query.tenant).await?).await?))
}

/// Lists the scopes, and the limits of keys for which none are named.
#[utoipa::path(
    get, path = "/api/v1/api-keys/catalog/scopes", operation_id = "listScopes", tag = "Catalogue",
    security(("key" = ["keys:read"])),
    responses((status = 200, description = "All three", body = Scopes))
)]
pub async fn get_scopes(_: Authorized<Read>) -> Json<Scopes> {
    Json(scopes())
}

/// Puts a new policy in the place of one, for all keys that have it.
///
/// Of the members, those that are about a single key are refused.
#[utoipa::path(
    post, path = "/api/v1/policies/{number}/supersede", operation_id = "supersedePolicy", tag = "Keys",
    security(("key" = ["keys:update"])),
    params(PolicyPath, InTenant),
    request_body = UpdateKey,
    responses(
        (status = 200, description = "Which policy is in force now", body = PolicySuperseded),
        (status = "default", description = "grant_exceeded, policy_superseded, ceiling_reached, owner_disabled, rate_limited, capacity_exhausted"),
    )
)]
pub async fn post_supersede(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Update>,
    PolicyPath(number): PolicyPath,
    Query(query): Query<InTenant>,
    body: Body<UpdateKey>,
) -> Result<Json<PolicySuperseded>> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
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
