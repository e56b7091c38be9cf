//! Owners: whose keys they are. One that is disabled has no key that can be used.

use keyward_api::{
    Code, Given,
    tenants::{CreateOwner, Owner, OwnerKind, UpdateOwner},
};
use keyward_core::{KeyId, ScopeClass, TenantId, Timestamp};
use serde_json::json;
use time::OffsetDateTime;

use crate::{
    audit::{Action, Event, changed, members},
    auth::Caller,
    clock::{datetime, rfc3339},
    db::Tx,
    error::{Error, Result},
    keys::{
        create::finish,
        standing::{suspend_in, turned},
        terms::Checks,
    },
    state::App,
};

/// A row of the table.
#[derive(Clone)]
struct Row {
    id: String,
    kind: String,
    name: String,
    email: Option<String>,
    disabled: bool,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

/// Selects [`Row`]s, by the end of the statement and its arguments.
macro_rules! rows {
    ($end:literal, $($argument:expr),* $(,)?) => {
        sqlx::query_as!(Row, "SELECT id, kind, name, email, disabled, created_at, updated_at FROM owners " + $end, $($argument),*)
    };
}

impl Row {
    fn show(self) -> Owner {
        Owner {
            kind: if self.kind == "service" { OwnerKind::Service } else { OwnerKind::Person },
            id: self.id,
            name: self.name,
            email: self.email,
            disabled: self.disabled,
            created_at: rfc3339(self.created_at),
            updated_at: rfc3339(self.updated_at),
        }
    }
}

/// Owners are the tenant's to manage: a caller of user scope sees itself alone.
fn managing(caller: &Caller) -> Result<()> {
    if caller.scope() > ScopeClass::User {
        return Ok(());
    }
    Err(Error::from(Code::ScopeInsufficient).detail("Owners are the tenant's: it takes a key of tenant or admin scope."))
}

/// Characters of a text to search for.
const SEARCH: std::ops::RangeInclusive<usize> = 1..=128;
/// Owners that a page of a search looks at, so that no text costs more than that.
const LOOKED_AT: i64 = 10_000;

/// Owners of a tenant that a caller sees, by id, after `after`: all, or those with this text in id, name or email, in any case
/// of ASCII's letters. With them the id after which to go on where there may be more: a page of a search may be shorter
/// than `limit`, or empty, and not the last.
///
/// # Errors
/// `validation_failed` for a text that can't be searched for; else as any read.
pub async fn list(
    app: &App,
    caller: &Caller,
    tenant: TenantId,
    (search, after): (Option<&str>, Option<&str>),
    limit: u32,
) -> Result<(Vec<Owner>, Option<String>)> {
    let mut checks = Checks::default();
    if search.is_some_and(|text| !SEARCH.contains(&text.chars().count()) || text.chars().any(char::is_control)) {
        checks.refuse("search", format!("{} to {} characters, none of them a control character", SEARCH.start(), SEARCH.end()));
    }
    checks.finish(())?;
    let only = (caller.scope() == ScopeClass::User).then(|| caller.owner());
    let after = after.unwrap_or_default();
    let mut tx = app.db.tenant(tenant).await?;
    // Who sees itself alone is told nobody else's id, not even as a place to go on from.
    let end = match (search, only) {
        (None, _) | (_, Some(_)) => None,
        (Some(_), None) => {
            sqlx::query_scalar!(
                "SELECT id FROM owners WHERE tenant = $1 AND id > $2 ORDER BY id OFFSET $3 LIMIT 1",
                tenant.0,
                after,
                LOOKED_AT - 1,
            )
            .fetch_optional(tx.connection())
            .await?
        }
    };
    let mut found = rows!(
        "WHERE tenant = $1 AND id > $2 AND ($3::text IS NULL OR id = $3) AND ($4::text IS NULL OR id <= $4)
         AND ($5::text IS NULL OR strpos(lower(concat_ws(chr(10), id, name, email)), lower($5)) > 0) ORDER BY id LIMIT $6",
        tenant.0,
        after,
        only,
        end.as_deref(),
        search,
        i64::from(limit) + 1,
    )
    .fetch_all(tx.connection())
    .await?;
    tx.commit().await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|owner| owner.id.clone()).or(end);
    Ok((found.into_iter().map(Row::show).collect(), next))
}

/// One owner.
///
/// # Errors
/// `not_found` where there is none that the caller sees.
pub async fn find(app: &App, caller: &Caller, tenant: TenantId, id: &str) -> Result<Owner> {
    let mut tx = app.db.tenant(tenant).await?;
    let found = rows!("WHERE tenant = $1 AND id = $2", tenant.0, id).fetch_optional(tx.connection()).await?;
    tx.commit().await?;
    Ok(found.filter(|owner| caller.sees(&owner.id)).ok_or(Code::NotFound)?.show())
}

