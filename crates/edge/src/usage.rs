//! What an isolate counts of the requests that it decides on, until its hub has taken it. Plain data and no I/O.
//!
//! A refused request is counted at once. A permitted one is *pending* until the upstream has answered, so that its status,
//! length and time count with it; one whose answer never came (its client has left) counts without. Then all goes into batches
//! ([`crate::sealed`]).

use crate::{decide::Passage, denial::Denial, limits::permits::Excess, sealed::Sealed};
use keyward_api::{
    limits::MAX_AMOUNT,
    usage::{LATENCIES, PASSED, UPSTREAM_UNAVAILABLE, UsageBatch, UsageCaller, UsageDebt, UsageEntry, latency_bucket},
};
use keyward_core::{KeyId, PolicyNumber, RouteTable, StatusIndex, Timestamp, bounds::MAX_COST_CENTS};
use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};
use uuid::Uuid;

/// Lines, and likewise callers, between two seals. What is beyond is lost, and counted as such.
const MOST_LINES: usize = 20_000;
/// Requests that wait for the upstream at a time.
const MOST_PENDING: usize = 20_000;
/// How long a request is believed to wait for it.
pub(crate) const PENDING_MS: u64 = 120_000;
/// Batches that the hub hasn't taken yet.
const MOST_SEALED: usize = 128;
/// Entries and callers of one batch: some 100 KB.
const BATCH: usize = 500;
/// The most that a line says of bytes and of cents, and that is said of a debt. The origin refuses a batch that claims absurdly
/// much, and with it what other keys have used: what one claims of its bodies is cut off here.
const MOST: u64 = MAX_AMOUNT;

/// Between the end of one report and the next, milliseconds: what is lost with an isolate.
pub const REPORT_MS: u64 = 500;

/// What of a request is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The key, where the caller has proved to hold it.
    pub key: Option<KeyId>,
    /// Which of its credentials, where it may pass.
    pub credential: Option<StatusIndex>,
    /// The policy that it was decided by, where it came to that.
    pub policy: Option<PolicyNumber>,
    /// The number of its route.
    pub route: Option<usize>,
    /// The caller's address.
    pub address: Option<IpAddr>,
}

impl Seen {
    /// Of one that may pass as this.
    #[must_use]
    pub const fn by(self, passage: &Passage) -> Self {
        Self { key: Some(passage.key), credential: Some(passage.index), policy: Some(passage.policy), ..self }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Passed,
    Unanswered,
    Refused(Denial),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    key: Option<KeyId>,
    credential: Option<StatusIndex>,
    hour: u32,
    route: Option<usize>,
    fate: Fate,
    status: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    requests: u64,
    cost: u64,
    bytes_in: u64,
    bytes_out: u64,
    latency: [u64; LATENCIES],
    last_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    seen: Seen,
    bytes_in: u64,
    cost: Cost,
    began: Timestamp,
}

/// What a request may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Cents.
    pub cents: u64,
    /// Where its key was charged with them: the life of the object that has lent them, to which the rest can go back.
    pub lender: Option<Uuid>,
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Tally {
    lines: BTreeMap<Line, Sums>,
    callers: BTreeMap<(KeyId, u32, IpAddr), u64>,
    /// What keys owe, in cents.
    debts: Vec<UsageDebt>,
    pending: BTreeMap<u32, Pending>,
    tickets: u32,
    sealed: VecDeque<Sealed>,
    /// Until when somebody is believed to report.
    lease: Timestamp,
    lost: u64,
}

impl Tally {
    /// Counts a request that was refused.
    pub fn refused(&mut self, seen: Seen, denial: impl Into<Denial>, now: Timestamp) {
        let denial = denial.into();
        self.add(seen, Fate::Refused(denial), denial.status_class(), Sums { requests: 1, last_ms: now.millis(), ..Sums::default() });
    }

