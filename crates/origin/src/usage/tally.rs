//! What this server decides itself (`validate`), counted in memory and written now and again.
//!
//! Nothing is written on the way of a request. What was counted and not yet written down is lost with the server: that of half a
//! second, and for as long as the database is away what fits.

use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use keyward_api::usage::{MAX_BATCH_ENTRIES, OTHER, UsageBatch, UsageCaller, UsageEntry};
use keyward_core::{KeyId, TenantId, Timestamp};
use tokio::sync::Notify;

use super::{ingest::Parcel, sums::hours, waiting};
use crate::{error::Result, ids::new_id, state::App};

/// Keys that are counted between two flushes, and what is kept apart of each.
const MOST_KEYS: usize = 50_000;
const MOST_LINES: usize = 64;
const MOST_ADDRESSES: usize = 64;
/// Bytes of all lines and addresses together. Beyond, each key has one line an hour and outcome more, for all endpoints, and no address:
/// with the keys themselves that are 100 MB at most, for as long as the database is away.
const MOST_BYTES: usize = 64 << 20;
/// Cents of one line: no sum overflows, whatever is asserted.
const MAX_COST: u64 = 1 << 44;

/// A decision on a key.
pub struct Decision<'a> {
    /// Who asked: a key of another tenant's isn't counted.
    pub tenant: TenantId,
    /// The key; it is genuine.
    pub key: KeyId,
    /// As it was asserted; empty: nothing was.
    pub endpoint: &'a str,
    /// From where the request came, as it was asserted.
    pub address: Option<IpAddr>,
    /// See [`keyward_api::usage::outcome`].
    pub outcome: &'static str,
    /// Cents.
    pub cost: u64,
}

/// What was counted and isn't written yet.
#[derive(Default)]
pub struct Tally {
    counted: Mutex<Counted>,
    /// Under way, or to be tried again: always the same batches, so that none is added twice. One flush at a time has it.
    outbox: tokio::sync::Mutex<Vec<Parcel>>,
    /// Told when it is high time to write.
    half_full: Notify,
}

#[derive(Default)]
struct Counted {
    keys: HashMap<(TenantId, KeyId), OfKey>,
    /// Of their lines and addresses.
    bytes: usize,
    /// Decisions on keys beyond those.
    lost: u64,
}

#[derive(Default)]
struct OfKey {
    lines: Vec<Line>,
    addresses: Vec<(u32, IpAddr, u64)>,
}

struct Line {
    hour: u32,
    endpoint: Box<str>,
    outcome: &'static str,
    requests: u64,
    cost: u64,
    last: u64,
}

impl Tally {
    /// Counts a decision.
    pub fn count(&self, decision: &Decision<'_>, now: Timestamp) {
        let mut counted = self.lock();
        let whose = (decision.tenant, decision.key);
        if counted.keys.len() >= MOST_KEYS && !counted.keys.contains_key(&whose) {
            counted.lost += 1;
            return;
        }
        let before = counted.keys.len();
        let Counted { keys, bytes, .. } = &mut *counted;
        let was = *bytes;
        keys.entry(whose).or_default().count(decision, now, bytes);
        if before < MOST_KEYS / 2 && keys.len() == MOST_KEYS / 2 || was < MOST_BYTES / 2 && *bytes >= MOST_BYTES / 2 {
            self.half_full.notify_one();
        }
    }

    /// Waits until half of what can be counted between two flushes has been.
    pub async fn half_full(&self) {
        self.half_full.notified().await;
    }

