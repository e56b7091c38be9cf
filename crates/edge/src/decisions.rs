//! A sample of what an isolate decides, for people who ask what goes on and why (decision 0084). Plain data and no I/O.
//!
//! Each key has two lots a report, of what passed and of what was refused, so that neither a busy key nor a flood of
//! refusals hides the rest; keys beyond the first share two more. A lot takes all until it is full; then each request
//! takes the place of another with the chance that makes all alike (reservoir sampling: J. S. Vitter, Random Sampling
//! with a Reservoir, 1985, algorithm R). The facts of a request are gathered only when it is taken.
//!
//! Of callers who have not proved to hold a key there is nothing here: [`crate::usage`] counts them.

use crate::{denial::Denial, sealed::Sealed, usage::PENDING_MS};
use keyward_api::{
    Code,
    decisions::{DecisionBatch, MAX_DECISIONS, MAX_SAMPLED_PATH, MAX_SAMPLED_WORD, Sampled},
    usage::{PASSED, UPSTREAM_UNAVAILABLE},
};
use keyward_core::{Class, KeyId, PolicyNumber, Position, Requirement, RouteTable, Timestamp, bounds::MAX_COST_CENTS};
use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};
use uuid::Uuid;

/// Requests of a key's lot in a report.
const OF_A_KEY: usize = 8;
/// Requests of a lot that keys share.
const OF_OTHERS: usize = 32;
/// Lots that are a key's own.
const MOST_LOTS: usize = 32;
/// Requests that wait for the upstream at a time.
const MOST_OPEN: usize = 1024;
/// Batches that the hub hasn't taken: these are for a glance, and what is old makes room.
const MOST_SEALED: usize = 8;

/// What a request was, as far as a policy looks at it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The method.
    pub method: String,
    /// The path in its normal form.
    pub path: String,
    /// The caller's address.
    pub address: Option<IpAddr>,
    /// The host of the Origin header.
    pub domain: Option<String>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// Whether it came with a token.
    pub token: bool,
    /// The number of its route.
    pub route: Option<usize>,
}

/// Whom it was decided on, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    /// The key.
    pub key: KeyId,
    /// The policy in force, if it came to that.
    pub policy: Option<PolicyNumber>,
    /// The position of the state.
    pub position: Position,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug, Default)]
struct Lot {
    seen: u64,
    /// Numbers of samples.
    taken: Vec<u64>,
}

/// A request that was taken, as it came: what is told of it is made when it is told, since most make room for others.
#[derive(Debug)]
struct Sample {
    ground: Ground,
    facts: Facts,
    outcome: &'static str,
    status: u16,
    cost: u64,
    duration_ms: Option<u32>,
    /// None as long as its lot is open.
    weight: u64,
    /// Whether it waits for the upstream.
    open: bool,
}

/// What was taken, until the hub has it.
#[derive(Debug, Default)]
pub struct Decisions {
    /// Whose, `None`: of the others; and whether they were refused.
    lots: BTreeMap<(Option<KeyId>, bool), Lot>,
    /// By the number under which the answer is told; refused ones, by numbers above all of these.
    samples: BTreeMap<u64, Sample>,
    refused: u64,
    sealed: VecDeque<Sealed>,
    random: u64,
}

impl Decisions {
    /// Looks at a request that is refused; `facts` are asked for where it is taken.
    pub fn refused(&mut self, ground: Ground, denial: Denial, facts: impl FnOnce() -> Facts) {
        self.refused += 1;
        let number = (1 << 32) + self.refused;
        if self.takes((ground.key, true), number) {
            let (outcome, status) = (denial.code(), status(denial));
            let sample = Sample { ground, facts: facts(), outcome, status, cost: 0, duration_ms: None, weight: 0, open: false };
            self.samples.insert(number, sample);
        }
    }

    /// Looks at a request that goes on to the upstream, at this cost; [`Self::answered`] takes the number.
    pub fn passed(&mut self, ground: Ground, (ticket, cost): (u32, u64), facts: impl FnOnce() -> Facts) {
        let number = ticket.into();
        if self.takes((ground.key, false), number) {
            let sample = Sample { ground, facts: facts(), outcome: PASSED, status: 0, cost, duration_ms: None, weight: 0, open: true };
            self.samples.insert(number, sample);
        }
    }

    /// Notes how a request was answered: with this status (0: not at all), and the cents that it has cost, where that is told.
    pub fn answered(&mut self, ticket: u32, status: u16, cost: Option<u64>, now: Timestamp) {
        let Some(sample) = self.samples.get_mut(&ticket.into()) else { return };
        sample.open = false;
        sample.status = status;
        if status == 0 {
            (sample.outcome, sample.status) = (UPSTREAM_UNAVAILABLE, Code::UpstreamUnavailable.status());
        }
        // As it is counted: the origin refuses a batch that claims absurdly much.
        sample.cost = cost.unwrap_or(sample.cost).min(MAX_COST_CENTS);
        sample.duration_ms = u32::try_from(now.since(sample.ground.at)).ok();
    }

