//! Making and changing tenants.

use std::sync::Arc;

use keyward_api::{
    Code,
    catalogue::resources,
    keys::CreateKey,
    tenants::{Ceilings, CreateTenant, GivenCeilings, Tenant, TenantCreated, UpdateTenant},
};
use keyward_core::{KeyPrefix, ScopeClass, TenantId, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, types::Uuid};
use time::OffsetDateTime;

use super::{
    Settings,
    ceilings::{recount, used},
};
use crate::{
    audit::{Action, Event, changed, members},
    auth::Caller,
    clock::{datetime, rfc3339},
    error::{Error, Result},
    feed::Change,
    ids::new_id,
    keys::{
        create::{Prepared, finish, make_in, only, prepare},
        idempotency::Idempotency,
        terms::Checks,
    },
    state::App,
};

/// The highest ceiling that can be named: what any JSON reader takes exactly.
const MAX_CEILING: u64 = 1 << 53;
/// The resources that no tenant has to do with.
const OF_THE_DEPLOYMENT: [&str; 2] = ["edge", "signing"];

/// A row of the table.
#[derive(Clone)]
struct Row {
    id: Uuid,
    slug: String,
    name: String,
    key_prefix: String,
    created_at: OffsetDateTime,
    updated_at: Option<OffsetDateTime>,
    max_live_keys: i64,
    max_creates_per_hour: i64,
    max_policies: i64,
    max_changes_per_hour: i64,
}

/// Selects [`Row`]s, by the end of the statement and its arguments.
macro_rules! rows {
    ($end:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(
            Row,
            "SELECT id, slug, name, key_prefix, created_at, updated_at, max_live_keys, max_creates_per_hour, max_policies, max_changes_per_hour
             FROM tenants " + $end,
            $($argument),*
        )
    };
}

impl Row {
    fn show(self) -> Tenant {
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        Tenant {
            id: TenantId(self.id),
            slug: self.slug,
            name: self.name,
            key_prefix: self.key_prefix,
            ceilings: Ceilings {
                live_keys: count(self.max_live_keys),
                creates_per_hour: count(self.max_creates_per_hour),
                policies: count(self.max_policies),
                changes_per_hour: count(self.max_changes_per_hour),
            },
            used: None,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at.unwrap_or(self.created_at)),
        }
    }

    async fn find(connection: &mut PgConnection, tenant: TenantId) -> Result<Row> {
        Ok(rows!("WHERE id = $1", tenant.0).fetch_optional(connection).await?.ok_or(Code::NotFound)?)
    }

    async fn store(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query!(
            "UPDATE tenants SET name = $2, key_prefix = $3, updated_at = $4, max_live_keys = $5, max_creates_per_hour = $6,
                    max_policies = $7, max_changes_per_hour = $8
             WHERE id = $1",
            self.id,
            self.name,
            self.key_prefix,
            self.updated_at,
            self.max_live_keys,
            self.max_creates_per_hour,
            self.max_policies,
            self.max_changes_per_hour,
        )
        .execute(connection)
        .await?;
        Ok(())
    }

    fn apply(&mut self, given: GivenCeilings) {
        let set = |ceiling: &mut i64, given: Option<u64>| {
            if let Some(given) = given {
                *ceiling = i64::try_from(given).unwrap_or(i64::MAX);
            }
        };
        set(&mut self.max_live_keys, given.live_keys);
        set(&mut self.max_creates_per_hour, given.creates_per_hour);
        set(&mut self.max_policies, given.policies);
        set(&mut self.max_changes_per_hour, given.changes_per_hour);
    }
}

impl Checks {
    fn prefix(&mut self, prefix: &str) -> Option<KeyPrefix> {
        let parsed = KeyPrefix::parse(prefix);
        if parsed.is_none() {
            self.refuse("key_prefix", "2 to 12 characters: a lower-case letter, then lower-case letters and digits");
        }
        parsed
    }

    fn ceilings(&mut self, given: GivenCeilings) {
        let GivenCeilings { live_keys, creates_per_hour, policies, changes_per_hour } = given;
        let named = [
            ("live_keys", live_keys),
            ("creates_per_hour", creates_per_hour),
            ("policies", policies),
            ("changes_per_hour", changes_per_hour),
        ];
        for (field, _) in named.into_iter().filter(|(_, given)| given.is_some_and(|given| given > MAX_CEILING)) {
            self.refuse(format!("ceilings.{field}"), format!("at most {MAX_CEILING}"));
        }
    }

