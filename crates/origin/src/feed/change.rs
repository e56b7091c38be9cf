//! What one transaction changed, as the log keeps it; and several of them as one delta.

use std::collections::{BTreeMap, BTreeSet};

use keyward_core::{Amendment, Delta, PolicyNumber, Position, Status, StatusIndex};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};

use crate::error::Result;
use keyward_api::Code;

/// The channel on which the database announces that the log has grown.
pub const CHANNEL: &str = "keyward_feed";

/// What one transaction changed. Every entry is absolute, so that applying it twice is applying it once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// New shards, all VALID.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub opened: Vec<u32>,
    /// New statuses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<(StatusIndex, Status)>,
    /// New amendments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amendments: Vec<Amendment>,
    /// Policies that others have taken the place of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supersessions: Vec<(PolicyNumber, PolicyNumber)>,
    /// New policies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyNumber>,
}

impl Change {
    /// Whether there is nothing for the feed to tell.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Appends a change to the log and takes its sequence number. To be the last statement of its transaction: the number's
/// lock is held until the commit.
///
/// # Errors
/// `recovery_required` where nothing may change.
pub async fn append(connection: &mut PgConnection, change: &Change) -> Result<Position> {
    let row = sqlx::query!(
        r#"WITH state AS (
               UPDATE feed_state SET seq = seq + 1 WHERE recovery IS NULL RETURNING epoch, seq
           ), entry AS (
               INSERT INTO feed_log (epoch, seq, change) SELECT epoch, seq, $1 FROM state
           )
           SELECT epoch, seq, pg_notify($2, '')::text FROM state"#,
        Json(change) as _,
        CHANNEL,
    )
    .fetch_optional(connection)
    .await?
    .ok_or(Code::RecoveryRequired)?;
    Ok(position(row.epoch, row.seq))
}

/// A position from the database, which holds no others.
pub fn position(epoch: i64, seq: i64) -> Position {
    Position { epoch: epoch.try_into().unwrap_or(0), seq: seq.try_into().unwrap_or(0) }
}

/// Several changes on their way to becoming one: of each index and old policy the last word counts.
#[derive(Default)]
pub struct Coalesced {
    opened: BTreeSet<u32>,
    changes: BTreeMap<StatusIndex, Status>,
    amendments: BTreeMap<StatusIndex, Amendment>,
    supersessions: BTreeMap<PolicyNumber, PolicyNumber>,
    policies: BTreeSet<PolicyNumber>,
}

impl Coalesced {
    /// Adds a later change.
    pub fn add(&mut self, change: &Change) {
        self.opened.extend(&change.opened);
        self.changes.extend(change.changes.iter().copied());
        self.amendments.extend(change.amendments.iter().map(|amendment| (amendment.index, *amendment)));
        self.supersessions.extend(change.supersessions.iter().copied());
        self.policies.extend(&change.policies);
    }

    /// How many entries it holds, of all kinds.
    pub fn len(&self) -> usize {
        self.opened.len() + self.changes.len() + self.amendments.len() + self.supersessions.len() + self.policies.len()
    }

    /// As the payload of a delta.
    pub fn into_delta(self, epoch: u32, from: u64, to: u64, iat_ms: u64) -> Delta {
        Delta {
            epoch,
            from,
            to,
            iat_ms,
            opened: self.opened.into_iter().collect(),
            changes: self.changes.into_iter().collect(),
            amendments: self.amendments.into_values().collect(),
            supersessions: self.supersessions.into_iter().collect(),
            policies: self.policies.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coalesced_delta_holds_the_last_word_on_each_index_and_policy() {
        let index = StatusIndex(7);
        let mut sum = Coalesced::default();
        for (status, policy) in [(Status::Suspended, 3), (Status::Amended, 4)] {
            sum.add(&Change {
                changes: vec![(index, status)],
                amendments: vec![Amendment { index, policy: PolicyNumber(policy), expires: None }],
                supersessions: vec![(PolicyNumber(1), PolicyNumber(policy))],
                policies: vec![PolicyNumber(policy)],
                ..Change::default()
            });
        }
        let delta = sum.into_delta(1, 4, 6, 0);
        assert_eq!(delta.changes, [(index, Status::Amended)]);
        assert_eq!(delta.amendments, [Amendment { index, policy: PolicyNumber(4), expires: None }]);
        assert_eq!(delta.supersessions, [(PolicyNumber(1), PolicyNumber(4))]);
        assert_eq!(delta.policies, [PolicyNumber(3), PolicyNumber(4)]);
    }
}
