use crate::bounds::MAX_POLICY_STRING;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A capability: `resource:name`, or `resource:*` for all of a resource.
///
/// ```
/// use keyward_core::Capability;
/// let all = Capability::parse("llm:*").unwrap();
/// assert!(all.covers(&Capability::parse("llm:gpt-4").unwrap()));
/// assert!(!all.covers(&Capability::parse("llms:gpt-4").unwrap()));
/// assert!(Capability::parse("*:*").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability {
    text: String,
    colon: usize,
}

/// The text is not a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a capability is `resource:name` of letters, digits, `.`, `_` and `-`, or `resource:*`")]
pub struct CapabilityError;

impl Capability {
    /// Reads a capability.
    pub fn parse(text: &str) -> Result<Self, CapabilityError> {
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        let (resource, name) = text.split_once(':').ok_or(CapabilityError)?;
        if text.len() > MAX_POLICY_STRING || !word(resource) || !(name == "*" || word(name)) {
            return Err(CapabilityError);
        }
        Ok(Self { text: text.into(), colon: resource.len() })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the colon.
    pub fn resource(&self) -> &str {
        &self.text[..self.colon]
    }

    fn name(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    /// Whether whoever has this capability has `other`. A star covers all names of its resource and no other resource.
    pub fn covers(&self, other: &Self) -> bool {
        self.resource() == other.resource() && (self.name() == "*" || self.name() == other.name())
    }

    /// What whoever needs both of two capabilities is left with: the narrower one; `None` where neither covers the other.
    ///
    /// ```
    /// use keyward_core::Capability;
    /// let [all, one, other] = ["llm:*", "llm:a", "llm:b"].map(|text| Capability::parse(text).unwrap());
    /// assert_eq!(all.common(&one), Some(&one));
    /// assert_eq!(one.common(&all), Some(&one));
    /// assert_eq!(one.common(&other), None);
    /// ```
    pub fn common<'a>(&'a self, other: &'a Self) -> Option<&'a Self> {
        if self.covers(other) { Some(other) } else { other.covers(self).then_some(self) }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capability({})", self.text)
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
