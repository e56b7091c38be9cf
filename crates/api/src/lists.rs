//! What lists of keys can be asked for: the query of `GET /api/v1/api-keys`, and the filter of a bulk action.

use keyward_core::{Kid, ScopeClass};
use serde::{Deserialize, Serialize};

use crate::keys::KeyStatus;

/// By what a list is ordered. Equals are ordered by their creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// When they were created.
    #[default]
    Created,
    /// Their names, byte by byte.
    Name,
    /// When they expire; those that never do come last of all moments.
    Expires,
}

/// In which direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// From the first to the last.
    Asc,
    /// From the last to the first.
    #[default]
    Desc,
}

/// Which keys. What is left out admits all; several members have all to be met.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyFilter {
    /// With this status at the moment of the answer.
    pub status: Option<KeyStatus>,
    /// Of this owner.
    pub owner_id: Option<String>,
    /// Of this scope.
    pub scope: Option<ScopeClass>,
    /// That have this capability, by name or by `resource:*`.
    pub capability: Option<String>,
    /// With this in the name, the description, the owner or the hint; 3 to 128 characters, in any case.
    #[cfg_attr(feature = "openapi", schema(min_length = 3, max_length = 128))]
    pub search: Option<String>,
    /// Of those that haven't expired, the ones that will within so many days, 1 to 3650.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 3650))]
    pub expiring_within_days: Option<u32>,
    /// Whose current raw key this signing key has signed: what is to be rotated before that is retired.
    pub signing_key: Option<Kid>,
    /// Created at this moment or later (RFC 3339).
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_after: Option<String>,
    /// Created before this moment (RFC 3339).
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_before: Option<String>,
    /// Not used within so many days, 1 to 3650, and older than that.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 3650))]
    pub unused_for_days: Option<u32>,
    /// `true`: never used since they were made.
    pub never_used: Option<bool>,
}
