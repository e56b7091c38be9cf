//! The signing keys and the manifest that tells the world of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use anyhow::{Context, ensure};
use keyward_core::{
    AuthenticKey, AuthenticToken, Digest, Environment, KeySet, KeyState, Kid, Manifest, ManifestKey, Missing, ParsedKey, PolicyNumber,
    PublicKey, Refusal, Role, Standing, StatusIndex, Statuses, Timestamp, TokenError, Verifier,
};
use keyward_issuer::SigningKey;
use sqlx::PgConnection;

use crate::{
    clock::{Clock, datetime},
    db::Db,
    lately::Lately,
    sealing::{SealingKey, random},
};

/// For how long a manifest counts.
const MANIFEST_SECONDS: u64 = 30 * 24 * 3600;
/// A manifest with less than this ahead of it is signed anew: an edge that can't be reached for two weeks still decides.
const RENEW_SECONDS: u64 = MANIFEST_SECONDS / 2;
/// API keys of one generation that are remembered as genuine; two are held, some 150 bytes a key.
const AUTHENTIC: usize = 16_384;
/// The name of the root's role in the database; in a manifest it has none.
const ROOT: &str = "root";

/// The signing keys in use, and the manifest that names them.
pub struct Keyring {
    /// The manifest's keys, for verifying.
    pub keys: KeySet,
    /// The manifest's text.
    pub manifest: Arc<str>,
    /// The root's public key: what edges pin.
    pub root: PublicKey,
    by_kid: BTreeMap<Kid, Arc<SigningKey>>,
    /// API keys whose signature was found to hold, by digest: true for as long as these are the signing keys.
    authentic: Mutex<Lately<Digest, AuthenticKey>>,
}

impl Keyring {
    /// The key, if its signature holds. What is verified once needn't be again: a key is recognised by the SHA-256 of its
    /// whole text, for as long as these are the signing keys.
    ///
    /// # Errors
    /// The reason why it doesn't.
    pub fn authenticate(&self, key: &ParsedKey<'_>, now: Timestamp) -> Result<AuthenticKey, Refusal> {
        let digest = key.digest();
        let mut known = self.authentic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(authentic) = known.recall(&digest) {
            return Ok(authentic);
        }
        drop(known);
        let authentic = Verifier::new(&self.keys, &NoStatuses, key.environment()).authenticate(key, now)?;
        known = self.authentic.lock().unwrap_or_else(PoisonError::into_inner);
        known.keep(digest, authentic);
        Ok(authentic)
    }

    /// Whether the key was found genuine before.
    pub fn knows(&self, key: &ParsedKey<'_>) -> bool {
        self.authentic.lock().unwrap_or_else(PoisonError::into_inner).recall(&key.digest()).is_some()
    }

    /// The token, if its signature holds.
    ///
    /// # Errors
    /// Why it doesn't.
    pub fn authenticate_token(&self, text: &str, now: Timestamp) -> Result<AuthenticToken, TokenError> {
        // Of which environment it is, is looked at when it is admitted.
        Verifier::new(&self.keys, &NoStatuses, Environment::Live).authenticate_token(text, now)
    }

    /// The key that signs for a role now.
    ///
    /// # Errors
    /// Where there is none here.
    pub fn signer(&self, role: Role) -> anyhow::Result<&Arc<SigningKey>> {
        let active = self.keys.manifest().keys.iter().filter(|key| key.role == role && key.state == KeyState::Active);
        active.filter_map(|key| self.by_kid.get(&key.kid)).next().with_context(|| format!("no active key signs for {role:?}"))
    }

    /// Unix seconds from which what this key signed counts no more; `None` for never.
    pub fn expiry(&self, kid: Kid) -> Option<u64> {
        self.keys.manifest().keys.iter().find(|key| key.kid == kid)?.exp
    }

    /// The key that signed an API key, by the name in it, as long as what it signed counts.
    pub fn api_key_signer(&self, short: [u8; 3]) -> Option<&Arc<SigningKey>> {
        let mut keys = self.keys.manifest().keys.iter();
        let key = keys.find(|key| key.role == Role::ApiKey && key.kid.short() == short && key.state.verifies())?;
        self.by_kid.get(&key.kid)
    }
}

/// The keyring, shared: replaced as a whole when the manifest changes.
pub struct Keyrings {
    current: RwLock<Arc<Keyring>>,
    data_key: Arc<SealingKey>,
}

