//! Parts of a snapshot as they arrive, and what remains of the epochs before.

use super::{FeedError, State};
use crate::{
    AmendmentPage, KeySet, Status, StatusIndex, StatusList, StatusListClaims, Timestamp,
    bounds::{MAX_AMENDMENT_PAGE, MAX_AMENDMENT_PAGE_LEN, SHARD_BYTES},
    json,
};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
};

/// A shard, from the text of its status list token.
pub(super) fn read_shard(shard: u32, text: &str, keys: &KeySet, now: Timestamp) -> Result<StatusList, FeedError> {
    let claims: StatusListClaims = keys.open(text, now)?;
    let list = claims.status_list.decode()?;
    let fits = claims.sub == format!("{}/status-lists/{shard}", keys.manifest().iss)
        && claims.exp.is_none_or(|exp| now.secs() < exp)
        && list.bits() == 2
        && list.as_bytes().len() == SHARD_BYTES;
    if fits { Ok(list) } else { Err(FeedError::Malformed) }
}

/// A page of amendments, from its text.
pub(super) fn read_page(first: StatusIndex, text: &str) -> Result<AmendmentPage, FeedError> {
    if text.len() > MAX_AMENDMENT_PAGE_LEN {
        return Err(FeedError::Malformed);
    }
    let page: AmendmentPage = json::read(text.as_bytes()).map_err(|_| FeedError::Malformed)?;
    let ascending = page.amendments.is_sorted_by(|a, b| a.index < b.index);
    let begins = page.amendments.first().is_none_or(|amendment| amendment.index >= first);
    if page.amendments.len() <= MAX_AMENDMENT_PAGE && ascending && begins { Ok(page) } else { Err(FeedError::Malformed) }
}

/// What was INVALID in the epochs before this one: it stays so.
#[derive(Debug, Default)]
pub(super) struct Former {
    shards: BTreeMap<u32, StatusList>,
    indices: BTreeSet<StatusIndex>,
}

impl Former {
    /// Keeps what a state of an older epoch holds to be INVALID.
    pub(super) fn condemn(&mut self, state: State) {
        let (changes, shards) = state.into_statuses();
        self.indices.extend(changes.filter(|(_, status)| *status == Status::Invalid).map(|(index, _)| index));
        for (shard, list) in shards {
            if let Some(before) = self.shards.remove(&shard) {
                self.indices.extend(
                    (0..before.len())
                        .filter(|at| before.status(*at) == Some(Status::Invalid))
                        .filter_map(|at| StatusIndex::new(shard, at as u32)),
                );
            }
            self.shards.insert(shard, list);
        }
    }

    pub(super) fn is_invalid(&self, index: StatusIndex) -> bool {
        self.indices.contains(&index)
            || self.shards.get(&index.shard()).is_some_and(|list| list.status(index.offset()) == Some(Status::Invalid))
    }
}
