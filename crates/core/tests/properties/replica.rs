//! The replica, against a model that simply knows the state at every sequence number.
//!
//! An origin makes a history. A replica is told of it in any batches, with overlaps, repetitions and new snapshots in
//! between, loads what it is found to be missing, and has room for one shard only. At every turn it has to answer as the
//! model does.

use crate::{
    strategies::{NOW, manifest, signer},
    tries,
};
use keyward_core::{
    Amendment, Delta, Digest, FeedError, Heartbeat, Missing, PolicyNumber, Position, Replica, Role, Signed, Snapshot, Standing, Status,
    StatusIndex, StatusList, Statuses, bounds::SHARD_LEN,
};
use keyward_issuer::{amendment_page, status_list_claims};
use proptest::{collection::vec, prelude::*, sample::select};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The indices that the histories are about: in two shards that are there from the start and one that is opened later.
const INDICES: [u32; 9] = [0, 1, 5, SHARD_LEN as u32 - 1, 1 << 20, (1 << 20) + 4, (2 << 20) - 1, 2 << 20, (2 << 20) + 9];
const LATE_SHARD: u32 = 2;

/// What the origin does: one sequence number each.
#[derive(Clone, Debug)]
enum Event {
    Open,
    Suspend(u32),
    Resume(u32),
    Revoke(u32),
    Amend(u32, u32, Option<u32>),
    /// Another policy takes an old one's place: the second time too, where one has already.
    Supersede(u32, u32),
    Nothing,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    shards: BTreeSet<u32>,
    statuses: BTreeMap<u32, Status>,
    amendments: BTreeMap<u32, (u32, Option<u32>)>,
    supersessions: BTreeMap<u32, u32>,
}

impl State {
    fn status(&self, index: u32) -> Status {
        self.statuses.get(&index).copied().unwrap_or(Status::Valid)
    }

    /// Does what the event says, as the origin would: nothing to a key that isn't there yet or is revoked.
    fn then(&self, event: &Event) -> Self {
        let mut next = self.clone();
        let mut set = |index: u32, status: Status| {
            let there = next.shards.contains(&(index >> 20)) && next.status(index) != Status::Invalid;
            there.then(|| next.statuses.insert(index, status));
            there
        };
        match *event {
            Event::Suspend(index) => drop(set(index, Status::Suspended)),
            Event::Revoke(index) => drop(set(index, Status::Invalid)),
            Event::Resume(index) => drop(set(index, if self.amendments.contains_key(&index) { Status::Amended } else { Status::Valid })),
            Event::Amend(index, policy, expires) => {
                // A suspended key stays so, with another amendment to come back to.
                let status = if self.status(index) == Status::Suspended { Status::Suspended } else { Status::Amended };
                if set(index, status) {
                    next.amendments.insert(index, (policy, expires));
                }
            }
            Event::Open => drop(next.shards.insert(LATE_SHARD)),
            Event::Supersede(old, step) => drop(next.supersessions.insert(old, old + step)),
            Event::Nothing => {}
        }
        next
    }

    fn standing(&self, index: u32) -> Result<Standing, Missing> {
        if !self.shards.contains(&(index >> 20)) {
            return Err(Missing::UnknownShard(index >> 20));
        }
        Ok(match self.status(index) {
            Status::Valid => Standing::Valid,
            Status::Invalid => Standing::Invalid,
            Status::Suspended => Standing::Suspended,
            Status::Amended => Standing::Amended(amendment(index, self.amendments[&index])),
        })
    }

    fn policy_in_force(&self, policy: u32) -> u32 {
        self.supersessions.get(&policy).map_or(policy, |next| self.policy_in_force(*next))
    }
}

fn amendment(index: u32, (policy, expires): (u32, Option<u32>)) -> Amendment {
    Amendment { index: StatusIndex(index), policy: PolicyNumber(policy), expires }
}

fn sign<T: Signed + Serialize>(payload: &T) -> String {
    signer(T::ROLE).sign(payload).unwrap()
}

/// A snapshot and its parts, as the origin keeps them.
struct Published {
    snapshot: String,
    shards: BTreeMap<u32, String>,
    pages: BTreeMap<u32, String>,
}

/// The origin: the state at each sequence number, and what it signs of them.
struct Origin {
    epoch: u32,
    states: Vec<State>,
}

impl Origin {
    fn new(epoch: u32, events: &[Event]) -> Self {
        let mut states = vec![State { shards: [0, 1].into(), ..State::default() }];
        for event in events {
            states.push(states[states.len() - 1].then(event));
        }
        Self { epoch, states }
    }

