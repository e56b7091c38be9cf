//! The statements that add to the tables of usage.

use std::collections::{BTreeMap, HashMap, HashSet};

use keyward_core::{KeyId, TenantId, Timestamp};
use sqlx::{
    PgConnection,
    types::{Uuid, time::OffsetDateTime},
};
use time::Date;

use super::{
    names::Subject,
    sums::{Counters, Line, Sums, Totals},
};
use crate::{
    clock::datetime,
    error::{Error, Result},
};

/// The tenant of each of these keys that there is, and those of them that were rotated after a moment.
///
/// # Errors
/// As any read.
pub async fn known(tx: &mut PgConnection, keys: &[Uuid], after: OffsetDateTime) -> Result<(HashMap<Uuid, Uuid>, HashSet<Uuid>)> {
    let rows = sqlx::query!(
        r#"SELECT id, tenant, COALESCE(last_rotated > $2, false) AS "rotated!" FROM api_keys WHERE id = ANY($1)"#,
        keys,
        after
    );
    let rows = rows.fetch_all(tx).await?;
    let rotated = rows.iter().filter(|row| row.rotated).map(|row| row.id).collect();
    Ok((rows.into_iter().map(|row| (row.id, row.tenant)).collect(), rotated))
}

/// Subjects as columns.
fn columns(subjects: &HashSet<Subject>) -> (Vec<Uuid>, Vec<Uuid>, Vec<Date>) {
    let tenants = subjects.iter().map(|subject| subject.0).collect();
    (tenants, subjects.iter().map(|subject| subject.1).collect(), subjects.iter().map(|subject| date(subject.2)).collect())
}

/// The names that are known of each.
fn gathered(rows: impl Iterator<Item = (Uuid, Uuid, Date, String)>) -> HashMap<Subject, HashSet<String>> {
    let mut known: HashMap<Subject, HashSet<String>> = HashMap::new();
    for (tenant, key, day, name) in rows {
        known.entry((tenant, key, days(day))).or_default().insert(name);
    }
    known
}

/// The endpoints that are known of these.
///
/// # Errors
/// As any read.
pub async fn endpoints(tx: &mut PgConnection, subjects: &HashSet<Subject>) -> Result<HashMap<Subject, HashSet<String>>> {
    let (tenants, keys, days) = columns(subjects);
    let rows = sqlx::query!(
        r#"SELECT wanted.tenant AS "tenant!", wanted.api_key AS "api_key!", wanted.day AS "day!", known.endpoint AS "name!"
           FROM unnest($1::uuid[], $2::uuid[], $3::date[]) AS wanted (tenant, api_key, day)
           CROSS JOIN LATERAL (
               SELECT DISTINCT endpoint FROM usage_days u
               WHERE u.tenant = wanted.tenant AND u.api_key = wanted.api_key AND u.day = wanted.day AND endpoint <> '(other)'
           ) AS known"#,
        &tenants,
        &keys,
        &days,
    )
    .fetch_all(tx)
    .await?;
    Ok(gathered(rows.into_iter().map(|row| (row.tenant, row.api_key, row.day, row.name))))
}

/// The addresses that are known of these.
///
/// # Errors
/// As any read.
pub async fn addresses(tx: &mut PgConnection, subjects: &HashSet<Subject>) -> Result<HashMap<Subject, HashSet<String>>> {
    let (tenants, keys, days) = columns(subjects);
    let rows = sqlx::query!(
        r#"SELECT wanted.tenant AS "tenant!", wanted.api_key AS "api_key!", wanted.day AS "day!", known.address AS "name!"
           FROM unnest($1::uuid[], $2::uuid[], $3::date[]) AS wanted (tenant, api_key, day)
           CROSS JOIN LATERAL (
               SELECT address FROM usage_addresses u
               WHERE u.tenant = wanted.tenant AND u.api_key = wanted.api_key AND u.day = wanted.day AND address <> '(other)'
           ) AS known"#,
        &tenants,
        &keys,
        &days,
    )
    .fetch_all(tx)
    .await?;
    Ok(gathered(rows.into_iter().map(|row| (row.tenant, row.api_key, row.day, row.name))))
}

/// Adds all of it.
///
/// # Errors
/// As any write.
pub async fn add(tx: &mut PgConnection, sums: &Sums) -> Result<()> {
    add_hours(tx, &sums.hours).await?;
    add_days(tx, &sums.days).await?;
    add_addresses(tx, &sums.addresses).await?;
    add_totals(tx, &sums.keys).await?;
    add_credentials(tx, &sums.credentials).await?;
    add_nobodys(tx, &sums.nobody).await
}

/// Lines as columns.
struct Columns<'a> {
    tenants: Vec<Uuid>,
    keys: Vec<Uuid>,
    endpoints: Vec<&'a str>,
    outcomes: Vec<&'a str>,
    statuses: Vec<i16>,
    /// Requests, bytes in, bytes out, cost, latencies.
    numbers: [Vec<i64>; 12],
}

