//! The API key: its layout, and the parser that refuses junk without cryptography.
//!
//! ```text
//! {prefix}_{env}_ AAAA…(43)  BBBB…(43)  CCCC…(43)  DDDDDD
//!                 claims     R of the   S of the   CRC-32 of all
//!                 (32 bytes) signature  signature  characters before
//!
//! claims:  0      1..4         4..8    8..12         12..16  16..32
//!          ver|cl signing key  expiry  status index  policy  key id
//! ```

use crate::{
    Environment, KeyId, KeyPrefix, PolicyNumber, Reason, ScopeClass, Signature, StatusIndex,
    base62::{self, GROUP_DIGITS},
    bounds::KEY_BODY_LEN,
    crc32,
};
use uuid::Uuid;

const VERSION: u8 = 1;
const EXCHANGE_BIT: u8 = 0b1000;
const UNKNOWN_BITS: u8 = 0b0100;
const NO_EXPIRY: u32 = u32::MAX;
const DOMAIN: &[u8] = b"keyward/key/v1\0";
const CHECKSUM_DIGITS: usize = 6;
/// The longest `{prefix}_{env}`.
const MAX_LABEL: usize = 12 + 1 + 4;

/// What an API key says: the 32 bytes that its signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiKeyClaims {
    /// How far the key reaches at most.
    pub scope: ScopeClass,
    /// Whether it may be exchanged for tokens.
    pub exchange: bool,
    /// The first three bytes of its signing key's thumbprint.
    pub signing_key: [u8; 3],
    /// Unix seconds from which it is no longer valid; `None` for one that doesn't expire.
    pub expires: Option<u32>,
    /// Where its status stands.
    pub index: StatusIndex,
    /// The policy that it was made with. The one in force can be another: see [`crate::VerifiedKey::policy`].
    pub policy: PolicyNumber,
    /// The id of the key.
    pub id: KeyId,
}

impl ApiKeyClaims {
    /// The claims as they are signed.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[0] = VERSION << 4 | self.scope as u8 | if self.exchange { EXCHANGE_BIT } else { 0 };
        bytes[1..4].copy_from_slice(&self.signing_key);
        bytes[4..8].copy_from_slice(&self.expires.unwrap_or(NO_EXPIRY).to_be_bytes());
        bytes[8..12].copy_from_slice(&self.index.0.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.policy.0.to_be_bytes());
        bytes[16..32].copy_from_slice(self.id.0.as_bytes());
        bytes
    }

    /// The claims in 32 bytes; `None` for another version, an unknown bit or class, or an id that is no UUIDv7.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        if bytes[0] >> 4 != VERSION || bytes[0] & UNKNOWN_BITS != 0 {
            return None;
        }
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut id = [0; 16];
        id.copy_from_slice(&bytes[16..32]);
        let id = Uuid::from_bytes(id);
        if id.get_version_num() != 7 || id.get_variant() != uuid::Variant::RFC4122 {
            return None;
        }
        Some(Self {
            scope: ScopeClass::from_bits(bytes[0] & 0b11)?,
            exchange: bytes[0] & EXCHANGE_BIT != 0,
            signing_key: [bytes[1], bytes[2], bytes[3]],
            expires: Some(word(4)).filter(|seconds| *seconds != NO_EXPIRY),
            index: StatusIndex(word(8)),
            policy: PolicyNumber(word(12)),
            id: KeyId(id),
        })
    }
}

/// The message that a key's signature covers, as a buffer and the length used of it.
pub fn signed_message(prefix: &KeyPrefix, environment: Environment, claims: &[u8; 32]) -> ([u8; 64], usize) {
    const { assert!(DOMAIN.len() + MAX_LABEL + 32 <= 64) };
    let mut message = [0; 64];
    let mut len = 0;
    for part in [DOMAIN, prefix.as_str().as_bytes(), b"_", environment.as_str().as_bytes(), claims] {
        message[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    }
    (message, len)
}

/// A key of the right shape and checksum. **Nothing in it is proved**: whoever can compute a CRC can make one.
#[derive(Clone, Copy)]
pub struct ParsedKey<'a> {
    text: &'a str,
    prefix: KeyPrefix,
    environment: Environment,
    raw: [u8; 32],
    unverified: ApiKeyClaims,
    signature: Signature,
}