/// Makes an owner whom a key now names, where there is none of that id. After the rows of keys are held and before the end of
/// the trail is: so nobody waits in a circle.
///
/// # Errors
/// As any write.
pub async fn make_for_key(tx: &mut Tx, tenant: TenantId, id: &str, now: Timestamp) -> Result<()> {
    sqlx::query!(
        "INSERT INTO owners (tenant, id, kind, name, created_at, updated_at) VALUES ($1, $2, 'person', $2, $3, $3) ON CONFLICT DO NOTHING",
        tenant.0,
        id,
        datetime(now),
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Makes an owner before it has a key.
///
/// # Errors
/// `scope_insufficient`, `not_found` for a tenant that isn't there, `validation_failed`, `already_exists`.
pub async fn make(app: &App, caller: &Caller, tenant: TenantId, request: CreateOwner) -> Result<Owner> {
    managing(caller)?;
    let now = app.clock.now();
    let mut checks = Checks::default();
    let CreateOwner { id, kind, name, email } = request;
    let name = name.unwrap_or_else(|| id.clone());
    checks.label("id", &id);
    checks.name(&name);
    checks.email(email.as_deref());
    checks.finish(())?;
    app.tenants.settings(app, tenant, &[]).await?;
    let moment = datetime(now);
    let kind = kind.unwrap_or(OwnerKind::Person).as_str().to_owned();
    let row = Row { id, kind, name, email, disabled: false, created_at: moment, updated_at: moment };
    let mut tx = app.db.tenant(tenant).await?;
    let made = sqlx::query!(
        "INSERT INTO owners (tenant, id, kind, name, email, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)
         ON CONFLICT DO NOTHING",
        tenant.0,
        row.id,
        row.kind,
        row.name,
        row.email,
        moment,
    )
    .execute(tx.connection())
    .await?;
    if made.rows_affected() == 0 {
        return Err(Code::AlreadyExists.into());
    }
    let owner = row.show();
    tx.record(Event::by(caller.actor(), Action::OwnerCreated, now).on("owner", &owner.id).after(members(json!(owner))));
    tx.commit().await?;
    Ok(owner)
}

/// Changes an owner. Disabling one suspends all of its keys, in one transaction and one delta.
///
/// The owner is disabled first, by a commit of its own. Whoever makes a key looks at its owner while it holds the end
/// of the tenant's trail, and so does this commit: after it, a key is stored already and will be suspended with the
/// others, or finds its owner disabled. (Holding the end of the trail while waiting for keys would be the other way
/// round from everybody else, and two would wait for each other.) Asked again, it does what was left undone.
///
/// # Errors
/// `scope_insufficient`, `not_found`, `validation_failed`.
pub async fn update(app: &App, caller: &Caller, tenant: TenantId, id: &str, request: UpdateOwner) -> Result<Owner> {
    let now = app.clock.now();
    let mut tx = app.db.tenant(tenant).await?;
    let old = rows!("WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE", tenant.0, id).fetch_optional(tx.connection()).await?;
    let old = old.filter(|owner| caller.sees(&owner.id)).ok_or(Code::NotFound)?;
    managing(caller)?;
    let mut row = old.clone();
    let mut checks = Checks::default();
    if let Some(kind) = request.kind {
        row.kind = kind.as_str().to_owned();
    }
    if let Some(name) = request.name {
        checks.name(&name);
        row.name = name;
    }
    match request.email {
        Given::Missing => {}
        Given::Null => row.email = None,
        Given::Value(email) => {
            checks.email(Some(&email));
            row.email = Some(email);
        }
    }
    checks.finish(())?;
    row.disabled = request.disabled.unwrap_or(row.disabled);
    row.updated_at = datetime(now);
    sqlx::query!(
        "UPDATE owners SET kind = $3, name = $4, email = $5, disabled = $6, updated_at = $7 WHERE tenant = $1 AND id = $2",
        tenant.0,
        row.id,
        row.kind,
        row.name,
        row.email,
        row.disabled,
        row.updated_at,
    )
    .execute(tx.connection())
    .await?;
    let (was_disabled, is_disabled) = (old.disabled, row.disabled);
    let (old, owner) = (old.show(), row.show());
    let action = match (was_disabled, is_disabled) {
        (false, true) => Action::OwnerDisabled,
        (true, false) => Action::OwnerEnabled,
        _ => Action::OwnerUpdated,
    };
    let (before, after) = changed(&old, &owner);
    tx.record(Event::by(caller.actor(), action, now).on("owner", &owner.id).before(before).after(after));
    tx.commit().await?;
    if is_disabled {
        suspend_all(app, caller, tenant, &owner.id, now).await?;
    }
    Ok(owner)
}

async fn suspend_all(app: &App, caller: &Caller, tenant: TenantId, owner: &str, now: Timestamp) -> Result<()> {
    let mut tx = app.db.tenant(tenant).await?;
    let held = sqlx::query_scalar!(
        "SELECT id FROM api_keys WHERE tenant = $1 AND owner = $2 AND state = 'active' ORDER BY id FOR UPDATE",
        tenant.0,
        owner,
    )
    .fetch_all(tx.connection())
    .await?;
    let (keys, change) = suspend_in(&mut tx, &held, now).await?;
    for key in keys {
        let event = turned(caller, Action::ApiKeySuspended, KeyId(key), ("active", "suspended"), now);
        tx.record(event.details(members(json!({"owner_disabled": owner}))));
    }
    finish(app, tx, &change).await
}

impl Checks {
    /// Where to reach somebody: not whether anybody is there.
    fn email(&mut self, email: Option<&str>) {
        let shaped = |email: &str| email.len() <= 254 && email.contains('@') && email.bytes().all(|byte| byte.is_ascii_graphic());
        if email.is_some_and(|email| !shaped(email)) {
            self.refuse("email", "an address of at most 254 visible ASCII characters");
        }
    }
}
