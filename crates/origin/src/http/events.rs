//! `/api/v1/events`

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{Uri, header},
    response::{IntoResponse, Response},
};
use keyward_core::TenantId;
use serde::Deserialize;

use super::{
    extract::{Authorized, Query, Read},
    keys::next_page,
};
use crate::{
    error::{Error, Result},
    keys::events::{DEFAULT_EVENTS, MAX_EVENTS, events},
    state::App,
    tenants::acting_in,
};

/// The query.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    tenant: Option<TenantId>,
    after: Option<i64>,
    limit: Option<u32>,
}

/// `GET /api/v1/events`
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    uri: Uri,
    Query(query): Query<EventsQuery>,
) -> Result<Response> {
    let tenant = acting_in(&caller, query.tenant)?;
    let limit = query.limit.unwrap_or(DEFAULT_EVENTS);
    if !(1..=MAX_EVENTS).contains(&limit) {
        return Err(Error::field("limit", format!("1 to {MAX_EVENTS}")));
    }
    let (events, more) = events(&app, &caller, tenant, query.after.unwrap_or(0), limit).await?;
    let next = events.last().filter(|_| more).and_then(|last| next_page(&uri, "after", last.id));
    let mut response = Json(events).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}
