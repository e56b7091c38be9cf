//! Adding batches, each of them once.
//!
//! Servers add side by side, each under the lock of the tenants that it adds to: so a tenant's numbers are in the order of
//! commits, and its bound is exact. What they lock they lock in one order, ids of batches first.

use std::collections::{BTreeMap, HashMap, HashSet};

use keyward_api::{
    decisions::{DecisionBatch, DecisionsReceived, MAX_DECISIONS_AGE_HOURS, Sampled},
    usage::outcome,
};
use keyward_core::{Timestamp, canonical_address};
use sqlx::{PgConnection, types::Uuid};

use super::{partitions::Made, thin::Room};
use crate::{
    clock::datetime,
    db::{Db, begin},
    error::{Error, Result},
};

/// For how many hours longer than batches are taken their ids are kept.
const MARGIN_HOURS: u64 = 1;
const HOUR: u64 = 3_600_000;

/// What a tenant has of them, locked.
struct Meter {
    seq: i64,
    room: Room,
}

/// Adds these.
///
/// # Errors
/// As any write; then nothing was added, or the connection broke while it was.
pub async fn add(db: &Db, now: Timestamp, made: &Made, hours: u32, batches: Vec<DecisionBatch>) -> Result<Vec<DecisionsReceived>> {
    let received = batches.iter().map(|batch| DecisionsReceived { id: batch.id }).collect();
    if hours == 0 {
        return Ok(received);
    }
    made.keep(db, now, hours).await?;
    let mut tx = begin(db.system(), "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL jit = off").await?;
    let fresh = claim(&mut tx, batches).await?;
    let oldest = now.millis().saturating_sub(u64::from(hours) * HOUR);
    let lately = fresh.into_iter().flat_map(|batch| batch.decisions).filter(|decision| decision.at_ms >= oldest);
    let mut by_tenant = by_tenant(&mut tx, lately.collect()).await?;
    let mut meters = lock(&mut tx, by_tenant.keys().copied().collect(), now).await?;
    let mut rows = Vec::new();
    for (tenant, decisions) in &mut by_tenant {
        let Some(meter) = meters.get_mut(tenant) else { continue };
        decisions.sort_by_key(|decision| decision.at_ms);
        for decision in meter.room.take(std::mem::take(decisions), meter.seq.unsigned_abs(), |decision| &mut decision.weight) {
            meter.seq += 1;
            rows.push((*tenant, meter.seq, decision));
        }
    }
    insert(&mut tx, &rows, now).await?;
    unlock(&mut tx, &meters, now).await?;
    tx.commit().await?;
    Ok(received)
}

/// The batches that nobody has added before, noted as added.
async fn claim(tx: &mut PgConnection, mut batches: Vec<DecisionBatch>) -> Result<Vec<DecisionBatch>> {
    batches.sort_by_key(|batch| batch.id);
    batches.dedup_by_key(|batch| batch.id);
    let ids: Vec<_> = batches.iter().map(|batch| batch.id).collect();
    let fresh = sqlx::query_scalar!(
        "INSERT INTO decision_batches (id) SELECT * FROM unnest($1::uuid[]) ON CONFLICT DO NOTHING RETURNING id",
        &ids,
    );
    let fresh: HashSet<Uuid> = fresh.fetch_all(tx).await?.into_iter().collect();
    batches.retain(|batch| fresh.contains(&batch.id));
    Ok(batches)
}

/// What is about a key of ours, by its tenant. What a batch says of others is nobody's word.
async fn by_tenant(tx: &mut PgConnection, decisions: Vec<Sampled>) -> Result<BTreeMap<Uuid, Vec<Sampled>>> {
    let keys: HashSet<_> = decisions.iter().map(|decision| decision.key.0).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let rows = sqlx::query!("SELECT id, tenant FROM api_keys WHERE id = ANY($1)", &keys).fetch_all(tx).await?;
    let tenants: HashMap<Uuid, Uuid> = rows.into_iter().map(|row| (row.id, row.tenant)).collect();
    let mut by_tenant: BTreeMap<Uuid, Vec<Sampled>> = BTreeMap::new();
    for decision in decisions {
        if let Some(tenant) = tenants.get(&decision.key.0) {
            by_tenant.entry(*tenant).or_default().push(decision);
        }
    }
    Ok(by_tenant)
}

