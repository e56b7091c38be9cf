//! Giving permits without holding accounts: for this server's own holder, whose questions are each about one key.
//!
//! What there is of a key is read, what it comes to is worked out, and that is written where the account still is as it was read.
//! So permits are given as of the moment of the reading, and never twice. Two messages for a batch, each a transaction by itself,
//! where holding accounts takes five; keys that somebody else is served for at the same moment go that way.

use std::collections::BTreeSet;

use keyward_api::limits::PermitsReply;
use keyward_core::Timestamp;
use sqlx::types::Uuid;

use super::{
    authority::{self, Errand},
    desk::Desk,
    store,
};
use crate::{db::Db, error::Result};

/// Does these, each of which is about one key and not remembered; answers each.
///
/// # Errors
/// As any write; then some of it may have been done.
pub async fn serve(db: &Db, now: Timestamp, errands: Vec<Errand>) -> Result<Vec<PermitsReply>> {
    let keys: BTreeSet<Uuid> = errands.iter().filter_map(about).collect();
    let (known, before) = store::look(db, &keys).await?;
    let mut desk = Desk::new(now, known, before.clone());
    let replies = desk.serve(&errands);
    let done = store::replace(db, &before, &desk).await?;

    let is_done = |errand: &Errand| about(errand).is_some_and(|key| done.contains(&key));
    let late: Vec<_> = errands.iter().filter(|errand| !is_done(errand)).cloned().collect();
    if late.is_empty() {
        return Ok(replies);
    }
    let mut answers = authority::serve(db, now, late).await?.into_iter();
    let answered = errands.iter().zip(replies);
    Ok(answered.map(|(errand, reply)| if is_done(errand) { reply } else { answers.next().unwrap_or_default() }).collect())
}

/// The key that an errand is about.
fn about(errand: &Errand) -> Option<Uuid> {
    let request = &errand.request;
    request.wanted.iter().map(|entry| entry.key).chain(request.returned.iter().map(|entry| entry.key)).next().map(|key| key.0)
}
