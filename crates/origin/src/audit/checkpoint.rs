//! Signed statements of how far each trail has got.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use keyward_core::{AuditRecord, Checkpoint, Digest, Role, TenantId};

use super::append::digest;
use crate::{
    clock::datetime,
    error::{Error, Result},
    state::App,
};

/// The last checkpoint that this server has signed of each tenant. It signs no past that contradicts it.
#[derive(Default)]
pub struct Signed(Mutex<HashMap<TenantId, (u64, Digest)>>);

/// A checkpoint as it is kept.
pub struct Kept {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// As it was signed.
    pub jws: String,
}

/// Signs checkpoints of all trails that have grown since their last one.
pub async fn checkpoint_all(app: &App) {
    let grown = sqlx::query_scalar!(
        "SELECT tenant FROM audit_heads AS head
         WHERE seq > coalesce((SELECT max(seq) FROM audit_checkpoints AS signed WHERE signed.tenant = head.tenant), 0)"
    )
    .fetch_all(app.db.system())
    .await;
    match grown {
        Ok(tenants) => {
            for tenant in tenants.into_iter().map(TenantId) {
                if let Err(error) = checkpoint(app, tenant).await {
                    tracing::warn!(%tenant, error = %anyhow::Error::from(error), "can't sign a checkpoint");
                }
            }
        }
        Err(error) => tracing::warn!(error = %anyhow::Error::from(error), "can't sign checkpoints"),
    }
}

/// Signs how far a tenant's trail has got; the newest checkpoint where nothing was added since; `None` where there is
/// nothing.
///
/// # Errors
/// `internal` where the trail is not what was signed before: nothing is signed over it any more.
pub async fn checkpoint(app: &App, tenant: TenantId) -> Result<Option<Kept>> {
    let mut tx = app.db.tenant(tenant).await?;
    let Some(head) =
        sqlx::query!("SELECT seq, hash FROM audit_heads WHERE tenant = $1 AND seq > 0", tenant.0).fetch_optional(tx.connection()).await?
    else {
        return Ok(None);
    };
    let newest = sqlx::query!("SELECT seq, hash, jws FROM audit_checkpoints WHERE tenant = $1 ORDER BY seq DESC LIMIT 1", tenant.0)
        .fetch_optional(tx.connection())
        .await?;
    // What was signed has to be there still, and the end has to be a record: what was rewritten gets no signature.
    let mut known = vec![(head.seq, head.hash.clone())];
    known.extend(newest.as_ref().map(|newest| (newest.seq, newest.hash.clone())));
    if let Some((seq, hash)) = app.audit.signed.of(tenant) {
        known.push((i64::try_from(seq).map_err(Error::internal)?, hash.as_bytes().to_vec()));
    }
    for (seq, hash) in known {
        let found = sqlx::query_scalar!("SELECT hash FROM audit_log WHERE tenant = $1 AND seq = $2", tenant.0, seq)
            .fetch_optional(tx.connection())
            .await?;
        if found.as_ref() != Some(&hash) {
            let words = format!("the audit trail of tenant {tenant} was changed: record {seq} is not the one that was written");
            tracing::error!(event = "audit_trail_changed", %tenant, seq, "the audit trail was changed");
            return Err(Error::internal(anyhow::anyhow!(words)));
        }
    }
    let seq = u64::try_from(head.seq).map_err(Error::internal)?;
    if let Some(newest) = newest.filter(|newest| newest.seq == head.seq) {
        return Ok(Some(kept(newest.jws)?));
    }
    let now = app.clock.now();
    let payload = Checkpoint { iss: app.config.issuer.clone(), tenant, seq, hash: digest(&head.hash)?, iat_ms: now.millis() };
    let jws = app.keyrings.current().signer(Role::Audit)?.sign(&payload).map_err(Error::internal)?;
    // Another server may have signed the same.
    sqlx::query!(
        "INSERT INTO audit_checkpoints (tenant, seq, hash, jws, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        tenant.0,
        head.seq,
        head.hash,
        jws,
        datetime(now),
    )
    .execute(tx.connection())
    .await?;
    tx.commit().await?;
    app.audit.signed.remember(tenant, seq, payload.hash);
    Ok(Some(Kept { checkpoint: payload, jws }))
}

/// Checkpoints of a tenant, newest first, of records before `before`.
///
/// # Errors
/// As any read.
pub async fn checkpoints(app: &App, tenant: TenantId, before: u64, limit: u32) -> Result<Vec<Kept>> {
    let mut tx = app.db.tenant(tenant).await?;
    let rows = sqlx::query_scalar!(
        "SELECT jws FROM audit_checkpoints WHERE tenant = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
        tenant.0,
        i64::try_from(before).unwrap_or(i64::MAX),
        i64::from(limit),
    )
    .fetch_all(tx.connection())
    .await?;
    tx.commit().await?;
    rows.into_iter().map(kept).collect()
}

/// The newest checkpoint of a record up to `last`.
///
/// # Errors
/// As any read.
pub async fn newest_up_to(app: &App, tenant: TenantId, last: u64) -> Result<Option<Kept>> {
    Ok(checkpoints(app, tenant, last.saturating_add(1), 1).await?.pop())
}

/// Reads a checkpoint of ours.
fn kept(jws: String) -> Result<Kept> {
    let checkpoint = unproved(&jws).ok_or_else(|| Error::internal(anyhow::anyhow!("a checkpoint that is none")))?;
    Ok(Kept { checkpoint, jws })
}

/// What a checkpoint says, its signature not looked at.
pub fn unproved(jws: &str) -> Option<Checkpoint> {
    let payload = jws.split('.').nth(1)?;
    serde_json::from_slice(&keyward_core::codec::decode_base64url(payload)?).ok()
}

impl Signed {
    /// Forgets all: after a recovery the trails have other ends.
    pub fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn of(&self, tenant: TenantId) -> Option<(u64, Digest)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant).copied()
    }

    fn remember(&self, tenant: TenantId, seq: u64, hash: Digest) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = all.entry(tenant).or_insert((0, AuditRecord::GENESIS));
        if seq > last.0 {
            *last = (seq, hash);
        }
    }
}
