//! Token Status Lists (draft-ietf-oauth-status-list section 4): 1, 2, 4 or 8 bits an entry, least significant first,
//! zlib-compressed.

use crate::{
    Role, Signed, Status,
    bounds::{MAX_STATUS_BYTES, MAX_STATUS_LIST_LEN},
    encoding::decode_base64url,
    json,
};
use alloc::{boxed::Box, string::String, vec, vec::Vec};
use miniz_oxide::inflate::{
    TINFLStatus,
    core::{DecompressorOxide, decompress, inflate_flags},
};
use serde::{Deserialize, Serialize};

/// A status list in memory, patchable in place.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusList {
    bits: u8,
    bytes: Vec<u8>,
}

/// Why bytes are not a status list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatusListError {
    /// Entries of other than 1, 2, 4 or 8 bits.
    #[error("entries are of 1, 2, 4 or 8 bits")]
    Bits,
    /// Not canonical base64url.
    #[error("not canonical base64url")]
    Encoding,
    /// Not zlib, cut short, with something after it, or larger than allowed when inflated.
    #[error("not zlib and nothing else, or too large when inflated")]
    Compression,
}

impl StatusList {
    /// A list of `len` entries, all zero.
    pub fn new(bits: u8, len: usize) -> Result<Self, StatusListError> {
        Self::from_bytes(bits, vec![0; len.div_ceil(8 / usize::from(Self::check_bits(bits)?))])
    }

    /// A list from its uncompressed bytes.
    pub fn from_bytes(bits: u8, bytes: Vec<u8>) -> Result<Self, StatusListError> {
        Ok(Self { bits: Self::check_bits(bits)?, bytes })
    }

    /// A list from its compressed bytes, which may inflate to at most [`MAX_STATUS_BYTES`].
    pub fn inflate(bits: u8, compressed: &[u8]) -> Result<Self, StatusListError> {
        let bits = Self::check_bits(bits)?;
        Ok(Self { bits, bytes: inflate_exactly(compressed).ok_or(StatusListError::Compression)? })
    }

    fn check_bits(bits: u8) -> Result<u8, StatusListError> {
        if matches!(bits, 1 | 2 | 4 | 8) { Ok(bits) } else { Err(StatusListError::Bits) }
    }

    /// Bits an entry.
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// The uncompressed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many entries it holds.
    pub fn len(&self) -> usize {
        self.bytes.len() * (8 / usize::from(self.bits))
    }

    /// Whether it holds no entry.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Byte, shift and mask of an entry.
    fn place(&self, at: usize) -> (usize, u32, u8) {
        // Entries to a byte, rather than bits to an entry: no index, however high, overflows.
        let each = 8 / usize::from(self.bits);
        (at / each, (at % each) as u32 * u32::from(self.bits), u8::MAX >> (8 - self.bits))
    }

    /// The value of an entry; `None` past the end.
    pub fn value(&self, at: usize) -> Option<u8> {
        let (byte, shift, mask) = self.place(at);
        self.bytes.get(byte).map(|value| value >> shift & mask)
    }

    /// Changes an entry; `false` past the end or for a value that an entry can't hold.
    #[must_use]
    pub fn set(&mut self, at: usize, value: u8) -> bool {
        let (byte, shift, mask) = self.place(at);
        match self.bytes.get_mut(byte) {
            Some(slot) if value <= mask => {
                *slot = *slot & !(mask << shift) | value << shift;
                true
            }
            _ => false,
        }
    }

    /// An entry of a list of two bits, as a status.
    pub fn status(&self, at: usize) -> Option<Status> {
        Status::from_value(self.value(at)?)
    }
}

/// What a zlib stream (RFC 1950) inflates to, where it is the whole input and within [`MAX_STATUS_BYTES`]. The crate's own
/// convenience takes whatever stands after the stream.
fn inflate_exactly(compressed: &[u8]) -> Option<Vec<u8>> {
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = Box::<DecompressorOxide>::default();
    let mut bytes = vec![0; compressed.len().saturating_mul(2).clamp(64, MAX_STATUS_BYTES)];
    let (mut read, mut written) = (0, 0);
    loop {
        let (status, taken, given) = decompress(&mut state, compressed.get(read..)?, &mut bytes, written, flags);
        (read, written) = (read + taken, written + given);
        match status {
            TINFLStatus::Done if read == compressed.len() => {
                bytes.truncate(written);
                bytes.shrink_to_fit();
                return Some(bytes);
            }
            TINFLStatus::HasMoreOutput if bytes.len() < MAX_STATUS_BYTES => bytes.resize((bytes.len() * 2).min(MAX_STATUS_BYTES), 0),
            _ => return None,
        }
    }
}

impl core::fmt::Debug for StatusList {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "StatusList({} entries of {} bits)", self.len(), self.bits)
    }
}

/// The payload of a `statuslist+jwt` (section 5.1 of the draft).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusListClaims {
    /// The list's own URI.
    pub sub: String,
    /// When it was signed, unix seconds.
    pub iat: u64,
    /// From when it counts no more, unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<u64>,
    /// For how long it may be cached, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u64>,
    /// The list.
    #[serde(deserialize_with = "json::object")]
    pub status_list: StatusListBody,
}

/// The list itself, as it stands in the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusListBody {
    /// Bits an entry.
    pub bits: u8,
    /// base64url of the zlib stream.
    pub lst: String,
}

impl StatusListBody {
    /// The list, inflated.
    pub fn decode(&self) -> Result<StatusList, StatusListError> {
        StatusList::inflate(self.bits, &decode_base64url(&self.lst).ok_or(StatusListError::Encoding)?)
    }
}

impl Signed for StatusListClaims {
    const TYP: &'static str = "statuslist+jwt";
    const ROLE: Option<Role> = Some(Role::Feed);
    const MAX_LEN: usize = MAX_STATUS_LIST_LEN;
}
