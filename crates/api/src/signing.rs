//! The requests and answers of `/api/v1/signing-keys` and `/api/v1/manifest`. For the operator of a deployment alone.

use keyward_core::{KeyState, Kid, Manifest, Role};
use serde::{Deserialize, Serialize};

/// What a signing key signs: the roles of a manifest, and the manifest itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SigningRole {
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
    /// Manifests.
    Root,
}

impl SigningRole {
    /// The role in a manifest; `None` for the root.
    pub const fn role(self) -> Option<Role> {
        match self {
            Self::ApiKey => Some(Role::ApiKey),
            Self::Token => Some(Role::Token),
            Self::Policy => Some(Role::Policy),
            Self::Feed => Some(Role::Feed),
            Self::Audit => Some(Role::Audit),
            Self::Root => None,
        }
    }
}

/// The manifest in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ManifestInForce {
    /// Its version.
    pub version: u64,
    /// The epoch.
    pub epoch: u32,
    /// When it ends, RFC 3339.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires_at: String,
    /// Whether the root is kept elsewhere, so that the next one has to be signed there.
    pub root_is_elsewhere: bool,
    /// Whether keys have changed since: the next manifest is to be signed, and until then this one counts.
    pub outdated: bool,
}

/// The answer to `GET /api/v1/signing-keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningKeys {
    /// The manifest in force.
    pub manifest: ManifestInForce,
    /// All signing keys, oldest first.
    pub signing_keys: Vec<SigningKey>,
}

/// A signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningKey {
    /// Its name: the RFC 7638 thumbprint.
    pub kid: Kid,
    /// What it signs.
    pub role: SigningRole,
    /// Where it stands.
    pub state: KeyState,
    /// Since when, RFC 3339.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub state_since: String,
    /// Its public half, base64url.
    pub public_key: String,
    /// Whether its private half is here.
    pub is_here: bool,
    /// When it was made, RFC 3339.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_at: String,
    /// When a manifest first told of it.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub announced_at: Option<String>,
    /// When it began to sign.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub activated_at: Option<String>,
    /// When what it signed ends to count, whatever that says; never, where there is nothing.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub expires_at: Option<String>,
    /// Of a key that was pre-published: from when every edge that decides knows it, so that it may be activated.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub activatable_at: Option<String>,
    /// Of a key that signs API keys: raw keys by it that could be presented now, the suspended ones among them.
    pub live_keys: Option<u64>,
    /// Of these, how many have no digest: they are older than digests, and end with a freeze.
    pub live_keys_without_digest: Option<u64>,
}

/// The body of `POST /api/v1/signing-keys`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateSigningKey {
    /// What it is to sign.
    pub role: SigningRole,
    /// Of a root alone, whose private half is kept elsewhere: its public half, base64url.
    #[serde(default)]
    pub public_key: Option<String>,
}

/// The body of `POST /api/v1/signing-keys/{kid}/…`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TurnSigningKey {
    /// Also where that ends what is in use, or comes before every edge can know of it.
    #[serde(default)]
    pub force: bool,
}

/// The answer to a change of a signing key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SigningKeyTurned {
    /// The key.
    pub signing_key: SigningKey,
    /// The key that signs in its place from now on, where it was frozen and signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub successor: Option<Kid>,
    /// The manifest in force.
    pub manifest: ManifestInForce,
}

/// The answer to `GET /api/v1/manifest/proposal`: what `keyward root sign` reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The manifest in force, as it was signed.
    pub current: String,
    /// The next one, unsigned.
    pub proposed: Manifest,
}

/// The body of `POST /api/v1/manifest`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PublishManifest {
    /// The proposal, signed.
    pub manifest: String,
}
