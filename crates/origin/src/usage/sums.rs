//! What batches come to: pure, so that it can be held against a model.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, Ipv6Addr},
};

use keyward_api::{
    limits::LimitKind,
    usage::{LATENCIES, NO_ENDPOINT, PASSED, UPSTREAM_UNAVAILABLE, UsageCaller, UsageEntry, outcome},
};
use keyward_core::{KeyId, TenantId, Timestamp, canonical_address};
use sqlx::types::Uuid;

use super::{
    ingest::Parcel,
    names::{Names, Subject},
};

/// Hours for which usage may come late. What is older counts for the last hour that is open.
const LATE_HOURS: u32 = 7 * 24;
/// Hours for which usage may be ahead, by a clock that is.
const EARLY_HOURS: u32 = 1;
/// Characters of an endpoint that are kept.
const MAX_ENDPOINT: usize = 128;

/// What is counted of requests that are alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub requests: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub cost: u64,
    pub latency: [u64; LATENCIES],
}

impl Counters {
    /// Those of a line.
    pub fn of(entry: &UsageEntry) -> Self {
        let UsageEntry { requests, bytes_in, bytes_out, cost, latency, .. } = *entry;
        Self { requests, bytes_in, bytes_out, cost, latency }
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.cost += other.cost;
        self.latency.iter_mut().zip(other.latency).for_each(|(sum, count)| *sum += count);
    }
}

/// What distinguishes a row of sums. The key of all zeros stands for its tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    pub tenant: Uuid,
    pub key: Uuid,
    /// Hours or days since 1970.
    pub at: u32,
    pub endpoint: String,
    pub outcome: &'static str,
    pub status: u8,
}

/// What is added to the sums of a key since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: u64,
    pub bytes: u64,
    pub errors: u64,
    pub rate_limit_hits: u64,
    /// Unix milliseconds.
    pub last_used: u64,
}

/// All that is to be added.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub hours: BTreeMap<Line, Counters>,
    pub days: BTreeMap<Line, Counters>,
    pub keys: BTreeMap<(Uuid, Uuid), Totals>,
    /// Requests, and the last of them, by tenant, key and index: of keys that were rotated of late.
    pub credentials: BTreeMap<(Uuid, Uuid, u32), (u64, u64)>,
    /// By tenant, key, day and address.
    pub addresses: BTreeMap<(Uuid, Uuid, u32, String), u64>,
    /// By hour, outcome and status.
    pub nobody: BTreeMap<(u32, &'static str, u8), u64>,
    /// What keys owe, in cents.
    pub debts: BTreeMap<Uuid, u64>,
}

/// By what batches are added up.
pub struct Ledger<'a> {
    pub now: Timestamp,
    /// The tenant of each key that there is.
    pub tenants: &'a HashMap<Uuid, Uuid>,
    /// Keys that were rotated of late.
    pub rotated: &'a HashSet<Uuid>,
    pub endpoints: Names,
    pub addresses: Names,
}

/// What a batch is answered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub unattributed: u64,
    pub clamped: u64,
}

