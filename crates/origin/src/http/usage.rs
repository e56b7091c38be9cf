//! The use of keys: `/edge/v1/usage`, `/api/v1/api-keys/{id}/usage`, `/api/v1/api-keys/analytics/summary`.

use std::sync::Arc;

use axum::{Json, extract::State};
use keyward_api::usage::{Interval, MAX_BATCH_LEN, UsageBatch, UsageReceived, UsageReport};
use keyward_core::TenantId;
use serde::Deserialize;

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
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    tenant: Option<TenantId>,
    days: Option<u32>,
    #[serde(default)]
    interval: Interval,
}

impl UsageQuery {
    fn asked(&self) -> Asked {
        Asked { days: self.days.unwrap_or(DEFAULT_DAYS), interval: self.interval }
    }
}

/// `POST /edge/v1/usage`
pub async fn post(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Follow>,
    body: Body<UsageBatch, MAX_BATCH_LEN>,
) -> Result<Json<UsageReceived>> {
    check(&body.value, app.clock.now())?;
    let parcel = Parcel { edge: caller.id().0, batch: body.value, within: None };
    Ok(Json(app.usage.writer.ask(parcel).await?))
}

/// `GET /api/v1/api-keys/{id}/usage`
pub async fn get_of_key(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    KeyPath(id): KeyPath,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageReport>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(report::of_key(&app, &caller, tenant, id, query.asked()).await?))
}

/// `GET /api/v1/api-keys/analytics/summary`
pub async fn get_summary(
    State(app): State<Arc<App>>,
    Authorized { caller, .. }: Authorized<Read>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageReport>> {
    let tenant = acting_in(&caller, query.tenant)?;
    Ok(Json(report::summary(&app, &caller, tenant, query.asked()).await?))
}
