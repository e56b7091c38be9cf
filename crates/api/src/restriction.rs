//! What restricts a key, as requests name it: a number, a list or an object, or the word for none.

use std::collections::BTreeMap;

use keyward_core::json::unique_members;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// A limit as a request names it: a number (0 allows nothing) or `"unlimited"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// At most so many.
    AtMost(u64),
    /// No limit.
    Unlimited,
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Limit;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number from 0, or \"unlimited\"")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Limit, E> {
                Ok(Limit::AtMost(value))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                if text == "unlimited" { Ok(Limit::Unlimited) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AtMost(value) => serializer.serialize_u64(*value),
            Self::Unlimited => serializer.serialize_str("unlimited"),
        }
    }
}

/// A restriction as a change names it: `"any"`, or a list that isn't empty. (In a new key an empty list means any; in
/// a change that would be a guess.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// `"any"`: no restriction.
    Any,
    /// Only these.
    Only(Vec<String>),
}

impl<'de> Deserialize<'de> for Restriction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Restriction;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"any\" or a list of strings that isn't empty")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Restriction, E> {
                if text == "any" { Ok(Restriction::Any) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Restriction, A::Error> {
                let list: Vec<String> = Deserialize::deserialize(de::value::SeqAccessDeserializer::new(list))?;
                if list.is_empty() { Err(de::Error::invalid_length(0, &self)) } else { Ok(Restriction::Only(list)) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// Constraints as a request names them: an object, or `"none"`. (In a new key those that aren't named have defaults, so that no object
/// says it.)
#[derive(Clone, Debug, PartialEq)]
pub enum Constraints {
    /// `"none"`: nothing is constrained.
    None,
    /// These, none of them twice.
    Named(BTreeMap<String, Value>),
}

impl<'de> Deserialize<'de> for Constraints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Constraints;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("\"none\" or an object")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Constraints, E> {
                if text == "none" { Ok(Constraints::None) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Constraints, A::Error> {
                unique_members(de::value::MapAccessDeserializer::new(map)).map(Constraints::Named)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
