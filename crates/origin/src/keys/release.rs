//! Releasing superseded policies: those that no key can be used under any more leave the list that all edges hold.

use time::Duration;

use super::supersede::{MOST_LISTED, MOST_OF_A_TENANT};
use crate::{
    clock::datetime,
    db::begin,
    error::{Error, Result},
    state::App,
};

/// How long a policy has to be superseded, and all that could be used under it over: by then nobody is in the middle of using it, and
/// no edge's clock is so far behind.
const MARGIN: Duration = Duration::DAY;

/// Releases what can be, where the list of a tenant, or of all, is half full: that reads all credentials.
///
/// What is left of a released policy is history. Whoever was given its number as a signed one is INVALID or has expired; one that has
/// expired can be renewed, and comes under the policy in force (`renew.rs`).
///
/// # Errors
/// As any write.
pub async fn release(app: &App) -> Result<()> {
    let half = |most: usize| i64::try_from(most / 2).map_err(Error::internal);
    let mut tx = begin(app.db.system(), "BEGIN; SET LOCAL statement_timeout = '5min'").await?;
    let alone = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock(hashtext('keyward release')) AS "alone!""#);
    if !alone.fetch_one(&mut *tx).await? {
        return Ok(());
    }
    let is_due = sqlx::query_scalar!(
        r#"SELECT coalesce(sum(listed)::bigint >= $1 OR max(listed) >= $2, false) AS "is_due!"
           FROM (SELECT count(*) AS listed FROM policies WHERE superseded_by IS NOT NULL AND released_at IS NULL GROUP BY tenant) AS tenants"#,
        half(MOST_LISTED)?,
        half(MOST_OF_A_TENANT)?,
    );
    if !is_due.fetch_one(&mut *tx).await? {
        return Ok(());
    }
    let now = datetime(app.clock.now());
    let released = sqlx::query!(
        "UPDATE policies SET released_at = $1
         WHERE superseded_by IS NOT NULL AND released_at IS NULL AND superseded_at < $2 AND NOT EXISTS (
             SELECT FROM credentials c
             WHERE coalesce(c.amended_policy, c.policy) = policies.number AND c.status <> 1
               AND coalesce(CASE WHEN c.amended_policy IS NULL THEN c.expires_at ELSE c.amended_expires END > $2, true)
         )",
        now,
        now - MARGIN,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    tracing::info!(event = "policies_released", policies = released.rows_affected(), "superseded policies left the list that edges hold");
    Ok(())
}
