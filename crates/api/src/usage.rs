//! What keys are used for: the batches in which edges report it (`POST /edge/v1/usage`), and the answers of
//! `GET /api/v1/api-keys/{id}/usage`, `GET /api/v1/api-keys/analytics/summary` and `GET /api/v1/api-keys/analytics/series`.

use std::net::IpAddr;

use keyward_core::{KeyId, Reason};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::limits::LimitKind;

/// The outcome of a request that was permitted.
pub const PASSED: &str = "passed";
/// The outcome of a request that was permitted, and to which the upstream gave no answer.
pub const UPSTREAM_UNAVAILABLE: &str = "upstream_unavailable";
/// What stands for all that is not told apart.
pub const OTHER: &str = "(other)";
/// The endpoint of a request that was refused before it was known to be for any.
pub const NO_ENDPOINT: &str = "(none)";

/// Bytes of a batch.
pub const MAX_BATCH_LEN: usize = 1024 * 1024;
/// Entries of a batch, and likewise callers.
pub const MAX_BATCH_ENTRIES: usize = 2000;
/// Bytes of an endpoint in a batch.
pub const MAX_ENDPOINT_LEN: usize = 512;
/// For how many days a batch is taken after it was made, by its id.
pub const MAX_BATCH_AGE_DAYS: u64 = 30;

/// The upper bounds of the latency buckets, milliseconds; the last bucket has none.
pub const LATENCY_MS: [u32; 7] = [1, 5, 25, 100, 250, 1000, 5000];
/// Latency buckets.
pub const LATENCIES: usize = LATENCY_MS.len() + 1;

/// Keys of one [`UsageSeries`].
pub const MAX_SERIES_KEYS: usize = 100;
/// Days of a [`UsageSeries`].
pub const MAX_SERIES_DAYS: u32 = 90;

/// The bucket of a latency in milliseconds.
pub fn latency_bucket(millis: u64) -> usize {
    LATENCY_MS.iter().position(|bound| millis <= u64::from(*bound)).unwrap_or(LATENCY_MS.len())
}

/// The name by which an outcome is counted: `passed`, a reason's code, or [`OTHER`] for what this build doesn't know, so
/// that their number is bounded.
pub fn outcome(name: &str) -> &'static str {
    let known = [PASSED, UPSTREAM_UNAVAILABLE]
        .into_iter()
        .chain(Reason::ALL.into_iter().map(Reason::code))
        .chain(LimitKind::ALL.into_iter().map(LimitKind::code));
    known.into_iter().find(|known| *known == name).unwrap_or(OTHER)
}

/// What was counted since the last batch. Sent again until it is answered, always the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageBatch {
    /// A UUIDv7: names the batch, and says when it was made.
    pub id: Uuid,
    /// At most 2000.
    #[cfg_attr(feature = "openapi", schema(max_items = 2000))]
    #[serde(deserialize_with = "keyward_core::json::objects")]
    pub entries: Vec<UsageEntry>,
    /// From where requests with a key came; at most 2000.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "keyward_core::json::objects")]
    #[cfg_attr(feature = "openapi", schema(max_items = 2000))]
    pub callers: Vec<UsageCaller>,
    /// What requests have cost beyond what their keys were charged; at most 2000.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "keyward_core::json::objects")]
    #[cfg_attr(feature = "openapi", schema(max_items = 2000))]
    pub debts: Vec<UsageDebt>,
}

/// What a key owes to its cost limit of the next month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageDebt {
    /// The key.
    pub key: KeyId,
    /// Cents; at least one.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_099_511_627_776_u64))]
    pub cents: u64,
}

/// Requests that are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageEntry {
    /// The key; left out where nobody has proved to hold one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Which of the key's credentials, by its status index; left out where it isn't known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<u32>,
    /// Hours since 1970 (UTC).
    pub hour: u32,
    /// `[METHOD ]/pattern` of the route; at most 512 bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_length = 512))]
    pub endpoint: String,
    /// `passed`, or the code of a reason.
    pub outcome: String,
    /// The first digit of the answer's status; 0: it isn't known.
    #[serde(default, skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "openapi", schema(maximum = 5))]
    pub status: u8,
    /// How many; at least one.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000_000))]
    pub requests: u64,
    /// Bytes of requests' bodies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bytes_in: u64,
    /// Bytes of responses' bodies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub bytes_out: u64,
    /// Cents.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cost: u64,
    /// How many of them, where that is known, took up to 1, 5, 25, 100, 250, 1000, 5000 milliseconds, and longer.
    #[serde(default, skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "openapi", schema(min_items = 8, max_items = 8))]
    pub latency: [u64; LATENCIES],
    /// When the last of them came, unix milliseconds; 0: some time in the hour.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last_ms: u64,
}

