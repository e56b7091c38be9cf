//! A transaction's records, at the end of their tenant's chain.

use keyward_core::{AuditRecord, AuditTarget, Digest, TenantId};
use sqlx::PgConnection;

use super::event::{Event, Members};
use crate::error::{Error, Result};

/// Appends records to a tenant's trail, all in one statement. The end of the chain is held until the commit, so that
/// this comes after everything else in its transaction, but for the feed's number (which all transactions take after
/// it: two that wait for each other would wait for ever).
///
/// # Errors
/// As any write.
pub async fn append(connection: &mut PgConnection, tenant: TenantId, events: &[Event]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let (mut seq, mut at_ms, mut prev) = head(connection, tenant).await?;
    let mut records = Vec::with_capacity(events.len());
    for event in events {
        seq += 1;
        // Servers' clocks differ a little; the chain has one order.
        at_ms = at_ms.max(event.at.millis());
        let record = chained(event, tenant, seq, at_ms, prev);
        prev = record.hash;
        records.push(record);
    }
    store(connection, tenant, &records).await
}

/// The end of a tenant's chain, held until the transaction ends.
async fn head(connection: &mut PgConnection, tenant: TenantId) -> Result<(u64, u64, Digest)> {
    loop {
        let found = sqlx::query!("SELECT seq, at_ms, hash FROM audit_heads WHERE tenant = $1 FOR NO KEY UPDATE", tenant.0)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some(head) = found {
            let hash = digest(&head.hash)?;
            return Ok((head.seq.try_into().map_err(Error::internal)?, head.at_ms.try_into().map_err(Error::internal)?, hash));
        }
        // The first record of all.
        sqlx::query!(
            "INSERT INTO audit_heads (tenant, seq, at_ms, hash) VALUES ($1, 0, 0, $2) ON CONFLICT DO NOTHING",
            tenant.0,
            &AuditRecord::GENESIS.as_bytes()[..],
        )
        .execute(&mut *connection)
        .await?;
    }
}

fn chained(event: &Event, tenant: TenantId, seq: u64, at_ms: u64, prev: Digest) -> AuditRecord {
    let actor = event.actor.as_deref();
    let mut record = AuditRecord {
        tenant,
        seq,
        at_ms,
        action: event.action.as_str().to_owned(),
        actor: actor.map(|actor| actor.who.clone()),
        address: actor.and_then(|actor| actor.address).map(|address| address.to_string()),
        user_agent: actor.and_then(|actor| actor.user_agent.clone()),
        request_id: actor.map(|actor| actor.request),
        target: event.target.clone(),
        before: event.before.clone(),
        after: event.after.clone(),
        details: event.details.clone(),
        prev,
        hash: prev,
    };
    record.hash = record.digest();
    record
}

/// Stores records and moves the end of the chain, in one statement.
async fn store(connection: &mut PgConnection, tenant: TenantId, records: &[AuditRecord]) -> Result<()> {
    let Some(last) = records.last() else { return Ok(()) };
    let target = |of: fn(&AuditTarget) -> &String| records.iter().map(|record| record.target.as_ref().map(of).cloned()).collect::<Vec<_>>();
    let json = |of: fn(&AuditRecord) -> &Option<Members>| {
        records.iter().map(|record| of(record).as_ref().map(serde_json::to_string).transpose()).collect::<Result<Vec<_>, _>>()
    };
    sqlx::query!(
        r#"WITH entry AS (
             INSERT INTO audit_log (tenant, seq, at_ms, action, actor_tenant, actor_key, actor_owner, address, user_agent, request_id,
                                    target_kind, target, before, after, details, prev, hash)
             SELECT $1, given.*
             FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::uuid[],
                         $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bytea[], $17::bytea[]) AS given
           )
           UPDATE audit_heads SET seq = $18, at_ms = $19, hash = $20 WHERE tenant = $1"#,
        tenant.0,
        &numbers(records, |record| record.seq)?,
        &numbers(records, |record| record.at_ms)?,
        &records.iter().map(|record| record.action.clone()).collect::<Vec<_>>(),
        &records.iter().map(|record| record.actor.as_ref().map(|actor| actor.tenant.0)).collect::<Vec<_>>() as _,
        &records.iter().map(|record| record.actor.as_ref().map(|actor| actor.key.0)).collect::<Vec<_>>() as _,
        &records.iter().map(|record| record.actor.as_ref().map(|actor| actor.owner.clone())).collect::<Vec<_>>() as _,
        &records.iter().map(|record| record.address.clone()).collect::<Vec<_>>() as _,
        &records.iter().map(|record| record.user_agent.clone()).collect::<Vec<_>>() as _,
        &records.iter().map(|record| record.request_id).collect::<Vec<_>>() as _,
        &target(|target| &target.kind) as _,
        &target(|target| &target.id) as _,
        &json(|record| &record.before).map_err(Error::internal)? as _,
        &json(|record| &record.after).map_err(Error::internal)? as _,
        &json(|record| &record.details).map_err(Error::internal)? as _,
        &records.iter().map(|record| record.prev.as_bytes().to_vec()).collect::<Vec<_>>(),
        &records.iter().map(|record| record.hash.as_bytes().to_vec()).collect::<Vec<_>>(),
        i64::try_from(last.seq).map_err(Error::internal)?,
        i64::try_from(last.at_ms).map_err(Error::internal)?,
        &last.hash.as_bytes()[..],
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn numbers(records: &[AuditRecord], of: fn(&AuditRecord) -> u64) -> Result<Vec<i64>> {
    records.iter().map(|record| i64::try_from(of(record)).map_err(Error::internal)).collect()
}

/// A digest from the database, which holds no others.
///
/// # Errors
/// Never with what the database admits.
pub fn digest(bytes: &[u8]) -> Result<Digest> {
    Ok(Digest::from_bytes(bytes.try_into().map_err(Error::internal)?))
}
