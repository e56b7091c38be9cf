//! The manifest: which keys sign what, in which epoch. Signed by a root, which the reader has pinned.

use crate::{
    Digest, JwsError, KeySet, Kid, PublicKey, Reference, Signed, Timestamp,
    bounds::{MAX_MANIFEST_KEYS, MAX_MANIFEST_LEN},
    json,
    jws::UnverifiedJws,
};
use alloc::{collections::BTreeSet, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// What a key may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// API keys.
    ApiKey,
    /// Capability tokens.
    Token,
    /// Policies.
    Policy,
    /// Deltas, heartbeats, snapshots and status lists.
    Feed,
    /// Checkpoints of the audit trail.
    Audit,
}

/// Where a signing key stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// Announced, so that every reader knows it before it signs.
    PrePublished,
    /// Signs and verifies.
    Active,
    /// Signs no more; what it signed holds.
    VerifyOnly,
    /// What it signed holds no more.
    Retired,
    /// Compromised: its signatures prove nothing by themselves. An API key by it counts where it is known to have been
    /// issued; nothing else by it does.
    Frozen,
}

impl KeyState {
    /// Whether a signature by a key in this state counts by itself.
    pub const fn verifies(self) -> bool {
        matches!(self, Self::Active | Self::VerifyOnly)
    }
}

/// One signing key in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ManifestKey {
    /// The thumbprint of `x`.
    pub kid: Kid,
    /// The public key.
    pub x: PublicKey,
    /// What it signs.
    pub role: Role,
    /// Where it stands.
    pub state: KeyState,
    /// Unix seconds from which nothing that it signed is valid.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
}

/// The payload of a manifest: see `docs/formats.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The origin's URL.
    pub iss: String,
    /// Counts up with each manifest.
    pub version: u64,
    /// Counts up with each recovery of the origin.
    pub epoch: u32,
    /// The first policy number of this epoch.
    pub first_policy: u32,
    /// The first status index of this epoch.
    pub first_index: u32,
    /// When it was signed, unix seconds.
    pub iat: u64,
    /// From when it counts no more, unix seconds.
    pub exp: u64,
    /// The signing keys.
    #[serde(deserialize_with = "json::objects")]
    pub keys: Vec<ManifestKey>,
}

impl Signed for Manifest {
    const TYP: &'static str = "keyward-manifest+jwt";
    const ROLE: Option<Role> = None;
    const MAX_LEN: usize = MAX_MANIFEST_LEN;
}

/// Why a manifest is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not a manifest, or its signature doesn't hold.
    #[error("not a signed manifest: {0}")]
    Jws(#[from] JwsError),
    /// Signed by none of the pinned roots.
    #[error("signed by none of the pinned roots")]
    UnknownRoot,
    /// Its `exp` has passed.
    #[error("the manifest has expired")]
    Expired,
    /// Its `iat` is too far ahead.
    #[error("the manifest is from the future")]
    Future,
    /// Too many keys, a `kid` that is not the key's thumbprint, or two keys that can't be told apart.
    #[error("the manifest's keys contradict each other")]
    Keys,
}

impl Manifest {
    /// Reads a manifest that one of `roots` signed, as the key set that it describes.
    pub fn open(text: &str, roots: &[PublicKey], now: Timestamp) -> Result<KeySet, ManifestError> {
        let jws = UnverifiedJws::parse::<Self>(text)?;
        let root = roots.iter().find(|root| root.kid() == *jws.kid()).ok_or(ManifestError::UnknownRoot)?;
        let manifest: Self = jws.verify(root, &Reference)?;
        if now.secs() >= manifest.exp {
            return Err(ManifestError::Expired);
        }
        if manifest.iat.saturating_mul(1000) > now.latest_iat() {
            return Err(ManifestError::Future);
        }
        manifest.check_keys()?;
        Ok(KeySet::new(manifest, Digest::of(text)))
    }

    fn check_keys(&self) -> Result<(), ManifestError> {
        let mut kids = BTreeSet::new();
        let mut shorts = BTreeSet::new();
        let sound = self.keys.len() <= MAX_MANIFEST_KEYS
            && self
                .keys
                .iter()
                .all(|key| key.kid == key.x.kid() && kids.insert(key.kid) && (key.role != Role::ApiKey || shorts.insert(key.kid.short())));
        if sound { Ok(()) } else { Err(ManifestError::Keys) }
    }
}
