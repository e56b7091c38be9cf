//! Batches that are written down and not in the sums yet: of servers that count for many keys, whose rows would otherwise be written
//! anew every half second. Whichever server adds them next adds all that there are, those of servers that are gone too.

use keyward_core::TenantId;
use sqlx::PgConnection;

use super::ingest::Parcel;
use crate::{
    db::{Db, again},
    error::{Error, Result},
};

/// Batches that are taken at a time.
pub const MOST: usize = 64;

/// Writes down batches of tenants' keys. Once for each id, for as long as it waits.
///
/// # Errors
/// As any write.
pub async fn put(db: &Db, parcels: &[Parcel]) -> Result<()> {
    let within: Vec<_> = parcels.iter().filter_map(|parcel| Some((parcel, parcel.within?.0))).collect();
    let text = |parcel: &Parcel| serde_json::to_string(&parcel.batch).map_err(Error::internal);
    let batches = within.iter().map(|(parcel, _)| text(parcel)).collect::<Result<Vec<_>>>()?;
    again!(
        sqlx::query!(
            "INSERT INTO usage_waiting (id, tenant, batch) SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) ON CONFLICT DO NOTHING",
            &within.iter().map(|(parcel, _)| parcel.batch.id).collect::<Vec<_>>(),
            &within.iter().map(|(_, tenant)| *tenant).collect::<Vec<_>>(),
            &batches,
        )
        .execute(db.rows())
    )?;
    Ok(())
}

/// Takes the oldest ones: they are gone with the transaction that adds them.
///
/// # Errors
/// As any write.
pub async fn take(tx: &mut PgConnection) -> Result<Vec<Parcel>> {
    let rows = sqlx::query!(
        "DELETE FROM usage_waiting WHERE id IN (SELECT id FROM usage_waiting ORDER BY id LIMIT $1) RETURNING tenant, batch",
        MOST as i64
    )
    .fetch_all(tx)
    .await?;
    let parcel = |tenant, batch: &str| {
        let batch = serde_json::from_str(batch).map_err(Error::internal)?;
        Ok(Parcel { batch, within: Some(TenantId(tenant)) })
    };
    rows.iter().map(|row| parcel(row.tenant, &row.batch)).collect()
}
