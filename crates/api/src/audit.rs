//! Answers of `/api/v1/audit`. The records themselves are [`keyward_core::AuditRecord`].

use keyward_core::Digest;
use serde::{Deserialize, Serialize};

/// `GET /api/v1/audit/checkpoints`: all that proves them beside the pinned root.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Checkpoints {
    /// The manifest that names the keys which sign them.
    pub manifest: String,
    /// Newest first.
    pub checkpoints: Vec<SignedCheckpoint>,
}

/// A checkpoint, and what it says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    /// The last record that it vouches for.
    pub seq: u64,
    /// Its hash.
    pub hash: Digest,
    /// When it was signed, unix milliseconds.
    pub iat_ms: u64,
    /// The checkpoint as it was signed: what to keep somewhere else.
    pub jws: String,
}

/// The first line of an export.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ExportHead {
    /// The manifest that names the key which signed the checkpoint.
    pub manifest: String,
    /// The newest checkpoint of what is exported; `null` where there is none yet.
    pub checkpoint: Option<String>,
    /// The first record that follows.
    pub first: u64,
    /// The last one.
    pub last: u64,
}
