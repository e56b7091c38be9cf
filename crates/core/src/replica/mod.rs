//! A replica of what the origin has published: the pure half of every edge. It is told what arrived and when, refuses
//! what is forged, old, mixed or out of order, and answers from what holds.

mod parts;
mod state;

use crate::{
    Delta, Digest, Heartbeat, Issued, KeySet, Manifest, ManifestError, Missing, OpenError, PolicyNumber, PublicKey, Snapshot, Standing,
    StatusIndex, StatusListError, Statuses, Timestamp,
    bounds::{DEFAULT_PAGE_BUDGET, DEFAULT_SHARD_BUDGET, MAX_ISSUED},
};
use alloc::vec::Vec;
use parts::Former;
use serde::{Deserialize, Serialize};
use state::State;

/// Where a state stands: the epoch first, then the sequence number within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The epoch.
    pub epoch: u32,
    /// The sequence number of the last change.
    pub seq: u64,
}

/// Why something that arrived is refused. The last good state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// Not a signed object of its kind, or by a key of another role.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Not a manifest of a pinned root.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// There is no manifest yet to judge it by.
    #[error("no manifest yet")]
    NoManifest,
    /// There is no snapshot yet to lay it over.
    #[error("no snapshot yet")]
    NoSnapshot,
    /// Of another epoch than the manifest's.
    #[error("of another epoch than the manifest's")]
    Epoch,
    /// Older than what has been seen.
    #[error("older than what has been seen")]
    Rollback,
    /// The same manifest version with another content.
    #[error("the same manifest version with another content")]
    Conflict,
    /// Signed more than a minute ahead of our clock.
    #[error("signed in the future")]
    Future,
    /// Something is missing in between, or too much has gathered: take a snapshot.
    #[error("a gap: a snapshot is needed")]
    Gap,
    /// It contradicts itself or goes beyond a bound.
    #[error("contradicts itself or goes beyond a bound")]
    Malformed,
    /// A part whose digest is not the one that the snapshot names.
    #[error("not the part that the snapshot names")]
    Digest,
    /// A status list that can't be read.
    #[error(transparent)]
    StatusList(#[from] StatusListError),
}

/// What a heartbeat says of the replica that heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether there are changes that it doesn't have.
    pub behind: bool,
    /// Whether there is a newer manifest.
    pub manifest_behind: bool,
}

/// The published state, as far as it has arrived.
#[derive(Debug)]
pub struct Replica {
    roots: Vec<PublicKey>,
    keys: Option<KeySet>,
    /// The highest position and manifest version ever seen; nothing below is taken.
    floor: (Position, u64),
    state: Option<State>,
    former: Former,
    /// Keys that are known to have been issued, on the word of the key set in force, ascending. A list: sets are large in
    /// WebAssembly, and this is empty but for rare days.
    issued: Vec<(StatusIndex, Digest)>,
    shard_budget: usize,
}

impl Replica {
    /// An empty replica that trusts these roots.
    pub fn new(roots: Vec<PublicKey>) -> Self {
        Self {
            roots,
            keys: None,
            floor: Default::default(),
            state: None,
            former: Former::default(),
            issued: Vec::new(),
            shard_budget: DEFAULT_SHARD_BUDGET,
        }
    }

    /// Sets how many shards (256 KiB each) may be held inflated at a time; at least one.
    #[must_use]
    pub fn with_shard_budget(mut self, shards: usize) -> Self {
        self.shard_budget = shards.max(1);
        self
    }

    /// Raises the floor to what an earlier life of this replica had seen, so that a restart doesn't open the way back.
    pub fn raise_floor(&mut self, position: Position, manifest: u64) {
        self.floor = (self.floor.0.max(position), self.floor.1.max(manifest));
    }

    /// The highest position and manifest version seen.
    pub const fn floor(&self) -> (Position, u64) {
        self.floor
    }

    /// The key set in force.
    pub const fn keys(&self) -> Option<&KeySet> {
        self.keys.as_ref()
    }

