//! Sessions: what stands in for a key in a browser, so that pages needn't keep one.
//!
//! A session is the row of a secret that the browser alone has, and of the credential that it was started with: what that
//! says, and its digest. On each request the credential is looked at anew, as if it had been presented: a session can't
//! outlive its key, and permits what the key permits now.

pub mod cookie;
mod secret;
mod store;

use std::sync::{Mutex, PoisonError};

use keyward_api::{Code, session::Session};
use keyward_core::{Digest, Environment, KeyId, Reason, Timestamp};
use serde_json::json;

pub use secret::Secret;
pub use store::{Stored, sweep};

use crate::{
    audit::{Action, Event, members},
    auth::{self, Asked, Caller, Credential, Freshness},
    clock::{datetime, rfc3339},
    error::{Error, Result},
    ids::new_id,
    keys::issued::is_issued,
    lately::Lately,
    pace::Pace,
    state::App,
};

/// How long a session lasts, seconds.
pub const LIFETIME: u64 = 12 * 60 * 60;
/// How long it lasts without a request, seconds.
pub const IDLE: u64 = 60 * 60;
/// How exactly its last use is written down, seconds.
const USE: u64 = 60;
/// Sessions of one key at a time: the next one ends the oldest.
const MOST: i64 = 16;
/// Sessions that one key may start in an hour, on one server: each is a row and a record of the trail, for any key of any person.
const AN_HOUR: u32 = 60;
const HOUR_MS: u64 = 3_600_000;
/// Sessions of one generation that are remembered; two are held.
const GENERATION: usize = 4096;

/// What is remembered of sessions.
pub struct Sessions {
    /// Those that were met: where an address has failed too often, they alone are looked up still.
    met: Mutex<Lately<Digest, ()>>,
    started: Pace<KeyId>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { met: Mutex::new(Lately::new(GENERATION)), started: Pace::new(AN_HOUR, HOUR_MS) }
    }
}

impl Sessions {
    fn met(&self, digest: Digest) {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).keep(digest, ());
    }

    fn knows(&self, digest: &Digest) -> bool {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).recall(digest).is_some()
    }
}

/// A session under way, and who it is.
pub struct Current {
    /// Who.
    pub caller: Caller,
    secret: Secret,
    created: Timestamp,
    expires: Timestamp,
}

/// Starts a session for the holder of the key that a request comes with. Its secret is a new one, whatever the request's
/// cookie holds: nobody can make another's browser use a session of his choice. A session that the cookie holds ends.
///
/// # Errors
/// Why the key doesn't hold, or can't be used from there; `rate_limited`.
pub async fn start(app: &App, asked: &Asked<'_>) -> Result<Current> {
    let text = asked.key()?.ok_or(Reason::CredentialMissing)?;
    let key = auth::parse(app, asked, text)?;
    let caller = auth::identify(app, asked, &key, Environment::Live, Freshness::Committed).await?;
    let caller = auth::of_itself(app, asked, caller)?;
    // From here on that stands in for the key's signature.
    if !is_issued(&app.db, caller.key().index(), &key.digest()).await? {
        return Err(Reason::NotIssued.into());
    }
    let now = app.clock.now();
    app.sessions.started.take(caller.id(), now).map_err(|wait| {
        Error::from(Code::RateLimited).detail(format!("A key starts at most {AN_HOUR} sessions an hour.")).retry_after(wait)
    })?;
    let (secret, claims) = (Secret::generate()?, *auth::authentic(app, &key).await?.claims());
    let end = caller.expires().unwrap_or(u64::MAX).min(now.secs() + LIFETIME);
    let stored = Stored {
        id: new_id(now)?.0,
        secret: secret.digest(),
        claims,
        digest: key.digest(),
        issued: true,
        created: now,
        used: now,
        expires: Timestamp::from_secs(end),
    };
    let mut tx = app.db.tenant(caller.tenant()).await?;
    let replaced = cookie::find(asked.headers(), &app.config).ok().flatten().and_then(Secret::parse);
    for (id, why) in store::insert(&mut tx, &stored, replaced.map(|secret| secret.digest())).await? {
        tx.record(Event::by(caller.actor(), Action::SessionEnded, now).on("session", id).details(members(json!({"reason": why}))));
    }
    let details = members(json!({"expires": rfc3339(datetime(stored.expires))}));
    tx.record(Event::by(caller.actor(), Action::SessionStarted, now).on("session", stored.id).details(details));
    tx.commit().await?;
    app.sessions.met(stored.secret);
    tracing::info!(event = "session_started", session = %stored.id, key = %caller.id(), tenant = %caller.tenant());
    Ok(Current { caller, secret, created: now, expires: stored.expires })
}

