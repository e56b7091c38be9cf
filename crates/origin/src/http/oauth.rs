//! `/oauth`, and where to find it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderName, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use keyward_api::oauth::{Introspection, Metadata};

use super::{
    extract::{Authorized, Query, Validate},
    keys::InTenant,
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

/// `POST /oauth/token`
pub async fn post_token(State(app): State<Arc<App>>, parts: Parts, form: Form) -> Result<Response> {
    let issued = exchange(&app, &Asked::new(&parts), &form).await?;
    Ok((NO_STORE, Json(issued)).into_response())
}

/// `POST /oauth/introspect`
pub async fn post_introspect(
    State(app): State<Arc<App>>,
    Oauth(Authorized { caller, .. }): Oauth<Authorized<Validate>>,
    Oauth(Query(query)): Oauth<Query<InTenant>>,
    form: Form,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    form.only(&PARAMETERS)?;
    let found: Introspection = introspect(&app, tenant, form.required("token")?).await?;
    Ok((NO_STORE, Json(found)).into_response())
}

/// `POST /oauth/revoke`
pub async fn post_revoke(State(app): State<Arc<App>>, parts: Parts, form: Form) -> Result<StatusCode> {
    form.only(&PARAMETERS)?;
    revoke(&app, &Asked::new(&parts), form.required("token")?).await?;
    Ok(StatusCode::OK)
}

/// `GET /.well-known/oauth-authorization-server`
pub async fn get_metadata(State(app): State<Arc<App>>) -> Response {
    let headers = [(header::CACHE_CONTROL, "public, max-age=60"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (headers, Json(Metadata::of(&app.config.issuer))).into_response()
}
