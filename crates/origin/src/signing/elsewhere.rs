//! The root kept elsewhere: which one is next, what it is to sign, what it has signed.

use keyward_api::{
    Code,
    signing::{Proposal, PublishManifest, SigningKeys},
};
use keyward_core::{Kid, Manifest, PublicKey, Timestamp};
use serde_json::json;
use sqlx::PgConnection;

use super::{
    listing::{list, operator},
    manifest::{MAX_MANIFEST_SECONDS, NotAccepted, accept, propose},
    store::ROOT,
    turn::Turn,
};
use crate::{
    audit::{Action, Event, members},
    auth::Caller,
    clock::datetime,
    error::{Error, Result},
    state::App,
};

/// Stores the public half of the next root, in the place of an earlier one that never was: the first manifest that it
/// signs makes it the root.
///
/// # Errors
/// `already_exists` where it is known already; else as any write.
pub async fn adopt_root(connection: &mut PgConnection, public: &PublicKey, now: Timestamp) -> Result<Kid> {
    let kid = public.kid();
    let stored = sqlx::query!(
        "INSERT INTO signing_keys (kid, role, state, x, created_at, state_since) VALUES ($1, $2, 'pre-published', $3, $4, $4)
         ON CONFLICT DO NOTHING",
        kid.to_string(),
        ROOT,
        &public.as_bytes()[..],
        datetime(now),
    )
    .execute(connection)
    .await?;
    if stored.rows_affected() == 0 {
        return Err(Error::from(Code::AlreadyExists).detail("It is known already, or another next root is."));
    }
    Ok(kid)
}

/// The manifest that is to be signed next, for whoever holds the root; to count for so many days.
///
/// # Errors
/// `validation_failed`; `scope_insufficient`.
pub async fn proposal(app: &App, caller: &Caller, days: u64) -> Result<Proposal> {
    operator(app, caller).await?;
    let seconds = days.saturating_mul(86_400);
    if days == 0 || seconds > MAX_MANIFEST_SECONDS {
        return Err(Error::field("days", format!("1 to {}", MAX_MANIFEST_SECONDS / 86_400)));
    }
    let mut connection = app.db.system().acquire().await?;
    let (current, proposed): (String, Manifest) =
        propose(&mut connection, app.keyrings.data_key(), Some(&app.config.issuer), seconds, app.clock.now()).await?;
    Ok(Proposal { current, proposed })
}

/// Takes a manifest that was signed elsewhere.
///
/// # Errors
/// `manifest_stale` where it isn't the one that is due; `validation_failed` where it is none; `scope_insufficient`.
pub async fn publish_manifest(app: &App, caller: &Caller, request: PublishManifest) -> Result<SigningKeys> {
    let mut turn = Turn::begin(app, caller).await?;
    let taken = accept(&mut turn.tx, app.keyrings.data_key(), request.manifest.trim(), Some(&app.config.issuer), turn.now).await;
    let version = taken.map_err(|refused| match refused {
        NotAccepted::Stale(words) => Error::from(Code::ManifestStale).detail(words),
        NotAccepted::Invalid(words) => Error::field("manifest", words),
        NotAccepted::Fault(fault) => fault.into(),
    })?;
    let event = Event::by(caller.actor(), Action::ManifestPublished, turn.now).details(members(json!({"version": version})));
    turn.commit(event).await?;
    list(app, caller).await
}
