//! Policies: found or made by what they say, kept in memory by number, signed when an edge asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use keyward_api::Code;
use keyward_core::{Digest, Policy, PolicyNumber, PolicyTerms, Role, TenantId, Timestamp};
use sqlx::{PgConnection, types::Json};

use crate::{
    clock::datetime,
    db::again,
    error::{Error, Result},
    state::App,
};

/// Policies kept in memory. Past it the lot is dropped: simpler than choosing, and refilled by what is in use.
const CACHE: usize = 20_000;

/// A policy and, once an edge has asked, its signed text.
pub struct Stored {
    /// Compiled, its number in it.
    pub policy: Policy,
    created: u64,
    jws: OnceLock<Arc<str>>,
}

impl Stored {
    /// What it says.
    pub fn terms(&self) -> PolicyTerms {
        self.policy.claims().clone().into()
    }
}

/// The policies that were met.
#[derive(Default)]
pub struct Policies {
    by_number: Mutex<HashMap<PolicyNumber, Arc<Stored>>>,
    /// A hint only: the policy may have been superseded since, so that statements which use it check.
    by_digest: Mutex<HashMap<(TenantId, Digest), PolicyNumber>>,
}

impl Policies {
    /// Forgets all: after a recovery, numbers may mean something else.
    pub fn reset(&self) {
        lock(&self.by_number).clear();
        lock(&self.by_digest).clear();
    }

    /// The policy that probably says this.
    pub fn hint(&self, tenant: TenantId, digest: Digest) -> Option<PolicyNumber> {
        lock(&self.by_digest).get(&(tenant, digest)).copied()
    }

    /// Remembers what a policy says, once it is committed.
    pub fn remember(&self, tenant: TenantId, digest: Digest, number: PolicyNumber) {
        insert(&self.by_digest, (tenant, digest), number);
    }

    /// No longer remembers it.
    pub fn forget(&self, tenant: TenantId, digest: Digest) {
        lock(&self.by_digest).remove(&(tenant, digest));
    }

    /// The policy of a number, of whatever tenant.
    ///
    /// # Errors
    /// `not_found` where there is none; else as any read.
    pub async fn lookup(&self, app: &App, number: PolicyNumber) -> Result<Arc<Stored>> {
        if let Some(stored) = lock(&self.by_number).get(&number) {
            return Ok(Arc::clone(stored));
        }
        let row = again!(
            sqlx::query!(r#"SELECT terms AS "terms: Json<PolicyTerms>", created_at FROM policies WHERE number = $1"#, i64::from(number.0))
                .fetch_optional(app.db.system())
        )?
        .ok_or(Code::NotFound)?;
        let created = row.created_at.unix_timestamp().try_into().unwrap_or(0);
        let epoch = app.keyrings.current().keys.manifest().epoch;
        let policy = Policy::compile(row.terms.0.numbered(number, epoch, created)).map_err(Error::internal)?;
        let stored = Arc::new(Stored { policy, created, jws: OnceLock::new() });
        insert(&self.by_number, number, Arc::clone(&stored));
        Ok(stored)
    }

    /// The signed text of a policy.
    ///
    /// # Errors
    /// As [`Policies::lookup`].
    pub async fn signed(&self, app: &App, number: PolicyNumber) -> Result<Arc<str>> {
        let stored = self.lookup(app, number).await?;
        if let Some(jws) = stored.jws.get() {
            return Ok(Arc::clone(jws));
        }
        let keyring = app.keyrings.current();
        let claims = stored.terms().numbered(number, keyring.keys.manifest().epoch, stored.created);
        let jws: Arc<str> = keyring.signer(Role::Policy)?.sign(&claims).map_err(Error::internal)?.into();
        Ok(Arc::clone(stored.jws.get_or_init(|| jws)))
    }
}

/// The number of the tenant's policy that says this, made if there is none, and whether it was made.
///
/// # Errors
/// As any write.
pub async fn find_or_create(connection: &mut PgConnection, terms: &PolicyTerms, now: Timestamp) -> Result<(PolicyNumber, bool)> {
    let digest = terms.digest();
    // A second try where another transaction made it in between; a third would mean that it was superseded in between too.
    for _ in 0..3 {
        let found = sqlx::query_scalar!(
            "SELECT number FROM policies WHERE tenant = $1 AND digest = $2 AND superseded_by IS NULL",
            terms.tenant.0,
            &digest.as_bytes()[..],
        )
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(number) = found {
            return Ok((policy_number(number), false));
        }
        let made = sqlx::query_scalar!(
            "INSERT INTO policies (number, tenant, digest, terms, created_at) VALUES (nextval('policy_numbers'), $1, $2, $3, $4)
             ON CONFLICT (tenant, digest) WHERE superseded_by IS NULL DO NOTHING RETURNING number",
            terms.tenant.0,
            &digest.as_bytes()[..],
            Json(terms) as _,
            datetime(now),
        )
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(number) = made {
            return Ok((policy_number(number), true));
        }
    }
    Err(Error::internal(anyhow::anyhow!("a policy is made and superseded faster than it can be read")))
}

/// A policy number from the database, which holds no others.
pub fn policy_number(number: i64) -> PolicyNumber {
    PolicyNumber(number.try_into().unwrap_or(0))
}

fn insert<K: std::hash::Hash + Eq, V>(cache: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut cache = lock(cache);
    if cache.len() >= CACHE {
        cache.clear();
    }
    cache.insert(key, value);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
