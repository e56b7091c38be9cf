//! `POST /api/v1/api-keys/bulk/{suspend,resume,revoke,reassign}`: one action on many keys.
//!
//! A call takes one chunk: all of it is done, in one transaction, or nothing. To go on, the same call is made with the
//! cursor of the answer. Each action is as good twice as once, so that a call whose answer was lost is simply repeated.

use keyward_core::KeyId;
use serde::{Deserialize, Serialize};

use crate::{
    keys::{CreateKey, KeyCreated},
    lists::KeyFilter,
};

/// Keys in one call, at most.
pub const MAX_BULK: u32 = 500;

/// Keys that one call creates, at most.
pub const MAX_CREATE: u32 = 500;

/// `POST /api/v1/api-keys/bulk/create`: new keys, all of them or none.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateKeys {
    /// 1 to 500 keys, each as it would be created by itself.
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 500))]
    #[serde(deserialize_with = "keyward_core::json::objects")]
    pub keys: Vec<CreateKey>,
}

/// The answer.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeysCreated {
    /// In the order of the request.
    pub keys: Vec<KeyCreated>,
}

/// The request.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// These keys, at most 500 of them. Either this or the filter.
    #[cfg_attr(feature = "openapi", schema(max_items = 500))]
    pub ids: Option<Vec<KeyId>>,
    /// All keys that a list with this filter has, newest first. (An empty one means all: it has to be written down.)
    #[serde(default, deserialize_with = "keyward_core::json::object_or_null")]
    pub filter: Option<KeyFilter>,
    /// For reassign: the new owner.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 128))]
    pub owner_id: Option<String>,
    /// For revoke: why.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 256))]
    pub reason: Option<String>,
    /// Only counts.
    #[serde(default)]
    pub dry_run: bool,
    /// Keys in this call, 1 to 500, which is also the default. For a filter.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 500))]
    pub limit: Option<u32>,
    /// Where the last call ended. For a filter.
    pub cursor: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BulkDone {
    /// Keys of this chunk that were meant.
    pub matched: u32,
    /// Those of them that it changed, or would change. The others were so already, or are revoked.
    pub changed: u32,
    /// Those changed.
    pub key_ids: Vec<KeyId>,
    /// Of the ids named, those of no key that the caller may see.
    pub not_found: Vec<KeyId>,
    /// Whether it was only counted.
    pub dry_run: bool,
    /// With what to go on; `null`: that was all.
    pub next_cursor: Option<String>,
}
