//! What came of asking an authority: what it says, or why it says nothing, for the log.

use serde::de::DeserializeOwned;
use std::fmt;

/// Why an authority has said nothing that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It gave no answer, or none in time, or more than an answer can be.
    Unanswered,
    /// It answered with this status.
    Status(u16),
    /// What it answered has another shape than an answer.
    Unreadable,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered => f.write_str("no answer, or none in time"),
            Self::Status(status) => write!(f, "the status {status}"),
            Self::Unreadable => f.write_str("an answer that can't be read"),
        }
    }
}

/// Reads an answer: its status and its text, where there was one.
///
/// # Errors
/// Why there is nothing to be read.
pub fn read<T: DeserializeOwned>(answer: Option<(u16, String)>) -> Result<T, Silence> {
    match answer {
        None => Err(Silence::Unanswered),
        Some((200, text)) => serde_json::from_str(&text).map_err(|_| Silence::Unreadable),
        Some((status, _)) => Err(Silence::Status(status)),
    }
}
