//! What a hub holds in memory beside the state: the publication, the parts, the policies, and who waits for news.

use super::{publication::Publication, shelf::Shelf};
use crate::{follow::Listener, node::Keeper};
use keyward_core::{
    Digest, PolicyNumber, Position, StatusIndex,
    bounds::{DEFAULT_POLICY_BUDGET, MAX_AMENDMENT_PAGES, MAX_ISSUED, MAX_SHARDS},
};
use std::{rc::Rc, task::Waker};

/// Bytes of parts that are held.
const MAX_PARTS_BYTES: usize = 16 * 1024 * 1024;
/// Parts that a snapshot can have.
const MAX_PARTS: usize = MAX_SHARDS + MAX_AMENDMENT_PAGES;
/// Bytes of policies that are held.
const MAX_POLICIES_BYTES: usize = 16 * 1024 * 1024;

/// All that a hub hands on.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) publication: Publication,
    parts: Shelf<Digest>,
    /// Policies that the key set in force vouches for.
    policies: Shelf<PolicyNumber>,
    /// Statements that keys were issued, for which the key set in force vouches, ascending.
    issued: Vec<((StatusIndex, Digest), Rc<str>)>,
    /// Counts the refreshes, so that a waiter knows whether one has ended since it came.
    news: u64,
    /// Those who wait for the next. All of them are requests of this one object, whose futures may wake each other.
    waiting: Vec<Waker>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            publication: Publication::default(),
            parts: Shelf::new(MAX_PARTS, MAX_PARTS_BYTES),
            policies: Shelf::new(DEFAULT_POLICY_BUDGET, MAX_POLICIES_BYTES),
            issued: Vec::new(),
            news: 0,
            waiting: Vec::new(),
        }
    }
}

impl Listener for Desk {
    fn keys(&mut self, text: &str) {
        self.policies.clear();
        self.issued.clear();
        self.publication.keys(text);
    }
    fn snapshot(&mut self, text: &str, position: Position) {
        self.publication.snapshot(text, position);
    }
    fn delta(&mut self, text: &str, from: Position, to: Position) {
        self.publication.delta(text, from, to);
    }
    fn heartbeat(&mut self, text: &str) {
        self.publication.heartbeat(text);
    }
}

impl Keeper for Desk {
    fn settled(&mut self) {
        self.news += 1;
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn is_ready(&self) -> bool {
        self.publication.is_ready()
    }
}

impl Desk {
    /// How many refreshes there have been.
    pub(super) const fn news(&self) -> u64 {
        self.news
    }

    /// Wakes this one after the next refresh.
    pub(super) fn wait(&mut self, waker: Waker) {
        self.waiting.push(waker);
    }

    /// The part with this digest.
    pub(super) fn part(&mut self, digest: Digest) -> Option<Rc<str>> {
        self.parts.find(digest)
    }

    /// Keeps a part. Its digest has been checked.
    pub(super) fn keep_part(&mut self, digest: Digest, text: String) {
        self.parts.keep(digest, text.into());
    }

    /// The policy of this number, if it was verified under the key set in force.
    pub(super) fn policy(&mut self, number: PolicyNumber) -> Option<Rc<str>> {
        self.policies.find(number)
    }

    /// Keeps a verified policy.
    pub(super) fn keep_policy(&mut self, number: PolicyNumber, text: Rc<str>) {
        self.policies.keep(number, text);
    }

    /// The statement that this key was issued, if it was verified under the key set in force.
    pub(super) fn issued(&self, about: (StatusIndex, Digest)) -> Option<Rc<str>> {
        let at = self.issued.binary_search_by_key(&about, |(own, _)| *own).ok()?;
        Some(self.issued[at].1.clone())
    }

    /// Keeps a verified statement. There are only as many as keys were issued; where they are too many, all make room.
    pub(super) fn keep_issued(&mut self, about: (StatusIndex, Digest), text: Rc<str>) {
        if self.issued.len() >= MAX_ISSUED {
            self.issued.clear();
        }
        match self.issued.binary_search_by_key(&about, |(own, _)| *own) {
            Ok(at) => self.issued[at].1 = text,
            Err(at) => self.issued.insert(at, (about, text)),
        }
    }
}