    /// Writes down all that was counted, to be added to the sums; whether there was anything.
    ///
    /// # Errors
    /// As any write; then it stays, and is written by a later one.
    pub async fn flush(&self, app: &App) -> Result<bool> {
        let mut outbox = self.outbox.lock().await;
        if outbox.is_empty() {
            let counted = mem::take(&mut *self.lock());
            if counted.lost > 0 {
                tracing::error!(decisions = counted.lost, "could not be counted: too many keys");
            }
            *outbox = parcels(counted.keys, app.clock.now())?;
        }
        if outbox.is_empty() {
            return Ok(false);
        }
        waiting::put(&app.db, &outbox).await?;
        outbox.clear();
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfKey {
    fn count(&mut self, decision: &Decision<'_>, now: Timestamp, bytes: &mut usize) {
        let (hour, outcome) = (hours(now), decision.outcome);
        let alike = |line: &&mut Line, endpoint: &str| line.hour == hour && line.outcome == outcome && *line.endpoint == *endpoint;
        let full = self.lines.len() >= MOST_LINES || *bytes >= MOST_BYTES;
        let known = self.lines.iter_mut().find(|line| alike(line, decision.endpoint));
        let endpoint = if full && known.is_none() { OTHER } else { decision.endpoint };
        match self.lines.iter_mut().find(|line| alike(line, endpoint)) {
            Some(line) => {
                line.requests += 1;
                line.cost = line.cost.saturating_add(decision.cost).min(MAX_COST);
                line.last = line.last.max(now.millis());
            }
            None => {
                *bytes += size_of::<Line>() + endpoint.len();
                self.lines.push(Line { hour, endpoint: endpoint.into(), outcome, requests: 1, cost: decision.cost, last: now.millis() })
            }
        }
        let Some(address) = decision.address else { return };
        if let Some((.., requests)) = self.addresses.iter_mut().find(|known| (known.0, known.1) == (hour / 24, address)) {
            *requests += 1;
        } else if self.addresses.len() < MOST_ADDRESSES && *bytes < MOST_BYTES {
            *bytes += size_of::<(u32, IpAddr, u64)>();
            self.addresses.push((hour / 24, address, 1));
        }
    }
}

/// As batches, each of one tenant's keys.
fn parcels(keys: HashMap<(TenantId, KeyId), OfKey>, now: Timestamp) -> Result<Vec<Parcel>> {
    let mut tenants: HashMap<TenantId, (Vec<UsageEntry>, Vec<UsageCaller>)> = HashMap::new();
    for ((tenant, key), counted) in keys {
        let (entries, callers) = tenants.entry(tenant).or_default();
        entries.extend(counted.lines.into_iter().map(|line| UsageEntry {
            key: Some(key),
            credential: None,
            hour: line.hour,
            endpoint: line.endpoint.into(),
            outcome: line.outcome.to_owned(),
            status: 0,
            requests: line.requests,
            bytes_in: 0,
            bytes_out: 0,
            cost: line.cost,
            latency: Default::default(),
            last_ms: line.last,
        }));
        callers.extend(counted.addresses.into_iter().map(|(day, address, requests)| UsageCaller { key, day, address, requests }));
    }
    let mut parcels = Vec::new();
    for (tenant, (mut entries, mut callers)) in tenants {
        while !entries.is_empty() || !callers.is_empty() {
            let entries = entries.drain(..entries.len().min(MAX_BATCH_ENTRIES)).collect();
            let callers = callers.drain(..callers.len().min(MAX_BATCH_ENTRIES)).collect();
            let batch = UsageBatch { id: new_id(now)?.0, entries, callers, debts: Vec::new() };
            parcels.push(Parcel { batch, within: Some(tenant) });
        }
    }
    Ok(parcels)
}

#[cfg(test)]
mod tests {
    use sqlx::types::Uuid;

    use super::*;

    #[test]
    fn what_clients_invent_does_not_make_it_grow() {
        let tally = Tally::default();
        let tenant = TenantId(Uuid::from_u128(1));
        let key = KeyId(Uuid::from_u128(2));
        for at in 0..1000u32 {
            let (endpoint, address) = (format!("/{at}"), Some(IpAddr::from(at.to_be_bytes())));
            tally.count(&Decision { tenant, key, endpoint: &endpoint, address, outcome: "passed", cost: 0 }, Timestamp::from_secs(3600));
        }
        let [parcel] = &parcels(mem::take(&mut tally.lock().keys), Timestamp::from_secs(3600)).unwrap()[..] else { panic!() };
        let entries = &parcel.batch.entries;
        assert_eq!((entries.len(), entries.iter().map(|entry| entry.requests).sum::<u64>()), (MOST_LINES + 1, 1000));
        assert_eq!(parcel.batch.callers.len(), MOST_ADDRESSES);
    }

    #[test]
    fn very_many_keys_with_very_many_endpoints_have_no_more_room_than_all_together_may_have() {
        let tally = Tally::default();
        let (tenant, endpoint) = (TenantId(Uuid::from_u128(1)), "x".repeat(1000));
        let mut made = 0;
        for key in 0..20_000u32 {
            for at in 0..5 {
                let (endpoint, address) = (format!("/{at}{endpoint}"), Some(IpAddr::from((key + at).to_be_bytes())));
                let key = KeyId(Uuid::from_u128(key.into()));
                tally
                    .count(&Decision { tenant, key, endpoint: &endpoint, address, outcome: "passed", cost: 0 }, Timestamp::from_secs(3600));
                made += 1;
            }
        }
        let counted = mem::take(&mut *tally.lock());
        assert!(counted.bytes < MOST_BYTES + 20_000 * 100, "{}", counted.bytes);
        let lines = counted.keys.values().flat_map(|of_key| &of_key.lines);
        assert_eq!((counted.lost, lines.map(|line| line.requests).sum::<u64>()), (0, made));
    }
}
