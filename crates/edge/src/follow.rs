//! Following the feed: what to ask next, and what to make of the answer. No I/O; the same for an isolate and for the
//! hub, which also hands on what it hears ([`Listener`]).

use crate::metrics::Counters;
use keyward_core::{
    Digest, FeedError, FeedReply, JwsError, ManifestError, Missing, OpenError, PolicyError, Position, PublicKey, Replica, SnapshotReply,
    StatusIndex, Timestamp,
};

/// By so many milliseconds clocks are set back that are kept right: an age is off by no more.
const MAX_STEP_BACK_MS: u64 = 1_000;

/// The state of an edge, and what it needs next.
#[derive(Debug)]
pub struct Follower {
    replica: Replica,
    /// Whether what is here can't be brought up to date by deltas, or names parts that are nowhere any more.
    wants_snapshot: bool,
    /// The last heartbeat that was heard: shows to the other side that the state is one that it has had.
    heartbeat: String,
}

/// A question to ask of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// For the whole state.
    Snapshot,
    /// For what came after this position, knowing this version of the manifest.
    Feed {
        /// The last position known.
        after: Position,
        /// The version of the manifest known.
        manifest: u64,
    },
}

impl Ask {
    /// The path and query to ask at; a feed may keep the question for so many milliseconds, and is shown the last heartbeat.
    pub fn path(&self, wait_ms: u64, heartbeat: &str) -> String {
        match self {
            Self::Snapshot => "/edge/v1/snapshot".to_owned(),
            Self::Feed { after: Position { epoch, seq }, manifest } => {
                format!("/edge/v1/feed?epoch={epoch}&after={seq}&manifest={manifest}&wait_ms={wait_ms}&heartbeat={heartbeat}")
            }
        }
    }
}

/// Whether the state is the other side's now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is.
    Done,
    /// Not yet: ask again at once.
    Again,
}

/// What is told of everything that was taken, in its order.
pub trait Listener {
    /// A manifest with another key set: everything that was verified has to be verified anew.
    fn keys(&mut self, text: &str);
    /// A snapshot of this position: in place of all before, or of the last snapshot alone where the state is beyond it.
    fn snapshot(&mut self, text: &str, position: Position);
    /// A delta that took the state from one position to the next.
    fn delta(&mut self, text: &str, from: Position, to: Position);
    /// A heartbeat that says no more than is known.
    fn heartbeat(&mut self, text: &str);
}

/// What can be refused, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are called what they are")]
pub enum Object {
    Manifest,
    Snapshot,
    Delta,
    Heartbeat,
    Part,
    Policy,
    Issued,
    Reply,
}

impl Object {
    /// Its name in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Snapshot => "snapshot",
            Self::Delta => "delta",
            Self::Heartbeat => "heartbeat",
            Self::Part => "part",
            Self::Policy => "policy",
            Self::Issued => "issued",
            Self::Reply => "reply",
        }
    }
}

/// Why something was refused, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The signature doesn't hold.
    Signature,
    /// Signed by no key of the right role, or by no pinned root.
    UnknownKey,
    /// Signed by a key that doesn't count now.
    KeyState,
    /// It has the shape of no such object, or contradicts itself.
    Shape,
    /// Older than what is known.
    Rollback,
    /// Other content for what is known already.
    Conflict,
    /// From the future.
    Future,
    /// Of another epoch.
    Epoch,
    /// Expired.
    Expired,
    /// Not the object that was asked for.
    Digest,
    /// It doesn't follow on what is known.
    Order,
}

impl Fault {
    /// Its name in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::UnknownKey => "unknown_key",
            Self::KeyState => "key_state",
            Self::Shape => "shape",
            Self::Rollback => "rollback",
            Self::Conflict => "conflict",
            Self::Future => "future",
            Self::Epoch => "epoch",
            Self::Expired => "expired",
            Self::Digest => "digest",
            Self::Order => "order",
        }
    }
}

