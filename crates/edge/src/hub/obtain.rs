//! What isolates ask the hub for by name, and the hub the origin: parts of snapshots, policies, statements that keys were issued.

use super::{
    desk::Desk,
    object::{Region, body, status},
};
use crate::{
    flight::{FETCH_MS, Miss, What},
    follow::{Fault, Object},
    node::{Background, Node, Pace},
    source::now,
};
use keyward_core::{
    Digest, FeedError, Issued, Policy, PolicyNumber, StatusIndex,
    bounds::{MAX_ISSUED_LEN, MAX_POLICY_LEN, MAX_STATUS_LIST_LEN},
};
use std::rc::Rc;
use worker::{Response, Result, State};

impl Region {
    pub(super) async fn part(&self, background: &State, digest: Digest) -> Result<Response> {
        let source = self.source.clone();
        let fetch = |node: Rc<Node<Desk>>| async move {
            let text = source.text(&node, &format!("/edge/v1/parts/{digest}"), MAX_STATUS_LIST_LEN, Pace::HUB.probe_ms).await;
            node.with(|state| match text {
                Ok(text) if Digest::of(&text) == digest => {
                    state.keeper.keep_part(digest, text);
                    Ok(())
                }
                Ok(_) => {
                    state.counters.rejected(Object::Part, Fault::Digest);
                    Err(Miss::Failed)
                }
                Err(miss) => {
                    // The origin has another snapshot by now.
                    if miss == Miss::Absent {
                        state.follower.want_snapshot();
                    }
                    Err(miss)
                }
            })
        };
        let outcome = self.node.once(What::Part(digest), background, |state| state.keeper.part(digest).is_some(), fetch).await;
        match (outcome, self.node.with(|state| state.keeper.part(digest))) {
            (Ok(()), Some(text)) => body(text.to_string(), "application/octet-stream"),
            (Err(Miss::Absent), _) => status(404),
            _ => status(503),
        }
    }

    pub(super) async fn policy(&self, background: &State, number: PolicyNumber) -> Result<Response> {
        match self.obtain_policy(background, number).await {
            Ok(text) => body(text.to_string(), "application/jwt"),
            Err(Miss::Absent) => status(404),
            Err(Miss::Failed | Miss::Refused) => status(503),
        }
    }

    /// A policy that the key set in force vouches for: from memory, from the storage, from the origin.
    pub(super) async fn obtain_policy(&self, background: &impl Background, number: PolicyNumber) -> std::result::Result<Rc<str>, Miss> {
        if let Some(text) = self.node.with(|state| state.keeper.policy(number)) {
            return Ok(text);
        }
        if let Some(text) = self.store.spare(self.store.policy(number)).flatten() {
            if self.keep_policy(number, &text) {
                return Ok(text.into());
            }
            self.store.spare(self.store.drop_policy(number));
        }
        let region = self.clone();
        let fetch = |_| async move {
            let text = region.source.text(&region.node, &format!("/edge/v1/policies/{number}"), MAX_POLICY_LEN, FETCH_MS * 7 / 10).await?;
            if !region.keep_policy(number, &text) {
                return Err(Miss::Failed);
            }
            region.store.spare(region.store.save_policy(number, &text));
            Ok(())
        };
        self.node.once(What::Policy(number), background, |state| state.keeper.policy(number).is_some(), fetch).await?;
        self.node.with(|state| state.keeper.policy(number)).ok_or(Miss::Failed)
    }

    /// Keeps a policy in memory if the key set vouches for it.
    fn keep_policy(&self, number: PolicyNumber, text: &str) -> bool {
        self.node.with(|state| {
            let Some(keys) = state.follower.replica().keys() else { return false };
            match Policy::open(text, number, keys, now()) {
                Ok(_) => state.keeper.keep_policy(number, text.into()),
                Err(error) => {
                    state.counters.rejected(Object::Policy, error.into());
                    return false;
                }
            }
            true
        })
    }

    pub(super) async fn issued(&self, background: &State, about: (StatusIndex, Digest)) -> Result<Response> {
        match self.obtain_issued(background, about).await {
            Ok(text) => body(text.to_string(), "application/jwt"),
            // For as long as a miss is remembered, and no longer: what wasn't issued a moment ago may be by now.
            Err(Miss::Absent) => status(404),
            Err(Miss::Failed | Miss::Refused) => status(503),
        }
    }

    /// The statement that a key was issued: from memory, from the storage, from the origin. What was issued stays so.
    async fn obtain_issued(&self, background: &impl Background, about: (StatusIndex, Digest)) -> std::result::Result<Rc<str>, Miss> {
        if let Some(text) = self.node.with(|state| state.keeper.issued(about)) {
            return Ok(text);
        }
        let (index, digest) = about;
        if let Some(text) = self.store.spare(self.store.issued(&digest)).flatten() {
            if self.keep_issued(about, &text) {
                return Ok(text.into());
            }
            self.store.spare(self.store.drop_issued(&digest));
        }
        let region = self.clone();
        let fetch = |_| async move {
            let path = format!("/edge/v1/issued/{index}/{digest}");
            let text = region.source.text(&region.node, &path, MAX_ISSUED_LEN, FETCH_MS * 7 / 10).await?;
            if !region.keep_issued(about, &text) {
                return Err(Miss::Failed);
            }
            region.store.spare(region.store.save_issued(&digest, &text));
            Ok(())
        };
        self.node.once(What::Issued(index, digest), background, |state| state.keeper.issued(about).is_some(), fetch).await?;
        self.node.with(|state| state.keeper.issued(about)).ok_or(Miss::Failed)
    }

    /// Keeps a statement in memory if the key set vouches for it.
    fn keep_issued(&self, about: (StatusIndex, Digest), text: &str) -> bool {
        self.node.with(|state| {
            let opened = match state.follower.replica().keys() {
                None => return false,
                Some(keys) => keys.open::<Issued>(text, now()).map_err(FeedError::from),
            };
            match opened.and_then(|issued| if (issued.index, issued.digest) == about { Ok(()) } else { Err(FeedError::Digest) }) {
                Ok(()) => state.keeper.keep_issued(about, text.into()),
                Err(error) => {
                    state.counters.rejected(Object::Issued, error.into());
                    return false;
                }
            }
            true
        })
    }
}