impl Ledger<'_> {
    /// Adds a batch.
    pub fn add(&mut self, parcel: &Parcel, sums: &mut Sums) -> Verdict {
        let mut verdict = Verdict::default();
        for entry in &parcel.batch.entries {
            let hour = clamp(entry.hour, hours(self.now));
            if hour != entry.hour {
                verdict.clamped += entry.requests;
            }
            let outcome = outcome(&entry.outcome);
            let Some((tenant, key)) = self.whose(entry.key, parcel.within) else {
                verdict.unattributed += entry.requests;
                *sums.nobody.entry((hour, outcome, entry.status)).or_default() += entry.requests;
                continue;
            };
            self.add_entry(entry, (tenant, key), hour, outcome, sums);
        }
        for caller in &parcel.batch.callers {
            if let Some((tenant, key)) = self.whose(Some(caller.key), parcel.within) {
                self.add_caller(caller, (tenant, key), sums);
            }
        }
        for debt in &parcel.batch.debts {
            if let Some((_, key)) = self.whose(Some(debt.key), parcel.within) {
                *sums.debts.entry(key).or_default() += debt.cents;
            }
        }
        verdict
    }

    /// The tenant and id of a key of ours. What a batch says of tenants is nobody's word.
    fn whose(&self, key: Option<KeyId>, within: Option<TenantId>) -> Option<(Uuid, Uuid)> {
        let KeyId(key) = key?;
        let tenant = *self.tenants.get(&key)?;
        within.is_none_or(|within| within.0 == tenant).then_some((tenant, key))
    }

    fn add_entry(&mut self, entry: &UsageEntry, (tenant, key): (Uuid, Uuid), hour: u32, outcome: &'static str, sums: &mut Sums) {
        let (counters, endpoint) = (Counters::of(entry), endpoint(entry));
        for key in [key, Uuid::nil()] {
            let endpoint = self.endpoints.admit((tenant, key, hour / 24), endpoint).to_owned();
            let line = Line { tenant, key, at: hour, endpoint, outcome, status: entry.status };
            sums.days.entry(Line { at: hour / 24, ..line.clone() }).or_default().add(&counters);
            sums.hours.entry(line).or_default().add(&counters);
        }
        let totals = sums.keys.entry((tenant, key)).or_default();
        totals.requests += entry.requests;
        totals.bytes += entry.bytes_in + entry.bytes_out;
        totals.errors += if is_error(outcome, entry.status) { entry.requests } else { 0 };
        totals.rate_limit_hits += if is_limit(outcome) { entry.requests } else { 0 };
        // Within its hour, and not after now.
        let begin = u64::from(hour) * 3_600_000;
        let last = entry.last_ms.clamp(begin, begin + 3_599_999).min(self.now.millis());
        totals.last_used = totals.last_used.max(last);
        if let Some(index) = entry.credential.filter(|_| self.rotated.contains(&key)) {
            let (requests, used) = sums.credentials.entry((tenant, key, index)).or_default();
            *requests += entry.requests;
            *used = last.max(*used);
        }
    }

    fn add_caller(&mut self, caller: &UsageCaller, (tenant, key): (Uuid, Uuid), sums: &mut Sums) {
        let day = day(caller.day, self.now);
        let address = network(caller.address);
        for key in [key, Uuid::nil()] {
            let address = self.addresses.admit((tenant, key, day), &address).to_owned();
            *sums.addresses.entry((tenant, key, day, address)).or_default() += caller.requests;
        }
    }
}

/// The keys and days whose names have to be known to add these batches: of endpoints, and of addresses.
pub fn subjects(parcels: &[Parcel], tenants: &HashMap<Uuid, Uuid>, now: Timestamp) -> (HashSet<Subject>, HashSet<Subject>) {
    let (mut endpoints, mut addresses) = (HashSet::new(), HashSet::new());
    for batch in parcels.iter().map(|parcel| &parcel.batch) {
        for entry in &batch.entries {
            if let Some(KeyId(key)) = entry.key
                && let Some(tenant) = tenants.get(&key)
            {
                let day = clamp(entry.hour, hours(now)) / 24;
                endpoints.extend([(*tenant, key, day), (*tenant, Uuid::nil(), day)]);
            }
        }
        for caller in &batch.callers {
            if let Some(tenant) = tenants.get(&caller.key.0) {
                let day = day(caller.day, now);
                addresses.extend([(*tenant, caller.key.0, day), (*tenant, Uuid::nil(), day)]);
            }
        }
    }
    (endpoints, addresses)
}

/// Hours since 1970.
pub fn hours(moment: Timestamp) -> u32 {
    u32::try_from(moment.secs() / 3600).unwrap_or(u32::MAX)
}

fn clamp(hour: u32, now: u32) -> u32 {
    hour.clamp(now.saturating_sub(LATE_HOURS), now.saturating_add(EARLY_HOURS))
}

/// The day that a caller counts for.
fn day(day: u32, now: Timestamp) -> u32 {
    let now = hours(now);
    day.clamp(clamp(0, now) / 24, clamp(u32::MAX, now) / 24)
}

/// Cut where it is long: what follows tells nobody more.
fn endpoint(entry: &UsageEntry) -> &str {
    if entry.endpoint.is_empty() {
        return NO_ENDPOINT;
    }
    entry.endpoint.char_indices().nth(MAX_ENDPOINT).map_or(entry.endpoint.as_str(), |(end, _)| &entry.endpoint[..end])
}

/// A client's address, as far as it tells clients apart: with IPv6 each has a whole /64.
fn network(address: IpAddr) -> String {
    match canonical_address(address) {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

/// Whether a request that was permitted ended in an error.
pub fn is_error(outcome: &str, status: u8) -> bool {
    outcome == UPSTREAM_UNAVAILABLE || (outcome == PASSED && status >= 4)
}

/// Whether a request was refused.
pub fn is_refusal(outcome: &str) -> bool {
    outcome != PASSED && outcome != UPSTREAM_UNAVAILABLE
}

/// Whether a request was refused for a limit.
pub fn is_limit(outcome: &str) -> bool {
    LimitKind::ALL.iter().any(|limit| limit.code() == outcome)
}