impl Keyrings {
    /// Loads the keyring, renewing a manifest that is about to expire.
    ///
    /// # Errors
    /// Where the database, the seals or the signatures don't hold.
    pub async fn load(db: &Db, data_key: Arc<SealingKey>, issuer: &str, clock: &Clock) -> anyhow::Result<Keyrings> {
        let mut connection = db.system().acquire().await?;
        renew(&mut connection, &data_key, Some(issuer), clock.now()).await?;
        let keyring = load(&mut connection, &data_key, clock.now()).await?;
        Ok(Keyrings { current: RwLock::new(Arc::new(keyring)), data_key })
    }

    /// The keyring now.
    pub fn current(&self) -> Arc<Keyring> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Renews the manifest where it is due; the feed takes it over, on this server as on others.
    ///
    /// # Errors
    /// As [`Keyrings::load`].
    pub async fn renew(&self, db: &Db, now: Timestamp) -> anyhow::Result<()> {
        renew(&mut *db.system().acquire().await?, &self.data_key, None, now).await
    }

    /// Takes over what is in the database.
    ///
    /// # Errors
    /// As [`Keyrings::load`].
    pub async fn refresh(&self, db: &Db, now: Timestamp) -> anyhow::Result<()> {
        let mut connection = db.system().acquire().await?;
        let keyring = load(&mut connection, &self.data_key, now).await?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keyring);
        Ok(())
    }
}

/// Makes and stores a signing key for a role; `None` is the root's.
///
/// # Errors
/// Where it can't be stored.
pub async fn generate(
    connection: &mut PgConnection,
    data_key: &SealingKey,
    role: Option<Role>,
    now: Timestamp,
) -> anyhow::Result<SigningKey> {
    let key = SigningKey::from_seed(random()?);
    let role = role.map_or(ROOT, role_name);
    let public = key.public_key();
    sqlx::query!(
        "INSERT INTO signing_keys (kid, role, state, x, sealed, created_at) VALUES ($1, $2, 'active', $3, $4, $5)",
        key.kid().to_string(),
        role,
        &public.as_bytes()[..],
        data_key.seal(&purpose(role, &key.kid()), &*key.seed())?,
        datetime(now),
    )
    .execute(connection)
    .await?;
    Ok(key)
}

/// What a new manifest says beside the keys.
pub struct Edition {
    /// The origin's URL.
    pub issuer: String,
    /// Its version.
    pub version: u64,
    /// Its epoch.
    pub epoch: u32,
    /// The first policy number of the epoch.
    pub first_policy: u32,
    /// The first status index of the epoch.
    pub first_index: u32,
}

