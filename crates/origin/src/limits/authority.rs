//! Giving permits and taking them back, many keys' in one transaction.
//!
//! Each account is locked, and then all else is read: the limits that are committed, and what was answered before. A permit
//! is deducted by the time anybody hears of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::anyhow;
use keyward_api::limits::{PermitsReply, PermitsRequest};
use keyward_core::{
    Timestamp,
    limits::{Granted, ID_AGE_MS, Meter},
};
use sqlx::types::Uuid;

use super::{
    desk::Desk,
    store::{self, Known, Seen},
};
use crate::{
    db::{Db, begin},
    error::{Error, Result},
};

/// What somebody wants of the authority.
#[derive(Clone)]
pub struct Errand {
    /// Passed by [`super::check`], or our own.
    pub request: PermitsRequest,
    /// Whether it may come again.
    pub remember: bool,
    /// What was read of the key that it is about when that was met, a moment ago.
    pub seen: Option<(Known, Seen)>,
}

/// What was answered, by id, key and meter.
pub type Answers = BTreeMap<(Uuid, Uuid, Meter), Granted>;

/// Does these; answers each. All of it or nothing is done.
///
/// # Errors
/// As any write; then nothing was done, or the connection broke while it was.
pub async fn serve(db: &Db, now: Timestamp, errands: Vec<Errand>) -> Result<Vec<PermitsReply>> {
    // Anew where another transaction has made an account at the same moment: then it is there.
    for _ in 0..3 {
        if let Some(replies) = attempt(db, now, &errands).await? {
            return Ok(replies);
        }
    }
    Err(Error::internal(anyhow!("accounts are made faster than they can be read")))
}

async fn attempt(db: &Db, now: Timestamp, errands: &[Errand]) -> Result<Option<Vec<PermitsReply>>> {
    let mut tx = begin(db.rows(), "BEGIN").await?;
    let wanted = errands.iter().flat_map(|errand| &errand.request.wanted);
    let returned = errands.iter().flat_map(|errand| &errand.request.returned);
    let slots = errands.iter().flat_map(|errand| &errand.request.slots);
    let asking: BTreeSet<Uuid> = wanted.map(|entry| entry.key.0).chain(slots.map(|entry| entry.key.0)).collect();
    let keys: BTreeSet<Uuid> = returned.map(|entry| entry.key.0).chain(asking.iter().copied()).collect();
    let (accounts, leases) = store::lock(&mut tx, &keys).await?;
    let known = if asking.is_empty() { HashMap::new() } else { store::known(&mut tx, &asking).await? };
    let ids: Vec<Uuid> = errands.iter().filter(|errand| errand.remember).flat_map(|errand| ids(&errand.request)).collect();
    let answers = if ids.is_empty() { Answers::new() } else { store::answers(&mut tx, &ids).await? };

    let mut desk = Desk::new(now, known, accounts);
    (desk.answers, desk.leases) = (answers, leases);
    let replies = desk.serve(errands);
    store::update(&mut tx, desk.changed_accounts()).await?;
    store::remember(&mut tx, &desk.remembered).await?;
    if !store::insert(&mut tx, &desk.fresh, &desk.known).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    store::lease(&mut tx, desk.leases.iter().filter(|(key, _)| desk.leased.contains(key))).await?;
    tx.commit().await?;
    Ok(Some(replies))
}

/// Forgets answers that nobody can ask for again.
///
/// # Errors
/// As any write.
pub async fn forget(db: &Db, now: Timestamp) -> Result<()> {
    // Ids are in the order of time; twice the time, since servers' clocks differ.
    let oldest = now.millis().saturating_sub(2 * ID_AGE_MS);
    sqlx::query!("DELETE FROM limit_answers WHERE id < $1", Uuid::from_u128(u128::from(oldest) << 80)).execute(db.system()).await?;
    Ok(())
}

fn ids(request: &PermitsRequest) -> impl Iterator<Item = Uuid> {
    request.wanted.iter().map(|entry| entry.id).chain(request.returned.iter().map(|entry| entry.id))
}
