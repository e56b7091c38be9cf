//! Requests and answers of `/api/v1/api-keys`.
//!
//! Times in answers are RFC 3339 in UTC. Lists of endpoints, addresses and domains that are empty in an answer mean no
//! restriction, as users of the API that Keyward grew from expect; within Keyward that is an explicit `any`.

use std::collections::BTreeMap;

use keyward_core::{Environment, KeyId, PolicyNumber, ScopeClass, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Given, given_limits::with_limits};
pub use crate::{
    given_limits::GivenLimits,
    restriction::{Constraints, Limit, Restriction},
};

with_limits! {
    /// `POST /api/v1/api-keys`.
    pub struct CreateKey {
        /// For people; 1 to 128 characters.
        #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
        pub name: String,
        /// For people; at most 1024 characters.
        #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
        pub description: Option<String>,
        /// Whose key it is; unset: the caller's owner. A caller of user scope can name no other.
        #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
        pub owner_id: Option<String>,
        /// What it can do; none unless named.
        #[cfg_attr(feature = "openapi", schema(max_items = 256))]
        pub capabilities: Option<Vec<String>>,
        /// How far it reaches; `user` unless named.
        pub scope: Option<ScopeClass>,
        /// `live` unless named.
        pub environment: Option<Environment>,
        /// 1 to 3650; `null`: never; left out: 90, or less where the caller itself expires before.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1, maximum = 3650))]
        pub expires_in_days: Given<u32>,
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
        /// Whether it can be exchanged for capability tokens; `true` unless named.
        pub token_exchange: Option<bool>,
        /// Named constraints for the upstream, of known types, beside the defaults and the caller's own; or `"none"`.
        pub tenant_constraints: Option<Constraints>,
        /// 1 to 3650: how long a raw key is meant to be used; left out: for as long as it lives.
        #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 3650))]
        pub rotation_period_days: Option<u32>,
    }
}

with_limits! {
    /// `PATCH /api/v1/api-keys/{id}`, and the new terms of `POST /api/v1/policies/{number}/supersede`. What is left
    /// out (or null) stays.
    pub struct UpdateKey {
        /// See [`CreateKey::name`]. Not for policies.
        #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
        pub name: Option<String>,
        /// See [`CreateKey::description`]; `null` takes it away. Not for policies.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 1024))]
        pub description: Given<String>,
        /// The owner whose key it is from now on. Not for policies.
        #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
        pub owner_id: Option<String>,
        /// 1 to 3650: how long a raw key is meant to be used; `null` takes it away. Not for policies.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1, maximum = 3650))]
        pub rotation_period_days: Given<u32>,
        /// What it can do; takes the place of all that it could.
        #[cfg_attr(feature = "openapi", schema(max_items = 256))]
        pub capabilities: Option<Vec<String>>,
        /// `[METHOD ]/path` patterns, one at least, or `"any"`.
        pub allowed_endpoints: Option<Restriction>,
        /// Patterns that are refused whatever else is said; takes the place of all of them.
        #[cfg_attr(feature = "openapi", schema(max_items = 256))]
        pub blocked_endpoints: Option<Vec<String>>,
        /// Addresses and CIDR blocks, one at least, or `"any"`.
        pub allowed_ips: Option<Restriction>,
        /// Hosts of the Origin header, one at least, or `"any"`.
        pub allowed_domains: Option<Restriction>,
        /// Whether requests have to come over TLS.
        pub require_tls: Option<bool>,
        /// Named constraints for the upstream, of known types, or `"none"`; takes the place of all of them.
        pub tenant_constraints: Option<Constraints>,
    }
}

/// `POST /api/v1/api-keys/{id}/rotate`; the body may be left out.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateKey {
    /// For how long the old raw key stays usable, 0 to 30 days; 24 hours unless named, and never past its own expiry.
    #[cfg_attr(feature = "openapi", schema(maximum = 2_592_000))]
    pub overlap_seconds: Option<u64>,
    /// A new expiry, as in [`CreateKey`]; left out: the old one stays.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1, maximum = 3650))]
    pub expires_in_days: Given<u32>,
}