    /// Where the state stands; `None` without one.
    pub fn position(&self) -> Option<Position> {
        self.state.as_ref().map(|state| state.position)
    }

    /// The latest moment at which the state is known to have been the origin's; `None` without a state.
    pub fn as_of(&self) -> Option<Timestamp> {
        self.state.as_ref().map(|state| state.as_of)
    }

    /// Takes a manifest. `true` where the key set is another one now: every cache of verified things has to be emptied.
    pub fn install_manifest(&mut self, text: &str, now: Timestamp) -> Result<bool, FeedError> {
        let keys = Manifest::open(text, &self.roots, now)?;
        let (version, epoch) = (keys.manifest().version, keys.manifest().epoch);
        if version < self.floor.1 || epoch < self.floor.0.epoch {
            return Err(FeedError::Rollback);
        }
        if let Some(held) = &self.keys
            && held.manifest().version == version
        {
            return if held.digest() == keys.digest() { Ok(false) } else { Err(FeedError::Conflict) };
        }
        // An epoch that has been announced is over for good, even before anything of the new one has arrived.
        self.floor = (self.floor.0.max(Position { epoch, seq: 0 }), version);
        self.keys = Some(keys);
        self.issued.clear();
        Ok(true)
    }

    /// The position of the snapshot that the parts are of; `None` without a state.
    pub fn base(&self) -> Option<Position> {
        self.state.as_ref().map(|state| Position { seq: state.base(), ..state.position })
    }

    /// Takes a snapshot: in place of the state so far, or, where it is of a moment that the state has passed, as new
    /// ground for what came since. An origin doesn't make one for each change, and doesn't keep the parts of old ones.
    ///
    /// One below the floor is taken where there is no state yet, for the deltas that lead from it beyond the floor;
    /// until they have come, no heartbeat is heard, so that the state is as old as the snapshot.
    pub fn install_snapshot(&mut self, text: &str, now: Timestamp) -> Result<(), FeedError> {
        let snapshot: Snapshot = self.open(text, now)?;
        let position = self.check(snapshot.epoch, snapshot.seq, snapshot.iat_ms, now)?;
        let mut state = State::new(snapshot, position, now)?;
        match &mut self.state {
            Some(held) if held.position.epoch == position.epoch => {
                if position.seq < held.base() {
                    return Err(FeedError::Rollback);
                }
                if position.seq < held.position.seq {
                    held.rebase(state);
                    return Ok(());
                }
            }
            _ => {}
        }
        match self.state.take() {
            Some(old) if old.position.epoch == position.epoch => state.inherit(old),
            Some(old) => self.former.condemn(old),
            None => {}
        }
        self.state = Some(state);
        self.floor.0 = self.floor.0.max(position);
        Ok(())
    }

    /// Applies a delta, whole or not at all.
    pub fn apply_delta(&mut self, text: &str, now: Timestamp) -> Result<(), FeedError> {
        let delta: Delta = self.open(text, now)?;
        let position = self.check(delta.epoch, delta.to, delta.iat_ms, now)?;
        let state = self.state.as_mut().ok_or(FeedError::NoSnapshot)?;
        if state.position.epoch != position.epoch || delta.from > state.position.seq {
            return Err(FeedError::Gap);
        }
        if position <= state.position {
            return Err(FeedError::Rollback);
        }
        state.apply(delta, now)?;
        self.floor.0 = self.floor.0.max(position);
        Ok(())
    }

    /// Hears a heartbeat. Only one that knows of no more than the state proves that the state is fresh.
    pub fn hear(&mut self, text: &str, now: Timestamp) -> Result<Progress, FeedError> {
        let heartbeat: Heartbeat = self.open(text, now)?;
        if heartbeat.iat_ms > now.latest_iat() {
            return Err(FeedError::Future);
        }
        let held = self.keys.as_ref().ok_or(FeedError::NoManifest)?;
        let position = Position { epoch: heartbeat.epoch, seq: heartbeat.seq };
        if position < self.floor.0 || heartbeat.manifest < held.manifest().version {
            return Err(FeedError::Rollback);
        }
        if heartbeat.manifest == held.manifest().version && heartbeat.digest != *held.digest() {
            return Err(FeedError::Conflict);
        }
        let manifest_behind = heartbeat.manifest > held.manifest().version;
        // The epoch stands in the manifest: the feed's key alone can't raise it.
        if !manifest_behind && heartbeat.epoch != held.manifest().epoch {
            return Err(FeedError::Epoch);
        }
        let behind = self.position() != Some(position);
        if let Some(state) = &mut self.state
            && !behind
            && !manifest_behind
        {
            state.seen(heartbeat.iat_ms, now);
        }
        Ok(Progress { behind, manifest_behind })
    }