impl From<JwsError> for Fault {
    fn from(error: JwsError) -> Self {
        if error == JwsError::Signature { Self::Signature } else { Self::Shape }
    }
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Jws(error) => error.into(),
            OpenError::UnknownKey => Self::UnknownKey,
            OpenError::KeyState => Self::KeyState,
            OpenError::ManifestExpired => Self::Expired,
        }
    }
}

impl From<FeedError> for Fault {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Open(error) => error.into(),
            FeedError::Manifest(ManifestError::Jws(error)) => error.into(),
            FeedError::Manifest(ManifestError::UnknownRoot) => Self::UnknownKey,
            FeedError::Manifest(ManifestError::Expired) => Self::Expired,
            FeedError::Manifest(ManifestError::Future) | FeedError::Future => Self::Future,
            FeedError::Epoch => Self::Epoch,
            FeedError::Rollback => Self::Rollback,
            FeedError::Conflict => Self::Conflict,
            FeedError::Digest => Self::Digest,
            FeedError::NoManifest | FeedError::NoSnapshot | FeedError::Gap => Self::Order,
            FeedError::Manifest(ManifestError::Keys) | FeedError::Malformed | FeedError::StatusList(_) => Self::Shape,
        }
    }
}

impl From<PolicyError> for Fault {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Open(error) => error.into(),
            PolicyError::Number => Self::Digest,
            PolicyError::Epoch => Self::Epoch,
            PolicyError::TooLong | PolicyError::Constraint => Self::Shape,
        }
    }
}

/// Something was refused, and has been counted. The last good state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected;

impl Follower {
    /// One that knows nothing and trusts these roots.
    pub fn new(roots: Vec<PublicKey>) -> Self {
        Self { replica: Replica::new(roots), wants_snapshot: false, heartbeat: String::new() }
    }

    /// The last heartbeat that was heard; empty where there was none.
    pub fn heartbeat(&self) -> &str {
        &self.heartbeat
    }

    /// The state.
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Raises the floor to what an earlier life had seen.
    pub fn raise_floor(&mut self, position: Position, manifest: u64) {
        self.replica.raise_floor(position, manifest);
    }

    /// How old the state is, in milliseconds; `None` without one, for one that no key set stands behind, and for one from the future: it
    /// was none when it came, so that the clock was set back, and nobody knows by how much.
    pub fn age_ms(&self, now: Timestamp) -> Option<u64> {
        self.replica.keys().filter(|keys| keys.is_current(now))?;
        let as_of = self.replica.as_of()?;
        (as_of.since(now) <= MAX_STEP_BACK_MS).then(|| now.since(as_of))
    }

    /// Asks for a snapshot next: a part of the present one is nowhere to be had.
    pub const fn want_snapshot(&mut self) {
        self.wants_snapshot = true;
    }

    /// What to ask next.
    pub fn ask(&self) -> Ask {
        match (self.replica.position(), self.replica.keys()) {
            (Some(after), Some(keys)) if !self.wants_snapshot && keys.manifest().epoch == after.epoch => {
                Ask::Feed { after, manifest: keys.manifest().version }
            }
            _ => Ask::Snapshot,
        }
    }

    /// Takes the answer to [`Ask::Snapshot`].
    pub fn take_snapshot(
        &mut self,
        reply: &SnapshotReply,
        now: Timestamp,
        to: &mut dyn Listener,
        counters: &mut Counters,
    ) -> Result<Next, Rejected> {
        let mut reject = |object, error: FeedError| {
            counters.rejected(object, error.into());
            Rejected
        };
        if self.replica.install_manifest(&reply.manifest, now).map_err(|error| reject(Object::Manifest, error))? {
            to.keys(&reply.manifest);
        }
        match self.replica.install_snapshot(&reply.snapshot, now) {
            Ok(()) => to.snapshot(&reply.snapshot, self.replica.base().unwrap_or_default()),
            // Another answer was faster, and newer.
            Err(FeedError::Rollback) if !self.wants_snapshot && self.replica.position().is_some() => return Ok(Next::Again),
            Err(error) => return Err(reject(Object::Snapshot, error)),
        }
        self.wants_snapshot = false;
        // New ground for a state that is ahead of the one who gave it.
        let passed = self.replica.base() < self.replica.position();
        self.hear(&reply.heartbeat, now, passed, to, counters)
    }