/// `POST /api/v1/api-keys/{id}/renew`: one of the two.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RenewKey {
    /// The new expiry from now, as in [`CreateKey`]; `null`: never.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u32>, minimum = 1, maximum = 3650))]
    pub expires_in_days: Given<u32>,
    /// The new expiry as a moment (RFC 3339, whole seconds), at most 3650 days away: the same however often it is asked.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires_at: Option<String>,
}

/// `DELETE /api/v1/api-keys/{id}/revoke`; the body may be left out, and the reason may stand in the query instead.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RevokeKey {
    /// For people; 1 to 256 characters. It is kept, and shown with the key.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub reason: Option<String>,
}

/// `POST /api/v1/api-keys/validate`.
#[derive(Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ValidateKey {
    /// The raw key.
    pub api_key: String,
    /// `[METHOD ]/path`. Without it a key that is restricted to, or blocked from, any endpoint is not valid.
    pub endpoint: Option<String>,
    /// The caller's address. Without it a key that is restricted to addresses is not valid.
    pub client_ip: Option<String>,
    /// The host of the request's Origin. Without it a key that is restricted to domains is not valid.
    pub domain: Option<String>,
    /// Whether the request came over TLS. Without it that isn't judged.
    pub tls: Option<bool>,
    /// What the request needs. Without it that isn't judged: see the token's `scope`.
    pub capability: Option<String>,
    /// What the request costs, cents: charged to the key's cost limit. Left out: nothing.
    #[cfg_attr(feature = "openapi", schema(maximum = 1_099_511_627_776_u64))]
    pub cost_cents: Option<u64>,
    /// Tokens of the request. Left out, the limit on them isn't judged.
    pub tokens: Option<u64>,
}

/// What a key is at the moment of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum KeyStatus {
    /// Can be used.
    Active,
    /// Out of use until resumed.
    Suspended,
    /// Its time is over.
    Expired,
    /// Out of use for ever.
    Revoked,
}

impl KeyStatus {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What a key was used for since it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Requests with it, whatever became of them.
    pub requests_count: u64,
    /// Bytes of bodies, both ways, where their length was declared.
    pub bytes_transferred: u64,
    /// Requests that were permitted and that the upstream answered with an error (4xx, 5xx), or not at all.
    pub errors_count: u64,
    /// Requests refused for a limit.
    pub rate_limit_hits: u64,
    /// The last request.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub last_used: Option<String>,
}

/// A raw key of a key that isn't revoked and whose time isn't over: what can be presented for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Credential {
    /// How it begins and ends; `null` for one that is older than such hints.
    pub key_hint: Option<String>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_at: String,
    /// From when it can't be used: for one that was rotated away the overlap's end; `null`: never.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires_at: Option<String>,
    /// Whether it is the newest; the other one overlaps with it after a rotation.
    pub current: bool,
}

