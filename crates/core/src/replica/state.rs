//! The state at one position: a snapshot, the parts of it that have been needed, and the changes since.

use super::{FeedError, Position};
use crate::{
    Amendment, AmendmentPage, Delta, Digest, Missing, PageRef, PolicyNumber, Snapshot, Standing, Status, StatusIndex, StatusList,
    Timestamp,
    bounds::{MAX_AMENDMENT_PAGES, MAX_DELTA_ENTRIES, MAX_OVERLAY, MAX_SHARDS, MAX_SUPERSESSIONS, SHARD_BITS},
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::{cell::Cell, ops::RangeInclusive};

/// Supersessions that may follow on one another.
const MAX_CHAIN: usize = 64;

#[derive(Debug)]
pub(super) struct State {
    pub(super) position: Position,
    pub(super) as_of: Timestamp,
    /// The sequence number of the snapshot that the parts are of.
    base: u64,
    /// Every shard there is.
    shards: BTreeMap<u32, Ground>,
    pages: Vec<PageRef>,
    /// Each with the sequence number by which it was known.
    supersessions: BTreeMap<PolicyNumber, (PolicyNumber, u64)>,
    /// Changes since the snapshot, each with the sequence number by which it was known. Kept for loaded shards too: one
    /// that is dropped for room is loaded again from the snapshot's part.
    overlay: BTreeMap<StatusIndex, (Status, u64)>,
    amendments: BTreeMap<StatusIndex, (Amendment, u64)>,
    loaded_shards: BTreeMap<u32, Loaded<StatusList>>,
    loaded_pages: BTreeMap<StatusIndex, Loaded<AmendmentPage>>,
    uses: Cell<u64>,
}

/// What the changes to a shard are laid over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// The part of the snapshot with this digest.
    Part(Digest),
    /// Nothing but VALID: a delta has opened it, known by this sequence number.
    Opened(u64),
}

#[derive(Debug)]
struct Loaded<T> {
    part: T,
    used: Cell<u64>,
}

impl State {
    pub(super) fn new(snapshot: Snapshot, position: Position, now: Timestamp) -> Result<Self, FeedError> {
        let ascending = snapshot.shards.is_sorted_by(|a, b| a.0 < b.0) && snapshot.amendments.is_sorted_by(|a, b| a.0 < b.0);
        let bounded = snapshot.shards.len() <= MAX_SHARDS
            && snapshot.shards.iter().all(|(shard, _)| (*shard as usize) < MAX_SHARDS)
            && snapshot.amendments.len() <= MAX_AMENDMENT_PAGES;
        if !ascending || !bounded || snapshot.supersessions.len() > MAX_SUPERSESSIONS {
            return Err(FeedError::Malformed);
        }
        let mut state = Self {
            position,
            as_of: Timestamp::default(),
            base: position.seq,
            shards: snapshot.shards.into_iter().map(|(shard, digest)| (shard, Ground::Part(digest))).collect(),
            pages: snapshot.amendments,
            supersessions: BTreeMap::new(),
            overlay: BTreeMap::new(),
            amendments: BTreeMap::new(),
            loaded_shards: BTreeMap::new(),
            loaded_pages: BTreeMap::new(),
            uses: Cell::new(0),
        };
        state.supersede(&snapshot.supersessions, position.seq)?;
        state.seen(snapshot.iat_ms, now);
        Ok(state)
    }

    /// Keeps the parts of an older state of the same epoch that are the same in this one.
    pub(super) fn inherit(&mut self, old: Self) {
        // Newer changes are newer knowledge: what was current at a moment then is not less so now.
        self.as_of = self.as_of.max(old.as_of);
        for (shard, loaded) in old.loaded_shards {
            let same = self.shards.get(&shard) == old.shards.get(&shard);
            // A shard with changes laid over it is no longer the part whose digest it has.
            if same && old.overlay.range(range_of(shard)).next().is_none() {
                self.loaded_shards.insert(shard, loaded);
            }
        }
        for (first, loaded) in old.loaded_pages {
            let digest = |pages: &[PageRef]| pages.iter().find(|page| page.0 == first).map(|page| page.1);
            if digest(&self.pages).is_some_and(|now| digest(&old.pages) == Some(now)) {
                self.loaded_pages.insert(first, loaded);
            }
        }
    }

    /// The sequence number of the snapshot that the parts are of.
    pub(super) const fn base(&self) -> u64 {
        self.base
    }