    fn last(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    fn at(&self, seq: u64) -> &State {
        &self.states[seq as usize]
    }

    fn publish(&self, seq: u64) -> Published {
        let state = self.at(seq);
        let shard = |shard: &u32| {
            let mut list = StatusList::new(2, SHARD_LEN).unwrap();
            for (index, status) in state.statuses.iter().filter(|(index, _)| *index >> 20 == *shard) {
                assert!(list.set(StatusIndex(*index).offset(), status.value()));
            }
            (*shard, sign(&status_list_claims(crate::strategies::ISSUER, *shard, &list, 0, None)))
        };
        // Pages of two, so that most histories have several.
        let all: Vec<_> = state.amendments.iter().map(|(index, amended)| amendment(*index, *amended)).collect();
        let pages: BTreeMap<u32, String> = all.chunks(2).map(|page| (page[0].index.0, amendment_page(page.to_vec()))).collect();
        let shards: BTreeMap<u32, String> = state.shards.iter().map(shard).collect();
        let snapshot = sign(&Snapshot {
            epoch: self.epoch,
            seq,
            iat_ms: NOW.millis(),
            shards: shards.iter().map(|(shard, text)| (*shard, Digest::of(text))).collect(),
            amendments: pages.iter().map(|(first, text)| (StatusIndex(*first), Digest::of(text))).collect(),
            supersessions: state.supersessions.iter().map(|(old, new)| (PolicyNumber(*old), PolicyNumber(*new))).collect(),
        });
        Published { snapshot, shards, pages }
    }

    /// What changed from one sequence number to another, coalesced: the last word on each thing that was touched.
    fn delta(&self, from: u64, to: u64) -> String {
        let (before, after) = (self.at(from), self.at(to));
        let touched = |index: &u32| (from..to).any(|seq| self.at(seq).status(*index) != self.at(seq + 1).status(*index));
        let amended = |index: &u32| (from..to).any(|seq| self.at(seq).amendments.get(index) != self.at(seq + 1).amendments.get(index));
        let superseded = |old: &u32| (from..to).any(|seq| self.at(seq).supersessions.get(old) != self.at(seq + 1).supersessions.get(old));
        sign(&Delta {
            epoch: self.epoch,
            from,
            to,
            iat_ms: NOW.millis(),
            opened: after.shards.difference(&before.shards).copied().collect(),
            changes: INDICES
                .iter()
                .filter(|index| touched(index) || amended(index))
                .map(|index| (StatusIndex(*index), after.status(*index)))
                .collect(),
            amendments: after
                .amendments
                .iter()
                .filter(|(index, _)| amended(index))
                .map(|(index, amended)| amendment(*index, *amended))
                .collect(),
            supersessions: after
                .supersessions
                .iter()
                .filter(|(old, _)| superseded(old))
                .map(|(old, new)| (PolicyNumber(*old), PolicyNumber(*new)))
                .collect(),
            policies: vec![],
        })
    }
}

/// What the replica is told, in terms of where it stands.
#[derive(Clone, Debug)]
enum Turn {
    /// A delta from so many back to so many ahead.
    Delta(u64, u64),
    /// A snapshot of so many ahead.
    Snapshot(u64),
    /// A delta that ends where the replica is, or before.
    Old(u64),
    /// A delta that begins ahead of it.
    Gap(u64),
    /// A part of the state, whose digest the snapshot doesn't name.
    Foreign,
}

fn event() -> impl Strategy<Value = Event> {
    let index = || select(&INDICES[..]);
    prop_oneof![
        1 => Just(Event::Open),
        3 => index().prop_map(Event::Suspend),
        3 => index().prop_map(Event::Resume),
        2 => index().prop_map(Event::Revoke),
        4 => (index(), 0..50u32, prop::option::of(0..u32::MAX)).prop_map(|(index, policy, expires)| Event::Amend(index, policy, expires)),
        2 => (0..6u32, 1..4u32).prop_map(|(old, step)| Event::Supersede(old, step)),
        1 => Just(Event::Nothing),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => (0..6u64, 1..6u64).prop_map(|(back, ahead)| Turn::Delta(back, ahead)),
        2 => (0..4u64).prop_map(Turn::Snapshot),
        1 => (0..4u64).prop_map(Turn::Old),
        1 => (1..4u64).prop_map(Turn::Gap),
        1 => Just(Turn::Foreign),
    ]
}

/// A replica, where it stands, and the parts of the snapshot that it holds.
struct Told {
    replica: Replica,
    seq: u64,
    base: u64,
    parts: Published,
}

impl Told {
    fn new(origin: &Origin, seq: u64, budget: usize) -> Self {
        let root = signer(None);
        let mut replica = Replica::new(vec![root.public_key()]).with_shard_budget(budget);
        replica.install_manifest(&root.sign(&manifest(1, origin.epoch)).unwrap(), NOW).unwrap();
        let parts = origin.publish(seq);
        replica.install_snapshot(&parts.snapshot, NOW).unwrap();
        Self { replica, seq, base: seq, parts }
    }