/// A key as the API shows it: everything but the secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Key {
    /// The same through rotations.
    pub id: KeyId,
    /// See [`CreateKey::name`].
    pub name: String,
    /// See [`CreateKey::description`].
    pub description: Option<String>,
    /// See [`CreateKey::owner_id`].
    pub owner_id: String,
    /// The tenant.
    pub tenant_id: TenantId,
    /// See [`CreateKey::scope`].
    pub scope: ScopeClass,
    /// See [`CreateKey::environment`].
    pub environment: Environment,
    /// See [`CreateKey::capabilities`].
    pub capabilities: Vec<String>,
    /// Requests in each UTC hour. `null`: unlimited.
    pub rate_limit_per_hour: Option<u64>,
    /// Requests in each UTC day. `null`: unlimited.
    pub daily_quota: Option<u64>,
    /// Requests in each UTC month. `null`: unlimited.
    pub monthly_quota: Option<u64>,
    /// Cost in cents in each UTC month. `null`: unlimited.
    pub cost_limit_cents: Option<u64>,
    /// Tokens in one request. `null`: unlimited.
    pub max_tokens_per_request: Option<u64>,
    /// Requests at one time. `null`: unlimited.
    pub max_concurrent_requests: Option<u64>,
    /// Empty: any.
    pub allowed_endpoints: Vec<String>,
    /// See [`CreateKey::blocked_endpoints`].
    pub blocked_endpoints: Vec<String>,
    /// Empty: any.
    pub allowed_ips: Vec<String>,
    /// Empty: any.
    pub allowed_domains: Vec<String>,
    /// See [`CreateKey::require_tls`].
    pub require_tls: bool,
    /// See [`CreateKey::token_exchange`].
    pub token_exchange: bool,
    /// See [`CreateKey::tenant_constraints`].
    pub tenant_constraints: BTreeMap<String, Value>,
    /// At the moment of the answer.
    pub status: KeyStatus,
    /// The policy in force.
    pub policy: PolicyNumber,
    /// How the newest raw key begins and ends, to tell keys apart by.
    pub key_hint: String,
    /// The key with which it was made; `null`: the server itself made it.
    pub created_by: Option<KeyId>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_at: String,
    /// When anything of it last changed.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub updated_at: String,
    /// From when it can't be used; `null`: never.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires_at: Option<String>,
    /// When it was last rotated.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub last_rotated: Option<String>,
    /// See [`CreateKey::rotation_period_days`].
    pub rotation_period_days: Option<u32>,
    /// When it has to be rotated, by its period.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub rotation_due_at: Option<String>,
    /// Whether that moment has passed. Nothing rotates it by itself: nobody would be there to take the new raw key.
    pub rotation_due: bool,
    /// What can be presented now, newest first: one, and after a rotation a second one until its overlap ends.
    pub credentials: Vec<Credential>,
    /// When it was revoked.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub revoked_at: Option<String>,
    /// Why, in the words of who did it.
    pub revocation_reason: Option<String>,
    /// The entity tag of this state, for `If-Match` (RFC 9110 section 8.8.3).
    pub etag: String,
    /// `null` where it wasn't asked for.
    pub usage: Option<Usage>,
}

/// The answer to a create. The only time that the raw key is shown.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyCreated {
    /// The key.
    pub api_key: Key,
    /// What to present. Keep it: it is stored nowhere.
    pub raw_key: String,
    /// A word on that.
    pub warning: String,
}

/// The answer to a rotate. The only time that the new raw key is shown.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyRotated {
    /// The key.
    pub api_key: Key,
    /// What to present from now on. Keep it: it is stored nowhere.
    pub new_raw_key: String,
    /// Until when the old raw key can be used; `null`: no longer.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub old_key_expires_at: Option<String>,
    /// A word on that.
    pub warning: String,
}

/// The answer to a revoke.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyRevoked {
    /// `true`.
    pub success: bool,
    /// For people.
    pub message: String,
    /// The key.
    pub key_id: KeyId,
}

/// The answer to a validate.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyValidated {
    /// Whether the key would pass.
    pub valid: bool,
    /// Why not, for people.
    pub error_message: Option<String>,
    /// A short-lived token for what the key permits, where the key may be exchanged.
    pub capability_token: Option<String>,
    /// Requests left in this hour, as far as this server knows: others may have used some since it last asked. `null` where
    /// they aren't limited, and where the answer is of none of the key's limits.
    pub rate_limit_remaining: Option<u64>,
    /// Likewise, requests left today, within this month's quota too.
    pub quota_remaining: Option<u64>,
}

/// The answer to a supersede.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicySuperseded {
    /// The policy whose place was taken.
    pub superseded: PolicyNumber,
    /// The policy that took it.
    pub policy: PolicyNumber,
}
