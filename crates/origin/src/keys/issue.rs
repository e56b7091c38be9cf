//! Making a credential: the raw key, and its row.

use std::sync::Arc;

use keyward_core::{ApiKeyClaims, Environment, KeyId, KeyPrefix, PolicyNumber, Role, ScopeClass, Status, Timestamp};
use keyward_issuer::{ENTROPY_LEN, SecretKeyText, SigningKey, mint_api_key};
use sqlx::{PgConnection, types::Uuid};

use crate::{
    clock::{datetime, expiry},
    error::{Error, Result},
    positions::Place,
    sealing::random,
    signing::Keyring,
};

/// A credential that is about to be: all that goes into the raw key.
pub struct Draft {
    /// The key that it is for.
    pub id: KeyId,
    /// How far it reaches.
    pub scope: ScopeClass,
    /// Whether it can be exchanged for tokens.
    pub exchange: bool,
    /// With what it begins.
    pub prefix: KeyPrefix,
    /// For which environment it is.
    pub environment: Environment,
    /// Unix seconds from which it can't be used.
    pub expires: Option<u32>,
    /// Its place in the status lists.
    pub place: Place,
    /// What, beside all this, goes into the signature.
    pub entropy: [u8; ENTROPY_LEN],
}

/// A credential that has been made.
pub struct Minted {
    /// The secret.
    pub raw: SecretKeyText,
    /// How it begins and ends, to tell it apart by.
    pub hint: String,
    signer: Arc<SigningKey>,
    policy: PolicyNumber,
}

/// An id of which nobody can say in advance what it will be, and that sorts by time (UUIDv7, RFC 9562 section 5.7).
///
/// # Errors
/// Where the system gives no randomness.
pub fn new_id(now: Timestamp) -> Result<KeyId> {
    Ok(KeyId(uuid::Builder::from_unix_timestamp_millis(now.millis(), &random()?).into_uuid()))
}

impl Minted {
    /// The policy in it.
    pub fn policy(&self) -> PolicyNumber {
        self.policy
    }
}

impl Draft {
    /// The raw key under a policy.
    ///
    /// # Errors
    /// Where no key signs.
    pub fn mint(&self, keyring: &Keyring, policy: PolicyNumber) -> Result<Minted> {
        let signer = Arc::clone(keyring.signer(Role::ApiKey)?);
        let raw = self.mint_with(&signer, policy);
        // The last four characters are of the checksum: they narrow nothing down that anybody could search.
        let tail = raw.expose().get(raw.expose().len() - 4..).unwrap_or_default();
        let hint = format!("{}_{}_…{tail}", self.prefix.as_str(), self.environment.as_str());
        Ok(Minted { raw, hint, signer, policy })
    }

    /// The raw key by a certain signing key: the same again for the same draft.
    pub fn mint_with(&self, signer: &SigningKey, policy: PolicyNumber) -> SecretKeyText {
        let claims = ApiKeyClaims {
            scope: self.scope,
            exchange: self.exchange,
            signing_key: signer.kid().short(),
            expires: self.expires,
            index: self.place.index,
            policy,
            id: self.id,
        };
        mint_api_key(signer, claims, &self.prefix, self.environment, &self.entropy)
    }

    /// Stores the credential of a key that is there already.
    ///
    /// # Errors
    /// As any write.
    pub async fn store(&self, connection: &mut PgConnection, minted: &Minted, tenant: Uuid, status: Status, now: Timestamp) -> Result<()> {
        sqlx::query!(
            "INSERT INTO credentials (index, position, tenant, api_key, signing_key, prefix, policy, expires_at, status, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            i64::from(self.place.index.0),
            i64::from(self.place.position),
            tenant,
            self.id.0,
            &minted.signer.kid().short()[..],
            self.prefix.as_str(),
            i64::from(minted.policy.0),
            expiry(self.expires),
            i16::from(status.value()),
            datetime(now),
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// What a new key is beside its credential.
pub struct Profile<'a> {
    /// The tenant.
    pub tenant: Uuid,
    /// Whose it is.
    pub owner: &'a str,
    /// For people.
    pub name: &'a str,
    /// For people.
    pub description: Option<&'a str>,
    /// The key that asked for it; none for the first ones.
    pub created_by: Option<KeyId>,
}

/// Stores a new key with its credential in one statement; `false`, and nothing is stored, where the policy has been
/// superseded or isn't the tenant's.
///
/// # Errors
/// As any write.
pub async fn store_key(
    connection: &mut PgConnection,
    draft: &Draft,
    minted: &Minted,
    profile: &Profile<'_>,
    now: Timestamp,
) -> Result<bool> {
    let stored = sqlx::query!(
        "WITH policy AS (
             SELECT number FROM policies WHERE number = $1 AND tenant = $2 AND superseded_by IS NULL
         ), key AS (
             INSERT INTO api_keys (id, tenant, owner, name, description, scope, environment, exchange, state, policy, expires_at,
                                   current_index, hint, created_by, created_at, updated_at)
             SELECT $3, $2, $4, $5, $6, $7, $8, $9, 'active', number, $10, $11, $12, $13, $14, $14 FROM policy
         ), credential AS (
             INSERT INTO credentials (index, position, tenant, api_key, signing_key, prefix, policy, expires_at, created_at)
             SELECT $11, $15, $2, $3, $16, $17, number, $10, $14 FROM policy
         )
         SELECT number FROM policy",
        i64::from(minted.policy.0),
        profile.tenant,
        draft.id.0,
        profile.owner,
        profile.name,
        profile.description,
        draft.scope as i16,
        draft.environment.as_str(),
        draft.exchange,
        expiry(draft.expires),
        i64::from(draft.place.index.0),
        minted.hint,
        profile.created_by.map(|id| id.0),
        datetime(now),
        i64::from(draft.place.position),
        &minted.signer.kid().short()[..],
        draft.prefix.as_str(),
    )
    .fetch_optional(connection)
    .await
    .map_err(Error::from)?;
    Ok(stored.is_some())
}
