//! That callers are still as they were taken to be: said to the database with what they ask for, and looked at where that is done.

use std::sync::Arc;

use keyward_core::StatusIndex;
use sqlx::types::time::OffsetDateTime;

use super::Row;
use crate::clock::expiry;

/// On what a caller was recognised.
#[derive(Clone)]
pub struct Witness {
    pub(super) index: StatusIndex,
    pub(super) row: Arc<Row>,
}

impl Witness {
    /// Whether one that was recognised later is still the same in all that is decided by.
    pub fn holds(&self, later: &Self) -> bool {
        self.index == later.index && *self.row == *later.row
    }
}

/// Those of some callers as the database's function `are_as_known` takes them: a column each of what was known.
#[derive(Default)]
pub struct Witnesses {
    pub indices: Vec<i64>,
    pub owners: Vec<String>,
    pub statuses: Vec<i16>,
    pub amended: Vec<Option<i64>>,
    pub ends: Vec<Option<OffsetDateTime>>,
    pub in_force: Vec<i64>,
}

impl Witnesses {
    /// Of these; each once, since most requests of a moment are by the same caller.
    pub fn of<'a>(all: impl Iterator<Item = &'a Witness>) -> Self {
        let mut met: Vec<&Witness> = Vec::new();
        let mut columns = Self::default();
        for witness in all {
            if met.iter().any(|other| other.index == witness.index && Arc::ptr_eq(&other.row, &witness.row)) {
                continue;
            }
            met.push(witness);
            let Row { owner, status, amendment, in_force, .. } = &*witness.row;
            columns.indices.push(witness.index.0.into());
            columns.owners.push(owner.as_ref().to_owned());
            columns.statuses.push(status.value().into());
            columns.amended.push(amendment.map(|amendment| amendment.policy.0.into()));
            columns.ends.push(amendment.and_then(|amendment| expiry(amendment.expires)));
            columns.in_force.push(in_force.1.0.into());
        }
        columns
    }
}
