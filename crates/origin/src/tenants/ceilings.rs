//! What a tenant may use up of what all share.
//!
//! Counted in the row that every change of the tenant holds until its commit anyway (the end of its audit trail), so
//! that the counts are exact, whoever creates at the same moment, and cost no lock of their own.

use keyward_api::{Code, tenants::Ceilings};
use keyward_core::{TenantId, Timestamp};
use sqlx::PgConnection;

use crate::{
    audit::{Action, Event},
    clock::{datetime, rfc3339},
    error::{Error, Result},
    state::App,
};

const HOUR_MS: u64 = 3_600_000;
/// For how long a key that has expired is counted among the live ones. Whoever changes it looks at the time before, and a count that
/// left it out meanwhile would miss it for good when it is renewed. Stands in the database's own count, too.
const AFTERGLOW_MS: u64 = 60_000;

/// What the events of a transaction use up; held against the tenant's ceilings by the database, where its row is held
/// (`append_to_trail`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Keys made.
    pub made: i64,
    /// Live keys ended, less those that had expired and are live again.
    pub ended: i64,
    /// Changes.
    pub changed: i64,
    /// Those of them that may be refused.
    pub refusable: i64,
    /// Policies made.
    pub new_policies: i64,
}

impl Counts {
    /// Of these events.
    pub fn of(events: &[Event], new_policies: usize) -> Self {
        let mut counts = Self { new_policies: i64::try_from(new_policies).unwrap_or(i64::MAX), ..Self::default() };
        for event in events {
            match event.action {
                Action::ApiKeyCreated => counts.made += 1,
                Action::ApiKeyRevoked => {
                    counts.ended += i64::from(!event.of_expired);
                    counts.changed += 1;
                }
                // Taking a key out of use is never refused: it may be all that is left to do against a thief.
                Action::ApiKeySuspended | Action::ApiKeyRotationFinished | Action::OwnerDisabled => counts.changed += 1,
                Action::ApiKeyResumed
                | Action::ApiKeyRotated
                | Action::ApiKeyRotationCancelled
                | Action::ApiKeyRenewed
                | Action::ApiKeyUpdated
                | Action::PolicySuperseded => {
                    counts.ended -= i64::from(event.of_expired);
                    counts.changed += 1;
                    counts.refusable += 1;
                }
                _ => {}
            }
        }
        counts
    }
}

/// A refusal, and when to try again.
pub fn refusal(code: Code, now: Timestamp) -> Error {
    let error = Error::from(code);
    match code {
        Code::RateLimited => {
            let next = next_hour(now);
            let words = format!("The tenant has used up this hour's; the next one begins at {}.", rfc3339(datetime(next)));
            error.detail(words).retry_after(next.since(now).div_ceil(1000))
        }
        _ => error.detail("Revoke keys that are no longer used, or raise the tenant's ceiling."),
    }
}

/// When the next hour begins.
pub fn next_hour(now: Timestamp) -> Timestamp {
    Timestamp::from_millis((now.millis() / HOUR_MS + 1) * HOUR_MS)
}

async fn live_keys(connection: &mut PgConnection, tenant: TenantId, now: Timestamp) -> Result<i64> {
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM api_keys
           WHERE tenant = $1 AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > $2)"#,
        tenant.0,
        datetime(Timestamp::from_millis(now.millis().saturating_sub(AFTERGLOW_MS))),
    )
    .fetch_one(connection)
    .await?;
    Ok(count)
}

async fn policies(connection: &mut PgConnection, tenant: TenantId) -> Result<i64> {
    Ok(sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM policies WHERE tenant = $1"#, tenant.0).fetch_one(connection).await?)
}

/// What a tenant has used up, by the counts that refuse. Keys that have expired are among the live ones until they are
/// counted anew; one that is renewed meanwhile is there twice until then. So the count is never too low (decision 0113).
///
/// # Errors
/// As any read.
pub async fn used(connection: &mut PgConnection, tenant: TenantId, now: Timestamp) -> Result<Ceilings> {
    let head = sqlx::query!("SELECT live_keys, policies, hour, creates, changes FROM audit_heads WHERE tenant = $1", tenant.0)
        .fetch_optional(&mut *connection)
        .await?;
    let hour = i64::try_from(now.millis() / HOUR_MS).unwrap_or(i64::MAX);
    let this_hour = head.as_ref().filter(|head| head.hour == hour);
    let (creates, changes) = this_hour.map_or((0, 0), |head| (head.creates, head.changes));
    let live = match head.as_ref().and_then(|head| head.live_keys) {
        Some(live) => live,
        None => live_keys(connection, tenant, now).await?,
    };
    let policies = match head.as_ref().and_then(|head| head.policies) {
        Some(counted) => counted,
        None => policies(connection, tenant).await?,
    };
    Ok(Ceilings {
        live_keys: live.unsigned_abs(),
        creates_per_hour: creates.unsigned_abs(),
        policies: policies.unsigned_abs(),
        changes_per_hour: changes.unsigned_abs(),
    })
}

/// Counts a tenant's live keys anew: those that have expired since make room. Holds what creates count on.
///
/// # Errors
/// As any write.
pub async fn recount(connection: &mut PgConnection, tenant: TenantId, now: Timestamp) -> Result<()> {
    let held = sqlx::query_scalar!("SELECT seq FROM audit_heads WHERE tenant = $1 FOR NO KEY UPDATE", tenant.0)
        .fetch_optional(&mut *connection)
        .await?;
    if held.is_none() {
        return Ok(());
    }
    let live = live_keys(connection, tenant, now).await?;
    sqlx::query!("UPDATE audit_heads SET live_keys = $2 WHERE tenant = $1", tenant.0, live).execute(connection).await?;
    Ok(())
}

/// Counts anew in all tenants that are near their ceiling.
///
/// # Errors
/// As any write.
pub async fn recount_all(app: &App) -> Result<()> {
    let near = sqlx::query_scalar!(
        "SELECT tenant FROM audit_heads JOIN tenants ON id = tenant WHERE live_keys >= max_live_keys - max_live_keys / 10"
    )
    .fetch_all(app.db.system())
    .await?;
    for tenant in near.into_iter().map(TenantId) {
        let mut tx = app.db.on_behalf_of(tenant).await?;
        recount(tx.connection(), tenant, app.clock.now()).await?;
        tx.commit().await?;
    }
    Ok(())
}