/// Who makes a request with that secret.
///
/// # Errors
/// `session_invalid`, `csrf_refused`, `rate_limited`; why the key doesn't hold any more.
pub async fn recognise(app: &App, asked: &Asked<'_>, text: &str, freshness: Freshness) -> Result<Current> {
    let (secret, stored) = find(app, asked, text).await?;
    let now = app.clock.now();
    let keyring = app.keyrings.current();
    let authentic = keyring.authenticate_kept(&stored.claims, (stored.digest, stored.issued), now)?;
    let freshness = if freshness == Freshness::Presumed { Freshness::Committed } else { freshness };
    let caller = auth::admitted(app, asked, &authentic, Environment::Live, freshness).await?;
    if now.since(stored.used) >= USE * 1000 {
        store::touch(app, &stored, now).await?;
    }
    Ok(Current { caller, secret, created: stored.created, expires: stored.expires })
}

/// The session that a request comes with.
///
/// # Errors
/// As [`recognise`]; `credential_missing` where it comes with none.
pub async fn current(app: &App, asked: &Asked<'_>) -> Result<Current> {
    let current = recognise(app, asked, presented(app, asked)?, Freshness::Committed).await?;
    Ok(Current { caller: auth::of_itself(app, asked, current.caller)?, ..current })
}

/// Ends the session that a request comes with. That can be done whatever has become of its key.
///
/// # Errors
/// `credential_missing`, `csrf_refused`; as any write.
pub async fn end(app: &App, asked: &Asked<'_>) -> Result<()> {
    let stored = match find(app, asked, presented(app, asked)?).await {
        Ok((_, stored)) => stored,
        // It has ended: all is as it is to be.
        Err(error) if error.code() == Code::SessionInvalid => return Ok(()),
        Err(error) => return Err(error),
    };
    let row = auth::row_at(app, stored.claims.index, Freshness::Followed).await?;
    let Some(row) = row.filter(|row| row.key == stored.claims.id) else { return store::forget(app, &stored).await };
    let actor = asked.actor(app, &row);
    let mut tx = app.db.tenant(row.tenant).await?;
    if store::remove(&mut tx, &stored).await? {
        tx.record(Event::by(&actor, Action::SessionEnded, app.clock.now()).on("session", stored.id));
        tracing::info!(event = "session_ended", session = %stored.id, key = %row.key, tenant = %row.tenant);
    }
    tx.commit().await
}

fn presented<'a>(app: &App, asked: &Asked<'a>) -> Result<&'a str> {
    match asked.credential(app)? {
        Some(Credential::Session(text)) => Ok(text),
        Some(Credential::Key(_)) => Err(Code::SessionInvalid.into()),
        None => Err(Reason::CredentialMissing.into()),
    }
}

/// The session of a secret, where there is one that hasn't ended and the request is its own.
async fn find(app: &App, asked: &Asked<'_>, text: &str) -> Result<(Secret, Stored)> {
    let secret = Secret::parse(text).ok_or(Code::SessionInvalid)?;
    asked.is_own(app, &secret)?;
    let digest = secret.digest();
    if !app.sessions.knows(&digest) {
        asked.guard(app)?;
    }
    let now = app.clock.now();
    let stored = store::find(app, digest).await?;
    let lasts = |stored: &Stored| now < stored.expires && now.since(stored.used) < IDLE * 1000;
    let stored = stored.filter(lasts).ok_or(Code::SessionInvalid)?;
    app.sessions.met(digest);
    Ok((secret, stored))
}

impl Current {
    /// The secret, for the cookie.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What is told of it.
    ///
    /// # Errors
    /// As any read.
    pub async fn told(&self, app: &App) -> Result<Session> {
        let caller = &self.caller;
        let names = store::names(app, caller.id()).await?;
        let claims = caller.claims();
        // The key may have got another end since.
        let expires = caller.expires().map_or(self.expires, |end| self.expires.min(Timestamp::from_secs(end)));
        Ok(Session {
            key: caller.id(),
            name: names.name,
            hint: names.hint,
            owner: caller.owner().to_owned(),
            tenant: caller.tenant(),
            tenant_name: names.tenant_name,
            operator: names.operator,
            scope: claims.scope,
            capabilities: claims.capabilities.iter().map(ToString::to_string).collect(),
            csrf: self.secret.csrf(),
            created: rfc3339(datetime(self.created)),
            expires: rfc3339(datetime(expires)),
            idle_seconds: IDLE,
        })
    }
}
