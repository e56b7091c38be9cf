//! The use of keys: `/edge/v1/usage`, `/api/v1/api-keys/{id}/usage`, `/api/v1/api-keys/analytics/…`.

use std::sync::Arc;

use axum::{Json, extract::State};
use keyward_api::usage::{Interval, MAX_BATCH_LEN, UsageBatch, UsageReceived, UsageReport, UsageSeries};
use keyward_core::{KeyId, TenantId};
use serde::{Deserialize, Deserializer, de};
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
        series,
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
    _: Authorized<Follow>,
    body: Body<UsageBatch, MAX_BATCH_LEN>,
) -> Result<Json<UsageReceived>> {
    check(&body.value, app.clock.now())?;
    let parcel = Parcel { batch: body.value, within: None };
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
    let tenant = acting_in(&app, &caller, query.tenant).await?;
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
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    Ok(Json(report::summary(&app, &caller, tenant, query.asked()).await?))
}

/// The query of a series.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SeriesQuery {
    /// The tenant that an admin acts in, where it isn't its own.
    tenant: Option<TenantId>,
    /// The keys' ids, separated by commas; at most 100.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    ids: KeyIds,
    /// How many days, today included; 14 unless named.
    #[param(minimum = 1, maximum = 90)]
    days: Option<u32>,
}

/// Ids in a query.
#[derive(Default)]
struct KeyIds(Vec<KeyId>);

impl<'de> Deserialize<'de> for KeyIds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let ids: Result<Vec<_>, _> = text.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().map(KeyId)).collect();
        ids.map(Self).map_err(|_| de::Error::custom("ids are UUIDs, separated by commas"))
    }
}

/// Days of a series where the caller doesn't say.
const DEFAULT_SERIES_DAYS: u32 = 14;

/// Says how much keys were used by day.
///
/// For lists: many keys in one question. Keys that the caller doesn't see are left out.
#[utoipa::path(
    get, path = "/api/v1/api-keys/analytics/series", operation_id = "usageSeries", tag = "Usage",
    security(("key" = ["keys:read"])),
    params(SeriesQuery),
    responses((status = 200, description = "Their requests by day", body = UsageSeries))
)]
pub async fn get_series(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    Query(query): Query<SeriesQuery>,
) -> Result<Json<UsageSeries>> {
    let tenant = acting_in(&app, &caller, query.tenant).await?;
    Ok(Json(series::of_keys(&app, &caller, tenant, &query.ids.0, query.days.unwrap_or(DEFAULT_SERIES_DAYS)).await?))
}
