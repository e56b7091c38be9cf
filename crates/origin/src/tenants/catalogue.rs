//! What a tenant adds to the catalogue of capabilities.

use keyward_api::{
    Code,
    catalogue::{CAPABILITIES, Capabilities, Line, OwnCapability, RESERVED_RESOURCES},
    tenants::AddCapability,
};
use keyward_core::{Capability, ScopeClass, TenantId};
use serde_json::json;

use crate::{
    audit::{Action, Event, members},
    auth::Caller,
    clock::datetime,
    error::{Error, Result},
    keys::terms::Checks,
    state::App,
};

/// Capabilities of a tenant's own.
const MOST: i64 = 1000;

/// All that keys of a tenant can be given.
///
/// # Errors
/// As any read.
pub async fn list(app: &App, tenant: TenantId) -> Result<Capabilities> {
    let mut tx = app.db.tenant(tenant).await?;
    let own = sqlx::query_as!(OwnCapability, "SELECT value, label, category FROM capabilities WHERE tenant = $1 ORDER BY value", tenant.0)
        .fetch_all(tx.connection())
        .await?;
    tx.commit().await?;
    let shipped = CAPABILITIES.iter().copied().map(Line::from);
    Ok(Capabilities { capabilities: shipped.chain(own.into_iter().map(Line::from)).collect() })
}

/// Adds to a tenant's catalogue.
///
/// # Errors
/// `scope_insufficient` for a caller of user scope; `validation_failed`, also for a resource of Keyward's own;
/// `already_exists`; `ceiling_reached`.
pub async fn add(app: &App, caller: &Caller, tenant: TenantId, request: AddCapability) -> Result<OwnCapability> {
    if caller.scope() == ScopeClass::User {
        return Err(Error::from(Code::ScopeInsufficient).detail("The catalogue is the tenant's: it takes a key of tenant or admin scope."));
    }
    let now = app.clock.now();
    let mut checks = Checks::default();
    match Capability::parse(&request.value) {
        Err(error) => checks.refuse("value", error),
        Ok(capability) if capability.as_str().ends_with('*') => checks.refuse("value", "a star stands for what is in the catalogue"),
        Ok(capability) if RESERVED_RESOURCES.contains(&capability.resource()) => {
            checks.refuse("value", format!("the resource `{}` is Keyward's own", capability.resource()));
        }
        Ok(_) => {}
    }
    checks.label("label", &request.label);
    checks.label("category", &request.category);
    checks.finish(())?;
    if CAPABILITIES.iter().any(|entry| entry.value == request.value) {
        return Err(Code::AlreadyExists.into());
    }
    let mut tx = app.db.tenant(tenant).await?;
    // An admin may have named a tenant that isn't there. Held, so that two who add don't both find room for one.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('catalogue ' || $1))::text AS lock", tenant.0.to_string())
        .fetch_one(tx.connection())
        .await?;
    let count = sqlx::query_scalar!(
        r#"SELECT (SELECT count(*) FROM capabilities WHERE tenant = $1) AS "count!" FROM tenants WHERE id = $1"#,
        tenant.0
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or(Code::NotFound)?;
    if count >= MOST {
        return Err(Error::from(Code::CeilingReached).detail(format!("At most {MOST} capabilities.")));
    }
    let added = sqlx::query!(
        "INSERT INTO capabilities (tenant, value, label, category, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        tenant.0,
        request.value,
        request.label,
        request.category,
        datetime(now),
    )
    .execute(tx.connection())
    .await?;
    if added.rows_affected() == 0 {
        return Err(Code::AlreadyExists.into());
    }
    let AddCapability { value, label, category } = request;
    let after = json!({"label": label, "category": category});
    tx.record(Event::by(caller.actor(), Action::CapabilityAdded, now).on("capability", &value).after(members(after)));
    tx.commit().await?;
    app.tenants.forget(tenant);
    Ok(OwnCapability { value, label, category })
}