impl<'a> Columns<'a> {
    fn of(lines: &'a BTreeMap<Line, Counters>) -> Result<Self> {
        let mut numbers: [Vec<i64>; 12] = Default::default();
        for counters in lines.values() {
            let Counters { requests, bytes_in, bytes_out, cost, latency } = counters;
            for (column, number) in numbers.iter_mut().zip([requests, bytes_in, bytes_out, cost].into_iter().chain(latency)) {
                column.push(signed(*number)?);
            }
        }
        Ok(Self {
            tenants: lines.keys().map(|line| line.tenant).collect(),
            keys: lines.keys().map(|line| line.key).collect(),
            endpoints: lines.keys().map(|line| line.endpoint.as_str()).collect(),
            outcomes: lines.keys().map(|line| line.outcome).collect(),
            statuses: lines.keys().map(|line| line.status.into()).collect(),
            numbers,
        })
    }
}

/// Adds lines to a table with such a column of time.
macro_rules! add_lines {
    ($tx:expr, $lines:expr, $table:literal, $at:literal, $kind:literal, $moments:expr) => {{
        let Columns { tenants, keys, endpoints, outcomes, statuses, numbers } = Columns::of($lines)?;
        let [requests, bytes_in, bytes_out, cost, l1, l2, l3, l4, l5, l6, l7, l8] = numbers;
        sqlx::query!(
            "INSERT INTO "
                + $table
                + " AS old (tenant, api_key, "
                + $at
                + ", endpoint, outcome, status, requests, bytes_in, bytes_out, cost,
                 latency_1, latency_2, latency_3, latency_4, latency_5, latency_6, latency_7, latency_8)
             SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::"
                + $kind
                + "[], $4::text[], $5::text[], $6::smallint[],
                 $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
                 $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[])
             ON CONFLICT (tenant, api_key, "
                + $at
                + ", endpoint, outcome, status) DO UPDATE SET
                 requests = old.requests + excluded.requests, bytes_in = old.bytes_in + excluded.bytes_in,
                 bytes_out = old.bytes_out + excluded.bytes_out, cost = old.cost + excluded.cost,
                 latency_1 = old.latency_1 + excluded.latency_1, latency_2 = old.latency_2 + excluded.latency_2,
                 latency_3 = old.latency_3 + excluded.latency_3, latency_4 = old.latency_4 + excluded.latency_4,
                 latency_5 = old.latency_5 + excluded.latency_5, latency_6 = old.latency_6 + excluded.latency_6,
                 latency_7 = old.latency_7 + excluded.latency_7, latency_8 = old.latency_8 + excluded.latency_8",
            &tenants,
            &keys,
            $moments,
            &endpoints as _,
            &outcomes as _,
            &statuses,
            &requests,
            &bytes_in,
            &bytes_out,
            &cost,
            &l1,
            &l2,
            &l3,
            &l4,
            &l5,
            &l6,
            &l7,
            &l8,
        )
        .execute($tx)
        .await?;
        Ok(())
    }};
}

async fn add_hours(tx: &mut PgConnection, lines: &BTreeMap<Line, Counters>) -> Result<()> {
    let hours: Vec<_> = lines.keys().map(|line| hour(line.at)).collect();
    add_lines!(tx, lines, "usage_hours", "hour", "timestamptz", &hours)
}

async fn add_days(tx: &mut PgConnection, lines: &BTreeMap<Line, Counters>) -> Result<()> {
    let days: Vec<_> = lines.keys().map(|line| date(line.at)).collect();
    add_lines!(tx, lines, "usage_days", "day", "date", &days)
}

