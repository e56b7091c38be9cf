//! The words of arguments.

use keyward_api::keys::Limit;
use keyward_core::{KeyId, Kid, TenantId};
use serde::{Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use super::failure::Failure;

/// A key's id.
///
/// # Errors
/// In words, as of the others.
pub fn key_id(text: &str) -> Result<KeyId, String> {
    Uuid::parse_str(text).map(KeyId).map_err(|_| "a key's id is a UUID, as lists show it".to_owned())
}

/// A tenant's id.
///
/// # Errors
/// In words.
pub fn tenant_id(text: &str) -> Result<TenantId, String> {
    Uuid::parse_str(text).map(TenantId).map_err(|_| "a tenant's id is a UUID".to_owned())
}

/// The name of a signing key.
///
/// # Errors
/// In words.
pub fn kid(text: &str) -> Result<Kid, String> {
    Kid::parse(text).ok_or_else(|| "a signing key's name is 43 characters of base64url".to_owned())
}

/// A limit.
///
/// # Errors
/// In words.
pub fn limit(text: &str) -> Result<Limit, String> {
    if text == "unlimited" {
        return Ok(Limit::Unlimited);
    }
    text.parse().map(Limit::AtMost).map_err(|_| "a whole number from 0, or `unlimited`".to_owned())
}

/// Days, or no end.
#[derive(Clone, Copy, Debug)]
pub enum Days {
    /// So many.
    Within(u32),
    /// `never`: no end.
    Never,
}

impl Serialize for Days {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Within(days) => serializer.serialize_u32(*days),
            Self::Never => serializer.serialize_none(),
        }
    }
}

/// Days, or `never`.
///
/// # Errors
/// In words.
pub fn days(text: &str) -> Result<Days, String> {
    if text == "never" {
        return Ok(Days::Never);
    }
    text.parse().map(Days::Within).map_err(|_| "a number of days, or `never`".to_owned())
}

/// `name=value`, the value in JSON or else a text; `none` is no constraint.
///
/// # Errors
/// In words.
pub fn constraint(text: &str) -> Result<Option<(String, Value)>, String> {
    if text == "none" {
        return Ok(None);
    }
    let (name, value) = text.split_once('=').ok_or("a constraint is NAME=VALUE, the value in JSON")?;
    Ok(Some((name.to_owned(), serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned())))))
}

/// A request as JSON, once the API's own type has taken it: what has another shape is refused before it is sent.
///
/// # Errors
/// With what the type says of it.
pub fn request<T: DeserializeOwned>(members: &impl Serialize) -> anyhow::Result<Value> {
    let value = serde_json::to_value(members).map_err(|error| Failure::Usage(error.to_string()))?;
    T::deserialize(&value).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(value)
}

/// The value of a member of a query.
pub fn member(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
}
