//! Reading the sums.

use std::collections::BTreeMap;

use keyward_api::usage::{
    AddressUsage, CredentialUsage, DateRange, EndpointUsage, Interval, LATENCIES, LATENCY_MS, LatencyUsage, OutcomeUsage, Point,
    StatusUsage, UsageReport,
};
use keyward_core::{KeyId, ScopeClass, TenantId, Timestamp};
use sqlx::types::{Uuid, time::OffsetDateTime};
use time::{Date, Duration};

use super::{
    TOLD_APART,
    store::date,
    sums::{Counters, hours, is_error, is_limit, is_refusal},
};
use crate::{
    auth::Caller,
    clock::{datetime, rfc3339},
    db::Tx,
    error::{Error, Result},
    keys::row::KeyRow,
    state::App,
};

/// Days that a report can be about.
const DAYS: std::ops::RangeInclusive<u32> = 1..=365;
/// Days that a report by hour can be about.
const DAYS_BY_HOUR: std::ops::RangeInclusive<u32> = 1..=31;
/// Days of a report where the caller doesn't say.
pub const DEFAULT_DAYS: u32 = 30;
/// Endpoints and addresses in a report.
const TOP: usize = 20;
/// Keys of one owner that a summary is about: the newest.
const MOST_KEYS: i64 = 10_000;

/// What to report on.
#[derive(Clone, Copy)]
pub struct Asked {
    pub days: u32,
    pub interval: Interval,
}

impl Asked {
    fn check(self) -> Result<Self> {
        let (days, of) = match self.interval {
            Interval::Day => (DAYS, ""),
            Interval::Hour => (DAYS_BY_HOUR, " by hour"),
        };
        if days.contains(&self.days) {
            return Ok(self);
        }
        Err(Error::field("days", format!("{} to {}{of}", days.start(), days.end())))
    }
}

/// The use of a key.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `validation_failed`; else as any read.
pub async fn of_key(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, asked: Asked) -> Result<UsageReport> {
    let (asked, now) = (asked.check()?, app.clock.now());
    let mut tx = app.db.tenant(tenant).await?;
    let row = KeyRow::find(&mut tx, caller, tenant, id).await?;
    let mut report = read(&mut tx, tenant, &[id.0], asked, now).await?;
    report.credentials = credentials(&mut tx, tenant, &row, now).await?;
    tx.commit().await?;
    report.keys_analyzed = 1;
    report.last_used = row.last_used.map(rfc3339);
    Ok(report)
}

/// The use of all keys that the caller sees.
///
/// # Errors
/// `validation_failed`; else as any read.
pub async fn summary(app: &App, caller: &Caller, tenant: TenantId, asked: Asked) -> Result<UsageReport> {
    let (asked, now) = (asked.check()?, app.clock.now());
    let first = first_day(asked, now);
    let mut tx = app.db.tenant(tenant).await?;
    let owned = match caller.scope() {
        ScopeClass::User => Some(owned(&mut tx, tenant, caller.owner()).await?),
        ScopeClass::Tenant | ScopeClass::Admin => None,
    };
    // The sums of the whole tenant are those of the key of all zeros.
    let whole = [Uuid::nil()];
    let keys = owned.as_deref().unwrap_or(&whole);
    let mut report = read(&mut tx, tenant, keys, asked, now).await?;
    let used = sqlx::query!(
        r#"SELECT count(*) FILTER (WHERE last_day >= $3) AS "used!", max(last_used) AS last
           FROM key_usage WHERE tenant = $1 AND requests > 0 AND ($2::uuid[] IS NULL OR api_key = ANY($2))"#,
        tenant.0,
        owned.as_deref(),
        first,
    )
    .fetch_one(tx.connection())
    .await?;
    tx.commit().await?;
    report.keys_analyzed = used.used.unsigned_abs();
    report.last_used = used.last.map(rfc3339);
    if caller.scope() == ScopeClass::Admin {
        report.unattributed = Some(nobodys(app, first).await?);
    }
    Ok(report)
}

/// The use of each credential that can be presented, where there was a rotation of late: else it isn't told apart.
async fn credentials(tx: &mut Tx, tenant: TenantId, row: &KeyRow, now: Timestamp) -> Result<Vec<CredentialUsage>> {
    if row.last_rotated.is_none_or(|rotated| datetime(now) - rotated >= TOLD_APART) {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"SELECT c.index, c.hint, used.requests AS "requests?", used.last_used AS "last_used?"
           FROM credentials c LEFT JOIN credential_usage used ON used.tenant = $1 AND used.index = c.index
           WHERE c.tenant = $1 AND c.api_key = $2 AND c.status <> 1 ORDER BY c.created_at DESC, c.index DESC LIMIT 8"#,
        tenant.0,
        row.id,
    )
    .fetch_all(tx.connection())
    .await?;
    let used = |requests: Option<i64>| requests.unwrap_or(0).unsigned_abs();
    Ok(rows
        .into_iter()
        .map(|credential| CredentialUsage {
            key_hint: credential.hint,
            current: credential.index == row.current_index,
            requests: used(credential.requests),
            last_used: credential.last_used.map(rfc3339),
        })
        .collect())
}

