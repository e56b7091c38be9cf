//! When keys were last used for what isn't counted: calls of the management API, sessions, and what edges ask for. To the hour, and
//! without any figures: so that who looks for keys that nobody uses doesn't find those that run the deployment.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use keyward_core::{KeyId, TenantId, Timestamp};

use super::{ingest, sums::hours};
use crate::{error::Result, lately::Lately, state::App};

/// Keys of one generation of which it is remembered in which hour they were noted; two are held.
const GENERATION: usize = 4096;
/// Keys that wait to be written, for as long as the database is away.
const MOST: usize = 50_000;

/// Keys that were used, and when.
pub struct Presence(Mutex<Noted>);

struct Noted {
    hours: Lately<KeyId, u32>,
    waiting: BTreeMap<(TenantId, KeyId), Timestamp>,
}

impl Default for Presence {
    fn default() -> Self {
        Self(Mutex::new(Noted { hours: Lately::new(GENERATION), waiting: BTreeMap::new() }))
    }
}

impl Presence {
    /// A key was used.
    pub fn note(&self, tenant: TenantId, key: KeyId, now: Timestamp) {
        let (mut noted, hour) = (self.lock(), hours(now));
        if noted.hours.recall(&key) != Some(hour) && noted.waiting.len() < MOST {
            noted.hours.keep(key, hour);
            noted.waiting.insert((tenant, key), now);
        }
    }

    /// Writes what was noted.
    ///
    /// # Errors
    /// As any write; then it stays, and is written by a later one.
    pub async fn flush(&self, app: &App) -> Result<()> {
        let waiting = mem::take(&mut self.lock().waiting);
        if waiting.is_empty() {
            return Ok(());
        }
        let written = ingest::mark(&app.db, &waiting).await;
        if written.is_err() {
            let mut noted = self.lock();
            for (key, moment) in waiting {
                noted.waiting.entry(key).or_insert(moment);
            }
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
