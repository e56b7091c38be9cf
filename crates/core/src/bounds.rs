//! The largest sizes that are read from outside. Whatever is larger is refused before it is looked at.

/// Length in characters of an API key's body: three groups of 43 base62 digits and six of checksum.
pub const KEY_BODY_LEN: usize = 135;
/// Length in characters of the longest API key: a prefix of 12, `_`, `live`, `_`, the body.
pub const MAX_KEY_LEN: usize = 12 + 1 + 4 + 1 + KEY_BODY_LEN;
/// Keys in a manifest.
pub const MAX_MANIFEST_KEYS: usize = 256;
/// Bytes of a manifest as text.
pub const MAX_MANIFEST_LEN: usize = 64 * 1024;
/// Bytes of a heartbeat as text.
pub const MAX_HEARTBEAT_LEN: usize = 1024;
/// Bytes of a delta as text.
pub const MAX_DELTA_LEN: usize = 1024 * 1024;
/// Bytes of a snapshot's index as text.
pub const MAX_SNAPSHOT_LEN: usize = 1024 * 1024;
/// Bytes of a status list token as text.
pub const MAX_STATUS_LIST_LEN: usize = 512 * 1024;
/// Bytes of a policy as text.
pub const MAX_POLICY_LEN: usize = 64 * 1024;
/// Bytes of a capability token as text.
pub const MAX_TOKEN_LEN: usize = 8 * 1024;
/// Bytes of an audit checkpoint as text.
pub const MAX_CHECKPOINT_LEN: usize = 2048;
/// Levels of lists and objects in an audit record, and around it in an answer. Beyond what JSON readers take by themselves: a record
/// goes around what once was a request, of as many levels as these take.
pub const MAX_RECORD_LEVELS: usize = 160;
/// Bytes of a statement that a key was issued, as text.
pub const MAX_ISSUED_LEN: usize = 1024;
/// Statements of that kind that a replica holds.
pub const MAX_ISSUED: usize = 8192;
/// Bytes of a page of amendments.
pub const MAX_AMENDMENT_PAGE_LEN: usize = 512 * 1024;
/// Entries in a page of amendments.
pub const MAX_AMENDMENT_PAGE: usize = 8192;
/// Pages of amendments in a snapshot.
pub const MAX_AMENDMENT_PAGES: usize = 8192;
/// Entries of each kind in one delta. A longer range is a gap: take a snapshot.
pub const MAX_DELTA_ENTRIES: usize = 20_000;
/// Shards in a snapshot: all that 32 bits of index allow.
pub const MAX_SHARDS: usize = 4096;
/// Supersessions that a replica holds: those in force, and those that were until it takes another snapshot.
pub const MAX_SUPERSESSIONS: usize = 8192;
/// Bits of a status index that count within a shard.
pub const SHARD_BITS: u32 = 20;
/// Keys in a shard.
pub const SHARD_LEN: usize = 1 << SHARD_BITS;
/// Bytes of an inflated shard at two bits a key.
pub const SHARD_BYTES: usize = SHARD_LEN / 4;
/// Bytes that any status list may inflate to (a foreign one may have 8 bits a key).
pub const MAX_STATUS_BYTES: usize = SHARD_LEN;
/// Changes that a replica lays over its snapshot before it wants a new one.
pub const MAX_OVERLAY: usize = 200_000;
/// Shards that a replica holds inflated, 256 KiB each.
pub const DEFAULT_SHARD_BUDGET: usize = 64;
/// Pages of amendments that a replica holds.
pub const DEFAULT_PAGE_BUDGET: usize = 256;
/// Compiled policies that a cache holds unless told otherwise.
pub const DEFAULT_POLICY_BUDGET: usize = 4096;
/// Bytes of memory that they take together unless told otherwise.
pub const DEFAULT_POLICY_BYTES: usize = 16 * 1024 * 1024;
/// Entries in any one list of a policy.
pub const MAX_POLICY_LIST: usize = 256;
/// Constraints in a policy.
pub const MAX_CONSTRAINTS: usize = 64;
/// Bytes of a string in a policy: a pattern, a network, a domain, a capability.
pub const MAX_POLICY_STRING: usize = 512;
/// Bytes of a request's path.
pub const MAX_PATH_LEN: usize = 4096;
/// Segments of a path or of a pattern.
pub const MAX_SEGMENTS: usize = 64;
/// Routes in a route table.
pub const MAX_ROUTES: usize = 1024;
/// Cents that a request of a route may cost.
pub const MAX_COST_CENTS: u64 = 100_000_000;
/// Milliseconds that an `iat` may be ahead of the reader's clock.
pub const MAX_CLOCK_SKEW_MS: u64 = 60_000;