    /// Puts the parts of a snapshot in the place of those that there were. It is of a moment between theirs and this
    /// state: the changes since are laid over it, and the others are in it.
    pub(super) fn rebase(&mut self, snapshot: Self) {
        let base = snapshot.base;
        self.base = base;
        self.overlay.retain(|_, (_, known)| *known > base);
        self.amendments.retain(|_, (_, known)| *known > base);
        // What it no longer has, no key needs any more.
        self.supersessions.retain(|_, (_, known)| *known > base);
        for (old, by) in snapshot.supersessions {
            self.supersessions.entry(old).or_insert(by);
        }
        // A shard that was opened after that moment is in no snapshot yet; one that was there before it and is no more
        // has gone.
        self.shards.retain(|_, ground| matches!(ground, Ground::Opened(known) if *known > base));
        self.shards.extend(snapshot.shards);
        self.loaded_shards.retain(|shard, _| self.shards.contains_key(shard));
        self.loaded_pages.retain(|first, _| {
            let digest = |pages: &[PageRef]| pages.iter().find(|page| page.0 == *first).map(|page| page.1);
            digest(&self.pages) == digest(&snapshot.pages)
        });
        self.pages = snapshot.pages;
    }

    /// The state was the origin's at `iat_ms`. A clock ahead of ours can't make it fresher than now.
    pub(super) fn seen(&mut self, iat_ms: u64, now: Timestamp) {
        self.as_of = self.as_of.max(Timestamp::from_millis(iat_ms.min(now.millis())));
    }

    /// Applies a delta that fits. Checks all before it changes anything.
    pub(super) fn apply(&mut self, delta: Delta, now: Timestamp) -> Result<(), FeedError> {
        let known = |index: &StatusIndex| self.shards.contains_key(&index.shard()) || delta.opened.contains(&index.shard());
        let sound = delta.opened.len() <= MAX_SHARDS
            && delta.opened.iter().all(|shard| (*shard as usize) < MAX_SHARDS)
            && [delta.changes.len(), delta.amendments.len(), delta.policies.len()].into_iter().all(|len| len <= MAX_DELTA_ENTRIES)
            && delta.changes.iter().all(|(index, _)| known(index))
            && delta.amendments.iter().all(|amendment| known(&amendment.index))
            && distinct(delta.changes.iter().map(|(index, _)| *index))
            && distinct(delta.amendments.iter().map(|amendment| amendment.index));
        if !sound {
            return Err(FeedError::Malformed);
        }
        if self.overlay.len() + delta.changes.len() > MAX_OVERLAY || self.amendments.len() + delta.amendments.len() > MAX_OVERLAY {
            return Err(FeedError::Gap);
        }
        self.supersede(&delta.supersessions, delta.to)?;
        for shard in delta.opened {
            self.shards.entry(shard).or_insert(Ground::Opened(delta.to));
        }
        for (index, status) in delta.changes {
            self.change(index, status, delta.to);
        }
        self.amendments.extend(delta.amendments.into_iter().map(|amendment| (amendment.index, (amendment, delta.to))));
        self.position.seq = delta.to;
        self.seen(delta.iat_ms, now);
        Ok(())
    }

    fn change(&mut self, index: StatusIndex, status: Status, known: u64) {
        let loaded = self.loaded_shards.get_mut(&index.shard());
        let held = self.overlay.get(&index).map(|(status, _)| *status).or_else(|| loaded.as_ref()?.part.status(index.offset()));
        // Revoked is for ever.
        if held == Some(Status::Invalid) {
            return;
        }
        self.overlay.insert(index, (status, known));
        if let Some(loaded) = loaded {
            let _in_range = loaded.part.set(index.offset(), status.value());
        }
    }

    /// Adds supersessions, all or none: none that would lead in a circle, or in too long a chain. Where there are too many, a newer
    /// snapshot has fewer.
    fn supersede(&mut self, pairs: &[(PolicyNumber, PolicyNumber)], known: u64) -> Result<(), FeedError> {
        if pairs.is_empty() {
            return Ok(());
        }
        if !distinct(pairs.iter().map(|(old, _)| *old)) {
            return Err(FeedError::Malformed);
        }
        let before = self.supersessions.clone();
        self.supersessions.extend(pairs.iter().map(|(old, by)| (*old, (*by, known))));
        let refused = if pairs.iter().any(|(old, _)| self.follow(*old).is_none()) {
            FeedError::Malformed
        } else if self.supersessions.len() > MAX_SUPERSESSIONS {
            FeedError::Gap
        } else {
            return Ok(());
        };
        self.supersessions = before;
        Err(refused)
    }

    /// The end of the chain of supersessions; `None` where there is none within [`MAX_CHAIN`] steps.
    fn follow(&self, policy: PolicyNumber) -> Option<PolicyNumber> {
        let mut policy = policy;
        for _ in 0..MAX_CHAIN {
            match self.supersessions.get(&policy) {
                Some((next, _)) => policy = *next,
                None => return Some(policy),
            }
        }
        None
    }

