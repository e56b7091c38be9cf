//! Ed25519 public keys as Keyward admits them, and the one rule by which signatures are verified.

use crate::encoding::{base64url, decode_base64url_exact};
use alloc::{format, string::String};
use core::fmt;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// The 64 bytes of an Ed25519 signature (RFC 8032 section 5.1.6).
pub type Signature = [u8; 64];

/// An Ed25519 public key that is canonical and not of small order.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why 32 bytes are not a public key that Keyward admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not the canonical encoding of a point on the curve.
    #[error("not a canonical Ed25519 public key")]
    NotCanonical,
    /// A point of small order: signatures by it prove nothing.
    #[error("an Ed25519 public key of small order")]
    SmallOrder,
    /// Not 32 bytes of canonical base64url.
    #[error("not 32 bytes of canonical base64url")]
    Encoding,
}

impl PublicKey {
    /// A public key from its 32 bytes (RFC 8032 section 5.1.5).
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| PublicKeyError::NotCanonical)?;
        if key.to_edwards().compress().as_bytes() != bytes {
            return Err(PublicKeyError::NotCanonical);
        }
        if key.is_weak() {
            return Err(PublicKeyError::SmallOrder);
        }
        Ok(Self(key))
    }

    /// A public key from base64url, as the member `x` of a JWK has it (RFC 8037 section 2).
    pub fn parse(text: &str) -> Result<Self, PublicKeyError> {
        Self::from_bytes(&decode_base64url_exact(text).ok_or(PublicKeyError::Encoding)?)
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Its RFC 7638 thumbprint, by which Keyward names it.
    pub fn kid(&self) -> Kid {
        let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, base64url(self.as_bytes()));
        Kid(Sha256::digest(jwk).into())
    }

    /// Whether `signature` is this key's over `message`, strictly: S below the group order, R and the key of large
    /// order and canonical, no cofactor. There is no other verification in Keyward: two rules would disagree on
    /// somebody's forged signature.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}

/// How a host verifies signatures: by [`PublicKey::verifies`], or faster and with the same verdicts.
pub trait VerifySignature {
    /// Whether `signature` is `key`'s over `message`.
    #[must_use]
    fn verifies(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool;
}

/// [`PublicKey::verifies`] itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl VerifySignature for Reference {
    fn verifies(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        key.verifies(message, signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", base64url(self.as_bytes()))
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&base64url(self.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The name of a public key: its RFC 7638 thumbprint, 43 characters of base64url where it is written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kid([u8; 32]);

impl Kid {
    /// A kid from its text; `None` where it is not canonical.
    pub fn parse(text: &str) -> Option<Self> {
        decode_base64url_exact(text).map(Self)
    }

    /// The first three bytes, by which an API key names its signing key.
    pub const fn short(&self) -> [u8; 3] {
        [self.0[0], self.0[1], self.0[2]]
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kid({self})")
    }
}

impl Serialize for Kid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("a kid is 43 characters of canonical base64url"))
    }
}
