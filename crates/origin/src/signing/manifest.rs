//! Manifests: signed here where the root is here, else proposed for whoever holds it.

use anyhow::{Context, anyhow, bail, ensure};
use keyward_core::{KeySet, Kid, Manifest, Timestamp};
use keyward_issuer::SigningKey;
use sqlx::PgConnection;

use super::store::{ROOT, Stored, stored_keys};
use crate::{
    clock::datetime,
    db::{Db, begin},
    feed::CHANNEL,
    sealing::SealingKey,
};

/// For how long a manifest counts that is signed here, and by itself anew.
const MANIFEST_SECONDS: u64 = 30 * 24 * 3600;
/// A manifest with less than this ahead of it is signed anew: an edge that can't be reached for two weeks still decides.
pub const RENEW_SECONDS: u64 = MANIFEST_SECONDS / 2;
/// The longest for which a manifest may count, whoever signs it: as long counts what it says of a stolen key.
pub const MAX_MANIFEST_SECONDS: u64 = 400 * 24 * 3600;

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

impl Edition {
    /// The one after `manifest`.
    fn after(manifest: &Manifest) -> Self {
        let Manifest { iss, version, epoch, first_policy, first_index, .. } = manifest.clone();
        Self { issuer: iss, version: version + 1, epoch, first_policy, first_index }
    }

    fn with(self, stored: &Stored, now: Timestamp, seconds: u64) -> Manifest {
        let Self { issuer: iss, version, epoch, first_policy, first_index } = self;
        Manifest { iss, version, epoch, first_policy, first_index, iat: now.secs(), exp: now.secs() + seconds, keys: stored.keys.clone() }
    }
}

/// Signs and stores a manifest of all keys in the database. With `root`, where that isn't kept here: then of the keys as
/// the last manifest has them, since nobody has looked at what was changed; but for those that are named with it.
///
/// # Errors
/// Where the root isn't here, or it can't be stored.
pub async fn publish(
    connection: &mut PgConnection,
    data_key: &SealingKey,
    edition: Edition,
    root: Option<(&SigningKey, &[Kid])>,
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut stored = stored_keys(connection, data_key).await?;
    if let Some((_, changed)) = root {
        let newest = newest(connection, &stored).await?;
        let said = |kid| newest.manifest().keys.iter().find(|key| key.kid == kid).cloned();
        let keys = std::mem::take(&mut stored.keys).into_iter();
        stored.keys = keys.filter_map(|key| if changed.contains(&key.kid) { Some(key) } else { said(key.kid) }).collect();
    }
    let root =
        root.map(|(root, _)| root).or(stored.root.signer.as_ref()).context("the root isn't kept here: sign the manifest where it is")?;
    ensure!(root.public_key() == stored.root.public, "another root is in force");
    let jws = root.sign(&edition.with(&stored, now, MANIFEST_SECONDS))?;
    // What we publish has to be readable: two keys that can't be told apart show here.
    let keys = Manifest::open(&jws, &[root.public_key()], now).context("the new manifest contradicts itself")?;
    store(connection, &jws, &keys, now).await
}

/// Signs and stores the next manifest after a change of the keys. `false` where the root is kept elsewhere: then the
/// change counts from the manifest on that somebody brings.
///
/// # Errors
/// As [`publish`].
pub async fn publish_next(connection: &mut PgConnection, data_key: &SealingKey, now: Timestamp) -> anyhow::Result<bool> {
    let stored = stored_keys(connection, data_key).await?;
    if stored.root.signer.is_none() {
        return Ok(false);
    }
    let newest = newest(connection, &stored).await?;
    publish(connection, data_key, Edition::after(newest.manifest()), None, now).await?;
    Ok(true)
}

