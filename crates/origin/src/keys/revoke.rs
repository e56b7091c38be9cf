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
    auth::{Caller, Witnesses},
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
    /// Whether `by` has to be as it is taken to be: it was recognised from memory.
    presumed: bool,
}

/// What came of it.
pub type Outcome = Result<Done>;

/// What came of a revocation that isn't refused.
#[derive(Clone)]
pub enum Done {
    /// What was committed, others' revocations included.
    Now(Committed),
    /// The key had been revoked before.
    Before,
    /// Nothing: there is something to ask about it or those with it, and who asks was recognised from memory alone.
    Unsure,
}

/// A change that was committed, and at which position where the feed has to tell of it.
#[derive(Clone)]
pub struct Committed {
    change: Arc<Change>,
    position: Option<Position>,
}

/// Revokes a key of the caller's own tenant, if nothing stands in the way and the caller still is as it is taken to be, which the
/// database looks at when it does it. `None`: nothing was done, and whether and why not is for [`revoke`] to say.
///
/// # Errors
/// As any write: then it may have been done.
pub async fn revoke_at_once(app: &App, presumed: &Caller, id: KeyId, request: &RevokeKey) -> Result<Option<KeyRevoked>> {
    let mut checks = Checks::default();
    request.reason.iter().for_each(|reason| checks.reason(reason));
    if checks.finish(()).is_err() {
        return Ok(None);
    }
    let (by, tenant, reason) = (presumed.clone(), presumed.tenant(), request.reason.clone());
    let revocation = Revocation { by, tenant, id, if_match: IfMatch::Any, reason, at: app.clock.now(), presumed: true };
    match app.revocations.ask(revocation).await?? {
        Done::Unsure => Ok(None),
        done => Ok(Some(revoked_now(app, presumed, tenant, id, done))),
    }
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
    let (by, at) = (caller.clone(), app.clock.now());
    let revocation = Revocation { by, tenant, id, if_match, reason: request.reason, at, presumed: false };
    let done = app.revocations.ask(revocation).await??;
    Ok(revoked_now(app, caller, tenant, id, done))
}

fn revoked_now(app: &App, caller: &Caller, tenant: TenantId, id: KeyId, done: Done) -> KeyRevoked {
    match done {
        Done::Now(Committed { change, position }) => {
            if let Some(position) = position {
                app.feed.committed(position, &change);
            }
            tracing::info!(event = "api_key_revoked", key = %id, tenant = %tenant, by = %caller.id());
        }
        Done::Before => app.feed.ended_before(id),
        Done::Unsure => {}
    }
    KeyRevoked { success: true, message: "API key revoked successfully".to_owned(), key_id: id }
}

/// Revokes keys, one transaction for each tenant.
pub async fn revoke_keys(db: &Db, revocations: Vec<Revocation>) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = revocations.iter().map(|_| Ok(Done::Unsure)).collect();
    for (tenant, places) in grouped(&revocations, |revocation| revocation.tenant) {
        let theirs: Vec<_> = places.iter().map(|at| &revocations[*at]).collect();
        let done = match revoke_together(db, tenant, &theirs).await {
            Ok(None) => revoke_of(db, tenant, &theirs).await,
            Ok(Some(committed)) => Ok(theirs.iter().map(|_| Ok(Done::Now(committed.clone()))).collect()),
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
/// active, and who asks is as taken to be. `None`: nothing was done, and they have to be looked at one by one.
async fn revoke_together(db: &Db, tenant: TenantId, revocations: &[&Revocation]) -> Result<Option<Committed>> {
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
    // The function sees to it that they haven't expired.
    let event = |revocation: &&Revocation| told(&revocation.by, revocation.id, "active", revocation.reason.as_deref(), revocation.at);
    let events: Vec<Event> = revocations.iter().map(event).collect();
    let records = Records::of(&events, 0)?;
    let presumed: Vec<_> = revocations.iter().filter(|revocation| revocation.presumed).map(|revocation| revocation.by.witness()).collect();
    let on = Witnesses::of(presumed.iter());
    let done = again!(
        with_records!(
            query!(
                "SELECT epoch, seq, indices
                   FROM revoke_keys($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
                                    $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33)",
                tenant.0,
                &ids,
                &owners as _,
                &reasons as _,
                datetime(at),
                CHANNEL,
                &on.indices,
                &on.owners,
                &on.statuses,
                &on.amended as _,
                &on.ends as _,
                &on.in_force,
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

/// Revokes keys of a tenant, in one transaction: those that are asked for by who is certain.
async fn revoke_of(db: &Db, tenant: TenantId, revocations: &[&Revocation]) -> Result<Vec<Outcome>> {
    let mut tx = db.on_behalf_of(tenant).await?;
    let ids: Vec<Uuid> = revocations.iter().map(|revocation| revocation.id.0).collect();
    let held = Held::hold(&mut tx, tenant, &ids).await?;
    let (mut chosen, mut met, mut outcomes) = (Vec::new(), HashSet::new(), Vec::new());
    for revocation in revocations {
        if revocation.presumed {
            outcomes.push(Ok(None));
            continue;
        }
        let key = held.iter().find(|key| key.id == revocation.id.0 && revocation.by.sees(&key.owner));
        let checked = match key {
            Some(key) => revocation.check(&mut tx).await.map(|()| key),
            None => Err(Code::NotFound.into()),
        };
        // Of two that are about the same key the first one is heard.
        outcomes.push(checked.map(|key| Some(key.state != "revoked" && met.insert(key.id))));
        if let (Some(key), Some(Ok(Some(true)))) = (key, outcomes.last()) {
            chosen.push((key.id, revocation.reason.as_deref()));
            tx.record(revoked(&revocation.by, key, revocation.reason.as_deref(), revocation.at));
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
    let done = |is_new: Option<bool>| match (is_new, &committed) {
        (None, _) => Done::Unsure,
        (Some(true), Some(committed)) => Done::Now(committed.clone()),
        (Some(_), _) => Done::Before,
    };
    Ok(outcomes.into_iter().map(|outcome: Result<_>| outcome.map(done)).collect())
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

/// What the audit trail says of a key that is held and was revoked.
pub fn revoked(caller: &Caller, key: &Held, reason: Option<&str>, now: Timestamp) -> Event {
    told(caller, KeyId(key.id), &key.state, reason, now).of_expired(key.has_expired(now))
}

fn told(caller: &Caller, id: KeyId, state: &str, reason: Option<&str>, now: Timestamp) -> Event {
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
