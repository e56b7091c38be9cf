//! The life of a signing key: pre-published, active, verify-only, retired; frozen where it was compromised.
//!
//! Every turn is one transaction. Another server signs with the key that was active for as long as it hasn't heard, which
//! counts.

use anyhow::Context;
use keyward_api::{
    Code,
    signing::{CreateSigningKey, SigningKeyTurned, SigningRole, TurnSigningKey},
};
use keyward_core::{KeyState, Kid, PublicKey, Role, TenantId};
use serde_json::json;

use super::{
    elsewhere::adopt_root,
    listing::{ANNOUNCED_SECONDS, Row, live, rows, turned},
    store::{ROOT, end, generate, role_name},
    turn::Turn,
};
use crate::{
    audit::{Action, Event, append, members},
    auth::Caller,
    clock::datetime,
    error::{Error, Result},
    state::App,
    tokens,
};

/// Makes the next key of a role and announces it; or takes the public half of the next root.
///
/// # Errors
/// `already_exists` where there is a next one; `validation_failed`; `scope_insufficient`.
pub async fn create(app: &App, caller: &Caller, request: CreateSigningKey) -> Result<SigningKeyTurned> {
    let mut turn = Turn::begin(app, caller).await?;
    let name = request.role.role().map_or(ROOT, role_name);
    let next = rows!("WHERE role = $1 AND state = 'pre-published'", name).fetch_optional(&mut *turn.tx).await?;
    if let Some(next) = next {
        return Err(Error::from(Code::AlreadyExists).detail(format!("The next key of this role is {}: activate or retire it.", next.kid)));
    }
    let kid = match (request.role.role(), &request.public_key) {
        (Some(role), None) => generate(&mut turn.tx, app.keyrings.data_key(), Some(role), KeyState::PrePublished, turn.now).await?.kid(),
        (Some(_), Some(_)) => return Err(Error::field("public_key", "only of a root: the origin signs with the others")),
        (None, None) => return Err(Error::field("public_key", "that of the next root, made by `keyward root new`")),
        (None, Some(text)) => {
            let public = PublicKey::parse(text).map_err(|error| Error::field("public_key", error.to_string()))?;
            adopt_root(&mut turn.tx, &public, turn.now).await?
        }
    };
    let event = turn.event(Action::SigningKeyCreated, &kid.to_string()).after(members(json!({"role": name, "state": "pre-published"})));
    // The root stands in no manifest: there is nothing to tell.
    if request.role == SigningRole::Root {
        turn.commit(event).await?
    } else {
        turn.end(event).await?
    }
    turned(app, caller, kid, None).await
}

/// Has the next key of a role sign; the one that did verifies alone from then on. Again is as good as once.
///
/// # Errors
/// `not_found`; `signing_key_state` where it isn't the next one; `signing_key_unseen` where edges that decide may not know
/// it yet and it isn't forced.
pub async fn activate(app: &App, caller: &Caller, kid: Kid, request: TurnSigningKey) -> Result<SigningKeyTurned> {
    let mut turn = Turn::begin(app, caller).await?;
    let key = turn.key(kid).await?;
    match key.state()? {
        KeyState::Active => return turned(app, caller, kid, None).await,
        KeyState::PrePublished if key.role != ROOT => {}
        KeyState::PrePublished => {
            return Err(Error::from(Code::SigningKeyState).detail("The first manifest that the next root signs makes it the root."));
        }
        _ => return Err(Error::from(Code::SigningKeyState).detail("Only the next key of a role can be activated.")),
    }
    let now = datetime(turn.now);
    if !request.force && key.activatable_at().is_none_or(|at| at > now) {
        let left = key.activatable_at().map_or(ANNOUNCED_SECONDS, |at| (at - now).whole_seconds().unsigned_abs() + 1);
        let words = format!("It has to have been announced for {ANNOUNCED_SECONDS} seconds: {left} more; `force` in an emergency.");
        return Err(Error::from(Code::SigningKeyUnseen).detail(words).retry_after(left));
    }
    let before = rows!("WHERE role = $1 AND state = 'active'", key.role).fetch_optional(&mut *turn.tx).await?;
    if let Some(before) = &before {
        turn.set(&before.kid, KeyState::VerifyOnly).await?;
    }
    turn.set(&key.kid, KeyState::Active).await?;
    let event = turn
        .event(Action::SigningKeyActivated, &key.kid)
        .before(members(json!({"state": key.state})))
        .after(members(json!({"state": "active"})))
        .details(members(json!({"role": key.role, "in_place_of": before.map(|before| before.kid), "forced": request.force})));
    turn.end(event).await?;
    turned(app, caller, kid, None).await
}