/// Locks the meters of these tenants, in order.
async fn lock(tx: &mut PgConnection, tenants: Vec<Uuid>, now: Timestamp) -> Result<HashMap<Uuid, Meter>> {
    let whole = Room::WHOLE;
    sqlx::query!(
        "INSERT INTO decision_meters (tenant, seq, room, owed, at)
         SELECT tenant, 0, $2, 0, $3 FROM unnest($1::uuid[]) AS tenant ORDER BY tenant ON CONFLICT DO NOTHING",
        &tenants,
        whole.left,
        datetime(now),
    )
    .execute(&mut *tx)
    .await?;
    let rows =
        sqlx::query!("SELECT tenant, seq, room, owed, at FROM decision_meters WHERE tenant = ANY($1) ORDER BY tenant FOR UPDATE", &tenants)
            .fetch_all(tx)
            .await?;
    let meter = |seq, left, owed: i64, at: time::OffsetDateTime| {
        let passed = (datetime(now) - at).whole_milliseconds().try_into().unwrap_or(0);
        Meter { seq, room: Room { left, owed: owed.unsigned_abs() }.after(passed) }
    };
    Ok(rows.into_iter().map(|row| (row.tenant, meter(row.seq, row.room, row.owed, row.at))).collect())
}

async fn unlock(tx: &mut PgConnection, meters: &HashMap<Uuid, Meter>, now: Timestamp) -> Result<()> {
    let (tenants, meters): (Vec<Uuid>, Vec<&Meter>) = meters.iter().map(|(tenant, meter)| (*tenant, meter)).unzip();
    sqlx::query!(
        "UPDATE decision_meters AS old SET seq = new.seq, room = new.room, owed = new.owed, at = greatest(old.at, $5)
         FROM unnest($1::uuid[], $2::bigint[], $3::double precision[], $4::bigint[]) AS new (tenant, seq, room, owed)
         WHERE old.tenant = new.tenant",
        &tenants,
        &meters.iter().map(|meter| meter.seq).collect::<Vec<_>>(),
        &meters.iter().map(|meter| meter.room.left).collect::<Vec<_>>(),
        &meters.iter().map(|meter| signed(meter.room.owed)).collect::<Result<Vec<_>>>()?,
        datetime(now),
    )
    .execute(tx)
    .await?;
    Ok(())
}

async fn insert(tx: &mut PgConnection, rows: &[(Uuid, i64, Sampled)], now: Timestamp) -> Result<()> {
    macro_rules! column {
        (|$decision:ident| $value:expr) => {
            &rows.iter().map(|(_, _, $decision)| $value).collect::<Vec<_>>()
        };
    }
    let weights = rows.iter().map(|(_, _, decision)| signed(decision.weight)).collect::<Result<Vec<_>>>()?;
    let addresses = column!(|decision| decision.address.map(|address| canonical_address(address).to_string()));
    sqlx::query!(
        "INSERT INTO decisions (received, tenant, seq, made_at, api_key, weight, policy, epoch, state_seq, method, path, path_cut,
             address, domain, tls, token, route, capability, outcome, status, cost, duration_ms)
         SELECT $1, * FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[], $5::uuid[], $6::bigint[], $7::bigint[], $8::bigint[],
             $9::bigint[], $10::text[], $11::text[], $12::boolean[], $13::text[], $14::text[], $15::boolean[], $16::boolean[],
             $17::text[], $18::text[], $19::text[], $20::smallint[], $21::bigint[], $22::bigint[])",
        datetime(now),
        &rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        column!(|decision| datetime(Timestamp::from_millis(decision.at_ms))),
        column!(|decision| decision.key.0),
        &weights,
        column!(|decision| decision.policy.map(|policy| i64::from(policy.0))) as _,
        column!(|decision| i64::from(decision.epoch)),
        column!(|decision| i64::try_from(decision.seq).unwrap_or(i64::MAX)),
        column!(|decision| decision.method.as_str()) as _,
        column!(|decision| decision.path.as_str()) as _,
        column!(|decision| decision.path_cut),
        addresses as _,
        column!(|decision| decision.domain.as_deref()) as _,
        column!(|decision| decision.tls),
        column!(|decision| decision.token),
        column!(|decision| decision.route.as_deref()) as _,
        column!(|decision| decision.capability.as_deref()) as _,
        column!(|decision| outcome(&decision.outcome)) as _,
        column!(|decision| i16::try_from(decision.status).unwrap_or(0)),
        column!(|decision| i64::try_from(decision.cost).unwrap_or(i64::MAX)),
        column!(|decision| decision.duration_ms.map(i64::from)) as _,
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(Error::internal)
}

/// Forgets the ids of batches that aren't taken any more.
///
/// # Errors
/// As any write.
pub async fn sweep(db: &Db, now: Timestamp) -> Result<()> {
    let oldest = now.millis().saturating_sub((MAX_DECISIONS_AGE_HOURS + MARGIN_HOURS) * HOUR);
    // Ids are in the order of time.
    let first = Uuid::from_u128(u128::from(oldest) << 80);
    sqlx::query!("DELETE FROM decision_batches WHERE id < $1", first).execute(db.system()).await?;
    Ok(())
}
