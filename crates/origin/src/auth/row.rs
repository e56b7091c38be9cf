//! What the database says of the credential at an index.

use std::{collections::HashMap, sync::Arc};

use keyward_core::{Amendment, Digest, KeyId, Missing, PolicyNumber, Standing, Status, StatusIndex, Statuses, TenantId};

use crate::{
    clock::expiry_seconds,
    db::{Db, again},
    error::{Error, Result},
    limits::Seen,
    policies::policy_number,
};

/// What the database says of the credential at an index.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The key.
    pub key: KeyId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its owner.
    pub owner: Arc<str>,
    pub(super) status: Status,
    /// The policy in it, as signed.
    pub(super) signed: PolicyNumber,
    pub(super) amendment: Option<Amendment>,
    /// The signed or amended policy, and what has taken its place.
    pub(super) in_force: (PolicyNumber, PolicyNumber),
}

/// What is wanted of the database.
pub struct Wanted {
    /// The credential's.
    pub index: StatusIndex,
    /// Whether its key's account is, too: for who is about to spend from it.
    pub account: bool,
}

/// What the database has.
#[derive(Clone)]
pub struct Found {
    /// The row.
    pub row: Row,
    /// The account, where it was wanted.
    pub account: Option<Seen>,
}

/// The rows of some indices, each as it is committed now.
///
/// # Errors
/// As any read.
pub async fn find(db: &Db, wanted: &[Wanted]) -> Result<Vec<Option<Found>>> {
    let indices: Vec<i64> = wanted.iter().map(|wanted| i64::from(wanted.index.0)).collect();
    let accounts: Vec<bool> = wanted.iter().map(|wanted| wanted.account).collect();
    let rows = again!(
        sqlx::query!(
            // Row by row through the indexes: over a table that looks small, a join would rather read all of it.
            r#"SELECT wanted.account AS "account!", found.*, a.windows AS "windows?", a.given AS "given?"
               FROM unnest($1::bigint[], $2::boolean[]) AS wanted (index, account)
               CROSS JOIN LATERAL (
                   SELECT c.index, k.id, k.tenant, k.owner, c.status, c.policy AS signed, c.amended_policy, c.amended_expires,
                          p.number, p.superseded_by
                   FROM credentials c
                   JOIN api_keys k ON k.id = c.api_key
                   JOIN policies p ON p.number = coalesce(c.amended_policy, c.policy)
                   WHERE c.index = wanted.index LIMIT 1
               ) AS found
               LEFT JOIN LATERAL (
                   SELECT windows, given FROM limit_accounts WHERE wanted.account AND api_key = found.id LIMIT 1
               ) AS a ON true"#,
            &indices,
            &accounts,
        )
        .fetch_all(db.rows())
    )?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let index = StatusIndex(u32::try_from(row.index).map_err(Error::internal)?);
        let status = u8::try_from(row.status).ok().and_then(Status::from_value);
        let account = row.account.then(|| Seen::of(row.windows.as_deref(), row.given.as_deref()));
        let row = Row {
            key: KeyId(row.id),
            tenant: TenantId(row.tenant),
            owner: row.owner.into(),
            status: status.ok_or_else(|| Error::internal(anyhow::anyhow!("a status that is none")))?,
            signed: policy_number(row.signed),
            amendment: row.amended_policy.map(|policy| Amendment {
                index,
                policy: policy_number(policy),
                expires: expiry_seconds(row.amended_expires),
            }),
            in_force: (policy_number(row.number), policy_number(row.superseded_by.unwrap_or(row.number))),
        };
        found.insert(index, Found { row, account });
    }
    Ok(wanted.iter().map(|wanted| found.get(&wanted.index).cloned()).collect())
}

impl Row {
    /// Its policy as signed or amended, before supersession.
    pub fn own_policy(&self) -> PolicyNumber {
        self.in_force.0
    }

    #[cfg(test)]
    pub fn example(policy: PolicyNumber) -> Self {
        Self {
            key: KeyId(uuid::Uuid::nil()),
            tenant: TenantId(uuid::Uuid::nil()),
            owner: "somebody".into(),
            status: Status::Valid,
            signed: policy,
            amendment: None,
            in_force: (policy, policy),
        }
    }
}

/// Of a key that was found authentic before its row was read.
impl Statuses for Row {
    fn standing(&self, index: StatusIndex) -> Result<Standing, Missing> {
        match self.status {
            Status::Valid => Ok(Standing::Valid),
            Status::Invalid => Ok(Standing::Invalid),
            Status::Suspended => Ok(Standing::Suspended),
            Status::Amended => self.amendment.map(Standing::Amended).ok_or(Missing::Amendment(index)),
        }
    }

    fn issued(&self, index: StatusIndex, digest: &Digest) -> Result<bool, Missing> {
        Err(Missing::Issued(index, *digest))
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        if policy == self.in_force.0 { self.in_force.1 } else { policy }
    }
}
