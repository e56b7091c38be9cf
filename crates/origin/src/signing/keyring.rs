//! The signing keys in use, as the manifest in force has them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use arc_swap::{ArcSwap, Guard};
use keyward_core::{
    Accelerator, ApiKeyClaims, AuthenticKey, AuthenticToken, Digest, Environment, KeySet, KeyState, Kid, Manifest, ManifestKey, Missing,
    ParsedKey, PolicyNumber, PublicKey, Refusal, Role, Standing, StatusIndex, Statuses, Timestamp, TokenError, Verifier,
};
use keyward_issuer::SigningKey;
use sqlx::PgConnection;

use super::{
    manifest::{self, Issuer, RENEW_SECONDS},
    store::stored_keys,
};
use crate::{clock::Clock, db::Db, journal::Entry, lately::Lately, sealing::SealingKey};

/// API keys of one generation that are remembered as genuine; two are held, some 150 bytes a key.
const AUTHENTIC: usize = 16_384;

thread_local! {
    /// Tables for the keys by which most is signed, below a megabyte for each thread that serves.
    static SIGNATURES: Accelerator = Accelerator::default();
}

/// The signing keys in use, and the manifest that names them.
pub struct Keyring {
    /// The manifest's keys, for verifying.
    pub keys: KeySet,
    /// The manifest's text.
    pub manifest: Arc<str>,
    /// The root's public key: what edges pin.
    pub root: PublicKey,
    /// Whether the root signs here; else somebody has to bring a manifest before the last one ends.
    pub signs_manifests: bool,
    by_kid: BTreeMap<Kid, Arc<SigningKey>>,
    /// API keys that were found genuine, by digest: true for as long as these are the signing keys.
    authentic: Mutex<Lately<Digest, AuthenticKey>>,
}

impl Keyring {
    /// The key, if it is genuine. What is verified once needn't be again: a key is recognised by the SHA-256 of its
    /// whole text, for as long as these are the signing keys.
    ///
    /// # Errors
    /// The reason why it isn't; [`Missing::Issued`] where its signing key is frozen and it wasn't met since.
    pub fn authenticate(&self, key: &ParsedKey<'_>, now: Timestamp) -> Result<AuthenticKey, Refusal> {
        let digest = key.digest();
        let mut known = self.authentic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(authentic) = known.recall(&digest) {
            return Ok(authentic);
        }
        drop(known);
        self.verify(key, digest, &Known(None), now)
    }

    /// The same, where it is known whether the key with this digest was issued.
    ///
    /// # Errors
    /// As [`Keyring::authenticate`].
    pub fn authenticate_issued(&self, key: &ParsedKey<'_>, issued: (Digest, bool), now: Timestamp) -> Result<AuthenticKey, Refusal> {
        self.verify(key, key.digest(), &Known(Some(issued)), now)
    }

    /// The key of which what it says and its digest were kept, where it is known whether that was issued.
    ///
    /// # Errors
    /// The reason why it counts no more.
    pub fn authenticate_kept(&self, claims: &ApiKeyClaims, issued: (Digest, bool), now: Timestamp) -> Result<AuthenticKey, Refusal> {
        let environment = Environment::Live;
        Verifier::new(&self.keys, &Known(Some(issued)), environment).authenticate_kept(claims, environment, &issued.0, now)
    }

    fn verify(&self, key: &ParsedKey<'_>, digest: Digest, known: &Known, now: Timestamp) -> Result<AuthenticKey, Refusal> {
        let authentic = SIGNATURES
            .with(|signatures| Verifier::new(&self.keys, known, key.environment()).with_signatures(signatures).authenticate(key, now))?;
        self.authentic.lock().unwrap_or_else(PoisonError::into_inner).keep(digest, authentic);
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
        SIGNATURES.with(|signatures| {
            Verifier::new(&self.keys, &Known(None), Environment::Live).with_signatures(signatures).authenticate_token(text, now)
        })
    }

    /// The key that signs for a role now.
    ///
    /// # Errors
    /// Where there is none here.
    pub fn signer(&self, role: Role) -> anyhow::Result<&Arc<SigningKey>> {
        let active = self.keys.manifest().keys.iter().filter(|key| key.role == role && key.state == KeyState::Active);
        active.filter_map(|key| self.by_kid.get(&key.kid)).next().with_context(|| format!("no active key signs for {role:?}"))
    }

    /// What the journal has to know of it: a database that goes back in time would have frozen and retired keys count.
    pub fn entry(&self) -> Entry {
        let manifest = self.keys.manifest();
        let of = |state| manifest.keys.iter().filter(|key| key.state == state).map(|key| key.kid).collect();
        Entry { manifest: Some(manifest.version), frozen: of(KeyState::Frozen), retired: of(KeyState::Retired), ..Entry::default() }
    }

