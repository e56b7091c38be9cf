//! The end of the log in memory, and what is signed of it.

use std::{collections::VecDeque, sync::Arc};

use keyward_core::{Heartbeat, Position, Role, Timestamp};

use super::change::{Change, Coalesced};
use crate::{
    error::{Error, Result},
    metrics::Metrics,
    signing::Keyring,
};

/// Changes kept. Whoever is further back takes a snapshot.
const MAX_CHANGES: usize = 20_000;
/// Entries in one delta: well below what a reader takes, in number and in bytes.
const MAX_DELTA_ENTRIES: usize = 8_000;
/// Deltas in one answer. Past it a snapshot is the shorter way.
const MAX_DELTAS: usize = 4;
/// Answers kept: one for each point from which somebody follows, which are few.
const MAX_ANSWERS: usize = 32;

/// The feed as far as it is published.
#[derive(Default)]
pub struct Log {
    position: Position,
    /// The sequence number before the first change kept.
    base: u64,
    changes: VecDeque<(u64, Change)>,
    /// The sequence numbers at which publications ended, from `base` on. Deltas begin at one of them, so that all who
    /// follow get the same few.
    boundaries: VecDeque<u64>,
    answers: VecDeque<Answer>,
    heartbeat: Option<(Timestamp, u64, Arc<str>)>,
}

struct Answer {
    from: u64,
    deltas: Vec<SignedDelta>,
}

/// The sequence number that a delta leads to, and its text.
type SignedDelta = (u64, Arc<str>);

impl Log {
    /// Starts anew at a position with nothing before it.
    pub fn reset(&mut self, position: Position) {
        *self = Self { position, base: position.seq, boundaries: [position.seq].into(), ..Self::default() };
    }

    /// Where it ends.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Adds a publication: changes that follow each other, the first one right after the end.
    pub fn push(&mut self, changes: Vec<(u64, Change)>) {
        let Some((last, _)) = changes.last() else { return };
        self.position.seq = *last;
        self.boundaries.push_back(*last);
        self.changes.extend(changes);
        while self.changes.len() > MAX_CHANGES {
            if let Some((seq, _)) = self.changes.pop_front() {
                self.base = seq;
            }
        }
        while self.boundaries.front().is_some_and(|boundary| *boundary < self.base) {
            self.boundaries.pop_front();
        }
        self.answers.clear();
        self.heartbeat = None;
    }

    /// Forgets what was signed, for the next key to sign.
    pub fn forget_signatures(&mut self) {
        self.answers.clear();
        self.heartbeat = None;
    }

    /// The deltas that take a state at `after` to the end, where the feed was seen to stand at `observed`; `None` where
    /// that is too far back.
    ///
    /// # Errors
    /// Where no key signs.
    pub fn deltas(&mut self, after: u64, keyring: &Keyring, observed: Timestamp, metrics: &Metrics) -> Result<Option<Vec<Arc<str>>>> {
        let Some(from) = self.boundaries.iter().rev().find(|boundary| **boundary <= after).copied() else { return Ok(None) };
        if after >= self.position.seq {
            return Ok(Some(Vec::new()));
        }
        if !self.answers.iter().any(|answer| answer.from == from) {
            let Some(deltas) = self.sign(from, keyring, observed, metrics)? else { return Ok(None) };
            if self.answers.len() == MAX_ANSWERS {
                self.answers.pop_front();
            }
            self.answers.push_back(Answer { from, deltas });
        }
        let answer = self.answers.iter().find(|answer| answer.from == from).map(|answer| &answer.deltas[..]).unwrap_or_default();
        // A long range is several deltas; those that end at or before the caller's state are none of its business.
        Ok(Some(answer.iter().filter(|(to, _)| *to > after).map(|(_, jws)| Arc::clone(jws)).collect()))
    }

    fn sign(&self, from: u64, keyring: &Keyring, observed: Timestamp, metrics: &Metrics) -> Result<Option<Vec<SignedDelta>>> {
        let signer = keyring.signer(Role::Feed)?;
        let mut deltas = Vec::new();
        let mut sum = Coalesced::default();
        let mut begin = from;
        let start = self.changes.partition_point(|(seq, _)| *seq <= from);
        for (seq, change) in self.changes.range(start..) {
            sum.add(change);
            let full = sum.len() >= MAX_DELTA_ENTRIES;
            if full || *seq == self.position.seq {
                if deltas.len() == MAX_DELTAS {
                    return Ok(None);
                }
                let delta = std::mem::take(&mut sum).into_delta(self.position.epoch, begin, *seq, observed.millis());
                deltas.push((*seq, signer.sign(&delta).map_err(Error::internal)?.into()));
                metrics.signed.count("delta");
                begin = *seq;
            }
        }
        Ok(Some(deltas))
    }

    /// A heartbeat as of `observed`, when the database was seen to stand at the end of this log.
    ///
    /// # Errors
    /// Where no key signs.
    pub fn heartbeat(&mut self, observed: Timestamp, keyring: &Keyring, metrics: &Metrics) -> Result<Arc<str>> {
        let version = keyring.keys.manifest().version;
        if let Some((when, manifest, jws)) = &self.heartbeat
            && (*when, *manifest) == (observed, version)
        {
            return Ok(Arc::clone(jws));
        }
        let Position { epoch, seq } = self.position;
        let payload = Heartbeat { epoch, seq, iat_ms: observed.millis(), manifest: version, digest: *keyring.keys.digest() };
        let jws: Arc<str> = keyring.signer(Role::Feed)?.sign(&payload).map_err(Error::internal)?.into();
        metrics.signed.count("heartbeat");
        self.heartbeat = Some((observed, version, Arc::clone(&jws)));
        Ok(jws)
    }
}
