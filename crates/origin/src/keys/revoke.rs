//! Revoking keys, for ever. Those that are asked for at the same moment share a transaction and a delta.

use std::{collections::HashSet, sync::Arc};

use keyward_api::{
    Code,
    keys::{KeyRevoked, RevokeKey},
};
use keyward_core::{KeyId, Position, Status, StatusIndex, TenantId, Timestamp};
use serde_json::json;
use sqlx::types::Uuid;

use super::{
    precondition::IfMatch,
    row::{Held, KeyRow},
    standing::{Changed, announce, turned},
    terms::Checks,
};
use crate::{
    audit::{Action, Event, Records, members, with_records},
    auth::Caller,
    batch::grouped,
    clock::datetime,
    db::{Db, REFUSED, Tx, again},
    error::{Error, Result},
    feed::{CHANNEL, Change, position},
    state::App,
};

/// A revocation that is asked for.
#[derive(Clone)]
pub struct Revocation {
    by: Caller,
    tenant: TenantId,
    id: KeyId,
    if_match: IfMatch,
    reason: Option<String>,
    at: Timestamp,
}

/// What came of it: what was committed, others' revocations included; `None` where the key had been revoked before.
pub type Outcome = Result<Option<Committed>>;

/// A change that was committed, and at which position where the feed has to tell of it.
#[derive(Clone)]
pub struct Committed {
    change: Arc<Change>,
    position: Option<Position>,
}

/// Revokes a key for ever. Again is as good as once; then the first reason stays.
///
/// # Errors
/// `not_found` where there is none that the caller sees; `precondition_failed`; `validation_failed`.
pub async fn revoke(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, if_match: IfMatch, request: RevokeKey) -> Result<KeyRevoked> {
    let mut checks = Checks::default();
    if let Some(reason) = &request.reason {
        checks.reason(reason);
    }
    checks.finish(())?;
    let revocation = Revocation { by: caller.clone(), tenant, id, if_match, reason: request.reason, at: app.clock.now() };
    if let Some(Committed { change, position }) = app.revocations.ask(revocation).await?? {
        if let Some(position) = position {
            app.feed.committed(position, &change);
        }
        tracing::info!(event = "api_key_revoked", key = %id, tenant = %tenant, by = %caller.id());
    }
    Ok(KeyRevoked { success: true, message: "API key revoked successfully".to_owned(), key_id: id })
}

/// Revokes keys, one transaction for each tenant.
pub async fn revoke_keys(db: &Db, revocations: Vec<Revocation>) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = revocations.iter().map(|_| Ok(None)).collect();
    for (tenant, places) in grouped(&revocations, |revocation| revocation.tenant) {
        let theirs: Vec<_> = places.iter().map(|at| &revocations[*at]).collect();
        let done = match revoke_at_once(db, tenant, &theirs).await {
            Ok(None) => revoke_of(db, tenant, &theirs).await,
            Ok(Some(committed)) => Ok(theirs.iter().map(|_| Ok(Some(committed.clone()))).collect()),
            Err(error) => Err(error),
        };
        match done {
            Ok(done) => places.into_iter().zip(done).for_each(|(at, outcome)| outcomes[at] = outcome),
            Err(error) => {
                let code = error.code();
                tracing::warn!(keys = theirs.len(), error = %anyhow::Error::from(error), "revocations failed");
                places.into_iter().for_each(|at| outcomes[at] = Err(Error::new(code)));
            }
        }
    }
    outcomes
}

/// Revokes keys of a tenant in a transaction that is one message, where there is nothing to be asked about any of them: all are
/// active, and whatever else they are. `None`: nothing was done, and they have to be looked at one by one.
async fn revoke_at_once(db: &Db, tenant: TenantId, revocations: &[&Revocation]) -> Result<Option<Committed>> {
    let mut ids: Vec<Uuid> = revocations.iter().map(|revocation| revocation.id.0).collect();
    ids.sort_unstable();
    ids.dedup();
    let Some(at) = revocations.iter().map(|revocation| revocation.at).max() else { return Ok(None) };
    if ids.len() < revocations.len() || revocations.iter().any(|revocation| revocation.if_match != IfMatch::Any) {
        return Ok(None);
    }
    let ids: Vec<Uuid> = revocations.iter().map(|revocation| revocation.id.0).collect();
    let owners: Vec<Option<&str>> = revocations.iter().map(|revocation| revocation.by.sees_only()).collect();
    let reasons: Vec<Option<&str>> = revocations.iter().map(|revocation| revocation.reason.as_deref()).collect();
    let event = |revocation: &&Revocation| revoked(&revocation.by, revocation.id, "active", revocation.reason.as_deref(), revocation.at);
    let events: Vec<Event> = revocations.iter().map(event).collect();
    let records = Records::of(&events, 0)?;
    let done = again!(
        with_records!(
            query!(
                "SELECT epoch, seq, indices
                   FROM revoke_keys($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                                    $23, $24, $25, $26, $27)",
                tenant.0,
                &ids,
                &owners as _,
                &reasons as _,
                datetime(at),
                CHANNEL,
            ),
            &records
        )
        .fetch_one(db.in_one_message())
    );
    let done = match done {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(REFUSED) => return Ok(None),
        done => done?,
    };
    let (Some(epoch), Some(seq), Some(indices)) = (done.epoch, done.seq, done.indices) else { return Ok(None) };
    let index = |index: i64| u32::try_from(index).map(|index| (StatusIndex(index), Status::Invalid)).map_err(Error::internal);
    let changes = indices.into_iter().map(index).collect::<Result<_>>()?;
    let change = Change { changes, ..Change::default() };
    Ok(Some(Committed { change: Arc::new(change), position: Some(position(epoch, seq)) }))
}

