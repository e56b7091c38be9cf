//! Changing a whole plan: one policy takes the place of another, for all keys that have it.

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
    error::{Error, Result},
    feed::Change,
    policies::{find_or_create, policy_number},
    state::App,
};

/// Puts a policy with changed terms in the place of one.
///
/// # Errors
/// `scope_insufficient` for a caller of user scope; `not_found`; `policy_superseded`; `validation_failed`;
/// `grant_exceeded`; `capacity_exhausted` where too many are in force.
pub async fn supersede(app: &App, caller: &Caller, tenant: TenantId, old: PolicyNumber, request: UpdateKey) -> Result<PolicySuperseded> {
    let now = app.clock.now();
    if caller.scope() == ScopeClass::User {
        return Err(Error::from(Code::ScopeInsufficient).detail("A plan is the tenant's: it takes a key of tenant or admin scope."));
    }
    let in_force = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM policies WHERE superseded_by IS NOT NULL"#)
        .fetch_one(app.db.system())
        .await?;
    if usize::try_from(in_force).unwrap_or(usize::MAX) >= MAX_SUPERSESSIONS {
        return Err(Code::CapacityExhausted.into());
    }
    let mut tx = app.db.tenant(tenant).await?;
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
    let terms = changed_terms(Checks::default(), &request, old_terms.clone())?;
    // Some key of the plan may never expire.
    grant::check_change(caller, &old_terms, &terms, None)?;
    let (policy, is_new) = find_or_create(tx.connection(), &terms, now).await?;
    if policy == old {
        return Ok(PolicySuperseded { superseded: old, policy });
    }
    // Those before it move along, so that there is never a chain to follow.
    let moved = sqlx::query_scalar!(
        "UPDATE policies SET superseded_by = $2 WHERE number = $1 OR superseded_by = $1 RETURNING number",
        i64::from(old.0),
        i64::from(policy.0),
    )
    .fetch_all(tx.connection())
    .await?;
    let change = Change {
        supersessions: moved.into_iter().map(|number| (policy_number(number), policy)).collect(),
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