    /// Unix seconds from which what this key signed counts no more; `None` for never.
    pub fn expiry(&self, kid: Kid) -> Option<u64> {
        self.keys.manifest().keys.iter().find(|key| key.kid == kid)?.exp
    }

    /// Whether API keys by the signing key of this short name count, be it with a condition.
    pub fn counts(&self, short: &[u8]) -> bool {
        let fits = |key: &ManifestKey| key.role == Role::ApiKey && key.kid.short()[..] == *short;
        self.keys.manifest().keys.iter().any(|key| fits(key) && (key.state.verifies() || key.state == KeyState::Frozen))
    }

    /// The key that signed an API key, by the name in it, as long as what it signed counts by itself.
    pub fn api_key_signer(&self, short: [u8; 3]) -> Option<&Arc<SigningKey>> {
        let mut keys = self.keys.manifest().keys.iter();
        let key = keys.find(|key| key.role == Role::ApiKey && key.kid.short() == short && key.state.verifies())?;
        self.by_kid.get(&key.kid)
    }
}

/// The keyring, shared: replaced as a whole when the manifest changes.
pub struct Keyrings {
    current: ArcSwap<Keyring>,
    data_key: Arc<SealingKey>,
}

impl Keyrings {
    /// Loads the keyring, renewing a manifest that is about to expire.
    ///
    /// # Errors
    /// Where the database, the seals or the signatures don't hold.
    pub async fn load(db: &Db, data_key: Arc<SealingKey>, issuer: Issuer<'_>, clock: &Clock) -> anyhow::Result<Keyrings> {
        manifest::renew(db, &data_key, Some(issuer), clock.now()).await?;
        let keyring = load(&mut *db.system().acquire().await?, &data_key, clock.now()).await?;
        Ok(Keyrings { current: ArcSwap::from_pointee(keyring), data_key })
    }

    /// The keyring now. (Each request asks some times: a lock, and a count of readers, would go from processor to processor.)
    pub fn current(&self) -> Guard<Arc<Keyring>> {
        self.current.load()
    }

    /// What the seeds are sealed under.
    pub(super) fn data_key(&self) -> &SealingKey {
        &self.data_key
    }

    /// Renews the manifest where it is due; the feed takes it over, on this server as on others. Where the root is kept
    /// elsewhere, says in the log that somebody has to.
    ///
    /// # Errors
    /// As [`Keyrings::load`].
    pub async fn renew(&self, db: &Db, now: Timestamp) -> anyhow::Result<()> {
        let keyring = self.current();
        let left = keyring.keys.manifest().exp.saturating_sub(now.secs());
        if !keyring.signs_manifests && left < RENEW_SECONDS {
            tracing::warn!(
                event = "manifest_expires",
                seconds = left,
                "the manifest expires, and with it all keys and tokens: sign the next one where the root is (docs/signing-keys.md)"
            );
        }
        manifest::renew(db, &self.data_key, None, now).await
    }

    /// What is in the database, to be taken over.
    ///
    /// # Errors
    /// As [`Keyrings::load`].
    pub async fn read(&self, db: &Db, now: Timestamp) -> anyhow::Result<Keyring> {
        load(&mut *db.system().acquire().await?, &self.data_key, now).await
    }

    /// Takes it over.
    pub fn install(&self, keyring: Keyring) {
        self.current.store(Arc::new(keyring));
    }
}

/// The keyring as it is in the database.
///
/// # Errors
/// Where the seals or the signatures don't hold.
pub async fn load(connection: &mut PgConnection, data_key: &SealingKey, now: Timestamp) -> anyhow::Result<Keyring> {
    let stored = stored_keys(connection, data_key).await?;
    let newest = sqlx::query!("SELECT jws FROM manifests ORDER BY version DESC LIMIT 1").fetch_one(connection).await?;
    let keys = Manifest::open(&newest.jws, &stored.roots(), now).context("the manifest in the database doesn't hold")?;
    let authentic = Mutex::new(Lately::new(AUTHENTIC));
    Ok(Keyring {
        keys,
        manifest: newest.jws.into(),
        signs_manifests: stored.root.signer.is_some(),
        root: stored.root.public,
        by_kid: stored.signers,
        authentic,
    })
}

/// What is known where no row was read: of one key perhaps, whether it was issued. For the half of verification that
/// needs no status.
struct Known(Option<(Digest, bool)>);

impl Statuses for Known {
    fn standing(&self, index: StatusIndex) -> Result<Standing, Missing> {
        Err(Missing::Shard(index.shard()))
    }

    fn issued(&self, index: StatusIndex, digest: &Digest) -> Result<bool, Missing> {
        match &self.0 {
            Some((known, issued)) if known == digest => Ok(*issued),
            _ => Err(Missing::Issued(index, *digest)),
        }
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        policy
    }
}
