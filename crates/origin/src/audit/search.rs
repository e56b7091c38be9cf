//! Reading the trail.

use keyward_core::{AuditActor, AuditRecord, AuditTarget, KeyId, TenantId, Timestamp};
use sqlx::{PgConnection, types::Uuid};

use super::{append::digest, event::Members};
use crate::{
    db::Tx,
    error::{Error, Result},
};

/// A row of the table.
struct Row {
    tenant: Uuid,
    seq: i64,
    at_ms: i64,
    action: String,
    actor_tenant: Option<Uuid>,
    actor_key: Option<Uuid>,
    actor_owner: Option<String>,
    address: Option<String>,
    user_agent: Option<String>,
    request_id: Option<Uuid>,
    target_kind: Option<String>,
    target: Option<String>,
    before: Option<String>,
    after: Option<String>,
    details: Option<String>,
    prev: Vec<u8>,
    hash: Vec<u8>,
}

/// Selects [`Row`]s, by the end of the statement and its arguments.
macro_rules! rows {
    ($end:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            "SELECT tenant, seq, at_ms, action, actor_tenant, actor_key, actor_owner, address, user_agent, request_id, target_kind,
                    target, before, after, details, prev, hash
             FROM audit_log " + $end,
            $($argument),*
        )
    };
}

/// Which records to look for.
#[derive(Default)]
pub struct Filter {
    /// Only what this key did.
    pub actor: Option<KeyId>,
    /// Only this.
    pub action: Option<String>,
    /// Only what was done to this key.
    pub key: Option<KeyId>,
    /// Only of this time.
    pub range: Range,
    /// Only those before this one: the last one of the page before.
    pub cursor: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// A stretch of time.
#[derive(Clone, Copy, Default)]
pub struct Range {
    /// Its beginning.
    pub from: Option<Timestamp>,
    /// Its end, which is not in it.
    pub to: Option<Timestamp>,
}

impl Range {
    /// The first and the last record of that time: times follow each other in a trail, so that they bound its numbers.
    ///
    /// # Errors
    /// As any read.
    pub async fn bounds(self, connection: &mut PgConnection, tenant: TenantId) -> Result<(i64, i64)> {
        let first = match self.from {
            None => Some(1),
            Some(from) => {
                sqlx::query_scalar!(
                    "SELECT seq FROM audit_log WHERE tenant = $1 AND at_ms >= $2 ORDER BY at_ms, seq LIMIT 1",
                    tenant.0,
                    millis(from),
                )
                .fetch_optional(&mut *connection)
                .await?
            }
        };
        let last = match self.to {
            None => sqlx::query_scalar!("SELECT seq FROM audit_heads WHERE tenant = $1", tenant.0).fetch_optional(connection).await?,
            Some(to) => {
                sqlx::query_scalar!(
                    "SELECT seq FROM audit_log WHERE tenant = $1 AND at_ms < $2 ORDER BY at_ms DESC, seq DESC LIMIT 1",
                    tenant.0,
                    millis(to),
                )
                .fetch_optional(connection)
                .await?
            }
        };
        Ok((first.unwrap_or(i64::MAX), last.unwrap_or(0)))
    }
}

fn millis(moment: Timestamp) -> i64 {
    i64::try_from(moment.millis()).unwrap_or(i64::MAX)
}

/// Records of a tenant, newest first, and whether there are more.
///
/// # Errors
/// As any read.
pub async fn search(tx: &mut Tx, tenant: TenantId, filter: Filter) -> Result<(Vec<AuditRecord>, bool)> {
    let (first, last) = filter.range.bounds(tx.connection(), tenant).await?;
    let cursor = filter.cursor.map_or(i64::MAX, |seq| i64::try_from(seq).unwrap_or(i64::MAX));
    let last = last.min(cursor.saturating_sub(1));
    let limit = i64::from(filter.limit) + 1;
    let action = filter.action.as_deref();
    let actor = filter.actor.map(|actor| actor.0);
    // A statement for each index; the narrowest one that is asked for is taken, and the rest filters what it finds.
    let mut found: Vec<Row> = match (filter.key, actor, action) {
        (Some(key), ..) => {
            rows!(
                "WHERE tenant = $1 AND target = $2 AND seq BETWEEN $3 AND $4
                   AND ($5::uuid IS NULL OR actor_key = $5) AND ($6::text IS NULL OR action = $6) ORDER BY seq DESC LIMIT $7",
                tenant.0,
                key.to_string(),
                first,
                last,
                actor,
                action,
                limit,
            )
            .fetch_all(tx.connection())
            .await?
        }
        (None, Some(actor), _) => {
            rows!(
                "WHERE tenant = $1 AND actor_key = $2 AND seq BETWEEN $3 AND $4
                   AND ($5::text IS NULL OR action = $5) ORDER BY seq DESC LIMIT $6",
                tenant.0,
                actor,
                first,
                last,
                action,
                limit,
            )
            .fetch_all(tx.connection())
            .await?
        }
        (None, None, Some(action)) => {
            rows!(
                "WHERE tenant = $1 AND action = $2 AND seq BETWEEN $3 AND $4 ORDER BY seq DESC LIMIT $5",
                tenant.0,
                action,
                first,
                last,
                limit,
            )
            .fetch_all(tx.connection())
            .await?
        }
        (None, None, None) => {
            rows!("WHERE tenant = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq DESC LIMIT $4", tenant.0, first, last, limit)
                .fetch_all(tx.connection())
                .await?
        }
    };
    let page = usize::try_from(filter.limit).unwrap_or(usize::MAX);
    let more = found.len() > page;
    found.truncate(page);
    Ok((found.into_iter().map(Row::record).collect::<Result<_>>()?, more))
}

/// Records of a tenant in their order, from `first` to `last`, at most `limit`.
///
/// # Errors
/// As any read.
pub async fn page(tx: &mut Tx, tenant: TenantId, first: i64, last: i64, limit: i64) -> Result<Vec<AuditRecord>> {
    let found: Vec<Row> = rows!("WHERE tenant = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq LIMIT $4", tenant.0, first, last, limit)
        .fetch_all(tx.connection())
        .await?;
    found.into_iter().map(Row::record).collect()
}

impl Row {
    /// As it is shown. What somebody has changed in the database is shown as it is, and doesn't verify.
    fn record(self) -> Result<AuditRecord> {
        let members = |text: Option<String>| -> Result<Option<Members>> {
            text.map(|text| serde_json::from_str(&text)).transpose().map_err(Error::internal)
        };
        let actor = match (self.actor_tenant, self.actor_key, self.actor_owner) {
            (Some(tenant), Some(key), Some(owner)) => Some(AuditActor { tenant: TenantId(tenant), key: KeyId(key), owner }),
            _ => None,
        };
        let target = self.target_kind.zip(self.target).map(|(kind, id)| AuditTarget { kind, id });
        Ok(AuditRecord {
            tenant: TenantId(self.tenant),
            seq: self.seq.try_into().map_err(Error::internal)?,
            at_ms: self.at_ms.try_into().map_err(Error::internal)?,
            action: self.action,
            actor,
            address: self.address,
            user_agent: self.user_agent,
            request_id: self.request_id,
            target,
            before: members(self.before)?,
            after: members(self.after)?,
            details: members(self.details)?,
            prev: digest(&self.prev)?,
            hash: digest(&self.hash)?,
        })
    }
}