/// Requests with a key from an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageCaller {
    /// The key.
    pub key: KeyId,
    /// Days since 1970 (UTC).
    pub day: u32,
    /// The client's address.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub address: IpAddr,
    /// How many; at least one.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000_000))]
    pub requests: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The answer to a batch; the same, however often it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageReceived {
    /// The batch.
    pub id: Uuid,
    /// Requests that are counted for nobody: without a key, or with one that the origin doesn't know.
    pub unattributed: u64,
    /// Requests that are counted for the nearest hour that is taken: theirs was too old or yet to come.
    pub clamped: u64,
}

/// How fine a series is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// By day.
    #[default]
    Day,
    /// By hour, for 31 days at most.
    Hour,
}

/// A range of whole days (UTC), today included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DateRange {
    /// The beginning of the first day.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub start: String,
    /// The moment of the answer.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub end: String,
    /// How many days.
    pub days: u32,
}

/// The use of a key, or of all keys that the caller sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageReport {
    /// Requests with the key, whatever became of them.
    pub total_requests: u64,
    /// Of those that were permitted, the ones that the upstream answered with an error (4xx, 5xx) or not at all.
    pub total_errors: u64,
    /// Requests that were refused, for whatever reason.
    pub total_refused: u64,
    /// Requests a day.
    pub avg_requests_per_day: f64,
    /// Of those refused, the ones refused for a limit.
    pub rate_limit_hits: u64,
    /// Keys that were used in this time; for one key: 1.
    pub keys_analyzed: u64,
    /// The time that this is about.
    pub date_range: DateRange,
    /// Bytes of requests' bodies, where their length was declared.
    pub bytes_in: u64,
    /// Bytes of responses' bodies, where their length was declared.
    pub bytes_out: u64,
    /// Cents.
    pub cost_cents: u64,
    /// When a key was last used, at whatever time.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub last_used: Option<String>,
    /// At most 20, most used first.
    pub most_used_endpoints: Vec<EndpointUsage>,
    /// By `passed` and the codes of reasons, most frequent first.
    pub outcomes: Vec<OutcomeUsage>,
    /// By the first digit of the answer's status; 0: it isn't known.
    pub statuses: Vec<StatusUsage>,
    /// By how long the upstream took.
    pub latency: Vec<LatencyUsage>,
    /// From where; at most 20, most frequent first.
    pub top_addresses: Vec<AddressUsage>,
    /// Every day or hour of the range up to now.
    pub series: Vec<Point>,
    /// Of a key that was rotated within 31 days: the use of each raw key that can be presented for it, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<CredentialUsage>,
    /// Requests that are nobody's, by why they were refused; to admins alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub unattributed: Option<Vec<OutcomeUsage>>,
}

/// The use of a raw key since the first rotation of its key that is remembered: whether the old one is still in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CredentialUsage {
    /// How it begins and ends; `null` for one that is older than such hints.
    pub key_hint: Option<String>,
    /// Whether it is the newest.
    pub current: bool,
    /// Requests that were permitted with it at edges, and all with tokens of it.
    pub requests: u64,
    /// The last of them.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub last_used: Option<String>,
}

/// The use of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EndpointUsage {
    /// `[METHOD ]/pattern`, `(none)` or `(other)`.
    pub endpoint: String,
    /// See [`UsageReport::total_requests`].
    pub requests: u64,
    /// See [`UsageReport::total_errors`].
    pub errors: u64,
    /// See [`UsageReport::total_refused`].
    pub refused: u64,
}

/// Requests by what became of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OutcomeUsage {
    /// `passed`, or the code of a reason.
    pub outcome: String,
    /// How many.
    pub requests: u64,
}

/// Requests by the kind of answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StatusUsage {
    /// The first digit of the status.
    pub class: u8,
    /// How many.
    pub requests: u64,
}

/// Requests by how long they took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LatencyUsage {
    /// Milliseconds, inclusive, and more than those of the one before; `null`: longer than all.
    pub up_to_ms: Option<u32>,
    /// How many.
    pub requests: u64,
}

/// Requests by where they came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AddressUsage {
    /// An address, the /64 of an IPv6 address, or `(other)`.
    pub address: String,
    /// How many.
    pub requests: u64,
}

/// A day or an hour.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Point {
    /// When it begins.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub start: String,
    /// See [`UsageReport::total_requests`].
    pub requests: u64,
    /// See [`UsageReport::total_errors`].
    pub errors: u64,
    /// See [`UsageReport::total_refused`].
    pub refused: u64,
    /// See [`UsageReport::rate_limit_hits`].
    pub rate_limit_hits: u64,
    /// Both ways.
    pub bytes: u64,
    /// Cents.
    pub cost_cents: u64,
}

/// How much many keys were used by day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsageSeries {
    /// When each day begins (UTC); the last one is today.
    pub days: Vec<String>,
    /// Of the keys asked for, those that the caller sees, in the order of the question.
    pub keys: Vec<KeySeries>,
}

/// How much a key was used by day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeySeries {
    /// The key.
    pub id: KeyId,
    /// Requests of each day, whatever became of them.
    pub requests: Vec<u64>,
}