    /// Notes a request that goes on to the upstream, at this cost; [`Self::answered`] takes the number.
    pub fn passed(&mut self, seen: Seen, (bytes_in, cost): (u64, Cost), now: Timestamp) -> u32 {
        self.tickets = self.tickets.wrapping_add(1);
        let pending = Pending { seen, bytes_in, cost, began: now };
        if self.pending.len() < MOST_PENDING {
            self.pending.insert(self.tickets, pending);
        } else {
            // Its answer, and with it what it has cost, will find nobody.
            self.lost += 1;
            self.conclude(pending, Fate::Passed, 0, 0, None);
        }
        self.tickets
    }

    /// Counts a request that the upstream has answered, with this status (0: it gave no answer), a body of so many bytes, and the
    /// cents that it says it cost. What of its charge was too much is the key's again.
    pub fn answered(&mut self, ticket: u32, status: u16, (bytes_out, cost): (u64, Option<u64>), now: Timestamp) -> Option<Excess> {
        let mut pending = self.pending.remove(&ticket)?;
        let Cost { cents, lender } = pending.cost;
        pending.cost.cents = cost.unwrap_or(cents).min(MAX_COST_CENTS);
        // What is more than the charge is owed; of what is less the rest is the key's again.
        let owed = pending.cost.cents.saturating_sub(cents);
        if let (Some(key), Some(_), 1..) = (pending.seen.key, lender, owed) {
            match self.debts.iter_mut().find(|debt| debt.key == key) {
                Some(debt) => debt.cents = sum(debt.cents, owed),
                None => self.debts.push(UsageDebt { key, cents: owed }),
            }
        }
        let excess = cents.saturating_sub(pending.cost.cents);
        let excess = match (pending.seen.key, lender) {
            (Some(key), Some(lender)) if excess > 0 => Some(Excess { key, cents: excess, charged: pending.began, lender }),
            _ => None,
        };
        let (fate, class) = match status / 100 {
            0 => {
                // How much of its body has arrived isn't known; what it claimed is no more than a claim.
                pending.bytes_in = 0;
                (Fate::Unanswered, 5)
            }
            class => (Fate::Passed, u8::try_from(class).unwrap_or(0)),
        };
        self.conclude(pending, fate, if class <= 5 { class } else { 0 }, bytes_out, Some(now.since(pending.began)));
        excess
    }

    fn conclude(&mut self, pending: Pending, fate: Fate, status: u8, bytes_out: u64, latency: Option<u64>) {
        let Pending { seen, bytes_in, cost, began } = pending;
        let mut sums = Sums { requests: 1, cost: cost.cents, bytes_in, bytes_out, last_ms: began.millis(), ..Sums::default() };
        if let Some(latency) = latency {
            sums.latency[latency_bucket(latency)] = 1;
        }
        self.add(seen, fate, status, sums);
    }

    fn add(&mut self, seen: Seen, fate: Fate, status: u8, more: Sums) {
        let hour = u32::try_from(more.last_ms / 3_600_000).unwrap_or(u32::MAX);
        let Seen { key, credential, route, address, policy: _ } = seen;
        let line = Line { key, credential, hour, route, fate, status };
        if self.lines.len() >= MOST_LINES && !self.lines.contains_key(&line) {
            self.lost += more.requests;
            return;
        }
        let sums = self.lines.entry(line).or_default();
        sums.requests += more.requests;
        sums.cost = sum(sums.cost, more.cost);
        sums.bytes_in = sum(sums.bytes_in, more.bytes_in);
        sums.bytes_out = sum(sums.bytes_out, more.bytes_out);
        sums.latency.iter_mut().zip(more.latency).for_each(|(sum, count)| *sum += count);
        sums.last_ms = sums.last_ms.max(more.last_ms);
        if let (Some(key), Some(address)) = (key, address) {
            let caller = (key, hour / 24, address);
            // Of more addresses than these nobody is told apart.
            if self.callers.len() < MOST_LINES || self.callers.contains_key(&caller) {
                *self.callers.entry(caller).or_default() += more.requests;
            }
        }
    }

