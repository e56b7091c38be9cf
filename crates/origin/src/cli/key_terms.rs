//! What a key may do, as arguments: of a new key, and of a change.

use std::collections::BTreeMap;

use clap::Args;
use keyward_api::keys::Limit;
use serde::{
    Serialize, Serializer,
    ser::{Error, SerializeMap},
};
use serde_json::Value;

use super::parse::{self, Days};

/// Terms that a new key and a change name alike. What isn't named takes its default, or stays.
#[derive(Args, Serialize)]
pub struct Terms {
    /// What it can do: `resource:name` or `resource:*`.
    #[arg(long = "capability", value_name = "CAPABILITY", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<String>,
    /// Endpoints that are refused whatever else is said: `[METHOD ]/pattern`.
    #[arg(long = "block-endpoint", value_name = "PATTERN")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocked_endpoints: Vec<String>,
    /// Whether requests have to come over TLS.
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    require_tls: Option<bool>,
    /// A constraint for the upstream: NAME=VALUE, the value in JSON; or `none`.
    #[arg(long = "constraint", value_name = "NAME=VALUE", value_parser = parse::constraint)]
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "constraints")]
    tenant_constraints: Vec<Option<(String, Value)>>,
    /// Requests in each UTC hour; or `unlimited`.
    #[arg(long, value_name = "N", value_parser = parse::limit)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit_per_hour: Option<Limit>,
    /// Requests in each UTC day.
    #[arg(long, value_name = "N", value_parser = parse::limit)]
    #[serde(skip_serializing_if = "Option::is_none")]
    daily_quota: Option<Limit>,
    /// Requests in each UTC month.
    #[arg(long, value_name = "N", value_parser = parse::limit)]
    #[serde(skip_serializing_if = "Option::is_none")]
    monthly_quota: Option<Limit>,
    /// Cost in cents in each UTC month.
    #[arg(long, value_name = "N", value_parser = parse::limit)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_limit_cents: Option<Limit>,
    /// Tokens in one request.
    #[arg(long, value_name = "N", value_parser = parse::limit)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens_per_request: Option<Limit>,
    /// Requests at one time.
    #[arg(long, value_name = "N", value_parser = parse::limit)]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_concurrent_requests: Option<Limit>,
}

/// The members of a new key.
#[derive(Args, Serialize)]
pub struct NewKey {
    /// For people.
    name: String,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// Whose key it is; unset: of the asking key's owner.
    #[arg(long = "owner", value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_id: Option<String>,
    /// How far it reaches; unset: `user`.
    #[arg(long, value_parser = ["user", "tenant", "admin"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// Unset: `live`.
    #[arg(long, value_parser = ["live", "test"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    /// Days that it lives, or `never` for no end; unset: 90.
    #[arg(long, value_name = "DAYS", value_parser = parse::days)]
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_days: Option<Days>,
    /// For how many days a raw key is meant to be used.
    #[arg(long, value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_period_days: Option<u32>,
    /// Whether it can be exchanged for capability tokens; unset: `true`.
    #[arg(long, value_name = "BOOL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    token_exchange: Option<bool>,
    /// The endpoints that it may be used for: `[METHOD ]/pattern`; unset: any.
    #[arg(long = "allow-endpoint", value_name = "PATTERN")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_endpoints: Vec<String>,
    /// Addresses and CIDR blocks that it may be used from; unset: any.
    #[arg(long = "allow-ip", value_name = "CIDR", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_ips: Vec<String>,
    /// Hosts of the Origin header that it may be used from; unset: any.
    #[arg(long = "allow-domain", value_name = "HOST", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_domains: Vec<String>,
    /// The rest of its terms.
    #[command(flatten)]
    #[serde(flatten)]
    terms: Terms,
}

/// A change of a policy's terms. A list takes the place of the one before.
#[derive(Args, Serialize)]
pub struct NewTerms {
    /// The endpoints that it may be used for: `[METHOD ]/pattern`; or `any`.
    #[arg(long = "allow-endpoint", value_name = "PATTERN")]
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "restriction")]
    allowed_endpoints: Vec<String>,
    /// Addresses and CIDR blocks that it may be used from; or `any`.
    #[arg(long = "allow-ip", value_name = "CIDR", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "restriction")]
    allowed_ips: Vec<String>,
    /// Hosts of the Origin header that it may be used from; or `any`.
    #[arg(long = "allow-domain", value_name = "HOST", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "restriction")]
    allowed_domains: Vec<String>,
    /// The rest of its terms.
    #[command(flatten)]
    #[serde(flatten)]
    terms: Terms,
}

/// A change of a key.
#[derive(Args, Serialize)]
pub struct KeyChange {
    /// Another name.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Another description; an empty one takes it away.
    #[arg(long, value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "empty_is_none")]
    description: Option<String>,
    /// Hands it over to another owner.
    #[arg(long = "owner", value_name = "ID")]
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_id: Option<String>,
    /// For how many days a raw key is meant to be used; or `never` for as long as it lives.
    #[arg(long, value_name = "DAYS", value_parser = parse::days)]
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_period_days: Option<Days>,
    /// Its terms.
    #[command(flatten)]
    #[serde(flatten)]
    terms: NewTerms,
}

fn constraints<S: Serializer>(named: &[Option<(String, Value)>], serializer: S) -> Result<S::Ok, S::Error> {
    if named == [None] {
        return serializer.serialize_str("none");
    }
    let pairs = named.iter().map(|pair| pair.as_ref().ok_or_else(|| S::Error::custom("--constraint none stands alone")));
    let members: BTreeMap<_, _> = pairs.map(|pair| pair.map(|(name, value)| (name, value))).collect::<Result<_, _>>()?;
    let mut map = serializer.serialize_map(Some(members.len()))?;
    members.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
    map.end()
}

fn restriction<S: Serializer>(list: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    if list == ["any"] { serializer.serialize_str("any") } else { list.serialize(serializer) }
}

/// As an unset text in a request is written.
pub fn empty_is_none<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().filter(|text| !text.is_empty()).serialize(serializer)
}
