//! What a hub holds in memory beside the state: the publication, the parts, the policies, and who waits for news.

use super::publication::Publication;
use crate::{follow::Listener, node::Keeper};
use keyward_core::{Digest, PolicyNumber, Position, bounds::DEFAULT_POLICY_BUDGET};
use std::{collections::BTreeMap, rc::Rc, task::Waker};

/// Bytes of parts that are held.
const MAX_PARTS_BYTES: usize = 16 * 1024 * 1024;

/// All that a hub hands on.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) publication: Publication,
    parts: BTreeMap<Digest, Part>,
    uses: u64,
    /// Policies that the key set in force vouches for.
    policies: BTreeMap<PolicyNumber, Rc<str>>,
    /// Counts the refreshes, so that a waiter knows whether one has ended since it came.
    news: u64,
    /// Those who wait for the next. All of them are requests of this one object, whose futures may wake each other.
    waiting: Vec<Waker>,
}

#[derive(Debug)]
struct Part {
    text: Rc<str>,
    used: u64,
}

impl Listener for Desk {
    fn keys(&mut self, text: &str) {
        self.policies.clear();
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
        self.uses += 1;
        let part = self.parts.get_mut(&digest)?;
        part.used = self.uses;
        Some(part.text.clone())
    }

    /// Keeps a part, those that were used least recently making room for it. Its digest has been checked.
    pub(super) fn keep_part(&mut self, digest: Digest, text: String) {
        self.uses += 1;
        self.parts.insert(digest, Part { text: text.into(), used: self.uses });
        while self.parts.len() > 1 && self.parts.values().map(|part| part.text.len()).sum::<usize>() > MAX_PARTS_BYTES {
            let oldest = self.parts.iter().min_by_key(|(_, part)| part.used).map(|(digest, _)| *digest);
            let Some(oldest) = oldest else { break };
            self.parts.remove(&oldest);
        }
    }

    /// The policy of this number, if it was verified under the key set in force.
    pub(super) fn policy(&self, number: PolicyNumber) -> Option<Rc<str>> {
        self.policies.get(&number).cloned()
    }

    /// Keeps a verified policy. The lowest number makes room: the newest are the ones that are asked for.
    pub(super) fn keep_policy(&mut self, number: PolicyNumber, text: Rc<str>) {
        self.policies.insert(number, text);
        while self.policies.len() > DEFAULT_POLICY_BUDGET {
            self.policies.pop_first();
        }
    }
}