    /// Whether the next request of a lot is taken, under this number.
    fn takes(&mut self, (key, refused): (KeyId, bool), number: u64) -> bool {
        let own = (Some(key), refused);
        let of = if self.lots.len() < MOST_LOTS || self.lots.contains_key(&own) { own } else { (None, refused) };
        let lot = self.lots.entry(of).or_default();
        lot.seen += 1;
        if lot.taken.len() < if of.0.is_some() { OF_A_KEY } else { OF_OTHERS } {
            lot.taken.push(number);
            return true;
        }
        let place = usize::try_from(random(&mut self.random) % lot.seen).unwrap_or(usize::MAX);
        let Some(taken) = lot.taken.get_mut(place) else { return false };
        self.samples.remove(&std::mem::replace(taken, number));
        true
    }

    /// Ends all lots, and makes batches of what has been answered. `id` gives a UUIDv7 of now that was never used.
    pub fn seal(&mut self, routes: &RouteTable, now: Timestamp, mut id: impl FnMut() -> Uuid) {
        for (_, Lot { seen, taken }) in std::mem::take(&mut self.lots) {
            let (each, left) = (seen / taken.len() as u64, seen % taken.len() as u64);
            for (at, number) in taken.iter().enumerate() {
                if let Some(sample) = self.samples.get_mut(number) {
                    sample.weight = each + u64::from((at as u64) < left);
                }
            }
        }
        let crowded = self.samples.len() > MOST_OPEN;
        let ready = |sample: &Sample| {
            let forgotten = now.since(sample.ground.at) > PENDING_MS;
            sample.weight > 0 && (!sample.open || crowded || forgotten)
        };
        let ready = self.samples.extract_if(.., |_, sample| ready(sample));
        let mut decisions: Vec<_> = ready.map(|(_, sample)| told(sample, routes)).collect();
        decisions.sort_by_key(|decision| decision.at_ms);
        while !decisions.is_empty() {
            let rest = decisions.split_off(decisions.len().min(MAX_DECISIONS));
            let id = id();
            // Which requests are taken is nobody's to foresee.
            self.random ^= id.as_u128() as u64;
            if let Ok(body) = serde_json::to_string(&DecisionBatch { id, decisions }) {
                self.sealed.push_back(Sealed::new(id, body, 0));
            }
            decisions = rest;
        }
        self.sealed.drain(..self.sealed.len().saturating_sub(MOST_SEALED));
    }

    /// The batch that the hub hasn't taken for longest.
    pub fn unsent(&self) -> Option<&Sealed> {
        self.sealed.front()
    }

    /// The hub has taken it.
    pub fn sent(&mut self, id: &str) {
        self.sealed.retain(|batch| batch.id != id);
    }
}

fn told(sample: Sample, routes: &RouteTable) -> Sampled {
    let Sample { ground: Ground { key, policy, position, at }, facts, outcome, status, cost, duration_ms, weight, open: _ } = sample;
    let route = facts.route.and_then(|number| routes.entry(number));
    Sampled {
        at_ms: at.millis(),
        key,
        weight,
        policy,
        epoch: position.epoch,
        seq: position.seq,
        method: begin(facts.method, MAX_SAMPLED_WORD),
        path_cut: facts.path.len() > MAX_SAMPLED_PATH,
        path: begin(facts.path, MAX_SAMPLED_PATH),
        address: facts.address,
        domain: facts.domain.map(|domain| begin(domain, MAX_SAMPLED_WORD)),
        tls: facts.tls,
        token: facts.token,
        route: route.map(|(pattern, _)| pattern.to_string()),
        capability: match route {
            Some((_, Requirement::Capability(capability))) => Some(begin(capability.to_string(), MAX_SAMPLED_WORD)),
            _ => None,
        },
        outcome: outcome.to_owned(),
        status,
        cost,
        duration_ms,
    }
}