    fn slug(&mut self, slug: &str) {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let shaped = slug.len() <= 63 && slug.bytes().all(|byte| fits(byte) || byte == b'-') && slug.bytes().next().is_some_and(fits);
        if !shaped {
            self.refuse("slug", "1 to 63 lower-case letters, digits and dashes, no dash first");
        }
    }
}

fn admin(caller: &Caller) -> Result<()> {
    if caller.scope() == ScopeClass::Admin {
        return Ok(());
    }
    Err(Error::from(Code::ScopeInsufficient).detail("Tenants are made and changed by keys of admin scope."))
}

/// Makes a tenant; with a first management key, where one is asked for: both or neither.
///
/// # Errors
/// `scope_insufficient`; `validation_failed`; `already_exists`; those of idempotency, and those of creating a key.
pub async fn make(app: &App, caller: &Caller, request: CreateTenant, idempotency: Option<Idempotency>) -> Result<TenantCreated> {
    admin(caller)?;
    let now = app.clock.now();
    let tenant = TenantId(new_id(now)?.0);
    let mut checks = Checks::default();
    checks.slug(&request.slug);
    checks.name(&request.name);
    checks.ceilings(request.ceilings);
    let prefix = match request.key_prefix.as_deref() {
        Some(text) => checks.prefix(text).unwrap_or_default(),
        None => KeyPrefix::default(),
    };
    checks.finish(())?;
    let key = match request.first_key {
        true => {
            let settings = Arc::new(Settings::of_new(prefix));
            Some(prepare(app, caller, (tenant, settings), first_key(&request.slug)?, now).await?)
        }
        false => None,
    };
    let places: Vec<_> = key.iter().map(|key| key.draft.place).collect();
    let made = make_with(app, caller, (tenant, prefix), request, key, idempotency, now).await;
    app.positions.unless_made(&places, made)
}

async fn make_with(
    app: &App,
    caller: &Caller,
    (tenant, prefix): (TenantId, KeyPrefix),
    request: CreateTenant,
    key: Option<Prepared>,
    idempotency: Option<Idempotency>,
    now: Timestamp,
) -> Result<TenantCreated> {
    // Who asks again may not know which tenant it was: what it claims stands in its own.
    let mut tx = app.db.tenant(caller.tenant()).await?;
    if let Some(idempotency) = idempotency
        && let Some((made, replay)) =
            idempotency.claim_tenant(app, &mut tx, caller, (tenant, key.as_ref().map(|key| &key.draft)), now).await?
    {
        app.positions.give_back(&key.map(|key| key.draft.place).into_iter().collect::<Vec<_>>());
        let tenant = Row::find(tx.connection(), made).await?.show();
        return Ok(TenantCreated { tenant, first_key: replay.map(|replay| replay.answer(now)).transpose()? });
    }
    tx.turn_to(tenant).await?;
    sqlx::query!(
        "INSERT INTO tenants (id, slug, name, key_prefix, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)",
        tenant.0,
        request.slug,
        request.name,
        prefix.as_str(),
        datetime(now),
    )
    .execute(tx.connection())
    .await
    .map_err(taken)?;
    let mut row = Row::find(tx.connection(), tenant).await?;
    row.apply(request.ceilings);
    row.store(tx.connection()).await?;
    let shown = row.show();
    tx.record(Event::by(caller.actor(), Action::TenantCreated, now).on("tenant", tenant).after(members(json!(shown))));
    let made = match key {
        Some(key) => Some(make_in(app, &mut tx, tenant, vec![key], now).await?),
        None => None,
    };
    finish(app, tx, made.as_ref().map_or(&Change::default(), |made| &made.change)).await?;
    tracing::info!(event = "tenant_created", %tenant, by = %caller.id());
    let first_key = made.map(|made| only(made.committed(app, tenant)?)).transpose()?;
    Ok(TenantCreated { tenant: shown, first_key })
}

