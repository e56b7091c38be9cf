//! Giving permits without holding accounts: for this server's own holder, whose questions are each about one key.
//!
//! What there is of a key is read, what it comes to is worked out, and that is written where the account still is as it was read.
//! So permits are given as of the moment of the reading, and never twice. Two messages for a batch, each a transaction by itself,
//! where holding accounts takes five; one for keys that were read just now, since their accounts came with them. Keys that somebody
//! else is served for at the same moment go the long way.

use std::collections::BTreeSet;

use keyward_api::limits::PermitsReply;
use keyward_core::Timestamp;
use sqlx::types::Uuid;

use super::{
    authority::{self, Errand},
    desk::Desk,
    store::{self, Seen},
};
use crate::{db::Db, error::Result};

/// Does these, each of which is about one key and not remembered; answers each.
///
/// # Errors
/// As any write; then some of it may have been done.
pub async fn serve(db: &Db, now: Timestamp, errands: Vec<Errand>) -> Result<Vec<PermitsReply>> {
    let unseen: BTreeSet<Uuid> = errands.iter().filter(|errand| errand.seen.is_none()).filter_map(about).collect();
    let (mut known, mut before) = if unseen.is_empty() { Default::default() } else { store::look(db, &unseen).await? };
    for errand in &errands {
        if let (Some(key), Some((about, Seen(accounts)))) = (about(errand), &errand.seen)
            && !unseen.contains(&key)
        {
            known.insert(key, about.clone());
            before.extend(accounts.map(|accounts| (key, accounts)));
        }
    }
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
