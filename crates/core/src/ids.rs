//! The names of things: small types that keep one number from being taken for another.

use crate::bounds::SHARD_BITS;
use core::fmt;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of a key, a UUIDv7: the same through all rotations. What the REST API shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub Uuid);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub Uuid);

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a policy. Within an epoch it never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyNumber(pub u32);

impl fmt::Display for PolicyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a credential's status stands: shard and offset in one number. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StatusIndex(pub u32);

impl StatusIndex {
    /// The index at `offset` of `shard`; `None` where either is out of range.
    pub const fn new(shard: u32, offset: u32) -> Option<Self> {
        if shard >> (32 - SHARD_BITS) != 0 || offset >> SHARD_BITS != 0 {
            return None;
        }
        Some(Self(shard << SHARD_BITS | offset))
    }

    /// The shard in which it stands.
    pub const fn shard(self) -> u32 {
        self.0 >> SHARD_BITS
    }

    /// Its place within its shard.
    pub const fn offset(self) -> usize {
        (self.0 & ((1 << SHARD_BITS) - 1)) as usize
    }
}

impl fmt::Display for StatusIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a key reaches. Ordered: each class includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum ScopeClass {
    /// A person's own operations and data.
    User = 0,
    /// A tenant's operations and data.
    Tenant = 1,
    /// Administration, across tenants where one is named.
    Admin = 2,
}

impl ScopeClass {
    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Tenant => "tenant",
            Self::Admin => "admin",
        }
    }

    pub(crate) const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::User),
            1 => Some(Self::Tenant),
            2 => Some(Self::Admin),
            _ => None,
        }
    }
}

/// Which of a tenant's two worlds a key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Production.
    Live,
    /// Trials and tests.
    Test,
}

impl Environment {
    /// As it stands in a key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    /// The environment of that name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "live" => Some(Self::Live),
            "test" => Some(Self::Test),
            _ => None,
        }
    }
}

/// What a key begins with: `[a-z][a-z0-9]{1,11}`, `kwd` unless the tenant sets its own.
///
/// ```
/// use keyward_core::KeyPrefix;
/// assert!(KeyPrefix::parse("acme1").is_some());
/// assert!(KeyPrefix::parse("1acme").is_none());
/// assert_eq!(KeyPrefix::default().as_str(), "kwd");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyPrefix {
    bytes: [u8; 12],
    len: u8,
}

impl KeyPrefix {
    /// The prefix of that text; `None` where it has another shape.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_ascii(text.as_bytes())
    }

    pub(crate) fn from_ascii(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 12];
        bytes.get_mut(..text.len()).filter(|_| Self::is_shaped(text))?.copy_from_slice(text);
        Some(Self { bytes, len: text.len() as u8 })
    }

    pub(crate) fn is_shaped(text: &[u8]) -> bool {
        let shaped = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        (2..=12).contains(&text.len()) && text[0].is_ascii_lowercase() && text.iter().all(shaped)
    }

    /// As it stands in a key.
    pub fn as_str(&self) -> &str {
        // ASCII by construction; the fallback is never taken, and costs no panic path.
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl Default for KeyPrefix {
    fn default() -> Self {
        let mut bytes = [0; 12];
        bytes[..3].copy_from_slice(b"kwd");
        Self { bytes, len: 3 }
    }
}
