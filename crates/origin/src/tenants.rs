//! Tenants: what is needed of them for every key, and what they may do.

pub mod catalogue;
pub mod ceilings;
pub mod manage;
pub mod owners;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context;
use keyward_api::catalogue::is_known;
use keyward_core::{Capability, KeyPrefix, ScopeClass, TenantId, Timestamp};

use crate::{
    auth::Caller,
    db::again,
    error::{Error, Result},
    state::App,
};
use keyward_api::Code;

/// For how long a tenant's settings are taken from memory.
const FRESH_MS: u64 = 10_000;

/// What a tenant has set.
#[derive(Debug, Default)]
pub struct Settings {
    /// With what its keys begin.
    pub prefix: KeyPrefix,
    /// What it has added to the catalogue.
    capabilities: BTreeSet<String>,
}

impl Settings {
    /// Those of a tenant that is about to be.
    pub fn of_new(prefix: KeyPrefix) -> Self {
        Self { prefix, capabilities: BTreeSet::new() }
    }

    /// Whether its keys can be given a capability: it stands in the catalogue, or is `resource:*` of a resource in it.
    pub fn knows(&self, capability: &str) -> bool {
        let own = || match capability.strip_suffix('*') {
            Some(resource) if resource.ends_with(':') => self.capabilities.iter().any(|value| value.starts_with(resource)),
            _ => self.capabilities.contains(capability),
        };
        is_known(capability) || own()
    }

    /// What whoever sets the tenant's catalogue holds by that: what it has added, and all of each resource that is the
    /// tenant's alone. (Not all of a shipped resource to which it has added something.)
    pub fn own(&self) -> impl Iterator<Item = Capability> {
        let stars = self.capabilities.iter().filter_map(|value| value.split_once(':')).map(|(resource, _)| format!("{resource}:*"));
        let stars = stars.filter(|star| !is_known(star));
        self.capabilities.iter().cloned().chain(stars).filter_map(|text| Capability::parse(&text).ok())
    }
}

/// The tenants that were met.
#[derive(Default)]
pub struct Tenants {
    settings: Mutex<HashMap<TenantId, (Timestamp, Arc<Settings>)>>,
    /// Until when no key is created in a tenant: it was just refused one.
    refused: Mutex<HashMap<TenantId, (Timestamp, Code)>>,
}

impl Tenants {
    /// With what a tenant's keys begin.
    ///
    /// # Errors
    /// `not_found` where there is no such tenant.
    pub async fn prefix(&self, app: &App, tenant: TenantId) -> Result<KeyPrefix> {
        Ok(self.settings(app, tenant, &[]).await?.prefix)
    }

    /// What a tenant has set; as it is now where it would not know one of these capabilities.
    ///
    /// # Errors
    /// `not_found` where there is no such tenant.
    pub async fn settings(&self, app: &App, tenant: TenantId, wanted: &[String]) -> Result<Arc<Settings>> {
        let now = app.clock.now();
        if let Some((read, settings)) = lock(&self.settings).get(&tenant)
            && now.since(*read) < FRESH_MS
            && wanted.iter().all(|capability| settings.knows(capability))
        {
            return Ok(Arc::clone(settings));
        }
        let found = again!(
            sqlx::query!(
                r#"SELECT key_prefix, array(SELECT value FROM capabilities WHERE tenant = tenants.id) AS "own!" FROM tenants WHERE id = $1"#,
                tenant.0
            )
            .fetch_optional(app.db.system())
        )?;
        let found = found.ok_or_else(|| Error::from(Code::NotFound).detail("There is no such tenant."))?;
        let prefix = KeyPrefix::parse(&found.key_prefix).context("a tenant's prefix has another shape than the database checks")?;
        let settings = Arc::new(Settings { prefix, capabilities: found.own.into_iter().collect() });
        lock(&self.settings).insert(tenant, (now, Arc::clone(&settings)));
        Ok(settings)
    }

    /// Reads a tenant's settings anew when they are next needed.
    pub fn forget(&self, tenant: TenantId) {
        lock(&self.settings).remove(&tenant);
        lock(&self.refused).remove(&tenant);
    }

    /// Passes unless a key was just refused to the tenant: whoever asks again and again costs the database nothing.
    ///
    /// # Errors
    /// The ceiling's code.
    pub fn may_create(&self, tenant: TenantId, now: Timestamp) -> Result<()> {
        match lock(&self.refused).get(&tenant) {
            Some((until, code)) if now < *until => Err(ceilings::refusal(*code, now)),
            _ => Ok(()),
        }
    }

    /// Remembers a refusal for a moment, also where it would hold for longer: where another server raises the ceiling, nobody
    /// tells this one.
    pub fn remember_refusal(&self, tenant: TenantId, code: Code, now: Timestamp) {
        if matches!(code, Code::RateLimited | Code::CeilingReached) {
            let until = Timestamp::from_millis(now.millis() + REFUSED_MS).min(ceilings::next_hour(now));
            lock(&self.refused).insert(tenant, (until, code));
        }
    }
}

/// For how long a ceiling is taken to be reached still.
const REFUSED_MS: u64 = 1000;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tenant in which a caller acts: its own, or the one that an admin names.
///
/// # Errors
/// `scope_insufficient` where anybody else names another; `not_found` where there is none: nothing is read or written for it.
pub async fn acting_in(app: &App, caller: &Caller, named: Option<TenantId>) -> Result<TenantId> {
    match named {
        None => Ok(caller.tenant()),
        Some(tenant) if tenant == caller.tenant() => Ok(tenant),
        Some(tenant) if caller.scope() == ScopeClass::Admin => app.tenants.settings(app, tenant, &[]).await.map(|_| tenant),
        Some(_) => Err(Error::from(Code::ScopeInsufficient).detail("Only a key of admin scope can name another tenant.")),
    }
}
