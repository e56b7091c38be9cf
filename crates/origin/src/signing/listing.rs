//! The signing keys as the operator sees them, and what lives by them.

use anyhow::Context;
use keyward_api::{
    Code,
    signing::{ManifestInForce, SigningKey, SigningKeyTurned, SigningKeys, SigningRole},
};
use keyward_core::{KeyState, Kid, ScopeClass, TenantId, Timestamp, codec::base64url};
use sqlx::{PgConnection, types::time::OffsetDateTime};

use super::store::{ROOT, state_name};
use crate::{
    auth::Caller,
    clock::{datetime, rfc3339},
    error::{Error, Result},
    state::App,
};

/// How long a key has to have been announced before it signs: twice the hard age that an edge has unless it is told
/// otherwise. Past the hard age an edge decides on nothing, so that whoever decides knows the key.
pub const ANNOUNCED_SECONDS: u64 = 120;

/// A row of `signing_keys`.
pub(super) struct Row {
    pub(super) kid: String,
    pub(super) role: String,
    pub(super) state: String,
    pub(super) x: Vec<u8>,
    pub(super) is_here: bool,
    pub(super) expires_at: Option<OffsetDateTime>,
    pub(super) created_at: OffsetDateTime,
    pub(super) announced_at: Option<OffsetDateTime>,
    pub(super) activated_at: Option<OffsetDateTime>,
    pub(super) state_since: OffsetDateTime,
}

impl Row {
    pub(super) fn role(&self) -> Result<SigningRole> {
        serde_json::from_value(self.role.clone().into()).map_err(Error::internal)
    }

    pub(super) fn state(&self) -> Result<KeyState> {
        serde_json::from_value(self.state.clone().into()).map_err(Error::internal)
    }

    pub(super) fn kid(&self) -> Result<Kid> {
        Kid::parse(&self.kid).ok_or_else(|| Error::internal(anyhow::anyhow!("a kid that is none")))
    }

    pub(super) fn activatable_at(&self) -> Option<OffsetDateTime> {
        let announced = self.announced_at.filter(|_| self.state == "pre-published" && self.role != ROOT)?;
        Some(announced + time::Duration::seconds(ANNOUNCED_SECONDS as i64))
    }

    pub(super) fn show(&self, live: &[Live]) -> Result<SigningKey> {
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
            $crate::signing::listing::Row,
            r#"SELECT kid, role, state, x, sealed IS NOT NULL AS "is_here!", expires_at, created_at, announced_at, activated_at, state_since
               FROM signing_keys "# + $end
            $(, $argument)*
        )
    };
}
pub(super) use rows;

/// Raw keys by one signing key that could be presented now.
pub(super) struct Live {
    pub(super) signing_key: Vec<u8>,
    pub(super) keys: i64,
    pub(super) without_digest: i64,
}

/// A scan of all credentials, since no other statement needs an index by signer; a second for some millions.
pub(super) async fn live(connection: &mut PgConnection, now: Timestamp) -> Result<Vec<Live>> {
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

/// The operator's tenant, where the caller is an admin of it.
pub(super) async fn operator(app: &App, caller: &Caller) -> Result<TenantId> {
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

pub(super) fn in_force(app: &App, rows: &[Row]) -> ManifestInForce {
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

pub(super) async fn turned(app: &App, caller: &Caller, kid: Kid, successor: Option<Kid>) -> Result<SigningKeyTurned> {
    let SigningKeys { manifest, signing_keys } = list(app, caller).await?;
    let signing_key = signing_keys.into_iter().find(|key| key.kid == kid).ok_or(Code::NotFound)?;
    Ok(SigningKeyTurned { signing_key, successor, manifest })
}
