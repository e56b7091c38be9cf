//! Tenants: what is needed of them for every key.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use keyward_core::{KeyPrefix, ScopeClass, TenantId, Timestamp};

use crate::{
    auth::Caller,
    db::again,
    error::{Error, Result},
    state::App,
};
use keyward_api::Code;

/// For how long a tenant's settings are taken from memory.
const FRESH_MS: u64 = 10_000;

/// The tenants that were met.
#[derive(Default)]
pub struct Tenants(Mutex<HashMap<TenantId, (Timestamp, KeyPrefix)>>);

impl Tenants {
    /// With what a tenant's keys begin.
    ///
    /// # Errors
    /// `not_found` where there is no such tenant.
    pub async fn prefix(&self, app: &App, tenant: TenantId) -> Result<KeyPrefix> {
        let now = app.clock.now();
        if let Some((read, prefix)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&tenant)
            && now.since(*read) < FRESH_MS
        {
            return Ok(*prefix);
        }
        let found = again!(sqlx::query_scalar!("SELECT key_prefix FROM tenants WHERE id = $1", tenant.0).fetch_optional(app.db.system()))?;
        let prefix = found.ok_or_else(|| Error::from(Code::NotFound).detail("There is no such tenant."))?;
        let prefix = KeyPrefix::parse(&prefix).context("a tenant's prefix has another shape than the database checks")?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(tenant, (now, prefix));
        Ok(prefix)
    }
}

/// The tenant in which a caller acts: its own, or the one that an admin names.
///
/// # Errors
/// `scope_insufficient` where anybody else names another.
pub fn acting_in(caller: &Caller, named: Option<TenantId>) -> Result<TenantId> {
    match named {
        None => Ok(caller.tenant()),
        Some(tenant) if tenant == caller.tenant() || caller.scope() == ScopeClass::Admin => Ok(tenant),
        Some(_) => Err(Error::from(Code::ScopeInsufficient).detail("Only a key of admin scope can name another tenant.")),
    }
}