    fn take(&mut self, origin: &Origin, turn: &Turn) {
        let last = origin.last();
        match *turn {
            Turn::Delta(back, ahead) if self.seq < last => {
                let to = (self.seq + ahead).min(last);
                self.replica.apply_delta(&origin.delta(self.seq.saturating_sub(back), to), NOW).unwrap();
                self.seq = to;
            }
            Turn::Snapshot(ahead) => {
                self.seq = (self.seq + ahead).min(last);
                self.parts = origin.publish(self.seq);
                self.base = self.seq;
                self.replica.install_snapshot(&self.parts.snapshot, NOW).unwrap();
            }
            Turn::Old(back) => {
                let to = self.seq.saturating_sub(back);
                assert_eq!(self.replica.apply_delta(&origin.delta(to.saturating_sub(1), to), NOW), Err(FeedError::Rollback));
                // A snapshot that is older than the state is new ground for it, unless it is older than the last one.
                let parts = origin.publish(to);
                let outcome = self.replica.install_snapshot(&parts.snapshot, NOW);
                if to < self.base {
                    assert_eq!(outcome, Err(FeedError::Rollback));
                } else {
                    assert_eq!(outcome, Ok(()));
                    (self.parts, self.base) = (parts, to);
                }
            }
            Turn::Gap(ahead) if self.seq + ahead < last => {
                assert_eq!(self.replica.apply_delta(&origin.delta(self.seq + ahead, last), NOW), Err(FeedError::Gap));
            }
            Turn::Foreign => {
                let foreign = sign(&status_list_claims(crate::strategies::ISSUER, 0, &StatusList::new(2, SHARD_LEN).unwrap(), 1, None));
                assert_eq!(self.replica.install_part(Missing::Shard(0), &foreign, NOW), Err(FeedError::Digest));
                let page = amendment_page(vec![amendment(0, (77, None))]);
                assert_eq!(self.replica.install_part(Missing::AmendmentPage(StatusIndex(0)), &page, NOW), Err(FeedError::Digest));
            }
            Turn::Delta(..) | Turn::Gap(_) => {}
        }
        assert_eq!(self.replica.position(), Some(Position { epoch: origin.epoch, seq: self.seq }));
    }