/// Ends what a key has signed, and erases its private half. Again is as good as once.
///
/// # Errors
/// `not_found`; `signing_key_state` where it signs now; `signing_key_in_use`, with the number, where what it signed is in
/// use and it isn't forced, and where it has signed the caller's own key.
pub async fn retire(app: &App, caller: &Caller, kid: Kid, request: TurnSigningKey) -> Result<SigningKeyTurned> {
    let mut turn = Turn::begin(app, caller).await?;
    let key = turn.key(kid).await?;
    match key.state()? {
        KeyState::Retired => return turned(app, caller, kid, None).await,
        KeyState::Active => return Err(Error::from(Code::SigningKeyState).detail("It signs: activate the next one, or freeze it.")),
        // It never signed.
        KeyState::PrePublished => {}
        KeyState::VerifyOnly | KeyState::Frozen => {
            if !request.force
                && let Some(words) = in_use(&mut turn, &key).await?
            {
                return Err(Error::from(Code::SigningKeyInUse).detail(words));
            }
            turn.spare_caller(kid).await?;
        }
    }
    turn.set(&key.kid, KeyState::Retired).await?;
    let event = turn
        .event(Action::SigningKeyRetired, &key.kid)
        .before(members(json!({"state": key.state})))
        .after(members(json!({"state": "retired"})))
        .details(members(json!({"role": key.role, "forced": request.force})));
    turn.end(event).await?;
    turned(app, caller, kid, None).await
}

/// What would end with a key; `None` where nothing does that isn't made anew by itself.
async fn in_use(turn: &mut Turn<'_>, key: &Row) -> Result<Option<String>> {
    match key.role()?.role() {
        Some(Role::ApiKey) => {
            let short = key.kid()?.short();
            let live = live(&mut turn.tx, turn.now).await?.into_iter().find(|live| live.signing_key == short);
            Ok(live.map(|live| format!("{} raw keys that it signed could be presented: rotate them, or wait for their end.", live.keys)))
        }
        // A frozen key's tokens are refused already.
        Some(Role::Token) if key.state == "verify-only" => {
            let end = key.state_since + time::Duration::seconds(tokens::LIFETIME as i64);
            let left = (end - datetime(turn.now)).whole_seconds();
            Ok((left > 0).then(|| format!("Tokens that it signed may count for {left} seconds more.")))
        }
        Some(Role::Audit) => {
            let signed = sqlx::query_scalar!(
                r#"SELECT count(*) AS "signed!" FROM audit_checkpoints WHERE created_at BETWEEN $1 AND $2"#,
                key.activated_at,
                key.state_since,
            )
            .fetch_one(&mut *turn.tx)
            .await?;
            Ok((signed > 0).then(|| format!("{signed} checkpoints of audit trails that it signed would prove nothing by later manifests.")))
        }
        // Policies, lists and snapshots are signed anew when the manifest changes.
        _ => Ok(None),
    }
}

/// Freezes a compromised key: from now on an API key by it counts where it was issued, and nothing else by it does. Where
/// it signed, its successor signs at once: the next key of the role, or a new one. Again is as good as once.
///
/// # Errors
/// `not_found`; `signing_key_state` where it never signed or is retired; `signing_key_in_use`, with the number, where keys
/// are older than digests, and so would end.
pub async fn freeze(app: &App, caller: &Caller, kid: Kid, request: TurnSigningKey) -> Result<SigningKeyTurned> {
    let mut turn = Turn::begin(app, caller).await?;
    let key = turn.key(kid).await?;
    match (key.role()?.role(), key.state()?) {
        (None, _) => return Err(Error::from(Code::SigningKeyState).detail("A root is replaced in what edges pin: docs/signing-keys.md.")),
        (_, KeyState::Frozen) => return turned(app, caller, kid, None).await,
        (_, KeyState::Active | KeyState::VerifyOnly) => {}
        (_, KeyState::PrePublished) => return Err(Error::from(Code::SigningKeyState).detail("It has signed nothing: retire it.")),
        (_, KeyState::Retired) => return Err(Error::from(Code::SigningKeyState).detail("What it signed counts no more already.")),
    }
    let role = key.role()?.role().context("a role")?;
    if role == Role::ApiKey && !request.force {
        let short = key.kid()?.short();
        let without =
            live(&mut turn.tx, turn.now).await?.into_iter().find(|live| live.signing_key == short).map_or(0, |live| live.without_digest);
        if without > 0 {
            let words = format!("{without} raw keys that it signed are older than digests, and would end: rotate them first, or `force`.");
            return Err(Error::from(Code::SigningKeyInUse).detail(words));
        }
    }
    let changed = end(&mut turn.tx, app.keyrings.data_key(), kid, KeyState::Frozen, turn.now).await?;
    let successor = changed.into_iter().find(|changed| *changed != kid);
    if role == Role::Audit {
        // A record in every trail: then there is a checkpoint of each by the successor.
        tell_tenants(&mut turn, &key.kid).await?;
    }
    let event = turn
        .event(Action::SigningKeyFrozen, &key.kid)
        .before(members(json!({"state": key.state})))
        .after(members(json!({"state": "frozen"})))
        .details(members(json!({"role": key.role, "successor": successor, "forced": request.force})));
    turn.end(event).await?;
    tracing::warn!(event = "signing_key_frozen", kid = %kid, role = key.role, by = %caller.id());
    turned(app, caller, kid, successor).await
}

async fn tell_tenants(turn: &mut Turn<'_>, kid: &str) -> Result<()> {
    let tenants =
        sqlx::query_scalar!("SELECT id FROM tenants WHERE id <> $1 ORDER BY id", turn.operator.0).fetch_all(&mut *turn.tx).await?;
    for tenant in tenants.into_iter().map(TenantId) {
        let event = Event::by_itself(Action::SigningKeyFrozen, turn.now).on("signing_key", kid).details(members(json!({"role": "audit"})));
        append(&mut turn.tx, tenant, &[event], 0).await?;
    }
    Ok(())
}
