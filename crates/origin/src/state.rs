//! What the parts of a running server share.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    audit::Audit,
    auth::{Found, Wanted},
    batch::Batch,
    clock::Clock,
    config::Config,
    db::Db,
    decisions::Decisions,
    error::{Error, Result},
    failures::Failures,
    feed::{Feed, Followers},
    journal::{Entry, Journal, Memory},
    keys::{
        issue::NewKey,
        revoke::{Outcome, Revocation},
    },
    limits::Escrow,
    metrics::Metrics,
    policies::Policies,
    positions::Positions,
    recovery::Recovery,
    sealing::SealingKey,
    sessions::Sessions,
    signing::Keyrings,
    tenants::Tenants,
    tokens::Tokens,
    usage::Usage,
};
use anyhow::anyhow;

/// A running server.
pub struct App {
    /// Its settings.
    pub config: Config,
    /// The time.
    pub clock: Clock,
    /// The database.
    pub db: Db,
    /// What is committed of the credentials that callers present.
    pub rows: Batch<Wanted, Option<Found>>,
    /// New keys on their way to the database; answers whether the policy still was the tenant's.
    pub new_keys: Batch<NewKey, bool>,
    /// Revocations on their way to the database.
    pub revocations: Batch<Revocation, Outcome>,
    /// What seals secrets in the database.
    pub data_key: Arc<SealingKey>,
    /// The signing keys.
    pub keyrings: Keyrings,
    /// Status positions to give out.
    pub positions: Positions,
    /// Tenants that were met.
    pub tenants: Tenants,
    /// Policies that were met.
    pub policies: Policies,
    /// Tokens that were made lately.
    pub tokens: Tokens,
    /// Sessions that were met.
    pub sessions: Sessions,
    /// What edges follow.
    pub feed: Feed,
    /// Who follows that.
    pub followers: Followers,
    /// Whether the database went back in time.
    pub recovery: Recovery,
    /// Who did what.
    pub audit: Audit,
    /// What keys are used for.
    pub usage: Usage,
    /// What edges decided lately.
    pub decisions: Decisions,
    /// Permits of keys' limits.
    pub limits: Arc<Escrow>,
    /// Who may go on failing to prove who they are.
    pub failures: Failures,
    /// What happened, in numbers.
    pub metrics: Metrics,
    /// What the database may not forget.
    pub journal: Arc<Mutex<Journal>>,
}

impl App {
    /// Writes to the journal, off the threads that serve.
    ///
    /// # Errors
    /// Where it can't be written: then what it is about must not leave the server.
    pub async fn journal(&self, entry: Entry) -> Result<()> {
        let journal = Arc::clone(&self.journal);
        let written = tokio::task::spawn_blocking(move || lock(&journal).append(entry)).await;
        written.map_err(|_| Error::internal(anyhow!("the journal's writer panicked")))?.map_err(Error::internal)
    }

    /// What the journal knows.
    pub fn remembered<T>(&self, look: impl FnOnce(&Memory) -> T) -> T {
        look(lock(&self.journal).memory())
    }
}

fn lock(journal: &Mutex<Journal>) -> std::sync::MutexGuard<'_, Journal> {
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}
