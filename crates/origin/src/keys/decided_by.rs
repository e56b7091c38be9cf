//! What edges decide on a key by.

use keyward_api::deployment::{CredentialTerms, KeyPolicy};
use keyward_core::{KeyId, TenantId};

use super::row::KeyRow;
use crate::{
    auth::Caller,
    clock::expiry_seconds,
    error::{Error, Result},
    policies::policy_number,
    state::App,
};

/// The policy in force, signed as edges get it, and what holds for each raw key.
///
/// # Errors
/// `not_found` where there is no such key that the caller sees.
pub async fn decided_by(app: &App, caller: &Caller, tenant: TenantId, id: KeyId) -> Result<KeyPolicy> {
    let mut tx = app.db.tenant(tenant).await?;
    let key = KeyRow::find(&mut tx, caller, tenant, id).await?.show(app.clock.now())?;
    let rows = sqlx::query!(
        r#"SELECT c.index, c.expires_at, c.amended_policy, c.amended_expires, p.number, p.superseded_by
           FROM credentials c JOIN policies p ON p.number = CASE WHEN c.amended_policy IS NULL THEN c.policy ELSE c.amended_policy END
           WHERE c.api_key = $1 AND c.status <> 1 ORDER BY c.created_at DESC"#,
        id.0
    )
    .fetch_all(tx.connection())
    .await?;
    tx.commit().await?;
    let credentials = rows.into_iter().map(|row| {
        let amended = row.amended_policy.is_some();
        Ok(CredentialTerms {
            index: u32::try_from(row.index).map_err(Error::internal)?,
            amended,
            policy: policy_number(row.number),
            in_force: policy_number(row.superseded_by.unwrap_or(row.number)),
            expires: expiry_seconds(if amended { row.amended_expires } else { row.expires_at }),
        })
    });
    let credentials = credentials.collect::<Result<Vec<_>>>()?;
    Ok(KeyPolicy { number: key.policy, signed: app.policies.signed(app, key.policy).await?.to_string(), credentials })
}
