//! Constraints that a policy hands on to the upstream: a catalogue with types, so that an unknown one can deny.

use crate::{Capability, bounds::MAX_POLICY_STRING};
use serde_json::Value;

/// The type of a constraint, which also says when one value is within another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    /// A whole number; less is narrower.
    Number,
    /// A list of strings; fewer is narrower.
    Strings,
    /// A switch; off is narrower.
    Switch,
    /// An object that belongs to one capability; only the same one is within it.
    Object,
}

/// Why a constraint is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// No constraint has that name.
    #[error("not a known constraint")]
    Unknown,
    /// It has a value of another type.
    #[error("a value of another type than the constraint has")]
    Type,
}

impl ConstraintKind {
    /// The type of the constraint of that name; `None` for one that is not known.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "max_automation_chain_depth" | "mcp_memory_limit_mb" | "mcp_timeout_seconds" | "max_file_size_bytes" => Some(Self::Number),
            "allowed_file_types" => Some(Self::Strings),
            "enable_premium_features" => Some(Self::Switch),
            _ => Capability::parse(name).ok().map(|_| Self::Object),
        }
    }

    /// Checks a constraint's name and the type of its value.
    pub fn check(name: &str, value: &Value) -> Result<Self, ConstraintError> {
        let kind = Self::of(name).ok_or(ConstraintError::Unknown)?;
        let fits = match (kind, value) {
            (Self::Number, value) => value.is_u64(),
            (Self::Switch, Value::Bool(_)) => true,
            (Self::Strings, Value::Array(list)) => {
                list.iter().all(|item| item.as_str().is_some_and(|text| text.len() <= MAX_POLICY_STRING))
            }
            (Self::Object, Value::Object(_)) => true,
            _ => false,
        };
        if fits { Ok(kind) } else { Err(ConstraintError::Type) }
    }

    /// Whether `value` is no wider than `bound`, both of this type.
    pub fn covers(self, bound: &Value, value: &Value) -> bool {
        match (self, bound, value) {
            (Self::Number, bound, value) => matches!((bound.as_u64(), value.as_u64()), (Some(bound), Some(value)) if value <= bound),
            (Self::Strings, Value::Array(bound), Value::Array(value)) => value.iter().all(|item| bound.contains(item)),
            (Self::Switch, Value::Bool(bound), Value::Bool(value)) => *bound || !*value,
            (Self::Object, bound, value) => bound == value,
            _ => false,
        }
    }
}
