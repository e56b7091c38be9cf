//! Who follows: where each hub stood when it last asked. For people; nothing is decided by it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use keyward_core::{KeyId, TenantId, Timestamp};

use super::Follower;
use crate::auth::Caller;

/// Hubs that are remembered.
const MOST: usize = 1024;
/// For how long, milliseconds.
const REMEMBERED: u64 = 60 * 60 * 1000;

/// The hubs that were heard, by their key and address.
#[derive(Default)]
pub struct Followers(Mutex<HashMap<(KeyId, Option<IpAddr>), Heard>>);

/// A hub as it last asked.
#[derive(Clone)]
pub struct Heard {
    /// The tenant of the key that it asks with.
    pub tenant: TenantId,
    /// Whose key that is.
    pub owner: String,
    /// Where it stood.
    pub stood: Follower,
    /// When.
    pub at: Timestamp,
}

impl Followers {
    /// Notes that a hub has asked.
    pub fn note(&self, caller: &Caller, stood: Follower, at: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hub = (caller.id(), caller.actor().address);
        if all.len() >= MOST && !all.contains_key(&hub) {
            all.retain(|_, heard| at.since(heard.at) < REMEMBERED);
            if all.len() >= MOST {
                return;
            }
        }
        all.insert(hub, Heard { tenant: caller.tenant(), owner: caller.owner().to_owned(), stood, at });
    }

    /// Those who have asked lately, whom was heard last first.
    pub fn lately(&self, now: Timestamp) -> Vec<(KeyId, Option<IpAddr>, Heard)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = all.iter().filter(|(_, heard)| now.since(heard.at) < REMEMBERED);
        let mut heard: Vec<_> = heard.map(|((key, address), heard)| (*key, *address, heard.clone())).collect();
        heard.sort_by_key(|(key, _, heard)| (std::cmp::Reverse(heard.at.millis()), key.0));
        heard
    }
}
