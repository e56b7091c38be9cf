//! `keyward recover`: after the database went back in time, makes sure that nothing of the lost time counts, and that
//! no number of it is given a second meaning.
//!
//! * The epoch rises, in a manifest that the root signs: edges leave what they know behind and take a snapshot.
//! * Positions go on past a reserved gap, in a new shard. Every position before it without a credential is INVALID:
//!   those are the keys that were made in the lost time.
//! * Policy numbers go on past a gap: edges drop what they have of the lost ones.
//! * What the journal knows to have been revoked is revoked, and the signing keys that it knows to have been frozen or
//!   retired are.

use anyhow::{Context, ensure};
use keyward_core::{KeyState, Kid, TenantId, Timestamp, bounds::SHARD_BITS};
use keyward_issuer::SigningKey;
use serde_json::json;
use sqlx::PgConnection;

use crate::{
    audit::{Action, Event, append, members},
    bootstrap::Foundation,
    clock::datetime,
    db::{Db, begin},
    feed::CHANNEL,
    journal::Memory,
    sealing::SealingKey,
    signing::{Edition, end, load, publish},
};

/// Positions and policy numbers that are passed over at least: more than can have been given out since any sane backup.
pub const DEFAULT_GAP: u32 = 1 << SHARD_BITS;
/// Manifest versions that are passed over: edges may have seen some that neither database nor journal know of.
const MANIFEST_GAP: u64 = 1_000;

/// What a recovery did.
#[derive(Debug)]
pub struct Recovered {
    /// The new epoch.
    pub epoch: u32,
    /// The first policy number from now on.
    pub first_policy: u32,
    /// The first status index from now on.
    pub first_index: u32,
    /// Keys that the journal knew to be revoked and the database didn't.
    pub revoked: u64,
}

/// Recovers the database, in one transaction. Servers on it take notice by themselves. With `root`, where that is kept
/// elsewhere.
///
/// # Errors
/// Where the root isn't here, or 32 bits don't suffice for the gap.
pub async fn recover(
    db: &Db,
    foundation: &Foundation,
    journal: &Memory,
    gap: u32,
    root: Option<&SigningKey>,
    now: Timestamp,
) -> anyhow::Result<Recovered> {
    ensure!(
        journal.deployment.is_none_or(|deployment| deployment == foundation.deployment),
        "the data directory belongs to another deployment than the database"
    );
    let mut tx = begin(db.system(), "BEGIN").await?;
    let state = sqlx::query!("SELECT epoch, seq FROM feed_state FOR UPDATE").fetch_one(&mut *tx).await?;
    let keyring = load(&mut tx, &foundation.data_key, now).await.context("can't read the signing keys")?;
    let old = keyring.keys.manifest();

    let epoch = u32::try_from(state.epoch)?.max(journal.feed.epoch).checked_add(1).context("epochs are used up")?;
    let first_index = skip_positions(&mut tx, journal, gap).await?;
    let first_policy = skip_policies(&mut tx, journal, gap).await?;
    let revoked = revoke_again(&mut tx, journal, now).await?;
    let edition =
        Edition { issuer: old.iss.clone(), version: old.version.max(journal.manifest) + MANIFEST_GAP, epoch, first_policy, first_index };
    let ended = end_again(&mut tx, &foundation.data_key, journal, now).await?;
    publish(&mut tx, &foundation.data_key, edition, root.map(|root| (root, &ended[..])), now).await?;
    // What was signed in the old epoch is of no use to anybody.
    sqlx::query!("DELETE FROM snapshots").execute(&mut *tx).await?;
    sqlx::query!("DELETE FROM feed_log").execute(&mut *tx).await?;
    // Some of them may have been ended since: nobody knows which.
    sqlx::query!("DELETE FROM sessions").execute(&mut *tx).await?;
    sqlx::query!(
        "UPDATE feed_state SET epoch = $1, seq = $2, first_policy = $3, first_index = $4, recovery = NULL",
        i64::from(epoch),
        state.seq.max(i64::try_from(journal.feed.seq)?),
        i64::from(first_policy),
        i64::from(first_index),
    )
    .execute(&mut *tx)
    .await?;
    tell_tenants(&mut tx, epoch, now).await?;
    sqlx::query!("SELECT pg_notify($1, '')::text AS sent", CHANNEL).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(Recovered { epoch, first_policy, first_index, revoked })
}

