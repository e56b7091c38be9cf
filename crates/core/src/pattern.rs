//! Endpoint patterns: an optional method, and a path of literals, `*` for one segment and `**` for the rest.

use crate::{NormalPath, bounds::MAX_POLICY_STRING};
use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Which endpoints are meant: `GET /v1/users/*`, `/v1/chat/**`.
///
/// `**` stands at the end only and matches any number of segments, none included: whoever blocks `/admin/**` means
/// `/admin` as well. A pattern without a method matches all methods.
///
/// ```
/// use keyward_core::{EndpointPattern, NormalPath};
/// let pattern = EndpointPattern::parse("POST /v1/chat/**").unwrap();
/// assert!(pattern.matches("POST", &NormalPath::parse("/v1/chat/completions").unwrap()));
/// assert!(!pattern.matches("GET", &NormalPath::parse("/v1/chat/completions").unwrap()));
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointPattern {
    method: Option<String>,
    segments: Vec<Segment>,
    /// Whether it ends in `**`.
    open: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    Literal(String),
    Any,
}

/// Why a text is not an endpoint pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The method is not a word of capital letters.
    #[error("a method is a word of capital letters")]
    Method,
    /// The path has no normal form.
    #[error("{0}")]
    Path(#[from] crate::PathError),
    /// A star within a segment, an encoded one, or `**` before the end.
    #[error("`*` stands for a whole segment, `**` for the end of the path")]
    Star,
    /// Longer than [`MAX_POLICY_STRING`].
    #[error("the pattern is too long")]
    TooLong,
}

impl EndpointPattern {
    /// Reads a pattern: `[METHOD ]/path`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_POLICY_STRING {
            return Err(PatternError::TooLong);
        }
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => (Some(method), path),
            None => (None, text),
        };
        if method.is_some_and(|word| word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_uppercase())) {
            return Err(PatternError::Method);
        }
        let raw = path;
        let path = NormalPath::parse(raw)?;
        // The normal form decodes it: whoever wrote `%2A` didn't mean any segment.
        if raw.as_bytes().windows(3).any(|three| three.eq_ignore_ascii_case(b"%2a")) {
            return Err(PatternError::Star);
        }
        let mut segments = Vec::new();
        let mut open = false;
        for segment in path.segments() {
            if open {
                return Err(PatternError::Star);
            }
            match segment {
                "**" => open = true,
                "*" => segments.push(Segment::Any),
                _ if segment.contains('*') => return Err(PatternError::Star),
                _ => segments.push(Segment::Literal(segment.into())),
            }
        }
        Ok(Self { method: method.map(String::from), segments, open })
    }

    /// Whether it means this endpoint.
    pub fn matches(&self, method: &str, path: &NormalPath) -> bool {
        if self.method.as_deref().is_some_and(|own| own != method) {
            return false;
        }
        let mut rest = path.segments();
        for segment in &self.segments {
            match (segment, rest.next()) {
                (_, None) => return false,
                (Segment::Literal(own), Some(given)) if own != given => return false,
                _ => {}
            }
        }
        self.open || rest.next().is_none()
    }

    /// Whether it means all endpoints that `other` means.
    pub fn covers(&self, other: &Self) -> bool {
        let method = self.method.is_none() || self.method == other.method;
        let length = if self.open {
            self.segments.len() <= other.segments.len()
        } else {
            !other.open && self.segments.len() == other.segments.len()
        };
        method && length && self.segments.iter().zip(&other.segments).all(|(own, other)| *own == Segment::Any || own == other)
    }

    /// Whether some endpoint is meant by both.
    pub fn meets(&self, other: &Self) -> bool {
        let method = self.method.is_none() || other.method.is_none() || self.method == other.method;
        let (own, others) = (self.segments.len(), other.segments.len());
        let length = own == others || (self.open && own < others) || (other.open && others < own);
        let segment = |pair: (&Segment, &Segment)| *pair.0 == Segment::Any || *pair.1 == Segment::Any || pair.0 == pair.1;
        method && length && self.segments.iter().zip(&other.segments).all(segment)
    }
}

impl fmt::Display for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => write!(f, "/{literal}")?,
                Segment::Any => f.write_str("/*")?,
            }
        }
        match (self.open, self.segments.is_empty()) {
            (true, _) => f.write_str("/**"),
            (false, true) => f.write_str("/"),
            (false, false) => Ok(()),
        }
    }
}

impl fmt::Debug for EndpointPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointPattern({self})")
    }
}

impl Serialize for EndpointPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EndpointPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