    pub(super) fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        // A chain that grew too long from its other end has no policy in force: one that exists nowhere denies.
        self.follow(policy).unwrap_or(PolicyNumber(u32::MAX))
    }

    pub(super) fn standing(&self, index: StatusIndex) -> Result<Standing, Missing> {
        Ok(match self.status(index)? {
            Status::Valid => Standing::Valid,
            Status::Invalid => Standing::Invalid,
            Status::Suspended => Standing::Suspended,
            Status::Amended => Standing::Amended(self.amendment(index)?),
        })
    }

    fn status(&self, index: StatusIndex) -> Result<Status, Missing> {
        let shard = index.shard();
        if let Some(loaded) = self.loaded_shards.get(&shard) {
            loaded.used.set(self.tick());
            return loaded.part.status(index.offset()).ok_or(Missing::Shard(shard));
        }
        let ground = self.shards.get(&shard).ok_or(Missing::UnknownShard(shard))?;
        match (self.overlay.get(&index), ground) {
            (Some((status, _)), _) => Ok(*status),
            (None, Ground::Opened(_)) => Ok(Status::Valid),
            (None, Ground::Part(_)) => Err(Missing::Shard(shard)),
        }
    }

    fn amendment(&self, index: StatusIndex) -> Result<Amendment, Missing> {
        if let Some((amendment, _)) = self.amendments.get(&index) {
            return Ok(*amendment);
        }
        let before = self.pages.partition_point(|(first, _)| *first <= index);
        let (first, _) = before.checked_sub(1).and_then(|at| self.pages.get(at)).ok_or(Missing::Amendment(index))?;
        let loaded = self.loaded_pages.get(first).ok_or(Missing::AmendmentPage(*first))?;
        loaded.used.set(self.tick());
        let list = &loaded.part.amendments;
        let at = list.binary_search_by_key(&index, |amendment| amendment.index).map_err(|_| Missing::Amendment(index))?;
        Ok(list[at])
    }

    pub(super) fn part_digest(&self, missing: Missing) -> Option<Digest> {
        match missing {
            Missing::Shard(shard) => match self.shards.get(&shard)? {
                Ground::Part(digest) => Some(*digest),
                Ground::Opened(_) => None,
            },
            Missing::AmendmentPage(first) => self.pages.iter().find(|page| page.0 == first).map(|page| page.1),
            _ => None,
        }
    }

    pub(super) fn install_shard(&mut self, shard: u32, mut list: StatusList, budget: usize) {
        for (index, (status, _)) in self.overlay.range(range_of(shard)) {
            if list.status(index.offset()) != Some(Status::Invalid) {
                let _in_range = list.set(index.offset(), status.value());
            }
        }
        install(&mut self.loaded_shards, shard, list, budget, self.uses.get());
        self.tick();
    }

    pub(super) fn install_page(&mut self, first: StatusIndex, page: AmendmentPage, budget: usize) {
        install(&mut self.loaded_pages, first, page, budget, self.uses.get());
        self.tick();
    }

    /// The changes and the loaded shards, for what has to outlive this state.
    pub(super) fn into_statuses(self) -> (impl Iterator<Item = (StatusIndex, Status)>, BTreeMap<u32, StatusList>) {
        let changes = self.overlay.into_iter().map(|(index, (status, _))| (index, status));
        (changes, self.loaded_shards.into_iter().map(|(shard, loaded)| (shard, loaded.part)).collect())
    }

    fn tick(&self) -> u64 {
        self.uses.set(self.uses.get() + 1);
        self.uses.get()
    }
}

/// Keeps a part, the least recently used making room for it.
fn install<K: Ord + Copy, T>(parts: &mut BTreeMap<K, Loaded<T>>, key: K, part: T, budget: usize, used: u64) {
    while parts.len() >= budget && !parts.contains_key(&key) {
        let oldest = parts.iter().min_by_key(|(_, loaded)| loaded.used.get()).map(|(key, _)| *key);
        let Some(oldest) = oldest else { break };
        parts.remove(&oldest);
    }
    parts.insert(key, Loaded { part, used: Cell::new(used + 1) });
}

/// Whether nothing stands there twice: the order of two entries for one thing would decide, and nothing says which.
fn distinct<T: Ord>(things: impl IntoIterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    things.into_iter().all(|thing| seen.insert(thing))
}

/// All indices of a shard.
fn range_of(shard: u32) -> RangeInclusive<StatusIndex> {
    let first = shard << SHARD_BITS;
    StatusIndex(first)..=StatusIndex(first | ((1 << SHARD_BITS) - 1))
}
