//! A transaction's records, at the end of their tenant's chain.

use keyward_api::Code;
use keyward_core::{AuditRecord, AuditTarget, Digest, TenantId};
use sqlx::PgConnection;

use super::event::{Event, Members};
use crate::{
    error::{Error, Result},
    tenants::ceilings::{self, Most, Used},
};

/// Appends records to a tenant's trail, all in one statement, and counts what they use up of the tenant's ceilings. The
/// end of the chain is held until the commit, so that this comes after everything else in its transaction, but for the
/// feed's number (which all transactions take after it: two that wait for each other would wait for ever).
///
/// # Errors
/// `ceiling_reached`, `rate_limited`, `owner_disabled`; else as any write.
pub async fn append(connection: &mut PgConnection, tenant: TenantId, events: &[Event], new_policies: usize) -> Result<()> {
    let Some(last) = events.last() else { return Ok(()) };
    let Head { mut seq, mut at_ms, hash: mut prev, used, most } = head(connection, tenant).await?;
    let used = ceilings::count(connection, tenant, used, most, events, new_policies, last.at).await?;
    let mut records = Vec::with_capacity(events.len());
    for event in events {
        seq += 1;
        // Servers' clocks differ a little; the chain has one order.
        at_ms = at_ms.max(event.at.millis());
        let record = chained(event, tenant, seq, at_ms, prev);
        prev = record.hash;
        records.push(record);
    }
    let mut owners: Vec<String> = events.iter().filter_map(|event| event.made_for.clone()).collect();
    owners.sort_unstable();
    owners.dedup();
    if store(connection, tenant, &records, &owners, used).await? { Ok(()) } else { Err(Code::OwnerDisabled.into()) }
}

/// The end of a tenant's chain.
struct Head {
    seq: u64,
    at_ms: u64,
    hash: Digest,
    used: Used,
    most: Option<Most>,
}

/// The end of a tenant's chain, held until the transaction ends.
async fn head(connection: &mut PgConnection, tenant: TenantId) -> Result<Head> {
    loop {
        // The counts and the end are of the row as it is once it is held; the ceilings may be those of a moment before.
        let found = sqlx::query!(
            r#"SELECT seq, at_ms, hash, live_keys, policies, hour, creates, changes,
                      max_live_keys AS "max_live_keys?", max_creates_per_hour AS "max_creates_per_hour?",
                      max_policies AS "max_policies?", max_changes_per_hour AS "max_changes_per_hour?"
               FROM audit_heads AS head LEFT JOIN tenants ON id = tenant
               WHERE tenant = $1 FOR NO KEY UPDATE OF head"#,
            tenant.0
        )
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(head) = found {
            let most = match (head.max_live_keys, head.max_creates_per_hour, head.max_policies, head.max_changes_per_hour) {
                (Some(live_keys), Some(creates), Some(policies), Some(changes)) => Some(Most { live_keys, creates, policies, changes }),
                _ => None,
            };
            return Ok(Head {
                seq: head.seq.try_into().map_err(Error::internal)?,
                at_ms: head.at_ms.try_into().map_err(Error::internal)?,
                hash: digest(&head.hash)?,
                used: Used {
                    live_keys: head.live_keys,
                    policies: head.policies,
                    hour: head.hour,
                    creates: head.creates,
                    changes: head.changes,
                },
                most,
            });
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

/// Stores records and moves the end of the chain, in one statement; `false` where one of these owners is disabled.
async fn store(connection: &mut PgConnection, tenant: TenantId, records: &[AuditRecord], owners: &[String], used: Used) -> Result<bool> {
    let Some(last) = records.last() else { return Ok(true) };
    let target = |of: fn(&AuditTarget) -> &String| records.iter().map(|record| record.target.as_ref().map(of).cloned()).collect::<Vec<_>>();
    let json = |of: fn(&AuditRecord) -> &Option<Members>| {
        records.iter().map(|record| of(record).as_ref().map(serde_json::to_string).transpose()).collect::<Result<Vec<_>, _>>()
    };
    let enabled = sqlx::query_scalar!(
        r#"WITH entry AS (
             INSERT INTO audit_log (tenant, seq, at_ms, action, actor_tenant, actor_key, actor_owner, address, user_agent, request_id,
                                    target_kind, target, before, after, details, prev, hash)
             SELECT $1, given.*
             FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::uuid[],
                         $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::bytea[], $17::bytea[]) AS given
           ), head AS (
             UPDATE audit_heads
             SET seq = $18, at_ms = $19, hash = $20, live_keys = $22, policies = $23, hour = $24, creates = $25, changes = $26
             WHERE tenant = $1
           )
           SELECT NOT EXISTS (SELECT FROM owners WHERE tenant = $1 AND id = ANY($21) AND disabled) AS "enabled!""#,
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
        owners,
        used.live_keys,
        used.policies,
        used.hour,
        used.creates,
        used.changes,
    )
    .fetch_one(connection)
    .await?;
    Ok(enabled)
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