/// Every trail says that records after the one before may be lost: checkpoints that were kept elsewhere will show it.
async fn tell_tenants(tx: &mut PgConnection, epoch: u32, now: Timestamp) -> anyhow::Result<()> {
    let tenants = sqlx::query_scalar!("SELECT id FROM tenants ORDER BY id").fetch_all(&mut *tx).await?;
    for tenant in tenants.into_iter().map(TenantId) {
        let event = Event::by_itself(Action::DatabaseRecovered, now).details(members(json!({"epoch": epoch})));
        append(tx, tenant, &[event], 0).await?;
    }
    Ok(())
}

/// Moves positions on to the beginning of a shard past the gap, and marks all that were left out.
async fn skip_positions(tx: &mut PgConnection, journal: &Memory, gap: u32) -> anyhow::Result<u32> {
    let block = sqlx::query_scalar!("SELECT last_value FROM position_blocks").fetch_one(&mut *tx).await?;
    let last = sqlx::query_scalar!("SELECT max(position) FROM credentials").fetch_one(&mut *tx).await?;
    let taken = block.max(last.unwrap_or(0)).max(journal.taken.map_or(0, i64::from));
    let shard = ((taken + i64::from(gap)) >> SHARD_BITS) + 1;
    let first = u32::try_from(shard << SHARD_BITS).context("status positions are used up")?;
    sqlx::query!("SELECT setval('position_blocks', $1, false)", i64::from(first)).fetch_one(&mut *tx).await?;
    sqlx::query!("INSERT INTO shards (shard) SELECT generate_series(0, $1::bigint) ON CONFLICT DO NOTHING", shard)
        .execute(&mut *tx)
        .await?;
    sqlx::query!("DELETE FROM invalid_ranges").execute(&mut *tx).await?;
    // Every stretch between two credentials, before the first and after the last.
    sqlx::query!(
        "INSERT INTO invalid_ranges (first_position, last_position)
         SELECT before + 1, position - 1
         FROM (SELECT position, lag(position, 1, -1::bigint) OVER (ORDER BY position) AS before
               FROM (SELECT position FROM credentials UNION ALL SELECT $1::bigint) AS given) AS gaps
         WHERE position - before > 1",
        i64::from(first),
    )
    .execute(&mut *tx)
    .await?;
    Ok(first)
}

async fn skip_policies(tx: &mut PgConnection, journal: &Memory, gap: u32) -> anyhow::Result<u32> {
    let drawn = sqlx::query_scalar!("SELECT last_value FROM policy_numbers").fetch_one(&mut *tx).await?;
    let last = sqlx::query_scalar!("SELECT max(number) FROM policies").fetch_one(&mut *tx).await?;
    let used = drawn.max(last.unwrap_or(0)).max(journal.policy.into());
    let first = u32::try_from(used + i64::from(gap) + 1).context("policy numbers are used up")?;
    sqlx::query!("SELECT setval('policy_numbers', $1, false)", i64::from(first)).fetch_one(tx).await?;
    Ok(first)
}

/// Freezes and retires what the journal knows to have been; the signing keys that this changed, successors among them.
async fn end_again(tx: &mut PgConnection, data_key: &SealingKey, journal: &Memory, now: Timestamp) -> anyhow::Result<Vec<Kid>> {
    let mut changed = Vec::new();
    let frozen = journal.frozen.difference(&journal.retired).map(|kid| (*kid, KeyState::Frozen));
    for (kid, state) in journal.retired.iter().map(|kid| (*kid, KeyState::Retired)).chain(frozen) {
        changed.extend(end(tx, data_key, kid, state, now).await?);
    }
    Ok(changed)
}

/// Revokes what the journal knows to be revoked. A key whose newest credential is among it is revoked as a whole.
async fn revoke_again(tx: &mut PgConnection, journal: &Memory, now: Timestamp) -> anyhow::Result<u64> {
    let invalid: Vec<i64> = journal.invalid.iter().map(|index| i64::from(*index)).collect();
    sqlx::query!("UPDATE credentials SET status = 1 WHERE index = ANY($1) AND status <> 1", &invalid).execute(&mut *tx).await?;
    let revoked = sqlx::query!(
        "UPDATE api_keys SET state = 'revoked', lapsed = false, revoked_at = $2, updated_at = $2, version = version + 1
         WHERE current_index = ANY($1) AND state <> 'revoked' RETURNING id",
        &invalid,
        datetime(now),
    )
    .fetch_all(&mut *tx)
    .await?;
    let ids: Vec<_> = revoked.iter().map(|row| row.id).collect();
    // The other credentials of such a key go with it.
    sqlx::query!("UPDATE credentials SET status = 1 WHERE api_key = ANY($1) AND status <> 1", &ids).execute(&mut *tx).await?;
    Ok(revoked.len() as u64)
}
