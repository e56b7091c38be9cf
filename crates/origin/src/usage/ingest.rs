//! Adding batches, each of them once.
//!
//! One transaction at a time over all servers, by a lock of the transaction's: so sums can't deadlock, bounds on what is
//! kept apart are exact, and one batch can't be added by two. Batches that come while one is under way share the next.

use std::collections::{BTreeMap, HashMap, HashSet};

use keyward_api::usage::{MAX_BATCH_AGE_DAYS, UsageBatch, UsageReceived};
use keyward_core::{KeyId, TenantId, Timestamp};
use sqlx::{PgConnection, Postgres, Transaction, types::Uuid};

use super::{
    TOLD_APART,
    names::Names,
    partitions::Made,
    store,
    sums::{Ledger, Sums, Verdict, subjects},
    waiting::{self, Taken},
};
use crate::{
    clock::datetime,
    db::{Db, begin},
    error::Result,
    limits::debt,
};

/// Endpoints that are kept apart in a day: of a key, and of a tenant.
const ENDPOINTS: (usize, usize) = (64, 512);
/// Addresses, likewise.
const ADDRESSES: (usize, usize) = (64, 1024);
/// How many days longer than batches are taken their ids are kept.
const MARGIN_DAYS: u64 = 1;

/// A batch on its way to the writer.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Passed by [`super::check`].
    pub batch: UsageBatch,
    /// Whose keys it can be about, where not anybody's.
    pub within: Option<TenantId>,
}

/// Adds these; answers each as it was answered first.
///
/// # Errors
/// As any write; then nothing was added, or the connection broke while it was.
pub async fn add(db: &Db, now: Timestamp, made: &Made, days: u32, parcels: Vec<Parcel>) -> Result<Vec<UsageReceived>> {
    made.keep(db, now, days).await?;
    let ids: Vec<_> = parcels.iter().map(|parcel| parcel.batch.id).collect();
    let mut tx = begin_to_add(db).await?;
    let verdicts = add_in(&mut tx, now, parcels).await?;
    tx.commit().await?;
    let answer = |id: &Uuid| {
        let Verdict { unattributed, clamped } = verdicts.get(id).copied().unwrap_or_default();
        UsageReceived { id: *id, unattributed, clamped }
    };
    Ok(ids.iter().map(answer).collect())
}

/// Adds what waits, as much as goes in one transaction; whether there may be more.
///
/// # Errors
/// As any write; then nothing was added, or the connection broke while it was.
pub async fn add_waiting(db: &Db, now: Timestamp, made: &Made, days: u32) -> Result<bool> {
    made.keep(db, now, days).await?;
    let mut tx = begin_to_add(db).await?;
    let Taken { ids, parcels, more } = waiting::take(&mut tx).await?;
    add_in(&mut tx, now, parcels).await?;
    // Those that share another's line, too. Nobody asks what became of them.
    sqlx::query!(
        "INSERT INTO usage_batches (id, unattributed, clamped) SELECT id, 0, 0 FROM unnest($1::uuid[]) AS id ON CONFLICT DO NOTHING",
        &ids
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(more)
}

/// Notes when keys were last used, and nothing else of it.
///
/// # Errors
/// As any write.
pub async fn mark(db: &Db, used: &BTreeMap<(TenantId, KeyId), Timestamp>) -> Result<()> {
    let mut tx = begin_to_add(db).await?;
    store::mark(&mut tx, used).await?;
    tx.commit().await?;
    Ok(())
}

/// A transaction that adds, alone.
async fn begin_to_add(db: &Db) -> Result<Transaction<'static, Postgres>> {
    let mut tx = begin(db.rows(), "BEGIN").await?;
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('keyward usage'))::text AS lock").fetch_one(&mut *tx).await?;
    Ok(tx)
}

/// Adds those of them that aren't known yet; what each is answered.
async fn add_in(tx: &mut PgConnection, now: Timestamp, parcels: Vec<Parcel>) -> Result<HashMap<Uuid, Verdict>> {
    let ids: Vec<_> = parcels.iter().map(|parcel| parcel.batch.id).collect();
    let known = sqlx::query!("SELECT id, unattributed, clamped FROM usage_batches WHERE id = ANY($1)", &ids).fetch_all(&mut *tx).await?;
    let verdict = |unattributed: i64, clamped: i64| Verdict { unattributed: unattributed.unsigned_abs(), clamped: clamped.unsigned_abs() };
    let mut verdicts: HashMap<Uuid, Verdict> = known.into_iter().map(|row| (row.id, verdict(row.unattributed, row.clamped))).collect();

    let mut taken: HashSet<_> = verdicts.keys().copied().collect();
    let fresh: Vec<_> = parcels.into_iter().filter(|parcel| taken.insert(parcel.batch.id)).collect();
    if !fresh.is_empty() {
        let keys: HashSet<_> = fresh.iter().flat_map(|parcel| named(&parcel.batch)).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        let (tenants, rotated) = store::known(tx, &keys, datetime(now) - TOLD_APART).await?;
        let (endpoints, addresses) = subjects(&fresh, &tenants, now);
        let endpoints = Names::new(store::endpoints(tx, &endpoints).await?, ENDPOINTS.0, ENDPOINTS.1);
        let addresses = Names::new(store::addresses(tx, &addresses).await?, ADDRESSES.0, ADDRESSES.1);
        let mut ledger = Ledger { now, tenants: &tenants, rotated: &rotated, endpoints, addresses };
        let mut sums = Sums::default();
        let added: Vec<_> = fresh.iter().map(|parcel| ledger.add(parcel, &mut sums)).collect();
        store::add(tx, &sums).await?;
        debt::record(tx, &sums.debts, now).await?;
        sqlx::query!(
            "INSERT INTO usage_batches (id, unattributed, clamped) SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bigint[])",
            &fresh.iter().map(|parcel| parcel.batch.id).collect::<Vec<_>>(),
            &added.iter().map(|verdict| verdict.unattributed as i64).collect::<Vec<_>>(),
            &added.iter().map(|verdict| verdict.clamped as i64).collect::<Vec<_>>(),
        )
        .execute(&mut *tx)
        .await?;
        verdicts.extend(fresh.iter().map(|parcel| parcel.batch.id).zip(added));
    }
    Ok(verdicts)
}

/// The keys that a batch names.
fn named(batch: &UsageBatch) -> impl Iterator<Item = Uuid> {
    let entries = batch.entries.iter().filter_map(|entry| entry.key);
    let callers = batch.callers.iter().map(|caller| caller.key);
    entries.chain(callers).chain(batch.debts.iter().map(|debt| debt.key)).map(|key| key.0)
}

/// Forgets the ids of batches that aren't taken any more, and what was nobody's and is older than usage is kept.
///
/// # Errors
/// As any write.
pub async fn sweep(db: &Db, now: Timestamp, days: u32) -> Result<()> {
    let day = 24 * 3600 * 1000;
    let oldest = now.millis().saturating_sub((MAX_BATCH_AGE_DAYS + MARGIN_DAYS) * day);
    // Ids are in the order of time.
    let first = Uuid::from_u128(u128::from(oldest) << 80);
    sqlx::query!("DELETE FROM usage_batches WHERE id < $1", first).execute(db.system()).await?;
    let oldest = Timestamp::from_millis(now.millis().saturating_sub(u64::from(days) * day));
    sqlx::query!("DELETE FROM usage_unattributed WHERE hour < $1", datetime(oldest)).execute(db.system()).await?;
    Ok(())
}