async fn owned(tx: &mut Tx, tenant: TenantId, owner: &str) -> Result<Vec<Uuid>> {
    let ids = sqlx::query_scalar!(
        "SELECT id FROM api_keys WHERE tenant = $1 AND owner = $2 ORDER BY id DESC LIMIT $3",
        tenant.0,
        owner,
        MOST_KEYS
    );
    Ok(ids.fetch_all(tx.connection()).await?)
}

async fn nobodys(app: &App, first: Date) -> Result<Vec<OutcomeUsage>> {
    let rows = sqlx::query!(
        r#"SELECT outcome, sum(requests)::bigint AS "requests!" FROM usage_unattributed WHERE hour >= $1
           GROUP BY outcome ORDER BY 2 DESC, outcome"#,
        first.midnight().assume_utc(),
    )
    .fetch_all(app.db.system())
    .await?;
    Ok(rows.into_iter().map(|row| OutcomeUsage { outcome: row.outcome, requests: row.requests.unsigned_abs() }).collect())
}

fn first_day(asked: Asked, now: Timestamp) -> Date {
    date((hours(now) / 24).saturating_sub(asked.days - 1))
}

/// A sum as it is read.
struct Row {
    /// What is summed by: one of the two.
    at: Option<OffsetDateTime>,
    endpoint: Option<String>,
    outcome: String,
    status: i16,
    numbers: Vec<i64>,
}

impl Row {
    fn counters(&self) -> Counters {
        let number = |at: usize| self.numbers.get(at).copied().unwrap_or_default().unsigned_abs();
        Counters {
            requests: number(0),
            bytes_in: number(1),
            bytes_out: number(2),
            cost: number(3),
            latency: std::array::from_fn(|at| number(4 + at)),
        }
    }

    fn status(&self) -> u8 {
        self.status.try_into().unwrap_or(0)
    }
}

async fn read(tx: &mut Tx, tenant: TenantId, keys: &[Uuid], asked: Asked, now: Timestamp) -> Result<UsageReport> {
    let first = first_day(asked, now);
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT day::timestamp AT TIME ZONE 'UTC' AS at, endpoint AS "endpoint?", outcome, status,
                  ARRAY[sum(requests), sum(bytes_in), sum(bytes_out), sum(cost), sum(latency_1), sum(latency_2), sum(latency_3),
                        sum(latency_4), sum(latency_5), sum(latency_6), sum(latency_7), sum(latency_8)]::bigint[] AS "numbers!"
           FROM usage_days WHERE tenant = $1 AND api_key = ANY($2) AND day >= $3
           GROUP BY GROUPING SETS ((day, outcome, status), (endpoint, outcome, status))"#,
        tenant.0,
        keys,
        first,
    )
    .fetch_all(tx.connection())
    .await?;
    let (by_endpoint, by_day): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.endpoint.is_some());
    let by_time = match asked.interval {
        Interval::Day => by_day.iter().collect::<Vec<_>>(),
        Interval::Hour => Vec::new(),
    };
    let series = match asked.interval {
        Interval::Day => series(first, now, Duration::days(1), by_time.into_iter()),
        Interval::Hour => series(first, now, Duration::hours(1), by_hour(tx, tenant, keys, first).await?.iter()),
    };
    let addresses = sqlx::query!(
        r#"SELECT address, sum(requests)::bigint AS "requests!" FROM usage_addresses
           WHERE tenant = $1 AND api_key = ANY($2) AND day >= $3 GROUP BY address ORDER BY 2 DESC, address LIMIT $4"#,
        tenant.0,
        keys,
        first,
        TOP as i64,
    )
    .fetch_all(tx.connection())
    .await?;
    let mut report = totals(&by_day);
    report.avg_requests_per_day = report.total_requests as f64 / f64::from(asked.days);
    report.date_range = DateRange { start: rfc3339(first.midnight().assume_utc()), end: rfc3339(datetime(now)), days: asked.days };
    report.most_used_endpoints = endpoints(by_endpoint);
    report.top_addresses =
        addresses.into_iter().map(|row| AddressUsage { address: row.address, requests: row.requests.unsigned_abs() }).collect();
    report.series = series;
    Ok(report)
}

