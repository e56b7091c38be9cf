//! A batch on its way to the hub: from when it is made it stays the same, under the same id, so that it is added once.

use std::rc::Rc;
use uuid::Uuid;

/// A batch that doesn't change any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its id as text.
    pub id: String,
    /// As it is sent.
    pub body: Rc<str>,
    /// The requests that are counted in it.
    pub requests: u64,
}

impl Sealed {
    /// A batch in which so many requests are counted.
    pub fn new(id: Uuid, body: String, requests: u64) -> Self {
        Self { id: id.to_string(), body: body.into(), requests }
    }
}
