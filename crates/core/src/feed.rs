//! What the feed says: the payloads of deltas, heartbeats and snapshots, and the replies that carry them.

use crate::{
    Digest, PolicyNumber, Role, Signed, Status, StatusIndex,
    bounds::{MAX_DELTA_LEN, MAX_HEARTBEAT_LEN, MAX_ISSUED_LEN, MAX_SNAPSHOT_LEN},
};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Expiry in an amendment that means none.
const NO_EXPIRY: u32 = u32::MAX;

/// What holds for a credential in place of what was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amendment {
    /// The credential.
    pub index: StatusIndex,
    /// Its policy.
    pub policy: PolicyNumber,
    /// Unix seconds from which it is no longer valid; `None` for never.
    pub expires: Option<u32>,
}

impl Serialize for Amendment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.index, self.policy, self.expires.unwrap_or(NO_EXPIRY)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Amendment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (index, policy, expires) = Deserialize::deserialize(deserializer)?;
        Ok(Self { index, policy, expires: Some(expires).filter(|expires| *expires != NO_EXPIRY) })
    }
}

/// What changed between two sequence numbers. Every entry is absolute, so that applying it twice is applying it once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delta {
    /// The epoch of the manifest in force.
    pub epoch: u32,
    /// The lowest sequence number of a state that it can be applied to.
    pub from: u64,
    /// The sequence number after it.
    pub to: u64,
    /// When it was signed, unix milliseconds.
    pub iat_ms: u64,
    /// Shards that are new, all of their keys VALID.
    pub opened: Vec<u32>,
    /// New statuses.
    pub changes: Vec<(StatusIndex, Status)>,
    /// New amendments.
    pub amendments: Vec<Amendment>,
    /// Policies that others have taken the place of: (old, new).
    pub supersessions: Vec<(PolicyNumber, PolicyNumber)>,
    /// New policies.
    pub policies: Vec<PolicyNumber>,
}

impl Signed for Delta {
    const TYP: &'static str = "keyward-delta+jwt";
    const ROLE: Option<Role> = Some(Role::Feed);
    const MAX_LEN: usize = MAX_DELTA_LEN;
}

/// Where the feed stood at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The epoch of the manifest in force.
    pub epoch: u32,
    /// The sequence number of the last change.
    pub seq: u64,
    /// When it was signed, unix milliseconds.
    pub iat_ms: u64,
    /// The version of the manifest in force.
    pub manifest: u64,
    /// The digest of that manifest's text.
    pub digest: Digest,
}

impl Signed for Heartbeat {
    const TYP: &'static str = "keyward-heartbeat+jwt";
    const ROLE: Option<Role> = Some(Role::Feed);
    const MAX_LEN: usize = MAX_HEARTBEAT_LEN;
}

/// A shard in a snapshot: its number and the digest of its status list token's text.
pub type ShardRef = (u32, Digest);

/// A page of amendments in a snapshot: its first index and the digest of its text.
pub type PageRef = (StatusIndex, Digest);

/// The whole state at one sequence number, by digests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The epoch of the manifest in force.
    pub epoch: u32,
    /// The sequence number of the state.
    pub seq: u64,
    /// When it was signed, unix milliseconds.
    pub iat_ms: u64,
    /// The shards, ascending.
    pub shards: Vec<ShardRef>,
    /// The pages of amendments, ascending; each covers the indices up to the next.
    pub amendments: Vec<PageRef>,
    /// Policies that others have taken the place of: (old, new).
    pub supersessions: Vec<(PolicyNumber, PolicyNumber)>,
}

impl Signed for Snapshot {
    const TYP: &'static str = "keyward-snapshot+jwt";
    const ROLE: Option<Role> = Some(Role::Feed);
    const MAX_LEN: usize = MAX_SNAPSHOT_LEN;
}

/// A page of amendments. Not signed itself: the snapshot's digest vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AmendmentPage {
    /// Ascending by index.
    pub amendments: Vec<Amendment>,
}

/// The answer to `GET /edge/v1/feed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeedReply {
    /// A heartbeat's text.
    pub heartbeat: String,
    /// Deltas' texts, in their order.
    #[serde(default)]
    pub deltas: Vec<String>,
    /// Whether the caller has to take a snapshot.
    #[serde(default)]
    pub gap: bool,
    /// The manifest's text, where the caller has another version.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// The answer to `GET /edge/v1/snapshot`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnapshotReply {
    /// The manifest's text.
    pub manifest: String,
    /// The snapshot's text.
    pub snapshot: String,
    /// A heartbeat's text.
    pub heartbeat: String,
}

/// That a key was issued. What is asked for where its signing key is frozen; true for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// Where the key's status stands.
    pub index: StatusIndex,
    /// The SHA-256 of the key's whole text.
    pub digest: Digest,
    /// When this was signed, unix milliseconds.
    pub iat_ms: u64,
}

impl Signed for Issued {
    const TYP: &'static str = "keyward-issued+jwt";
    const ROLE: Option<Role> = Some(Role::Feed);
    const MAX_LEN: usize = MAX_ISSUED_LEN;
}
