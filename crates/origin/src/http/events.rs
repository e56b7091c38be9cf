//! `/api/v1/events`

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use keyward_api::events::Event;
use keyward_core::TenantId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    extract::{Authorized, Query, Read},
    paging::page,
};
use crate::{
    error::{Error, Result},
    keys::events::{DEFAULT_EVENTS, MAX_EVENTS, events},
    state::App,
    tenants::acting_in,
};

/// The query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// The `id` of the last event that was dealt with; 0 unless named.
    after: Option<i64>,
    /// 1 to 1000; 100 unless named.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// Lists what happened to keys by time alone.
///
/// Oldest first, kept for 30 days. Ask again after the last `id` that was dealt with; none is missed.
#[utoipa::path(
    get, path = "/api/v1/events", operation_id = "listEvents", tag = "Events",
    security(("key" = ["keys:read"])),
    params(EventsQuery),
    responses((status = 200, description = "A page of events", body = [Event], headers(("Link"))))
)]
pub async fn get(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    uri: Uri,
    Query(query): Query<EventsQuery>,
) -> Result<Response> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    let limit = query.limit.unwrap_or(DEFAULT_EVENTS);
    if !(1..=MAX_EVENTS).contains(&limit) {
        return Err(Error::field("limit", format!("1 to {MAX_EVENTS}")));
    }
    let (events, more) = events(&app, &caller, tenant, query.after.unwrap_or(0), limit).await?;
    let next = events.last().filter(|_| more).map(|last| last.id);
    Ok(page(&uri, events, ("after", next)))
}