/// Revokes keys of a tenant, in one transaction.
async fn revoke_of(db: &Db, tenant: TenantId, revocations: &[&Revocation]) -> Result<Vec<Outcome>> {
    let mut tx = db.tenant(tenant).await?;
    let ids: Vec<Uuid> = revocations.iter().map(|revocation| revocation.id.0).collect();
    let held = Held::hold(&mut tx, tenant, &ids).await?;
    let (mut chosen, mut met, mut outcomes) = (Vec::new(), HashSet::new(), Vec::new());
    for revocation in revocations {
        let key = held.iter().find(|key| key.id == revocation.id.0 && revocation.by.sees(&key.owner));
        let checked = match key {
            Some(key) => revocation.check(&mut tx).await.map(|()| key),
            None => Err(Code::NotFound.into()),
        };
        // Of two that are about the same key the first one is heard.
        outcomes.push(checked.map(|key| key.state != "revoked" && met.insert(key.id)));
        if let (Some(key), Some(Ok(true))) = (key, outcomes.last()) {
            chosen.push((key.id, revocation.reason.as_deref()));
            tx.record(revoked(&revocation.by, revocation.id, &key.state, revocation.reason.as_deref(), revocation.at));
        }
    }
    let mut committed = None;
    if let Some(at) = revocations.iter().map(|revocation| revocation.at).max()
        && !chosen.is_empty()
    {
        let (_, change) = revoke_in(&mut tx, &chosen, at).await?;
        let position = if change.is_empty() {
            tx.commit().await?;
            None
        } else {
            Some(tx.commit_with(&change).await?)
        };
        committed = Some(Committed { change: Arc::new(change), position });
    }
    Ok(outcomes.into_iter().map(|outcome| Ok(if outcome? { committed.clone() } else { None })).collect())
}

impl Revocation {
    /// Passes where the key, which is held, is in a state that is meant.
    async fn check(&self, tx: &mut Tx) -> Result<()> {
        if self.if_match == IfMatch::Any {
            return Ok(());
        }
        let key = KeyRow::find(tx, &self.by, self.tenant, self.id).await?;
        self.if_match.check(&key, self.at)
    }
}

/// What the audit trail says of a key that was revoked.
pub fn revoked(caller: &Caller, id: KeyId, state: &str, reason: Option<&str>, now: Timestamp) -> Event {
    let event = turned(caller, Action::ApiKeyRevoked, id, (state, "revoked"), now);
    event.details(reason.and_then(|reason| members(json!({"reason": reason}))))
}

/// Revokes those of some keys, which are held, that aren't yet, each for its reason: which they are, and what the feed has
/// to tell.
///
/// # Errors
/// As any write.
pub async fn revoke_in(tx: &mut Tx, keys: &[(Uuid, Option<&str>)], now: Timestamp) -> Result<(Vec<Uuid>, Change)> {
    let (ids, reasons): (Vec<Uuid>, Vec<Option<&str>>) = keys.iter().copied().unzip();
    let revoked = sqlx::query_scalar!(
        "UPDATE api_keys AS key SET state = 'revoked', lapsed = false, revoked_at = $3, revocation_reason = given.reason, updated_at = $3,
                                    version = version + 1
         FROM unnest($1::uuid[], $2::text[]) AS given (id, reason)
         WHERE key.id = given.id AND state <> 'revoked' RETURNING key.id",
        &ids,
        &reasons as _,
        datetime(now),
    )
    .fetch_all(tx.connection())
    .await?;
    let changed = sqlx::query_as!(
        Changed,
        "UPDATE credentials SET status = 1 WHERE api_key = ANY($1) AND status <> 1
         RETURNING index, status, amended_policy, amended_expires",
        &revoked,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok((revoked, announce(&changed)?))
}
