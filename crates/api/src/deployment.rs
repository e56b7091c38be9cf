//! Answers about a deployment as it runs: `GET /api/v1/edges`, `GET /api/v1/settings`; and of a key, what edges decide by:
//! `GET /api/v1/api-keys/{id}/policy`.

use keyward_core::{KeyId, PolicyNumber};
use serde::{Deserialize, Serialize};

/// Where the origin stands, and who follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Edges {
    /// The epoch.
    pub epoch: u32,
    /// The last change's number.
    pub seq: u64,
    /// The manifest's version.
    pub manifest: u64,
    /// The moment of the answer.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub now: String,
    /// Who has asked this server for changes within the last hour, whom it heard last first. Where there are several servers,
    /// each hears of its own.
    pub edges: Vec<EdgeHeard>,
}

/// A region's hub, as it last asked for changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EdgeHeard {
    /// The key that it asks with.
    pub key: KeyId,
    /// Whose key that is.
    pub owner: String,
    /// Where it asks from; `null`: not known.
    pub address: Option<String>,
    /// The epoch of its state.
    pub epoch: u32,
    /// The number of the last change that it has.
    pub seq: u64,
    /// The version of its manifest.
    pub manifest: u64,
    /// When it asked last. It asks every few seconds at least.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub heard: String,
}

/// What a deployment is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Settings {
    /// The version of the program.
    pub version: String,
    /// The URL by which the world knows the origin.
    pub issuer: String,
    /// Whether it is reached by TLS.
    pub secure: bool,
    /// Networks of proxies whose word on a client's address is taken.
    pub trusted_proxies: Vec<String>,
    /// How many credentials from one address may be no good in a minute; 0: any number.
    pub failures_per_minute: u32,
    /// For how long `validate` gives the same token again, seconds.
    pub token_reuse_seconds: u64,
    /// How long tokens count at most, seconds.
    pub token_seconds: u64,
    /// How long a session lasts, seconds.
    pub session_seconds: u64,
    /// How long it lasts without a request, seconds.
    pub session_idle_seconds: u64,
    /// For how many days the sums of usage are kept.
    pub usage_days: u32,
    /// For how many hours samples of decisions are kept; 0: none is.
    pub decision_hours: u32,
}

/// The policy in force for a key, and what its raw keys have to do with it: all that an edge decides by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyPolicy {
    /// The policy's number.
    pub number: PolicyNumber,
    /// The policy as edges get it: signed (docs/formats.md, Policy).
    pub signed: String,
    /// Of each raw key that isn't INVALID, the newest first.
    pub credentials: Vec<CredentialTerms>,
}

/// What holds for a raw key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CredentialTerms {
    /// Where its status stands.
    pub index: u32,
    /// Whether an amendment has taken the place of what is signed in it.
    pub amended: bool,
    /// The policy that is signed in it, or that it was amended with.
    pub policy: PolicyNumber,
    /// The policy that has taken the place of that one; the same where none has.
    pub in_force: PolicyNumber,
    /// Unix seconds from which it can't be used; `null`: never.
    pub expires: Option<u32>,
}