    /// Takes the answer to [`Ask::Feed`], which was asked knowing `after` and the manifest of that version.
    pub fn take_feed(
        &mut self,
        (after, manifest): (Position, u64),
        reply: &FeedReply,
        now: Timestamp,
        to: &mut dyn Listener,
        counters: &mut Counters,
    ) -> Result<Next, Rejected> {
        // Where two questions were under way at a time and the other answer came first, this one may be older than
        // what is known by now; that is no attempt to turn back time.
        let overtaken = self.replica.position() > Some(after) || self.replica.keys().is_some_and(|keys| keys.manifest().version > manifest);
        if let Some(manifest) = &reply.manifest {
            match self.replica.install_manifest(manifest, now) {
                Ok(true) => to.keys(manifest),
                Ok(false) => {}
                Err(FeedError::Rollback) if overtaken => {}
                Err(error) => {
                    counters.rejected(Object::Manifest, error.into());
                    return Err(Rejected);
                }
            }
        }
        if reply.gap {
            self.wants_snapshot = true;
            return Ok(Next::Again);
        }
        let mut moved = false;
        for delta in &reply.deltas {
            let from = self.replica.position().unwrap_or_default();
            match self.replica.apply_delta(delta, now) {
                Ok(()) => {
                    moved = true;
                    to.delta(delta, from, self.replica.position().unwrap_or_default());
                }
                Err(FeedError::Rollback) if overtaken => {}
                Err(FeedError::Gap) => {
                    self.wants_snapshot = true;
                    return Ok(Next::Again);
                }
                Err(error) => {
                    counters.rejected(Object::Delta, error.into());
                    return Err(Rejected);
                }
            }
        }
        // A hub that got deltas and no sound heartbeat with them passes them on with the one before.
        self.hear(&reply.heartbeat, now, overtaken || moved, to, counters)
    }

    /// Hears a heartbeat. Where it may be `late`, being older than the state is nothing to count.
    fn hear(&mut self, text: &str, now: Timestamp, late: bool, to: &mut dyn Listener, counters: &mut Counters) -> Result<Next, Rejected> {
        match self.replica.hear(text, now) {
            Ok(progress) => {
                text.clone_into(&mut self.heartbeat);
                if progress.behind || progress.manifest_behind {
                    return Ok(Next::Again);
                }
                to.heartbeat(text);
                Ok(Next::Done)
            }
            Err(FeedError::Rollback) if late => Ok(Next::Done),
            Err(error) => {
                counters.rejected(Object::Heartbeat, error.into());
                Err(Rejected)
            }
        }
    }

    /// The digest of a part that is missing, by which to ask for it.
    pub fn part_digest(&self, missing: Missing) -> Option<Digest> {
        self.replica.part_digest(missing)
    }

    /// Takes the statement that a key was issued.
    pub fn take_issued(
        &mut self,
        about: (StatusIndex, Digest),
        text: &str,
        now: Timestamp,
        counters: &mut Counters,
    ) -> Result<(), Rejected> {
        self.replica.install_issued(about, text, now).map_err(|error| {
            counters.rejected(Object::Issued, error.into());
            Rejected
        })
    }

    /// Takes a part that was missing.
    pub fn take_part(&mut self, missing: Missing, text: &str, now: Timestamp, counters: &mut Counters) -> Result<(), Rejected> {
        self.replica.install_part(missing, text, now).map_err(|error| {
            counters.rejected(Object::Part, error.into());
            Rejected
        })
    }
}