/// The manifest in force and the next one to be signed, for whoever holds the root.
///
/// # Errors
/// As any read.
pub async fn propose(
    connection: &mut PgConnection,
    data_key: &SealingKey,
    issuer: Option<&str>,
    seconds: u64,
    now: Timestamp,
) -> anyhow::Result<(String, Manifest)> {
    let stored = stored_keys(connection, data_key).await?;
    let jws = sqlx::query_scalar!("SELECT jws FROM manifests ORDER BY version DESC LIMIT 1").fetch_one(&mut *connection).await?;
    let newest = newest(connection, &stored).await?;
    let mut edition = Edition::after(newest.manifest());
    edition.issuer = issuer.map_or(edition.issuer, str::to_owned);
    Ok((jws, edition.with(&stored, now, seconds)))
}

/// Why a manifest that somebody brings is not taken.
#[derive(Debug)]
pub enum NotAccepted {
    /// It says something else than what is due.
    Stale(String),
    /// Not a manifest of ours.
    Invalid(String),
    /// It could not be stored or compared.
    Fault(anyhow::Error),
}

impl From<anyhow::Error> for NotAccepted {
    fn from(fault: anyhow::Error) -> Self {
        Self::Fault(fault)
    }
}

/// Takes a manifest that was signed elsewhere: the next version of this epoch, by the root or the next root, and of just
/// the keys and states that stand in the database. One by the next root makes that the root. Its version.
///
/// # Errors
/// Why it isn't taken.
pub async fn accept(
    connection: &mut PgConnection,
    data_key: &SealingKey,
    jws: &str,
    issuer: Option<&str>,
    now: Timestamp,
) -> Result<u64, NotAccepted> {
    let stored = stored_keys(connection, data_key).await?;
    let keys = Manifest::open(jws, &stored.roots(), now).map_err(|error| NotAccepted::Invalid(error.to_string()))?;
    let brought = keys.manifest();
    let newest = newest(connection, &stored).await?;
    let due = Edition::after(newest.manifest());
    let iss = issuer.unwrap_or(&due.issuer);
    let checks = [
        (brought.version == due.version, format!("its version is {}, and {} is due", brought.version, due.version)),
        (brought.iss == iss, format!("its issuer is {:?}, and ours {iss:?}", brought.iss)),
        (
            (brought.epoch, brought.first_policy, brought.first_index) == (due.epoch, due.first_policy, due.first_index),
            "its epoch is not the one in force".to_owned(),
        ),
        (
            brought.keys == stored.keys,
            "its keys are not those that are proposed: they have changed since; export the proposal again".to_owned(),
        ),
        (
            brought.iat <= now.secs() && brought.exp.saturating_sub(brought.iat) <= MAX_MANIFEST_SECONDS,
            format!("it counts for longer than {} days, or not yet", MAX_MANIFEST_SECONDS / 86_400),
        ),
    ];
    if let Some((_, words)) = checks.into_iter().find(|(holds, _)| !holds) {
        return Err(NotAccepted::Stale(words));
    }
    let version = brought.version;
    take_over(connection, &stored, jws, now).await?;
    store(connection, jws, &keys, now).await?;
    Ok(version)
}

/// The next root becomes the root where it has signed; the old one is erased.
async fn take_over(connection: &mut PgConnection, stored: &Stored, jws: &str, now: Timestamp) -> anyhow::Result<()> {
    let Some(next) = &stored.next_root else { return Ok(()) };
    if Manifest::open(jws, std::slice::from_ref(&next.public), now).is_err() {
        return Ok(());
    }
    let at = datetime(now);
    sqlx::query!(
        "UPDATE signing_keys SET state = 'retired', state_since = $2, sealed = NULL WHERE role = $1 AND state = 'active'",
        ROOT,
        at
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "UPDATE signing_keys SET state = 'active', state_since = $2, activated_at = $2 WHERE role = $1 AND state = 'pre-published'",
        ROOT,
        at,
    )
    .execute(connection)
    .await?;
    tracing::info!(event = "root_changed", root = %next.public.kid(), "another root has signed the manifest, and is the root from now on");
    Ok(())
}