/// As many whole characters as fit.
fn begin(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

/// The status with which a refused request is answered.
fn status(denial: Denial) -> u16 {
    match denial {
        Denial::Limit(_) => 429,
        Denial::Reason(reason) => match reason.class() {
            Class::BadRequest => 400,
            Class::Unauthenticated => 401,
            Class::Forbidden => 403,
            Class::Unavailable => 503,
        },
    }
}

/// The next number of a sequence that looks random (SplitMix64: Steele, Lea, Flood, 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_core::Reason;

    fn routes() -> RouteTable {
        RouteTable::parse("POST /v1/chat/** -> llm:chat\n/v1/me -> authenticated").unwrap()
    }

    fn ground(key: u128, at: u64) -> Ground {
        let position = Position { epoch: 1, seq: 7 };
        Ground { key: KeyId(Uuid::from_u128(key)), policy: Some(PolicyNumber(3)), position, at: Timestamp::from_millis(at) }
    }

    fn facts(path: &str) -> Facts {
        Facts { method: "GET".into(), path: path.into(), address: None, domain: None, tls: true, token: false, route: Some(0) }
    }

    fn sealed(decisions: &mut Decisions, now: u64) -> Vec<Sampled> {
        let mut ids = now.into();
        decisions.seal(&routes(), Timestamp::from_millis(now), || {
            ids += 1;
            Uuid::from_u128(ids)
        });
        let batches: Vec<DecisionBatch> = decisions.sealed.iter().map(|batch| serde_json::from_str(&batch.body).unwrap()).collect();
        decisions.sealed.clear();
        batches.into_iter().flat_map(|batch| batch.decisions).collect()
    }

    #[test]
    fn few_requests_are_all_taken_with_what_came_of_them() {
        let mut decisions = Decisions::default();
        let long = format!("/{}", "x".repeat(MAX_SAMPLED_PATH));
        decisions.passed(ground(1, 10), (1, 25), || facts("/v1/chat/a"));
        decisions.passed(ground(1, 11), (2, 0), || facts(&long));
        decisions.passed(ground(1, 12), (3, 0), || facts("/v1/chat/b"));
        decisions.refused(ground(2, 13), Reason::Revoked.into(), || Facts { route: None, ..facts("/x") });
        decisions.answered(1, 200, Some(u64::MAX), Timestamp::from_millis(17));
        decisions.answered(2, 0, None, Timestamp::from_millis(18));
        decisions.answered(9, 200, None, Timestamp::from_millis(18));
        let all = sealed(&mut decisions, 20);
        let told =
            |all: &[Sampled]| all.iter().map(|one| (one.at_ms, one.outcome.clone(), one.status, one.cost, one.weight)).collect::<Vec<_>>();
        let expected = [
            (10, "passed".into(), 200, MAX_COST_CENTS, 1),
            (11, "upstream_unavailable".into(), 502, 0, 1),
            (13, "key_revoked".into(), 401, 0, 1),
        ];
        assert_eq!(told(&all), expected);
        assert_eq!((all[0].duration_ms, all[0].capability.as_deref(), all[0].policy), (Some(7), Some("llm:chat"), Some(PolicyNumber(3))));
        assert_eq!((all[1].path.len(), all[1].path_cut, all[2].route.as_ref()), (MAX_SAMPLED_PATH, true, None));
        // The third one is told when its answer has come, or when it is late.
        assert!(sealed(&mut decisions, 1000).is_empty());
        assert_eq!(told(&sealed(&mut decisions, 200_000)), [(12, "passed".into(), 0, 0, 1)]);
        assert!(decisions.samples.is_empty());
    }

    #[test]
    fn many_are_sampled_evenly_and_stand_for_all_of_them() {
        let mut decisions = Decisions::default();
        let (mut first_half, mut gathered) = (0, 0);
        for round in 0..200 {
            for n in 0..1000u32 {
                decisions.refused(ground(1, n.into()), Reason::NoRoute.into(), || {
                    gathered += 1;
                    facts("/x")
                });
            }
            let all = sealed(&mut decisions, 1000 + round);
            assert_eq!((all.len(), all.iter().map(|one| one.weight).sum::<u64>()), (OF_A_KEY, 1000));
            first_half += all.iter().filter(|one| one.at_ms < 500).count();
        }
        // Of 1600 that are taken, 800; five standard deviations are 100.
        assert!((700..900).contains(&first_half), "{first_half}");
        assert!(gathered < 200 * 70, "{gathered} of 200000 gathered");
    }

    #[test]
    fn a_flood_hides_no_other_key_and_takes_no_more_than_its_share() {
        let mut decisions = Decisions::default();
        decisions.refused(ground(1, 0), Reason::NoRoute.into(), || facts("/x"));
        for n in 0..50_000 {
            decisions.passed(ground(1 + n % 500, 1), (n as u32, 0), || facts("/x"));
        }
        for ticket in 0..50_000 {
            decisions.answered(ticket, 200, None, Timestamp::from_millis(2));
        }
        let all = sealed(&mut decisions, 3);
        assert!(all.len() <= MOST_LOTS * OF_A_KEY + OF_OTHERS, "{}", all.len());
        assert_eq!(all.iter().filter(|one| one.outcome == "no_route").count(), 1);
        assert_eq!(all.iter().map(|one| one.weight).sum::<u64>(), 50_001);
        // A hub that takes nothing costs no more than so many batches.
        for now in 0..50 {
            decisions.refused(ground(1, now), Reason::NoRoute.into(), || facts("/x"));
            decisions.seal(&routes(), Timestamp::from_millis(now), || Uuid::from_u128(now.into()));
        }
        assert_eq!(decisions.sealed.len(), MOST_SEALED);
    }
}