    /// What the replica says, once it has been given what it says is missing: a shard and a page at most.
    fn standing(&mut self, index: u32) -> Result<Standing, Missing> {
        for _ in 0..2 {
            let Err(missing) = self.replica.standing(StatusIndex(index)) else { break };
            let part = match missing {
                Missing::Shard(shard) => &self.parts.shards[&shard],
                Missing::AmendmentPage(first) => &self.parts.pages[&first.0],
                _ => break,
            };
            assert_eq!(self.replica.part_digest(missing), Some(Digest::of(part)));
            self.replica.install_part(missing, part, NOW).unwrap();
        }
        self.replica.standing(StatusIndex(index))
    }
}

proptest! {
    #![proptest_config(tries(60))]

    #[test]
    fn a_replica_answers_as_the_origin_would_at_its_position(
        events in vec(event(), 1..40), start in 0..10u64, turns in vec((turn(), select(&INDICES[..]), 0..8u32), 1..20), budget in 1..3usize,
    ) {
        let origin = Origin::new(1, &events);
        let mut told = Told::new(&origin, start.min(origin.last()), budget);
        for (turn, index, policy) in &turns {
            told.take(&origin, turn);
            let state = origin.at(told.seq);
            prop_assert_eq!(told.standing(*index), state.standing(*index), "index {} at {}", index, told.seq);
            prop_assert_eq!(told.replica.policy_in_force(PolicyNumber(*policy)).0, state.policy_in_force(*policy));
        }
        told.take(&origin, &Turn::Delta(3, u64::MAX / 2));
        for index in INDICES {
            prop_assert_eq!(told.standing(index), origin.at(told.seq).standing(index), "index {} in the end", index);
        }
    }

    #[test]
    fn one_delta_of_the_whole_history_is_as_good_as_one_for_each_event(events in vec(event(), 1..30)) {
        let origin = Origin::new(1, &events);
        let (mut whole, mut single) = (Told::new(&origin, 0, 3), Told::new(&origin, 0, 3));
        whole.take(&origin, &Turn::Delta(0, origin.last()));
        for _ in 0..origin.last() {
            single.take(&origin, &Turn::Delta(0, 1));
        }
        for index in INDICES {
            prop_assert_eq!(whole.standing(index), single.standing(index));
        }
    }

    #[test]
    fn what_was_revoked_stays_so_through_a_recovery_that_has_forgotten_it(events in vec(event(), 1..30), since in vec(event(), 0..10), start in 0..30u64) {
        let origin = Origin::new(1, &events);
        let mut told = Told::new(&origin, start.min(origin.last()), 3);
        told.take(&origin, &Turn::Delta(0, origin.last()));
        let before: BTreeMap<u32, _> = INDICES.map(|index| (index, told.standing(index))).into();

        // The database went back to the beginning, and its history is another one from here.
        let restored = Origin::new(2, &since);
        let root = signer(None);
        prop_assert_eq!(told.replica.install_manifest(&root.sign(&manifest(2, 2)).unwrap(), NOW), Ok(true));
        told.parts = restored.publish(0);
        (told.seq, told.base) = (0, 0);
        told.replica.install_snapshot(&told.parts.snapshot, NOW).unwrap();
        told.take(&restored, &Turn::Delta(0, restored.last()));
        for index in INDICES {
            let expected = if before[&index] == Ok(Standing::Invalid) { Ok(Standing::Invalid) } else { restored.at(told.seq).standing(index) };
            prop_assert_eq!(told.standing(index), expected, "index {}", index);
        }
        prop_assert_eq!(told.replica.apply_delta(&origin.delta(0, origin.last()), NOW), Err(FeedError::Epoch));
    }
}

#[test]
fn a_replica_that_was_restarted_takes_an_older_snapshot_and_hears_nothing_until_it_is_where_it_was() {
    let origin = Origin::new(1, &[Event::Revoke(0), Event::Revoke(1), Event::Revoke(5)]);
    let root = signer(None);
    let manifest = root.sign(&manifest(1, 1)).unwrap();
    let heartbeat = |seq| {
        let heartbeat = Heartbeat { epoch: 1, seq, iat_ms: NOW.millis(), manifest: 1, digest: Digest::of(&manifest) };
        sign(&heartbeat)
    };
    let mut replica = Replica::new(vec![root.public_key()]);
    replica.raise_floor(Position { epoch: 1, seq: 2 }, 1);
    replica.install_manifest(&manifest, NOW).unwrap();
    assert_eq!(replica.install_snapshot(&origin.publish(0).snapshot, NOW), Ok(()));
    assert_eq!(replica.hear(&heartbeat(0), NOW), Err(FeedError::Rollback));
    assert_eq!(replica.apply_delta(&origin.delta(0, 1), NOW), Ok(()));
    assert_eq!(replica.hear(&heartbeat(1), NOW), Err(FeedError::Rollback));
    assert_eq!(replica.floor().0, Position { epoch: 1, seq: 2 });
    assert_eq!(replica.apply_delta(&origin.delta(1, 3), NOW), Ok(()));
    assert!(replica.hear(&heartbeat(3), NOW).is_ok());
    assert_eq!(replica.floor().0, Position { epoch: 1, seq: 3 });
}

#[test]
fn only_the_feeds_key_is_heard() {
    let origin = Origin::new(1, &[Event::Revoke(0)]);
    let mut told = Told::new(&origin, 0, 1);
    let delta = Delta { epoch: 1, to: 1, iat_ms: NOW.millis(), ..Delta::default() };
    let payload = serde_json::to_vec(&delta).unwrap();
    for role in [Role::ApiKey, Role::Token, Role::Policy, Role::Audit] {
        let text = signer(Some(role)).sign_as(Delta::TYP, &payload);
        assert_eq!(told.replica.apply_delta(&text, NOW), Err(FeedError::Open(keyward_core::OpenError::UnknownKey)), "{role:?}");
    }
    assert_eq!(told.replica.apply_delta(&signer(Delta::ROLE).sign_as(Delta::TYP, &payload), NOW), Ok(()));
}