    /// The digest of a part that [`Statuses::standing`] said is missing; `None` for what is not a part of the state.
    pub fn part_digest(&self, missing: Missing) -> Option<Digest> {
        self.state.as_ref()?.part_digest(missing)
    }

    /// Takes a part that was missing.
    pub fn install_part(&mut self, missing: Missing, text: &str, now: Timestamp) -> Result<(), FeedError> {
        let keys = self.keys.as_ref().ok_or(FeedError::NoManifest)?;
        let state = self.state.as_mut().ok_or(FeedError::NoSnapshot)?;
        if state.part_digest(missing) != Some(Digest::of(text)) {
            return Err(FeedError::Digest);
        }
        match missing {
            Missing::Shard(shard) => state.install_shard(shard, parts::read_shard(shard, text, keys, now)?, self.shard_budget),
            Missing::AmendmentPage(first) => state.install_page(first, parts::read_page(first, text)?, DEFAULT_PAGE_BUDGET),
            _ => return Err(FeedError::Digest),
        }
        Ok(())
    }

    /// Takes the statement that a key was issued, which [`Statuses::issued`] said is missing.
    pub fn install_issued(&mut self, (index, digest): (StatusIndex, Digest), text: &str, now: Timestamp) -> Result<(), FeedError> {
        let issued: Issued = self.open(text, now)?;
        if (issued.index, issued.digest) != (index, digest) {
            return Err(FeedError::Digest);
        }
        if issued.iat_ms > now.latest_iat() {
            return Err(FeedError::Future);
        }
        // Only what was issued gets in, so that nobody else can make this happen; what is in use is asked for again.
        if self.issued.len() >= MAX_ISSUED {
            self.issued.clear();
        }
        if let Err(at) = self.issued.binary_search(&(index, digest)) {
            self.issued.insert(at, (index, digest));
        }
        Ok(())
    }

    fn open<T: crate::Signed>(&self, text: &str, now: Timestamp) -> Result<T, FeedError> {
        Ok(self.keys.as_ref().ok_or(FeedError::NoManifest)?.open(text, now)?)
    }

    /// What every part of the feed is checked for, beside its signature.
    fn check(&self, epoch: u32, seq: u64, iat_ms: u64, now: Timestamp) -> Result<Position, FeedError> {
        if self.keys.as_ref().is_none_or(|keys| keys.manifest().epoch != epoch) {
            return Err(FeedError::Epoch);
        }
        if iat_ms > now.latest_iat() {
            return Err(FeedError::Future);
        }
        Ok(Position { epoch, seq })
    }
}

impl Statuses for Replica {
    fn standing(&self, index: StatusIndex) -> Result<Standing, Missing> {
        let state = self.state.as_ref().ok_or(Missing::State)?;
        // What was revoked before a recovery stays so, whatever the restored database says.
        if self.former.is_invalid(index) {
            return Ok(Standing::Invalid);
        }
        state.standing(index)
    }

    /// A no is nobody's to keep: what wasn't issued a moment ago may be by now. Whoever is asked says it to its host.
    fn issued(&self, index: StatusIndex, digest: &Digest) -> Result<bool, Missing> {
        if self.issued.binary_search(&(index, *digest)).is_ok() { Ok(true) } else { Err(Missing::Issued(index, *digest)) }
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        self.state.as_ref().map_or(policy, |state| state.policy_in_force(policy))
    }
}