/// A key that manages the tenant. It holds all that the tenant's keys may be given: nobody grants more than they hold.
fn first_key(slug: &str) -> Result<CreateKey> {
    let capabilities: Vec<_> =
        resources().filter(|resource| !OF_THE_DEPLOYMENT.contains(resource)).map(|resource| format!("{resource}:*")).collect();
    let request = json!({
        "name": "First management key",
        "owner_id": format!("{slug}-admin"),
        "scope": "tenant",
        "capabilities": capabilities,
        "expires_in_days": null,
        "token_exchange": false,
        // Else no key of the tenant could ever be made for use without TLS, or with other limits.
        "require_tls": false,
        "rate_limit_per_hour": "unlimited",
        "daily_quota": "unlimited",
        "monthly_quota": "unlimited",
        "cost_limit_cents": "unlimited",
        "max_tokens_per_request": "unlimited",
        "max_concurrent_requests": "unlimited",
    });
    serde_json::from_value(request).map_err(Error::internal)
}

/// A slug that is another tenant's.
fn taken(error: sqlx::Error) -> Error {
    match error.as_database_error().and_then(|error| error.constraint()) {
        Some("tenants_slug_unique") => Error::from(Code::AlreadyExists).detail("Another tenant has this slug."),
        _ => error.into(),
    }
}

/// Tenants that the caller sees, oldest first, after `after`: an admin all, anybody else its own.
///
/// # Errors
/// `scope_insufficient` for a caller of user scope; else as any read.
pub async fn list(app: &App, caller: &Caller, after: Option<TenantId>, limit: u32) -> Result<Vec<Tenant>> {
    let after = after.map_or(Uuid::nil(), |after| after.0);
    let found = match caller.scope() {
        ScopeClass::Admin => rows!("WHERE id > $1 ORDER BY id LIMIT $2", after, i64::from(limit)).fetch_all(app.db.system()).await?,
        _ => vec![find_row(app, caller, caller.tenant()).await?].into_iter().filter(|row| row.id > after).collect(),
    };
    Ok(found.into_iter().map(Row::show).collect())
}

/// One tenant, with what it has used up.
///
/// # Errors
/// `not_found` where there is none that the caller sees.
pub async fn find(app: &App, caller: &Caller, tenant: TenantId) -> Result<Tenant> {
    let row = find_row(app, caller, tenant).await?;
    let mut tx = app.db.tenant(tenant).await?;
    let used = used(tx.connection(), tenant, app.clock.now()).await?;
    tx.commit().await?;
    Ok(Tenant { used: Some(used), ..row.show() })
}

async fn find_row(app: &App, caller: &Caller, tenant: TenantId) -> Result<Row> {
    // What a user may not see and what isn't there look the same.
    let seen = match caller.scope() {
        ScopeClass::Admin => true,
        ScopeClass::Tenant => tenant == caller.tenant(),
        ScopeClass::User => false,
    };
    if !seen {
        return Err(Code::NotFound.into());
    }
    let mut tx = app.db.tenant(tenant).await?;
    let row = Row::find(tx.connection(), tenant).await?;
    tx.commit().await?;
    Ok(row)
}

/// Changes a tenant. Its live keys are counted anew.
///
/// # Errors
/// `scope_insufficient`, `not_found`, `validation_failed`.
pub async fn update(app: &App, caller: &Caller, tenant: TenantId, request: UpdateTenant) -> Result<Tenant> {
    // Before the scope: of another tenant nobody learns even that it is there.
    find_row(app, caller, tenant).await?;
    admin(caller)?;
    let now = app.clock.now();
    let mut tx = app.db.tenant(tenant).await?;
    let old = rows!("WHERE id = $1 FOR NO KEY UPDATE", tenant.0).fetch_optional(tx.connection()).await?.ok_or(Code::NotFound)?;
    let mut row = old.clone();
    let mut checks = Checks::default();
    if let Some(name) = request.name {
        checks.name(&name);
        row.name = name;
    }
    if let Some(prefix) = request.key_prefix {
        checks.prefix(&prefix);
        row.key_prefix = prefix;
    }
    checks.ceilings(request.ceilings);
    checks.finish(())?;
    row.apply(request.ceilings);
    row.updated_at = Some(datetime(now));
    row.store(tx.connection()).await?;
    recount(tx.connection(), tenant, now).await?;
    let (old, new) = (old.show(), row.show());
    let (before, after) = changed(&old, &new);
    tx.record(Event::by(caller.actor(), Action::TenantUpdated, now).on("tenant", tenant).before(before).after(after));
    tx.commit().await?;
    app.tenants.forget(tenant);
    Ok(new)
}
