//! Recent decisions: the samples in which edges report them (`POST /edge/v1/decisions`), the answers of
//! `GET /api/v1/decisions`, and what another policy would have decided (`POST /api/v1/policies/replay`).

use std::net::IpAddr;

use keyward_core::{KeyId, PolicyNumber, ScopeClass};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    given_limits::with_limits,
    keys::{Constraints, CreateKey, UpdateKey},
    limits::LimitKind,
    usage::{PASSED, UPSTREAM_UNAVAILABLE},
};

/// Bytes of a batch.
pub const MAX_DECISIONS_LEN: usize = 1024 * 1024;
/// Decisions in a batch.
pub const MAX_DECISIONS: usize = 500;
/// For how many hours a batch is taken after it was made, by its id.
pub const MAX_DECISIONS_AGE_HOURS: u64 = 24;
/// Bytes of a path that are kept.
pub const MAX_SAMPLED_PATH: usize = 1024;
/// Bytes of a method, a domain, a capability that are kept.
pub const MAX_SAMPLED_WORD: usize = 256;

/// Decisions since the last batch. Sent again until it is answered, always the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DecisionBatch {
    /// A UUIDv7: names the batch, and says when it was made.
    pub id: Uuid,
    /// At most 500.
    #[cfg_attr(feature = "openapi", schema(max_items = 500))]
    #[serde(deserialize_with = "keyward_core::json::objects")]
    pub decisions: Vec<Sampled>,
}

/// A decision on the request of somebody who has proved to hold a key. Nothing of its query, body or headers, apart from what a
/// policy looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Sampled {
    /// When it was made, unix milliseconds.
    pub at_ms: u64,
    /// The key.
    pub key: KeyId,
    /// How many requests it stands for, itself among them.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000_000))]
    pub weight: u64,
    /// The policy in force; left out where the request was refused before any was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyNumber>,
    /// The epoch of the state that it was made on,
    pub epoch: u32,
    /// and its sequence number.
    pub seq: u64,
    /// The method.
    #[cfg_attr(feature = "openapi", schema(max_length = 256))]
    pub method: String,
    /// The path in its normal form; where it is longer than 1024 bytes, its begin.
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub path: String,
    /// Whether the path is longer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub path_cut: bool,
    /// The client's address, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub address: Option<IpAddr>,
    /// The host of the Origin header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 256))]
    pub domain: Option<String>,
    /// Whether it came over TLS.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: bool,
    /// Whether a capability token was presented, and not the key itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub token: bool,
    /// `[METHOD ]/pattern` of its route; left out where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 512))]
    pub route: Option<String>,
    /// The capability that the route asks for; left out where any key will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 256))]
    pub capability: Option<String>,
    /// `passed`, or the code of a reason.
    pub outcome: String,
    /// The status that it was answered with; 0: it isn't known.
    #[serde(default, skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "openapi", schema(maximum = 999))]
    pub status: u16,
    /// Cents.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cost: u64,
    /// How long the upstream took, milliseconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u32>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The answer to a batch; the same, however often it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecisionsReceived {
    /// The batch.
    pub id: Uuid,
}

/// What became of a request, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was permitted.
    Passed,
    /// It was not.
    Refused,
}

impl Verdict {
    /// The verdict behind an outcome.
    pub fn of(outcome: &str) -> Self {
        if [PASSED, UPSTREAM_UNAVAILABLE].contains(&outcome) { Self::Passed } else { Self::Refused }
    }
}

/// Whether an outcome says that a limit refused what the policy permits.
pub fn is_limit(outcome: &str) -> bool {
    LimitKind::ALL.into_iter().any(|kind| kind.code() == outcome)
}

/// A decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// Its place among the tenant's, in the order in which the origin heard of them.
    pub id: u64,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub time: String,
    /// The key.
    pub key_id: KeyId,
    /// What became of the request.
    pub verdict: Verdict,
    /// `passed`, or the code of the reason why not.
    pub outcome: String,
    /// How many requests it stands for, itself among them.
    pub weight: u64,
    /// The policy in force; `null` where the request was refused before any was looked at.
    pub policy: Option<PolicyNumber>,
    /// The position of the state that it was made on: `epoch.seq`.
    pub position: String,
    /// The method.
    pub method: String,
    /// The path in its normal form, at most 1024 bytes of it; never the query.
    pub path: String,
    /// The client's address, where it is known.
    pub address: Option<String>,
    /// The host of the Origin header.
    pub domain: Option<String>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// Whether a capability token was presented, and not the key itself.
    pub token: bool,
    /// `[METHOD ]/pattern` of its route.
    pub route: Option<String>,
    /// The capability that the route asks for.
    pub capability: Option<String>,
    /// The status that it was answered with, where that is known.
    pub status: Option<u16>,
    /// Cents.
    pub cost_cents: u64,
    /// How long the upstream took, milliseconds, where that is known.
    pub duration_ms: Option<u32>,
}

/// A decision, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecisionExplained {
    /// The decision.
    pub decision: Decision,
    /// The rules in the order in which they were looked at; none where they can't be told any more: the path wasn't kept whole, or
    /// the policy is one of before a recovery.
    pub steps: Vec<DecisionStep>,
}

