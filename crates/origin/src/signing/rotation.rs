//! The life of a signing key: pre-published, active, verify-only, retired; frozen where it was compromised.
//!
//! Every turn is one transaction: the state, the manifest that says so, the record in the operator's trail, and the word
//! to all servers. Another server signs with the key that was active for as long as it hasn't heard, which counts.

use anyhow::Context;
use keyward_api::{
    Code,
    signing::{
        CreateSigningKey, ManifestInForce, Proposal, PublishManifest, SigningKey, SigningKeyTurned, SigningKeys, SigningRole,
        TurnSigningKey,
    },
};
use keyward_core::{KeyState, Kid, Manifest, PublicKey, Role, ScopeClass, TenantId, Timestamp, codec::base64url};
use serde_json::json;
use sqlx::{PgConnection, Postgres, Transaction, types::time::OffsetDateTime};

use super::{
    manifest::{self, MAX_MANIFEST_SECONDS, NotAccepted, accept, propose, publish_next},
    store::{ROOT, end, generate, role_name, state_name},
};
use crate::{
    audit::{Action, Event, append, members},
    auth::Caller,
    clock::{datetime, rfc3339},
    db::again,
    error::{Error, Result},
    state::App,
    tokens,
};

/// How long a key has to have been announced before it signs: twice the hard age that an edge has unless it is told
/// otherwise. Past the hard age an edge decides on nothing, so that whoever decides knows the key.
pub const ANNOUNCED_SECONDS: u64 = 120;

/// A row of `signing_keys`.
struct Row {
    kid: String,
    role: String,
    state: String,
    x: Vec<u8>,
    is_here: bool,
    expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    announced_at: Option<OffsetDateTime>,
    activated_at: Option<OffsetDateTime>,
    state_since: OffsetDateTime,
}

impl Row {
    fn role(&self) -> Result<SigningRole> {
        serde_json::from_value(self.role.clone().into()).map_err(Error::internal)
    }

    fn state(&self) -> Result<KeyState> {
        serde_json::from_value(self.state.clone().into()).map_err(Error::internal)
    }

    fn kid(&self) -> Result<Kid> {
        Kid::parse(&self.kid).ok_or_else(|| Error::internal(anyhow::anyhow!("a kid that is none")))
    }

    fn activatable_at(&self) -> Option<OffsetDateTime> {
        let announced = self.announced_at.filter(|_| self.state == "pre-published" && self.role != ROOT)?;
        Some(announced + time::Duration::seconds(ANNOUNCED_SECONDS as i64))
    }

    fn show(&self, live: &[Live]) -> Result<SigningKey> {
        let kid = self.kid()?;
        let counts = (self.role == "api-key").then(|| {
            let found = live.iter().find(|live| live.signing_key == kid.short());
            found.map_or((0, 0), |live| (live.keys.unsigned_abs(), live.without_digest.unsigned_abs()))
        });
        Ok(SigningKey {
            kid,
            role: self.role()?,
            state: self.state()?,
            state_since: rfc3339(self.state_since),
            public_key: base64url(&self.x),
            is_here: self.is_here,
            created_at: rfc3339(self.created_at),
            announced_at: self.announced_at.map(rfc3339),
            activated_at: self.activated_at.map(rfc3339),
            expires_at: self.expires_at.map(rfc3339),
            activatable_at: self.activatable_at().map(rfc3339),
            live_keys: counts.map(|counts| counts.0),
            live_keys_without_digest: counts.map(|counts| counts.1),
        })
    }
}

/// Selects [`Row`]s, by the end of the statement and its arguments.
macro_rules! rows {
    ($end:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            Row,
            r#"SELECT kid, role, state, x, sealed IS NOT NULL AS "is_here!", expires_at, created_at, announced_at, activated_at, state_since
               FROM signing_keys "# + $end
            $(, $argument)*
        )
    };
}

/// Raw keys by one signing key that could be presented now.
struct Live {
    signing_key: Vec<u8>,
    keys: i64,
    without_digest: i64,
}

/// A scan of all credentials, since no other statement needs an index by signer; a second for some millions.
async fn live(connection: &mut PgConnection, now: Timestamp) -> Result<Vec<Live>> {
    Ok(sqlx::query_as!(
        Live,
        r#"SELECT signing_key, count(*) AS "keys!", count(*) FILTER (WHERE digest IS NULL) AS "without_digest!" FROM credentials
           WHERE status <> 1 AND coalesce(CASE WHEN amended_policy IS NULL THEN expires_at ELSE amended_expires END > $1, true)
           GROUP BY signing_key"#,
        datetime(now),
    )
    .fetch_all(connection)
    .await?)
}

/// The operator's hold on the signing keys: others wait for its end.
struct Turn<'a> {
    app: &'a App,
    caller: &'a Caller,
    operator: TenantId,
    now: Timestamp,
    tx: Transaction<'static, Postgres>,
}

