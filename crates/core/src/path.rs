//! The one form of a path in which it is decided on and forwarded.

use crate::bounds::{MAX_PATH_LEN, MAX_SEGMENTS};
use alloc::{string::String, vec::Vec};

/// A request's path that means one thing to everybody who reads it.
///
/// Upstreams differ in how they read `%2e%2e`, `//`, `\` or `;`: where a path could be read in two ways, it has no
/// normal form and is refused. What may stand in a segment as it is (`pchar`, RFC 3986 section 3.3) is decoded, the
/// reserved characters among it too: `%3A` and `:` are one to nearly every upstream, and a block of the one has to be
/// a block of the other. All other triplets are kept with upper-case digits, so that every character has one
/// spelling. A slash at the end is kept, and matches as if it weren't there.
///
/// ```
/// use keyward_core::{NormalPath, PathError};
/// assert_eq!(NormalPath::parse("/%61/b%3fc%3ad").unwrap().as_str(), "/a/b%3Fc:d");
/// assert_eq!(NormalPath::parse("/a/%2e%2E/b"), Err(PathError::DotSegment));
/// assert_eq!(NormalPath::parse("/a%2fb"), Err(PathError::EncodedSeparator));
/// assert_eq!(NormalPath::parse("/a//b"), Err(PathError::EmptySegment));
/// assert_eq!(NormalPath::parse("/%2561"), Err(PathError::DoubleEncoding));
/// assert_eq!(NormalPath::parse("/%c0%ae"), Err(PathError::NotUtf8));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NormalPath(String);

/// Why a path has no normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It doesn't begin with a slash.
    #[error("a path begins with a slash")]
    NotAbsolute,
    /// Longer than [`MAX_PATH_LEN`] or with more than [`MAX_SEGMENTS`] segments.
    #[error("the path is too long")]
    TooLong,
    /// A character that has to be percent-encoded, a backslash, or `;`, which some servers read as the end of a segment.
    #[error("the path has a character that is not allowed there")]
    Character,
    /// A percent sign without two hexadecimal digits.
    #[error("a percent sign without two hexadecimal digits")]
    Percent,
    /// An encoded slash, backslash or `;`.
    #[error("the path has an encoded separator")]
    EncodedSeparator,
    /// An encoded control character, `%00` among them.
    #[error("the path has an encoded control character")]
    EncodedControl,
    /// `%25` before two hexadecimal digits: encoded twice.
    #[error("the path is encoded twice")]
    DoubleEncoding,
    /// Encoded bytes that are no UTF-8: lenient decoders read `.` and `/` out of overlong forms (RFC 3629 section 10).
    #[error("the path has encoded bytes that are not UTF-8")]
    NotUtf8,
    /// `.` or `..`, in any encoding.
    #[error("the path has a dot segment")]
    DotSegment,
    /// Two slashes in a row.
    #[error("the path has an empty segment")]
    EmptySegment,
}

impl NormalPath {
    /// The normal form of a path, without query and fragment, as it stood in the request.
    pub fn parse(raw: &str) -> Result<Self, PathError> {
        if raw.len() > MAX_PATH_LEN {
            return Err(PathError::TooLong);
        }
        let bytes = raw.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        let mut normal = String::with_capacity(raw.len());
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if byte == b'%' {
                Self::push_encoded(triplet(bytes, at).ok_or(PathError::Percent)?, &mut normal)?;
                at += 3;
            } else if is_path_char(byte) {
                normal.push(char::from(byte));
                at += 1;
            } else {
                return Err(PathError::Character);
            }
        }
        // Looked for in the normal form: the digits after `%25` may have been encoded themselves.
        if normal.as_bytes().windows(5).any(|five| five.starts_with(b"%25") && five[3..].iter().all(u8::is_ascii_hexdigit)) {
            return Err(PathError::DoubleEncoding);
        }
        Self::check_utf8(&normal)?;
        Self::check_segments(&normal)?;
        Ok(Self(normal))
    }

    /// What is left encoded above ASCII has to be UTF-8. Nothing is looked at in a path of ASCII alone.
    fn check_utf8(normal: &str) -> Result<(), PathError> {
        let bytes = normal.as_bytes();
        let encoded = |at: usize| if bytes[at] == b'%' { triplet(bytes, at) } else { None };
        if !(0..bytes.len()).any(|at| encoded(at).is_some_and(|byte| !byte.is_ascii())) {
            return Ok(());
        }
        let mut decoded = Vec::with_capacity(bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            let byte = encoded(at);
            decoded.push(byte.unwrap_or(bytes[at]));
            at += if byte.is_some() { 3 } else { 1 };
        }
        core::str::from_utf8(&decoded).map(drop).map_err(|_| PathError::NotUtf8)
    }

    fn push_encoded(decoded: u8, normal: &mut String) -> Result<(), PathError> {
        match decoded {
            b'/' | b'\\' | b';' => return Err(PathError::EncodedSeparator),
            0..0x20 | 0x7f => return Err(PathError::EncodedControl),
            _ if is_path_char(decoded) => normal.push(char::from(decoded)),
            _ => {
                normal.push('%');
                for nibble in [decoded >> 4, decoded & 15] {
                    normal.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
                }
            }
        }
        Ok(())
    }

    fn check_segments(normal: &str) -> Result<(), PathError> {
        let mut segments = normal[1..].split('/').peekable();
        let mut count = 0;
        while let Some(segment) = segments.next() {
            count += 1;
            match segment {
                "." | ".." => return Err(PathError::DotSegment),
                "" if segments.peek().is_some() => return Err(PathError::EmptySegment),
                _ if count > MAX_SEGMENTS => return Err(PathError::TooLong),
                _ => {}
            }
        }
        Ok(())
    }

    /// The path, as it is to be forwarded.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its segments, a slash at the end left aside.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        let inner = self.0[1..].strip_suffix('/').unwrap_or(&self.0[1..]);
        inner.split('/').filter(|segment| !segment.is_empty())
    }
}

/// The byte that a percent-encoded triplet at `at` stands for.
fn triplet(bytes: &[u8], at: usize) -> Option<u8> {
    let nibble = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    Some((nibble(at + 1)? << 4 | nibble(at + 2)?) as u8)
}

/// RFC 3986 section 2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 section 3.3 and the slash; without `;`, which servlet containers cut a segment at.
const fn is_path_char(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=')
}
