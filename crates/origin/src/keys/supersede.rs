//! Changing a whole plan: one policy takes the place of another, for all keys that have it.

use std::sync::Arc;

use keyward_api::{
    Code,
    keys::{PolicySuperseded, UpdateKey},
};
use keyward_core::{PolicyNumber, PolicyTerms, ScopeClass, TenantId, bounds::MAX_SUPERSESSIONS};
use serde_json::json;
use sqlx::types::Json;

use super::{
    create::finish,
    grant,
    terms::{Checks, changed_terms},
};
use crate::{
    audit::{Action, Event, changed, members},
    auth::Caller,
    clock::datetime,
    db::Tx,
    error::{Error, Result},
    feed::Change,
    policies::{find_or_create, policy_number},
    state::App,
};

/// Supersessions in the list that edges hold. Half of what they take: until its next snapshot an edge also has those that were released
/// since the last one, for each of which there may be a new one.
pub const MOST_LISTED: usize = MAX_SUPERSESSIONS / 2;
/// Of these, those that a tenant may have: one tenant doesn't use them up for all others.
pub const MOST_OF_A_TENANT: usize = MOST_LISTED / 4;
/// Names the lock of whoever supersedes.
const SUPERSEDING: i64 = 0x7375_7065_7273;

/// Puts a policy with changed terms in the place of one.
///
/// # Errors
/// `scope_insufficient` for a caller of user scope; `not_found`; `policy_superseded`; `validation_failed`;
/// `grant_exceeded`; `ceiling_reached` where the tenant has its share of those that are in force; `capacity_exhausted` where all
/// together have as many as the list takes.
pub async fn supersede(app: &App, caller: &Caller, tenant: TenantId, old: PolicyNumber, request: UpdateKey) -> Result<PolicySuperseded> {
    let now = app.clock.now();
    if caller.scope() == ScopeClass::User {
        return Err(Error::from(Code::ScopeInsufficient).detail("A plan is the tenant's: it takes a key of tenant or admin scope."));
    }
    let settings = app.tenants.settings(app, tenant, request.capabilities.as_deref().unwrap_or_default()).await?;
    let mut tx = app.db.tenant(tenant).await?;
    check_room(app, &mut tx, tenant).await?;
    let found = sqlx::query!(
        r#"SELECT terms AS "terms: Json<PolicyTerms>", superseded_by FROM policies WHERE number = $1 AND tenant = $2 FOR UPDATE"#,
        i64::from(old.0),
        tenant.0,
    )
    .fetch_optional(tx.connection())
    .await?
    .ok_or(Code::NotFound)?;
    if let Some(by) = found.superseded_by {
        return Err(Error::from(Code::PolicySuperseded).detail(format!("Policy {by} is in force.")));
    }
    let old_terms = found.terms.0;
    let terms = changed_terms(Checks::of(Arc::clone(&settings)), &request, old_terms.clone())?;
    // Some key of the plan may never expire.
    grant::check_change(caller, &settings, &old_terms, &terms, None)?;
    let (policy, is_new) = find_or_create(tx.connection(), &terms, now).await?;
    if policy == old {
        return Ok(PolicySuperseded { superseded: old, policy });
    }
    // Those before it move along, so that there is never a chain to follow; of those that were released nobody needs to hear.
    let moved = sqlx::query!(
        r#"UPDATE policies SET superseded_by = $2, superseded_at = coalesce(superseded_at, $3) WHERE number = $1 OR superseded_by = $1
           RETURNING number, released_at IS NULL AS "listed!""#,
        i64::from(old.0),
        i64::from(policy.0),
        datetime(now),
    )
    .fetch_all(tx.connection())
    .await?;
    let change = Change {
        supersessions: moved.iter().filter(|row| row.listed).map(|row| (policy_number(row.number), policy)).collect(),
        policies: is_new.then_some(policy).into_iter().collect(),
        ..Change::default()
    };
    let (before, after) = changed(&old_terms, &terms);
    tx.record(
        Event::by(caller.actor(), Action::PolicySuperseded, now)
            .on("policy", old)
            .before(before)
            .after(after)
            .details(members(json!({"policy": policy}))),
    );
    finish(app, tx, &change).await?;
    tracing::info!(event = "policy_superseded", old = old.0, policy = policy.0, tenant = %tenant, by = %caller.id());
    Ok(PolicySuperseded { superseded: old, policy })
}

/// Passes where there is room for one more in the list that all edges hold. From here to the end of the transaction nobody else adds
/// to it, in whatever tenant: one more than they take, and no edge would follow the feed any longer.
async fn check_room(app: &App, tx: &mut Tx, tenant: TenantId) -> Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)::text AS held", SUPERSEDING).fetch_one(tx.connection()).await?;
    let in_force = sqlx::query!(
        r#"SELECT count(*) AS "all!", count(*) FILTER (WHERE tenant = $1) AS "own!" FROM policies
           WHERE superseded_by IS NOT NULL AND released_at IS NULL"#,
        tenant.0,
    )
    .fetch_one(app.db.system())
    .await?;
    let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
    if count(in_force.own) >= MOST_OF_A_TENANT {
        return Err(
            Error::from(Code::CeilingReached).detail(format!("A tenant can have {MOST_OF_A_TENANT} policies in whose place others stand."))
        );
    }
    if count(in_force.all) >= MOST_LISTED {
        return Err(Code::CapacityExhausted.into());
    }
    Ok(())
}