async fn add_addresses(tx: &mut PgConnection, sums: &BTreeMap<(Uuid, Uuid, u32, String), u64>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO usage_addresses AS old (tenant, api_key, day, address, requests)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::date[], $4::text[], $5::bigint[])
         ON CONFLICT (tenant, api_key, day, address) DO UPDATE SET requests = old.requests + excluded.requests",
        &sums.keys().map(|key| key.0).collect::<Vec<_>>(),
        &sums.keys().map(|key| key.1).collect::<Vec<_>>(),
        &sums.keys().map(|key| date(key.2)).collect::<Vec<_>>(),
        &sums.keys().map(|key| key.3.as_str()).collect::<Vec<_>>() as _,
        &sums.values().map(|sum| signed(*sum)).collect::<Result<Vec<_>>>()?,
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn add_totals(tx: &mut PgConnection, sums: &BTreeMap<(Uuid, Uuid), Totals>) -> Result<()> {
    let column = |of: fn(&Totals) -> u64| sums.values().map(|totals| signed(of(totals))).collect::<Result<Vec<_>>>();
    let last: Vec<_> = sums.values().map(|totals| datetime(Timestamp::from_millis(totals.last_used))).collect();
    sqlx::query!(
        "INSERT INTO key_usage AS old (tenant, api_key, requests, bytes, errors, rate_limit_hits, last_used, last_day)
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::timestamptz[], $8::date[])
         ON CONFLICT (tenant, api_key) DO UPDATE SET
             requests = old.requests + excluded.requests, bytes = old.bytes + excluded.bytes, errors = old.errors + excluded.errors,
             rate_limit_hits = old.rate_limit_hits + excluded.rate_limit_hits,
             last_used = greatest(old.last_used, excluded.last_used), last_day = greatest(old.last_day, excluded.last_day)",
        &sums.keys().map(|key| key.0).collect::<Vec<_>>(),
        &sums.keys().map(|key| key.1).collect::<Vec<_>>(),
        &column(|totals| totals.requests)?,
        &column(|totals| totals.bytes)?,
        &column(|totals| totals.errors)?,
        &column(|totals| totals.rate_limit_hits)?,
        &last,
        &last.iter().map(|moment| moment.date()).collect::<Vec<_>>(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes when keys were last used.
///
/// # Errors
/// As any write.
pub async fn mark(tx: &mut PgConnection, used: &BTreeMap<(TenantId, KeyId), Timestamp>) -> Result<()> {
    let last: Vec<_> = used.values().map(|moment| datetime(*moment)).collect();
    sqlx::query!(
        "INSERT INTO key_usage AS old (tenant, api_key, requests, bytes, errors, rate_limit_hits, last_used, last_day)
         SELECT tenant, api_key, 0, 0, 0, 0, last_used, last_day
         FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::date[]) AS used (tenant, api_key, last_used, last_day)
         ON CONFLICT (tenant, api_key) DO UPDATE SET
             last_used = greatest(old.last_used, excluded.last_used), last_day = greatest(old.last_day, excluded.last_day)",
        &used.keys().map(|(tenant, _)| tenant.0).collect::<Vec<_>>(),
        &used.keys().map(|(_, key)| key.0).collect::<Vec<_>>(),
        &last,
        &last.iter().map(|moment| moment.date()).collect::<Vec<_>>(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn add_credentials(tx: &mut PgConnection, sums: &BTreeMap<(Uuid, Uuid, u32), (u64, u64)>) -> Result<()> {
    if sums.is_empty() {
        return Ok(());
    }
    // Of a key's own credentials alone: what a batch says of others is nobody's word.
    sqlx::query!(
        "INSERT INTO credential_usage AS old (tenant, index, requests, last_used)
         SELECT told.tenant, told.index, told.requests, told.last_used
         FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::timestamptz[]) AS told (tenant, api_key, index, requests, last_used)
         JOIN credentials c ON c.index = told.index AND c.api_key = told.api_key
         ON CONFLICT (tenant, index) DO UPDATE SET requests = old.requests + excluded.requests,
             last_used = greatest(old.last_used, excluded.last_used)",
        &sums.keys().map(|key| key.0).collect::<Vec<_>>(),
        &sums.keys().map(|key| key.1).collect::<Vec<_>>(),
        &sums.keys().map(|key| i64::from(key.2)).collect::<Vec<_>>(),
        &sums.values().map(|sum| signed(sum.0)).collect::<Result<Vec<_>>>()?,
        &sums.values().map(|sum| datetime(Timestamp::from_millis(sum.1))).collect::<Vec<_>>(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn add_nobodys(tx: &mut PgConnection, sums: &BTreeMap<(u32, &'static str, u8), u64>) -> Result<()> {
    if sums.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO usage_unattributed AS old (hour, outcome, status, requests)
         SELECT * FROM unnest($1::timestamptz[], $2::text[], $3::smallint[], $4::bigint[])
         ON CONFLICT (hour, outcome, status) DO UPDATE SET requests = old.requests + excluded.requests",
        &sums.keys().map(|key| hour(key.0)).collect::<Vec<_>>(),
        &sums.keys().map(|key| key.1).collect::<Vec<_>>() as _,
        &sums.keys().map(|key| i16::from(key.2)).collect::<Vec<_>>(),
        &sums.values().map(|sum| signed(*sum)).collect::<Result<Vec<_>>>()?,
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(Error::internal)
}

fn hour(hour: u32) -> OffsetDateTime {
    datetime(Timestamp::from_secs(u64::from(hour) * 3600))
}

/// A day, from days since 1970.
pub fn date(day: u32) -> Date {
    hour(day.saturating_mul(24)).date()
}

fn days(date: Date) -> u32 {
    u32::try_from(date.midnight().assume_utc().unix_timestamp() / (24 * 3600)).unwrap_or(0)
}