impl<'a> Turn<'a> {
    /// Passes for the operator alone: an admin in the tenant that the deployment began with.
    async fn begin(app: &'a App, caller: &'a Caller) -> Result<Self> {
        let operator = operator(app, caller).await?;
        let mut tx = again!(app.db.system().begin())?;
        manifest::hold(&mut tx).await?;
        Ok(Self { app, caller, operator, now: app.clock.now(), tx })
    }

    /// The key of that name, as nobody else changes it.
    async fn key(&mut self, kid: Kid) -> Result<Row> {
        rows!("WHERE kid = $1", kid.to_string()).fetch_optional(&mut *self.tx).await?.ok_or(Code::NotFound.into())
    }

    /// Refuses to end the caller's own key, forced or not: nobody would be left to undo it.
    async fn spare_caller(&mut self, kid: Kid) -> Result<()> {
        let index = i64::from(self.caller.key().index().0);
        let signer = sqlx::query_scalar!("SELECT signing_key FROM credentials WHERE index = $1", index).fetch_one(&mut *self.tx).await?;
        if signer[..] == kid.short()[..] {
            return Err(Error::from(Code::SigningKeyInUse).detail("It has signed the key that you call with: rotate that first."));
        }
        Ok(())
    }

    async fn set(&mut self, kid: &str, state: KeyState) -> Result<()> {
        sqlx::query!(
            "UPDATE signing_keys
             SET state = $2, state_since = $3, activated_at = CASE WHEN $2 = 'active' THEN $3 ELSE activated_at END,
                 sealed = CASE WHEN $2 = 'retired' THEN NULL ELSE sealed END
             WHERE kid = $1",
            kid,
            state_name(state),
            datetime(self.now),
        )
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    fn event(&self, action: Action, key: &str) -> Event {
        Event::by(self.caller.actor(), action, self.now).on("signing_key", key)
    }

    /// Tells the world, records, commits; and waits until this server has taken it over.
    async fn end(mut self, event: Event) -> Result<()> {
        publish_next(&mut self.tx, self.app.keyrings.data_key(), self.now).await?;
        self.commit(event).await
    }

    async fn commit(mut self, event: Event) -> Result<()> {
        append(&mut self.tx, self.operator, &[event], 0).await?;
        self.tx.commit().await?;
        // It is done; a server that can't read the database now will take it over when it can.
        let _ = self.app.feed.check(self.app).await;
        Ok(())
    }
}

/// The operator's tenant, where the caller is an admin of it.
async fn operator(app: &App, caller: &Caller) -> Result<TenantId> {
    let operator = sqlx::query_scalar!("SELECT operator FROM deployment").fetch_one(app.db.system()).await?;
    let operator = TenantId(operator.context("the deployment has no operator")?);
    if caller.scope() == ScopeClass::Admin && caller.tenant() == operator {
        Ok(operator)
    } else {
        Err(Error::from(Code::ScopeInsufficient)
            .detail("Signing keys are the deployment's: they take a key of admin scope of the operator's tenant."))
    }
}

/// All signing keys, and the manifest in force.
///
/// # Errors
/// `scope_insufficient`; else as any read.
pub async fn list(app: &App, caller: &Caller) -> Result<SigningKeys> {
    operator(app, caller).await?;
    let mut connection = app.db.system().acquire().await?;
    let live = live(&mut connection, app.clock.now()).await?;
    let rows = rows!("ORDER BY created_at, kid").fetch_all(&mut *connection).await?;
    let signing_keys = rows.iter().map(|row| row.show(&live)).collect::<Result<_>>()?;
    Ok(SigningKeys { manifest: in_force(app, &rows), signing_keys })
}

fn in_force(app: &App, rows: &[Row]) -> ManifestInForce {
    let keyring = app.keyrings.current();
    let manifest = keyring.keys.manifest();
    let said = |row: &&Row| {
        let told = manifest.keys.iter().find(|key| key.kid.to_string() == row.kid).map(|key| state_name(key.state));
        // Retired keys leave it in the end; the root isn't in it.
        row.role == ROOT || told.map_or(row.state == "retired", |state| state == row.state)
    };
    ManifestInForce {
        version: manifest.version,
        epoch: manifest.epoch,
        expires_at: rfc3339(datetime(Timestamp::from_secs(manifest.exp))),
        root_is_elsewhere: !keyring.signs_manifests,
        outdated: !rows.iter().all(|row| said(&row)),
    }
}

async fn turned(app: &App, caller: &Caller, kid: Kid, successor: Option<Kid>) -> Result<SigningKeyTurned> {
    let SigningKeys { manifest, signing_keys } = list(app, caller).await?;
    let signing_key = signing_keys.into_iter().find(|key| key.kid == kid).ok_or(Code::NotFound)?;
    Ok(SigningKeyTurned { signing_key, successor, manifest })
}

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
