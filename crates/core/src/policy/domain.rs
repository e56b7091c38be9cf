use crate::bounds::MAX_POLICY_STRING;
use alloc::string::String;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A domain that a request's Origin may name: `app.example.com`, or `*.example.com` for all below (not itself).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainPattern(String);

impl DomainPattern {
    /// Reads a domain: lower-case letters, digits and hyphens in labels of 1 to 63 (RFC 1123 section 2.1).
    pub fn parse(text: &str) -> Option<Self> {
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        let shaped = text.len() <= MAX_POLICY_STRING.min(253) && text.strip_prefix("*.").unwrap_or(text).split('.').all(label);
        shaped.then(|| Self(text.into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it means this host (lower case).
    pub fn matches(&self, host: &str) -> bool {
        match self.0.strip_prefix('*') {
            Some(suffix) => host.strip_suffix(suffix).is_some_and(|label| !label.is_empty()),
            None => self.0 == host,
        }
    }

    /// Whether it means all hosts that `other` means.
    pub fn covers(&self, other: &Self) -> bool {
        self == other || self.matches(&other.0)
    }
}

impl Serialize for DomainPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DomainPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom("a domain is `app.example.com` or `*.example.com`, lower case, without scheme or port"))
    }
}
