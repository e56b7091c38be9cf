//! `/oauth`, and where to find it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderName, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use keyward_api::oauth::{Introspection, Metadata, TokenIssued};

use super::{
    extract::{Authorized, Query, Validate},
    keys::InTenant,
    openapi::{TokenExchange, TokenPresented},
};
use crate::{
    auth::Asked,
    error::Error,
    oauth::{Form, OauthError, Result, exchange::exchange, introspect::introspect, revoke::revoke},
    state::App,
    tenants::acting_in,
};

/// Nobody on the way keeps it (RFC 6749 section 5.1).
const NO_STORE: [(HeaderName, &str); 2] = [(header::CACHE_CONTROL, "no-store"), (header::PRAGMA, "no-cache")];
/// What helps a server to find a token, and needn't be right (RFC 7009 section 2.1): dots tell tokens from keys.
const PARAMETERS: [&str; 2] = ["token", "token_type_hint"];

/// An extractor whose refusals are told in OAuth's words.
pub struct Oauth<E>(E);

impl<E: FromRequestParts<Arc<App>, Rejection = Error>> FromRequestParts<Arc<App>> for Oauth<E> {
    type Rejection = OauthError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        Ok(Self(E::from_request_parts(parts, app).await?))
    }
}

/// Exchanges an API key for a capability token (RFC 8693).
///
/// For all that the key permits, or for less. A client that asks for another key needs `keys:validate`.
#[utoipa::path(
    post, path = "/oauth/token", operation_id = "exchangeToken", tag = "OAuth",
    security((), ("key" = [])),
    request_body(content = TokenExchange, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token", body = TokenIssued))
)]
pub async fn post_token(State(app): State<Arc<App>>, parts: Parts, form: Form) -> Result<Response> {
    let issued = exchange(&app, &Asked::new(&parts), &form).await?;
    Ok((NO_STORE, Json(issued)).into_response())
}

/// Says what a token or key permits now (RFC 7662).
///
/// Of what doesn't hold, or is another tenant's, nothing but that.
#[utoipa::path(
    post, path = "/oauth/introspect", operation_id = "introspectToken", tag = "OAuth",
    security(("key" = ["keys:validate"])),
    params(InTenant),
    request_body(content = TokenPresented, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "What it permits", body = Introspection))
)]
pub async fn post_introspect(
    State(app): State<Arc<App>>,
    Oauth(Authorized { caller, .. }): Oauth<Authorized<Validate>>,
    Oauth(Query(query)): Oauth<Query<InTenant>>,
    form: Form,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    form.only(&PARAMETERS)?;
    let found: Introspection = introspect(&app, tenant, form.required("token")?).await?;
    Ok((NO_STORE, Json(found)).into_response())
}

/// Takes back a token, or ends a key for ever (RFC 7009).
///
/// Whoever presents it may. A client that says who it is has to be the key itself, or have `keys:revoke`.
#[utoipa::path(
    post, path = "/oauth/revoke", operation_id = "revokeToken", tag = "OAuth",
    security((), ("key" = [])),
    request_body(content = TokenPresented, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It counts no more, or never did"))
)]
pub async fn post_revoke(State(app): State<Arc<App>>, parts: Parts, form: Form) -> Result<StatusCode> {
    form.only(&PARAMETERS)?;
    revoke(&app, &Asked::new(&parts), form.required("token")?).await?;
    Ok(StatusCode::OK)
}

/// Says where everything is (RFC 8414).
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", operation_id = "oauthMetadata", tag = "OAuth",
    responses((status = 200, description = "The server's metadata", body = Metadata))
)]
pub async fn get_metadata(State(app): State<Arc<App>>) -> Response {
    let headers = [(header::CACHE_CONTROL, "public, max-age=60"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, Json(Metadata::of(&app.config.issuer))).into_response()
}
