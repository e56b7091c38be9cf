//! The use of keys: `/edge/v1/usage`, `/api/v1/api-keys/{id}/usage`, `/api/v1/api-keys/analytics/summary`.

use std::sync::Arc;

use axum::{Json, extract::State};
use keyward_api::usage::{Interval, MAX_BATCH_LEN, UsageBatch, UsageReceived, UsageReport};
use keyward_core::TenantId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Authorized, Body, Follow, KeyPath, Query, Read};
use crate::{
    error::Result,
    state::App,
    tenants::acting_in,
    usage::{
        check::check,
        ingest::Parcel,
        report::{self, Asked, DEFAULT_DAYS},
    },
};

/// The query of a report.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// How many days, today included; 30 unless named, at most 31 by hour.
    #[param(minimum = 1, maximum = 365)]
    days: Option<u32>,
    /// How fine the series is.
    #[serde(default)]
    interval: Interval,
}

impl UsageQuery {
    fn asked(&self) -> Asked {
        Asked { days: self.days.unwrap_or(DEFAULT_DAYS), interval: self.interval }
    }
}

/// Adds what an edge has counted.
///
/// A batch is added once, however often it is sent.
#[utoipa::path(
    post, path = "/edge/v1/usage", operation_id = "reportUsage", tag = "Edge",
    security(("key" = ["edge:sync"])),
    request_body = UsageBatch,
    responses((status = 200, description = "It is added", body = UsageReceived))
)]
pub async fn post(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Follow>,
    body: Body<UsageBatch, MAX_BATCH_LEN>,
) -> Result<Json<UsageReceived>> {
    check(&body.value, app.clock.now())?;
    let parcel = Parcel { edge: caller.id().0, batch: body.value, within: None };
    Ok(Json(app.usage.writer.ask(parcel).await?))
}

/// Says what a key was used for.
#[utoipa::path(
    get, path = "/api/v1/api-keys/{id}/usage", operation_id = "keyUsage", tag = "Usage",
    security(("key" = ["keys:read"])),
    params(KeyPath, UsageQuery),
    responses((status = 200, description = "The key's use", body = UsageReport))
)]
pub async fn get_of_key(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    KeyPath(id): KeyPath,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageReport>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(report::of_key(&app, &caller, tenant, id, query.asked()).await?))
}

/// Says what all keys that the caller sees were used for.
#[utoipa::path(
    get, path = "/api/v1/api-keys/analytics/summary", operation_id = "usageSummary", tag = "Usage",
    security(("key" = ["keys:read"])),
    params(UsageQuery),
    responses((status = 200, description = "Their use", body = UsageReport))
)]
pub async fn get_summary(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageReport>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(report::summary(&app, &caller, tenant, query.asked()).await?))
}