/// A rule, and whether the request kept it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecisionStep {
    /// Its stable name.
    pub rule: String,
    /// Whose it is: of every `key`, of the `policy` in force, of the `token`.
    pub source: String,
    /// Whether it was kept; `null`: nobody has looked, since an earlier one was broken.
    pub passed: Option<bool>,
    /// The code with which the request was refused for it, where it was broken.
    pub code: Option<String>,
    /// What decided, as it is written: the pattern, network, domain or capability.
    pub by: Option<String>,
}

/// `POST /api/v1/policies/replay`: a draft, as `terms` or as a `change`, and the decisions that it is held against.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The decisions on this key alone.
    pub key_id: Option<KeyId>,
    /// The decisions on the keys that have this policy now.
    pub policy: Option<PolicyNumber>,
    /// All terms of the draft, as those of a new key.
    #[serde(default, deserialize_with = "keyward_core::json::object_or_null")]
    pub terms: Option<DraftTerms>,
    /// What the draft changes, as in a change of a key; needs `key_id` or `policy`, whose terms it changes.
    #[serde(default, deserialize_with = "keyward_core::json::object_or_null")]
    pub change: Option<UpdateKey>,
    /// 1 to 168: how many hours back; left out: 1.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 168))]
    pub hours: Option<u32>,
}

with_limits! {
    /// The terms of a draft: members of [`CreateKey`], with the same defaults.
    pub struct DraftTerms {
        /// What it can do; none unless named.
        #[cfg_attr(feature = "openapi", schema(max_items = 256))]
        pub capabilities: Option<Vec<String>>,
        /// How far it reaches; `user` unless named.
        pub scope: Option<ScopeClass>,
        /// `[METHOD ]/path` patterns; none or empty: any.
        #[cfg_attr(feature = "openapi", schema(max_items = 256))]
        pub allowed_endpoints: Option<Vec<String>>,
        /// Patterns that are refused whatever else is said.
        #[cfg_attr(feature = "openapi", schema(max_items = 256))]
        pub blocked_endpoints: Option<Vec<String>>,
        /// Addresses and CIDR blocks; none or empty: any.
        #[cfg_attr(feature = "openapi", schema(max_items = 256))]
        pub allowed_ips: Option<Vec<String>>,
        /// Hosts of the Origin header; none or empty: any.
        #[cfg_attr(feature = "openapi", schema(max_items = 256))]
        pub allowed_domains: Option<Vec<String>>,
        /// `true` unless named.
        pub require_tls: Option<bool>,
        /// As in [`CreateKey`].
        pub tenant_constraints: Option<Constraints>,
    }
}

/// What a draft would have decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replayed {
    /// From when on decisions were looked at.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub since: String,
    /// Whether there are older ones in that time that were not: more than 50000.
    pub cut: bool,
    /// Decisions that were looked at.
    pub decisions: u64,
    /// Requests that these stand for.
    pub requests: u64,
    /// Of the requests, the ones that would be decided otherwise: the next three together.
    pub changed: u64,
    /// Requests that passed and would be refused.
    pub newly_refused: u64,
    /// Requests that were refused and would pass, up to their limits.
    pub newly_permitted: u64,
    /// Requests that were refused and would be for another reason.
    pub refused_otherwise: u64,
    /// Requests of which nothing can be said: of a token whose own terms refused it, or with a path that wasn't kept whole.
    pub undecided: u64,
    /// What would change, most requests first; at most 200 lines.
    pub changes: Vec<ReplayChange>,
    /// Whether there are more lines.
    pub more: bool,
}

/// Requests that would be decided otherwise, and are alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReplayChange {
    /// The key.
    pub key_id: KeyId,
    /// Its name.
    pub key_name: String,
    /// `[METHOD ]/pattern` of the route; `null`: there is none.
    pub route: Option<String>,
    /// The outcome.
    pub from: String,
    /// What it would be.
    pub to: String,
    /// How many requests.
    pub requests: u64,
    /// One of the decisions, by its id.
    pub example: u64,
}

impl From<DraftTerms> for CreateKey {
    fn from(draft: DraftTerms) -> Self {
        let DraftTerms {
            capabilities,
            scope,
            allowed_endpoints,
            blocked_endpoints,
            allowed_ips,
            allowed_domains,
            require_tls,
            tenant_constraints,
            rate_limit_per_hour,
            daily_quota,
            monthly_quota,
            cost_limit_cents,
            max_tokens_per_request,
            max_concurrent_requests,
        } = draft;
        Self {
            name: "draft".to_owned(),
            description: None,
            owner_id: None,
            capabilities,
            scope,
            environment: None,
            expires_in_days: crate::Given::Missing,
            allowed_endpoints,
            blocked_endpoints,
            allowed_ips,
            allowed_domains,
            require_tls,
            token_exchange: None,
            tenant_constraints,
            rotation_period_days: None,
            rate_limit_per_hour,
            daily_quota,
            monthly_quota,
            cost_limit_cents,
            max_tokens_per_request,
            max_concurrent_requests,
        }
    }
}
