//! Batches that are written down and not in the sums yet: of servers that count for many keys, whose rows would otherwise be written
//! anew every half second. Whichever server adds them next adds all that there are, those of servers that are gone too.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use keyward_api::usage::{UsageBatch, UsageCaller, UsageDebt, UsageEntry};
use keyward_core::{KeyId, TenantId};
use sqlx::{PgConnection, types::Uuid};

use super::{ingest::Parcel, sums::Counters};
use crate::{
    db::{Db, again},
    error::{Error, Result},
};

/// Batches that are taken at a time, each of at most two thousand lines and as many addresses.
const AT_A_TIME: usize = 4;
/// Lines and addresses, of those that differ, that are enough to be added at a time: about a kilobyte each while they are.
const ENOUGH: usize = 16_000;

/// Writes down batches of tenants' keys. Once for each id, for as long as it waits.
///
/// # Errors
/// As any write.
pub async fn put(db: &Db, parcels: &[Parcel]) -> Result<()> {
    let within: Vec<_> = parcels.iter().filter_map(|parcel| Some((parcel, parcel.within?.0))).collect();
    let text = |parcel: &Parcel| serde_json::to_string(&parcel.batch).map_err(Error::internal);
    let batches = within.iter().map(|(parcel, _)| text(parcel)).collect::<Result<Vec<_>>>()?;
    again!(
        sqlx::query!(
            "INSERT INTO usage_waiting (id, tenant, batch) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) ON CONFLICT DO NOTHING",
            &within.iter().map(|(parcel, _)| parcel.batch.id).collect::<Vec<_>>(),
            &within.iter().map(|(_, tenant)| *tenant).collect::<Vec<_>>(),
            &batches,
        )
        .execute(db.rows())
    )?;
    Ok(())
}

/// What waited, added up already: keys that are used all the time are in each of its batches.
#[derive(Default)]
pub struct Taken {
    /// The batches that it was, but for those that are in the sums.
    pub ids: Vec<Uuid>,
    /// What they come to: one for each tenant, under the id of one of them.
    pub parcels: Vec<Parcel>,
    /// Whether more of it waits.
    pub more: bool,
}

/// Takes the oldest ones: they are gone with the transaction that adds them. A few at a time, until there are so many lines that
/// adding them needs memory enough.
///
/// # Errors
/// As any write.
pub async fn take(tx: &mut PgConnection) -> Result<Taken> {
    let (mut ids, mut sum) = (Vec::new(), Sum::default());
    let more = loop {
        let rows = sqlx::query!(
            r#"DELETE FROM usage_waiting WHERE id IN (SELECT id FROM usage_waiting ORDER BY id LIMIT $1)
               RETURNING id, tenant, batch, EXISTS (SELECT FROM usage_batches WHERE usage_batches.id = usage_waiting.id) AS "added!""#,
            AT_A_TIME as i64
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in rows.iter().filter(|row| !row.added) {
            sum.add(TenantId(row.tenant), serde_json::from_str(&row.batch).map_err(Error::internal)?);
            ids.push(row.id);
        }
        if rows.len() < AT_A_TIME || sum.len() >= ENOUGH {
            break rows.len() == AT_A_TIME;
        }
    };
    let parcels = sum.parcels(&ids);
    Ok(Taken { ids, parcels, more })
}

/// Lines of batches, those that are alike as one; in the order in which they came first.
#[derive(Default)]
struct Sum {
    entries: HashMap<(TenantId, Alike), (usize, Counters, u64)>,
    callers: HashMap<(TenantId, KeyId, u32, IpAddr), (usize, u64)>,
    debts: BTreeMap<(TenantId, KeyId), u64>,
}

#[derive(PartialEq, Eq, Hash)]
struct Alike {
    key: Option<KeyId>,
    credential: Option<u32>,
    hour: u32,
    endpoint: String,
    outcome: String,
    status: u8,
}

impl Sum {
    fn len(&self) -> usize {
        self.entries.len() + self.callers.len()
    }

    fn add(&mut self, tenant: TenantId, batch: UsageBatch) {
        for entry in batch.entries {
            let (counters, last) = (Counters::of(&entry), entry.last_ms);
            let UsageEntry { key, credential, hour, endpoint, outcome, status, .. } = entry;
            let at = self.entries.len();
            let (_, sum, latest) = self.entries.entry((tenant, Alike { key, credential, hour, endpoint, outcome, status })).or_insert((
                at,
                Counters::default(),
                0,
            ));
            sum.add(&counters);
            *latest = last.max(*latest);
        }
        for UsageCaller { key, day, address, requests } in batch.callers {
            let at = self.callers.len();
            self.callers.entry((tenant, key, day, address)).or_insert((at, 0)).1 += requests;
        }
        for debt in batch.debts {
            *self.debts.entry((tenant, debt.key)).or_default() += debt.cents;
        }
    }

    /// Each tenant's. There are as many ids at least, since each batch was one tenant's.
    fn parcels(self, ids: &[Uuid]) -> Vec<Parcel> {
        let mut tenants: BTreeMap<TenantId, UsageBatch> = BTreeMap::new();
        let none = || UsageBatch { id: Uuid::nil(), entries: Vec::new(), callers: Vec::new(), debts: Vec::new() };
        let mut entries: Vec<_> = self.entries.into_iter().collect();
        entries.sort_unstable_by_key(|(_, (at, ..))| *at);
        for ((tenant, alike), (_, counters, last_ms)) in entries {
            let Alike { key, credential, hour, endpoint, outcome, status } = alike;
            let Counters { requests, bytes_in, bytes_out, cost, latency } = counters;
            let entry =
                UsageEntry { key, credential, hour, endpoint, outcome, status, requests, bytes_in, bytes_out, cost, latency, last_ms };
            tenants.entry(tenant).or_insert_with(none).entries.push(entry);
        }
        let mut callers: Vec<_> = self.callers.into_iter().collect();
        callers.sort_unstable_by_key(|(_, (at, _))| *at);
        for ((tenant, key, day, address), (_, requests)) in callers {
            tenants.entry(tenant).or_insert_with(none).callers.push(UsageCaller { key, day, address, requests });
        }
        for ((tenant, key), cents) in self.debts {
            tenants.entry(tenant).or_insert_with(none).debts.push(UsageDebt { key, cents });
        }
        let parcel = |((tenant, batch), id): ((TenantId, UsageBatch), &Uuid)| Parcel {
            batch: UsageBatch { id: *id, ..batch },
            within: Some(tenant),
        };
        tenants.into_iter().zip(ids).map(parcel).collect()
    }
}