    /// Whether there is something to report, and nobody does.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.lease && !self.is_reported()
    }

    /// Whether there is nothing to report, apart from what waits for the upstream.
    pub fn is_reported(&self) -> bool {
        self.lines.is_empty() && self.sealed.is_empty()
    }

    /// Somebody reports, and will have ended or said so again by then.
    pub fn reports(&mut self, until: Timestamp) {
        self.lease = until;
    }

    /// Makes batches of all that was counted. `id` gives a UUIDv7 of now that was never used.
    pub fn seal(&mut self, routes: &RouteTable, now: Timestamp, mut id: impl FnMut() -> Uuid) {
        let (forgotten, waiting) =
            std::mem::take(&mut self.pending).into_iter().partition(|(_, pending)| now.since(pending.began) > PENDING_MS);
        self.pending = waiting;
        let forgotten: BTreeMap<u32, Pending> = forgotten;
        for mut pending in forgotten.into_values() {
            pending.bytes_in = 0;
            self.conclude(pending, Fate::Passed, 0, 0, None);
        }
        let mut entries = std::mem::take(&mut self.lines).into_iter().map(|(line, sums)| entry(line, sums, routes));
        let callers = std::mem::take(&mut self.callers).into_iter();
        let mut callers = callers.map(|((key, day, address), requests)| UsageCaller { key, day, address, requests });
        let mut debts = std::mem::take(&mut self.debts).into_iter();
        loop {
            let id = id();
            let batch = UsageBatch {
                id,
                entries: entries.by_ref().take(BATCH).collect(),
                callers: callers.by_ref().take(BATCH).collect(),
                debts: debts.by_ref().take(BATCH).collect(),
            };
            if batch.entries.is_empty() && batch.callers.is_empty() && batch.debts.is_empty() {
                break;
            }
            let requests = batch.entries.iter().map(|entry| entry.requests).sum();
            match serde_json::to_string(&batch) {
                Ok(body) if self.sealed.len() < MOST_SEALED => {
                    self.sealed.push_back(Sealed::new(id, body, requests));
                }
                _ => self.lost += requests,
            }
        }
    }

    /// The batch that the hub hasn't taken for longest.
    pub fn unsent(&self) -> Option<&Sealed> {
        self.sealed.front()
    }

    /// The hub has taken it.
    pub fn sent(&mut self, id: &str) {
        self.sealed.retain(|batch| batch.id != id);
    }

    /// Requests that were counted and that the hub hasn't taken.
    pub fn unreported(&self) -> u64 {
        let sealed: u64 = self.sealed.iter().map(|batch| batch.requests).sum();
        sealed + self.lines.values().map(|sums| sums.requests).sum::<u64>()
    }

    /// Requests that could not be counted, or whose answers could not.
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}

/// What both are together, as far as can be said.
fn sum(so_far: u64, more: u64) -> u64 {
    so_far.saturating_add(more).min(MOST)
}

fn entry(line: Line, sums: Sums, routes: &RouteTable) -> UsageEntry {
    let Line { key, credential, hour, route, fate, status } = line;
    let credential = credential.map(|index| index.0);
    let Sums { requests, cost, bytes_in, bytes_out, latency, last_ms } = sums;
    let outcome = match fate {
        Fate::Passed => PASSED,
        Fate::Unanswered => UPSTREAM_UNAVAILABLE,
        Fate::Refused(denial) => denial.code(),
    };
    let endpoint = route.and_then(|number| routes.entry(number)).map(|(pattern, _)| pattern.to_string()).unwrap_or_default();
    UsageEntry {
        key,
        credential,
        hour,
        endpoint,
        outcome: outcome.to_owned(),
        status,
        requests,
        bytes_in,
        bytes_out,
        cost,
        latency,
        last_ms,
    }
}

#[cfg(test)]
mod tests;
