//! What a hub holds in memory beside the state: the publication, the parts, the policies, and who waits for news.

use super::publication::Publication;
use crate::{follow::Listener, node::Keeper};
use keyward_core::{
    Digest, PolicyNumber, Position, StatusIndex,
    bounds::{DEFAULT_POLICY_BUDGET, MAX_ISSUED},
};
use std::{rc::Rc, task::Waker};

/// Bytes of parts that are held.
const MAX_PARTS_BYTES: usize = 16 * 1024 * 1024;

/// All that a hub hands on.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) publication: Publication,
    /// The one used last at the end.
    parts: Vec<(Digest, Rc<str>)>,
    /// Policies that the key set in force vouches for, ascending.
    policies: Vec<(PolicyNumber, Rc<str>)>,
    /// Statements that keys were issued, for which the key set in force vouches, ascending.
    issued: Vec<((StatusIndex, Digest), Rc<str>)>,
    /// Counts the refreshes, so that a waiter knows whether one has ended since it came.
    news: u64,
    /// Those who wait for the next. All of them are requests of this one object, whose futures may wake each other.
    waiting: Vec<Waker>,
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
        let at = self.parts.iter().position(|(own, _)| *own == digest)?;
        let part = self.parts.remove(at);
        let text = part.1.clone();
        self.parts.push(part);
        Some(text)
    }

    /// Keeps a part, those that were used least recently making room for it. Its digest has been checked.
    pub(super) fn keep_part(&mut self, digest: Digest, text: String) {
        self.parts.push((digest, text.into()));
        while self.parts.len() > 1 && self.parts.iter().map(|(_, text)| text.len()).sum::<usize>() > MAX_PARTS_BYTES {
            self.parts.remove(0);
        }
    }

    /// The policy of this number, if it was verified under the key set in force.
    pub(super) fn policy(&self, number: PolicyNumber) -> Option<Rc<str>> {
        let at = self.policies.binary_search_by_key(&number, |(own, _)| *own).ok()?;
        Some(self.policies[at].1.clone())
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

    /// Keeps a verified policy. The lowest number makes room: the newest are the ones that are asked for.
    pub(super) fn keep_policy(&mut self, number: PolicyNumber, text: Rc<str>) {
        match self.policies.binary_search_by_key(&number, |(own, _)| *own) {
            Ok(at) => self.policies[at].1 = text,
            Err(at) => self.policies.insert(at, (number, text)),
        }
        if self.policies.len() > DEFAULT_POLICY_BUDGET {
            self.policies.remove(0);
        }
    }
}
