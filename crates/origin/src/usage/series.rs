//! How much many keys were used by day: what a list shows beside each.

use std::collections::HashMap;

use keyward_api::usage::{KeySeries, MAX_SERIES_DAYS, MAX_SERIES_KEYS, UsageSeries};
use keyward_core::{KeyId, ScopeClass, TenantId};
use sqlx::types::Uuid;
use time::{Date, Duration};

use super::{store::date, sums::hours};
use crate::{
    auth::Caller,
    clock::rfc3339,
    error::{Error, Result},
    state::App,
};

/// The requests of each day up to today, of those of the keys that the caller sees, in the order of the question.
///
/// # Errors
/// `validation_failed`; else as any read.
pub async fn of_keys(app: &App, caller: &Caller, tenant: TenantId, ids: &[KeyId], days: u32) -> Result<UsageSeries> {
    if ids.len() > MAX_SERIES_KEYS {
        return Err(Error::field("ids", format!("at most {MAX_SERIES_KEYS}")));
    }
    if !(1..=MAX_SERIES_DAYS).contains(&days) {
        return Err(Error::field("days", format!("1 to {MAX_SERIES_DAYS}")));
    }
    let first = date((hours(app.clock.now()) / 24).saturating_sub(days - 1));
    let asked: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let owner = (caller.scope() == ScopeClass::User).then(|| caller.owner());
    let mut tx = app.db.tenant(tenant).await?;
    // A key that was never used has one row, of no day.
    let rows = sqlx::query!(
        r#"SELECT api_keys.id, used.day AS "day?", COALESCE(sum(used.requests), 0)::bigint AS "requests!"
           FROM api_keys LEFT JOIN usage_days used ON used.tenant = $1 AND used.api_key = api_keys.id AND used.day >= $4
           WHERE api_keys.tenant = $1 AND api_keys.id = ANY($2) AND ($3::text IS NULL OR api_keys.owner = $3)
           GROUP BY api_keys.id, used.day"#,
        tenant.0,
        &asked,
        owner,
        first,
    )
    .fetch_all(tx.connection())
    .await?;
    tx.commit().await?;
    let mut found = HashMap::<Uuid, Vec<u64>>::new();
    for row in rows {
        let requests = found.entry(row.id).or_insert_with(|| vec![0; days as usize]);
        // What is ahead of this clock will be seen when its time has come.
        let day = row.day.and_then(|day| usize::try_from((day - first).whole_days()).ok());
        if let Some(sum) = day.and_then(|day| requests.get_mut(day)) {
            *sum = row.requests.unsigned_abs();
        }
    }
    let keys = ids.iter().filter_map(|id| Some(KeySeries { id: *id, requests: found.remove(&id.0)? })).collect();
    Ok(UsageSeries { days: (0..days).map(|day| beginning(first, day)).collect(), keys })
}

fn beginning(first: Date, day: u32) -> String {
    rfc3339((first + Duration::days(i64::from(day))).midnight().assume_utc())
}