async fn by_hour(tx: &mut Tx, tenant: TenantId, keys: &[Uuid], first: Date) -> Result<Vec<Row>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT hour AS at, NULL AS "endpoint?: String", outcome, status,
                  ARRAY[sum(requests), sum(bytes_in), sum(bytes_out), sum(cost)]::bigint[] AS "numbers!"
           FROM usage_hours WHERE tenant = $1 AND api_key = ANY($2) AND hour >= $3 GROUP BY hour, outcome, status"#,
        tenant.0,
        keys,
        first.midnight().assume_utc(),
    );
    Ok(rows.fetch_all(tx.connection()).await?)
}

/// The sums over all days, by outcome, status and latency.
fn totals(days: &[Row]) -> UsageReport {
    let (mut all, mut outcomes, mut statuses) = (Counters::default(), BTreeMap::<&str, u64>::new(), BTreeMap::<u8, u64>::new());
    let (mut errors, mut refused, mut hits) = (0, 0, 0);
    for row in days {
        let counters = row.counters();
        let requests = counters.requests;
        all.add(&counters);
        *outcomes.entry(&row.outcome).or_default() += requests;
        *statuses.entry(row.status()).or_default() += requests;
        errors += if is_error(&row.outcome, row.status()) { requests } else { 0 };
        refused += if is_refusal(&row.outcome) { requests } else { 0 };
        hits += if is_limit(&row.outcome) { requests } else { 0 };
    }
    let mut outcomes: Vec<_> =
        outcomes.into_iter().map(|(outcome, requests)| OutcomeUsage { outcome: outcome.to_owned(), requests }).collect();
    outcomes.sort_by_key(|outcome| std::cmp::Reverse(outcome.requests));
    UsageReport {
        total_requests: all.requests,
        total_errors: errors,
        total_refused: refused,
        avg_requests_per_day: 0.0,
        rate_limit_hits: hits,
        keys_analyzed: 0,
        date_range: DateRange { start: String::new(), end: String::new(), days: 0 },
        bytes_in: all.bytes_in,
        bytes_out: all.bytes_out,
        cost_cents: all.cost,
        last_used: None,
        most_used_endpoints: Vec::new(),
        outcomes,
        statuses: statuses.into_iter().map(|(class, requests)| StatusUsage { class, requests }).collect(),
        latency: (0..LATENCIES).map(|at| LatencyUsage { up_to_ms: LATENCY_MS.get(at).copied(), requests: all.latency[at] }).collect(),
        top_addresses: Vec::new(),
        series: Vec::new(),
        credentials: Vec::new(),
        unattributed: None,
    }
}

fn endpoints(rows: Vec<Row>) -> Vec<EndpointUsage> {
    let mut endpoints = BTreeMap::<String, EndpointUsage>::new();
    for row in rows {
        let (requests, status) = (row.counters().requests, row.status());
        let Some(endpoint) = row.endpoint else { continue };
        let sum = endpoints.entry(endpoint.clone()).or_insert(EndpointUsage { endpoint, requests: 0, errors: 0, refused: 0 });
        sum.requests += requests;
        sum.errors += if is_error(&row.outcome, status) { requests } else { 0 };
        sum.refused += if is_refusal(&row.outcome) { requests } else { 0 };
    }
    let mut endpoints: Vec<_> = endpoints.into_values().collect();
    endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.requests));
    endpoints.truncate(TOP);
    endpoints
}

/// A point for every step from the first day to now.
fn series<'a>(first: Date, now: Timestamp, step: Duration, rows: impl Iterator<Item = &'a Row>) -> Vec<Point> {
    let (first, now) = (first.midnight().assume_utc(), datetime(now));
    let mut points = BTreeMap::new();
    let mut start = first;
    while start <= now {
        points.insert(start, Point { start: rfc3339(start), ..Point::default() });
        start += step;
    }
    for row in rows {
        // What is ahead of this clock will be seen when its time has come.
        let Some(point) = row.at.and_then(|at| points.get_mut(&at)) else { continue };
        let counters = row.counters();
        point.requests += counters.requests;
        point.errors += if is_error(&row.outcome, row.status()) { counters.requests } else { 0 };
        point.refused += if is_refusal(&row.outcome) { counters.requests } else { 0 };
        point.rate_limit_hits += if is_limit(&row.outcome) { counters.requests } else { 0 };
        point.bytes += counters.bytes_in + counters.bytes_out;
        point.cost_cents += counters.cost;
    }
    points.into_values().collect()
}