impl<'a> ParsedKey<'a> {
    /// Reads a key as it was presented. Costs no cryptography and no allocation.
    ///
    /// Refuses with [`Reason::Malformed`] or [`Reason::ChecksumMismatch`].
    ///
    /// ```
    /// use keyward_core::{ParsedKey, Reason};
    /// assert_eq!(ParsedKey::parse("kwd_live_abc").err(), Some(Reason::Malformed));
    /// ```
    pub fn parse(text: &'a str) -> Result<Self, Reason> {
        let Parts { prefix, environment, groups } = Parts::of(text.as_bytes())?;
        let prefix = KeyPrefix::from_ascii(prefix).ok_or(Reason::Malformed)?;
        let [raw, r, s] = groups.each_ref().map(base62::decode_group);
        let (Some(raw), Some(r), Some(s)) = (raw, r, s) else { return Err(Reason::Malformed) };
        let unverified = ApiKeyClaims::from_bytes(&raw).ok_or(Reason::Malformed)?;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(&s);
        Ok(Self { text, prefix, environment, raw, unverified, signature })
    }

    /// What the key says of itself, unproved.
    pub const fn unverified_claims(&self) -> &ApiKeyClaims {
        &self.unverified
    }

    /// The prefix with which it was presented, unproved.
    pub const fn prefix(&self) -> &KeyPrefix {
        &self.prefix
    }

    /// The environment with which it was presented, unproved.
    pub const fn environment(&self) -> Environment {
        self.environment
    }

    /// Its signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The message that the signature should cover, as a buffer and the length used of it.
    pub fn signed_message(&self) -> ([u8; 64], usize) {
        signed_message(&self.prefix, self.environment, &self.raw)
    }

    /// The text as it was presented. A secret, where the key is genuine.
    pub const fn expose(&self) -> &'a str {
        self.text
    }

    /// The digest of the whole text: what a set of issued keys holds in a key's place.
    pub fn digest(&self) -> crate::Digest {
        crate::Digest::of(self.text)
    }
}

/// The parts of a text that has the shape and the checksum of a key.
struct Parts<'a> {
    prefix: &'a [u8],
    environment: Environment,
    groups: &'a [[u8; GROUP_DIGITS]; 3],
}

impl<'a> Parts<'a> {
    /// Finds them. Nothing is copied here: what ends here should cost next to nothing.
    fn of(text: &'a [u8]) -> Result<Self, Reason> {
        let (covered, checksum) = text.split_last_chunk::<CHECKSUM_DIGITS>().ok_or(Reason::Malformed)?;
        let (rest, body) = text.split_last_chunk::<KEY_BODY_LEN>().ok_or(Reason::Malformed)?;
        let (prefix, environment) = match rest.split_last_chunk() {
            Some((prefix, b"_live_")) => (prefix, Environment::Live),
            Some((prefix, b"_test_")) => (prefix, Environment::Test),
            _ => return Err(Reason::Malformed),
        };
        if !KeyPrefix::is_shaped(prefix) || !base62::are_digits(body) {
            return Err(Reason::Malformed);
        }
        if base62::decode_digits(checksum) != u64::from(crc32::hash(covered)) {
            return Err(Reason::ChecksumMismatch);
        }
        let (groups, _) = body.as_chunks();
        let groups = groups.first_chunk().ok_or(Reason::Malformed)?;
        Ok(Self { prefix, environment, groups })
    }
}

impl core::fmt::Debug for ParsedKey<'_> {
    /// Leaves the text and the signature out: together they are the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ParsedKey").field("environment", &self.environment).field("unverified", &self.unverified).finish_non_exhaustive()
    }
}

/// The text of a key from its parts, the checksum computed here. Only a holder of a signing key can make one that
/// verifies; this is here, beside the parser, so that the layout stands in one place.
pub fn write(prefix: &KeyPrefix, environment: Environment, claims: &[u8; 32], signature: &Signature, out: &mut alloc::string::String) {
    out.push_str(prefix.as_str());
    out.push('_');
    out.push_str(environment.as_str());
    out.push('_');
    let mut half = [0; 32];
    for part in [&claims[..], &signature[..32], &signature[32..]] {
        half.copy_from_slice(part);
        out.extend(base62::encode_group(&half).iter().map(|digit| char::from(*digit)));
    }
    let checksum = crc32::hash(out.as_bytes());
    out.extend(base62::encode_u32(checksum).iter().map(|digit| char::from(*digit)));
}
