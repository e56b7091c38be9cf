//! `GET /api/v1/events`: what happens to keys by the passing of time alone, so that no answer tells of it.
//!
//! Each event is a whole message: to send them on, read after the last id that was sent.

use keyward_core::KeyId;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventKind {
    /// It will expire within seven days.
    #[serde(rename = "key.expiring")]
    Expiring,
    /// It has expired.
    #[serde(rename = "key.expired")]
    Expired,
    /// By its rotation period it has to be rotated.
    #[serde(rename = "key.rotation_due")]
    RotationDue,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Expiring, Self::Expired, Self::RotationDue];

    /// Its name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expiring => "key.expiring",
            Self::Expired => "key.expired",
            Self::RotationDue => "key.rotation_due",
        }
    }
}

/// An event. One kind of event comes once for a key and moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Counts up in the order in which events appear; there are gaps.
    pub id: i64,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// When it was noticed.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub created_at: String,
    /// To which key.
    pub key_id: KeyId,
    /// Its name then.
    pub key_name: String,
    /// Its owner then.
    pub owner_id: String,
    /// The moment that it is about: of the expiry, or from which it has to be rotated.
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    pub due_at: String,
}
