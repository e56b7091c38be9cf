//! What an isolate sends to a key's object, which answers as the origin does.

use keyward_api::limits::PermitsRequest;
use keyward_core::{KeyId, Limits, Position};
use serde::{Deserialize, Serialize};

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
    /// What is wanted and what goes back.
    pub permits: PermitsRequest,
}