/// The newest manifest as it was when it was made: it may have expired since.
async fn newest(connection: &mut PgConnection, stored: &Stored) -> anyhow::Result<KeySet> {
    let newest = sqlx::query!("SELECT jws, expires_at FROM manifests ORDER BY version DESC LIMIT 1").fetch_one(connection).await?;
    let made = newest.expires_at.unix_timestamp().try_into().unwrap_or(0) - 1;
    Manifest::open(&newest.jws, &stored.roots(), Timestamp::from_secs(made)).context("the manifest in the database doesn't hold")
}

async fn store(connection: &mut PgConnection, jws: &str, keys: &KeySet, now: Timestamp) -> anyhow::Result<()> {
    let manifest = keys.manifest();
    sqlx::query!(
        "INSERT INTO manifests (version, epoch, jws, expires_at, created_at) VALUES ($1, $2, $3, $4, $5)",
        i64::try_from(manifest.version)?,
        i64::from(manifest.epoch),
        jws,
        datetime(Timestamp::from_secs(manifest.exp)),
        datetime(now),
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!("UPDATE signing_keys SET announced_at = $1 WHERE announced_at IS NULL AND role <> $2", datetime(now), ROOT)
        .execute(&mut *connection)
        .await?;
    sqlx::query!("SELECT pg_notify($1, '')::text AS sent", CHANNEL).fetch_one(connection).await?;
    Ok(())
}

/// Holds the manifest until the transaction ends: whoever changes it queues here.
///
/// # Errors
/// As any statement.
pub async fn hold(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtext('keyward manifest'))::text AS lock").fetch_one(connection).await?;
    Ok(())
}

/// By which URL the world is to know the deployment.
#[derive(Clone, Copy)]
pub struct Issuer<'a> {
    /// As this server has it.
    pub ours: &'a str,
    /// The one that gives way to it.
    pub instead_of: Option<&'a str>,
}

/// Signs a new manifest where the last one is about to expire, or names the issuer that is to give way to ours.
///
/// # Errors
/// Where it can't be read, signed or stored; where the root is kept elsewhere, only if the last one is of no use; where the deployment's
/// issuer is neither.
pub async fn renew(db: &Db, data_key: &SealingKey, issuer: Option<Issuer<'_>>, now: Timestamp) -> anyhow::Result<()> {
    let mut tx = begin(db.system(), "BEGIN").await?;
    // Replicas renew one after the other; the second one finds it done.
    hold(&mut tx).await?;
    let stored = stored_keys(&mut tx, data_key).await?;
    let old = newest(&mut tx, &stored).await?;
    let old = old.manifest();
    let Issuer { ours: issuer, instead_of } = issuer.unwrap_or(Issuer { ours: &old.iss, instead_of: None });
    if old.exp > now.secs() + RENEW_SECONDS && old.iss == issuer {
        return Ok(());
    }
    if stored.root.signer.is_none() {
        let how = "sign the next one where the root is: keyward root propose, sign, publish";
        if old.iss != issuer {
            bail!("the manifest names the issuer {}, and this server is {issuer}: {how}", old.iss);
        }
        return if old.exp > now.secs() { Ok(()) } else { Err(anyhow!("the manifest has expired: {how}")) };
    }
    // Two servers that each had their own way would take it from each other for ever, and edges and tokens with it.
    ensure!(
        old.iss == issuer || instead_of == Some(&old.iss),
        "this deployment is {0}, and this server would be {issuer}: set KEYWARD_ISSUER to the one it is. To make it the other, for good \
         and on all servers, start with --change-issuer-from {0}",
        old.iss
    );
    let edition = Edition { issuer: issuer.to_owned(), ..Edition::after(old) };
    publish(&mut tx, data_key, edition, None, now).await?;
    tx.commit().await?;
    tracing::info!("signed a new manifest");
    Ok(())
}
