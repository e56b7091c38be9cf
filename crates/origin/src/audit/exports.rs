//! Who may export a trail at the moment. An export goes on for as long as its reader reads: so a place is lost where nobody does, and
//! no tenant takes more than its share of them.

use std::sync::{Arc, Mutex, PoisonError};

use keyward_api::Code;
use keyward_core::{TenantId, Timestamp};

use crate::error::{Error, Result};

/// Exports of a tenant, and of all, at a time on one server.
const OF_A_TENANT: usize = 2;
const OF_ALL: usize = 16;
/// After this time without a read, milliseconds, somebody else may have the place.
const IDLE_MS: u64 = 60_000;

/// Exports on their way.
#[derive(Default)]
pub struct Exports(Mutex<Places>);

#[derive(Default)]
struct Places {
    taken: Vec<Place>,
    /// Of the last one that was taken.
    number: u64,
}

struct Place {
    number: u64,
    tenant: TenantId,
    /// When something was last read.
    read: Timestamp,
}

/// A place among them, given back with the export.
pub struct Seat {
    exports: Arc<Exports>,
    number: u64,
}

impl Exports {
    /// A place for an export.
    ///
    /// # Errors
    /// `rate_limited` where the tenant, or everybody together, has as many as there may be.
    pub fn open(self: &Arc<Self>, tenant: TenantId, now: Timestamp) -> Result<Seat> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.taken.retain(|place| now.since(place.read) < IDLE_MS);
        let own = places.taken.iter().filter(|place| place.tenant == tenant).count();
        if own >= OF_A_TENANT || places.taken.len() >= OF_ALL {
            let detail = format!("At most {OF_A_TENANT} exports of a tenant, and {OF_ALL} of all, are under way at a time.");
            return Err(Error::from(Code::RateLimited).detail(detail).retry_after(5));
        }
        places.number += 1;
        let number = places.number;
        places.taken.push(Place { number, tenant, read: now });
        drop(places);
        Ok(Seat { exports: Arc::clone(self), number })
    }
}

impl Seat {
    /// Something is read. Whether the place is still held: after a long pause somebody else may have it.
    pub fn reads(&self, now: Timestamp) -> bool {
        let mut places = self.exports.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.taken.iter_mut().find(|place| place.number == self.number).map(|place| place.read = now).is_some()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.exports.0.lock().unwrap_or_else(PoisonError::into_inner).taken.retain(|place| place.number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::types::Uuid;

    #[test]
    fn who_does_not_read_keeps_nobody_from_exporting() {
        let exports = Arc::<Exports>::default();
        let (one, other) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let at = Timestamp::from_secs;
        let stalled = exports.open(one, at(1000)).unwrap();
        let read = exports.open(one, at(1000)).unwrap();
        assert!(exports.open(one, at(1001)).is_err());
        let others: Vec<_> = (0..OF_A_TENANT).map(|_| exports.open(other, at(1001)).unwrap()).collect();

        assert!(read.reads(at(1059)));
        let next = exports.open(one, at(1060)).unwrap();
        assert!(!stalled.reads(at(1060)) && read.reads(at(1060)));
        drop((stalled, next));
        exports.open(one, at(1061)).unwrap();
        drop(others);

        let tenants = 10..10 + OF_ALL as u128;
        let all: Vec<_> = tenants.map(|tenant| exports.open(TenantId(Uuid::from_u128(tenant)), at(2000)).unwrap()).collect();
        assert!(exports.open(other, at(2000)).is_err());
        drop(all);
        exports.open(other, at(2000)).unwrap();
    }
}
