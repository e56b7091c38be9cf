//! `/session`: signing in with a key, and out.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use keyward_api::session::Session;

use crate::{
    auth::Asked,
    error::Result,
    sessions::{self, cookie},
    state::App,
};

/// Exchanges a key for a session, which a browser keeps in a cookie that no script can read.
///
/// The key is kept nowhere. Where a key is taken under `/api/v1` and `/oauth`, the session is taken in its place, and permits what
/// the key permits then. It ends after 12 hours, after one hour without a request, with its key, or by a `DELETE`. Of a key 16
/// count at a time: the next one ends the oldest; and it starts at most 60 in an hour.
#[utoipa::path(
    post, path = "/session", operation_id = "startSession", tag = "Sessions",
    security(("key" = [])),
    responses(
        (status = 200, description = "Who is signed in", body = Session, headers(("Set-Cookie"))),
        (status = "default", description = "rate_limited"),
    )
)]
pub async fn post(State(app): State<Arc<App>>, parts: Parts) -> Result<Response> {
    let current = sessions::start(&app, &Asked::new(&parts)).await?;
    let cookie = cookie::keep(current.secret(), &app.config)?;
    Ok(([(header::SET_COOKIE, cookie)], Json(current.told(&app).await?)).into_response())
}

/// Says who is signed in.
#[utoipa::path(
    get, path = "/session", operation_id = "showSession", tag = "Sessions",
    security(("session" = [])),
    responses((status = 200, description = "Who is signed in", body = Session))
)]
pub async fn get(State(app): State<Arc<App>>, parts: Parts) -> Result<Json<Session>> {
    Ok(Json(sessions::current(&app, &Asked::new(&parts)).await?.told(&app).await?))
}

/// Ends the session.
///
/// Whatever has become of its key; one that has ended already is as good.
#[utoipa::path(
    delete, path = "/session", operation_id = "endSession", tag = "Sessions",
    security(("session" = [])),
    responses((status = 204, description = "It has ended", headers(("Set-Cookie"))))
)]
pub async fn delete(State(app): State<Arc<App>>, parts: Parts) -> Result<Response> {
    sessions::end(&app, &Asked::new(&parts)).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::forget(&app.config)?)]).into_response())
}