/// Signs and stores a manifest of all keys in the database.
///
/// # Errors
/// Where the root isn't here, or it can't be stored.
pub async fn publish(connection: &mut PgConnection, data_key: &SealingKey, edition: Edition, now: Timestamp) -> anyhow::Result<()> {
    let stored = stored_keys(connection, data_key).await?;
    let root = stored.root.signer.context("the root isn't kept here: sign the manifest where it is")?;
    let exp = now.secs() + MANIFEST_SECONDS;
    let Edition { issuer: iss, version, epoch, first_policy, first_index } = edition;
    let manifest = Manifest { iss, version, epoch, first_policy, first_index, iat: now.secs(), exp, keys: stored.keys };
    let jws = root.sign(&manifest)?;
    // What we publish has to be readable: two keys that can't be told apart show here.
    Manifest::open(&jws, &[root.public_key()], now).context("the new manifest contradicts itself")?;
    sqlx::query!(
        "INSERT INTO manifests (version, epoch, jws, expires_at, created_at) VALUES ($1, $2, $3, $4, $5)",
        i64::try_from(version)?,
        i64::from(epoch),
        jws,
        datetime(Timestamp::from_secs(exp)),
        datetime(now),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Signs a new manifest where the last one is about to expire, or names another issuer than it should.
async fn renew(connection: &mut PgConnection, data_key: &SealingKey, issuer: Option<&str>, now: Timestamp) -> anyhow::Result<()> {
    let mut tx = sqlx::Connection::begin(connection).await?;
    // Replicas renew one after the other; the second one finds it done.
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('keyward manifest'))::text AS lock").fetch_one(&mut *tx).await?;
    let newest = sqlx::query!("SELECT jws, expires_at FROM manifests ORDER BY version DESC LIMIT 1").fetch_one(&mut *tx).await?;
    let stored = stored_keys(&mut tx, data_key).await?;
    // Read at the time when it was made: it may have expired since.
    let root = [stored.root.public];
    let made = newest.expires_at.unix_timestamp().try_into().unwrap_or(0) - 1;
    let old = Manifest::open(&newest.jws, &root, Timestamp::from_secs(made))?;
    let old = old.manifest();
    let issuer = issuer.unwrap_or(&old.iss);
    if old.exp > now.secs() + RENEW_SECONDS && old.iss == issuer {
        return Ok(());
    }
    let edition = Edition {
        issuer: issuer.to_owned(),
        version: old.version + 1,
        epoch: old.epoch,
        first_policy: old.first_policy,
        first_index: old.first_index,
    };
    publish(&mut tx, data_key, edition, now).await?;
    sqlx::query!("SELECT pg_notify($1, '')::text AS sent", crate::feed::CHANNEL).fetch_one(&mut *tx).await?;
    tx.commit().await?;
    tracing::info!("signed a new manifest");
    Ok(())
}

/// The keyring as it is in the database.
///
/// # Errors
/// Where the seals or the signatures don't hold.
pub async fn load(connection: &mut PgConnection, data_key: &SealingKey, now: Timestamp) -> anyhow::Result<Keyring> {
    let stored = stored_keys(connection, data_key).await?;
    let newest = sqlx::query!("SELECT jws FROM manifests ORDER BY version DESC LIMIT 1").fetch_one(connection).await?;
    let keys =
        Manifest::open(&newest.jws, std::slice::from_ref(&stored.root.public), now).context("the manifest in the database doesn't hold")?;
    let authentic = Mutex::new(Lately::new(AUTHENTIC));
    Ok(Keyring { keys, manifest: newest.jws.into(), root: stored.root.public, by_kid: stored.signers, authentic })
}

struct Stored {
    root: Root,
    keys: Vec<ManifestKey>,
    signers: BTreeMap<Kid, Arc<SigningKey>>,
}

struct Root {
    public: PublicKey,
    signer: Option<SigningKey>,
}

async fn stored_keys(connection: &mut PgConnection, data_key: &SealingKey) -> anyhow::Result<Stored> {
    let rows =
        sqlx::query!("SELECT role, state, x, sealed, expires_at FROM signing_keys ORDER BY created_at, kid").fetch_all(connection).await?;
    let (mut root, mut keys, mut signers) = (None, Vec::new(), BTreeMap::new());
    for row in rows {
        let public = PublicKey::from_bytes(row.x.as_slice().try_into()?)?;
        let signer = row.sealed.map(|sealed| unseal(data_key, &row.role, &public, &sealed)).transpose()?;
        if row.role == ROOT {
            root = Some(Root { public, signer });
            continue;
        }
        keys.push(ManifestKey {
            kid: public.kid(),
            x: public,
            // The database checks these words; the core's serde names are the same.
            role: serde_json::from_value(row.role.into())?,
            state: serde_json::from_value(row.state.into())?,
            exp: row.expires_at.map(|expiry| expiry.unix_timestamp().try_into()).transpose()?,
        });
        signers.extend(signer.map(|key| (key.kid(), Arc::new(key))));
    }
    Ok(Stored { root: root.context("the database has no root key")?, keys, signers })
}

fn unseal(data_key: &SealingKey, role: &str, public: &PublicKey, sealed: &[u8]) -> anyhow::Result<SigningKey> {
    let seed = data_key.open(&purpose(role, &public.kid()), sealed)?;
    let key = SigningKey::from_seed(seed.as_slice().try_into()?);
    ensure!(key.public_key() == *public, "a sealed signing key is not the one that stands beside it");
    Ok(key)
}

fn purpose(role: &str, kid: &Kid) -> String {
    format!("signing key {role} {kid}")
}

/// The name of a role in the database and in manifests.
fn role_name(role: Role) -> &'static str {
    match role {
        Role::ApiKey => "api-key",
        Role::Token => "token",
        Role::Policy => "policy",
        Role::Feed => "feed",
        Role::Audit => "audit",
    }
}

/// Nothing is known: for the half of verification that needs no status.
struct NoStatuses;

impl Statuses for NoStatuses {
    fn standing(&self, index: StatusIndex) -> Result<Standing, Missing> {
        Err(Missing::Shard(index.shard()))
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        policy
    }
}
