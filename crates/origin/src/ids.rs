//! Ids: UUIDv7 (RFC 9562 section 5.7).

use std::cell::RefCell;

use keyward_core::{KeyId, Timestamp};

use crate::sealing::random;

/// Random bits of an id, with those that its version and variant take the place of.
const BYTES: usize = 10;
/// Ids for which randomness is taken at a time: asking the system for each costs more than all else about it.
const AHEAD: usize = 32;

thread_local! {
    static RANDOM: RefCell<Vec<[u8; BYTES]>> = const { RefCell::new(Vec::new()) };
}

/// An id of which nobody can say in advance what it will be, and that sorts by time. No secret: those are never taken ahead.
///
/// # Errors
/// Where the system gives no randomness.
pub fn new_id(now: Timestamp) -> anyhow::Result<KeyId> {
    let random = RANDOM.with_borrow_mut(|ahead| {
        if ahead.is_empty() {
            ahead.extend_from_slice(random::<{ BYTES * AHEAD }>()?.as_chunks().0);
        }
        ahead.pop().ok_or_else(|| anyhow::anyhow!("no randomness"))
    })?;
    Ok(KeyId(uuid::Builder::from_unix_timestamp_millis(now.millis(), &random).into_uuid()))
}
