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

/// A host, lower case; `None` for what is written with other characters than a host's.
pub fn host(text: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (!text.is_empty() && text.bytes().all(plain)).then(|| text.to_ascii_lowercase())
}

/// The host of an Origin header (RFC 6454 section 7), lower case; `None` for `null` and whatever else isn't
/// `scheme://host[:port]`.
pub fn origin_host(header: &str) -> Option<String> {
    let (_, authority) = header.trim().split_once("://")?;
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host(name),
        Some(_) => None,
        None => host(authority),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_host_counts_as_one() {
        assert_eq!(origin_host(" https://App.Example.com:8443").as_deref(), Some("app.example.com"));
        for odd in ["null", "https://", "https://u@h", "https://a.example/x", "https://[::1]:80", "app.example.com"] {
            assert_eq!(origin_host(odd), None, "{odd}");
        }
        assert_eq!(host("A-1.example").as_deref(), Some("a-1.example"));
        for odd in ["", "a b", "a/b", "a:1", "é"] {
            assert_eq!(host(odd), None, "{odd}");
        }
    }
}
