//! What an isolate sends to a key's object, and what that answers.

use keyward_api::limits::{PermitsReply, PermitsRequest};
use keyward_core::{KeyId, Limits, Position};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Bytes of a [`Lend`]: a key has few limits and windows.
pub const MAX_LEND_LEN: usize = 64 * 1024;

/// An isolate's questions and returns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lend {
    /// The key that the object is of.
    pub key: KeyId,
    /// Its limits,
    pub limits: Limits,
    /// as of this state: the object goes by the newest.
    pub position: Position,
    /// The life of the object that answered last: no other takes anything back.
    pub life: Option<Uuid>,
    /// What is wanted and what goes back.
    pub permits: PermitsRequest,
}

/// The object's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// Names this life of the object: it is another one whenever its memory is.
    pub life: Uuid,
    /// As the origin answers.
    pub permits: PermitsReply,
}
