//! Making a credential: the raw key, and its row.

use std::sync::Arc;

use keyward_api::Code;
use keyward_core::{ApiKeyClaims, Digest, Environment, KeyId, KeyPrefix, PolicyNumber, Role, ScopeClass, Status, TenantId, Timestamp};
use keyward_issuer::{ENTROPY_LEN, SecretKeyText, SigningKey, mint_api_key};
use serde_json::json;
use sqlx::{PgConnection, types::time::OffsetDateTime};

use crate::{
    audit::{Action, Actor, Event, members},
    batch::grouped,
    clock::{datetime, expiry, rfc3339},
    db::Db,
    error::{Error, Result},
    keys::sweep,
    positions::Place,
    sealing::random,
    signing::Keyring,
};

/// A credential that is about to be: all that goes into the raw key but the policy.
#[derive(Clone)]
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
    /// What there is to store of it.
    pub stamp: Stamp,
}

/// What minting adds to a draft, secret apart.
#[derive(Clone)]
pub struct Stamp {
    /// How the raw key begins and ends, to tell it apart by.
    pub hint: String,
    /// The policy in it.
    pub policy: PolicyNumber,
    signing_key: [u8; 3],
    /// Of the whole raw key.
    digest: Digest,
}

/// An id of which nobody can say in advance what it will be, and that sorts by time (UUIDv7, RFC 9562 section 5.7).
///
/// # Errors
/// Where the system gives no randomness.
pub fn new_id(now: Timestamp) -> Result<KeyId> {
    Ok(KeyId(uuid::Builder::from_unix_timestamp_millis(now.millis(), &random()?).into_uuid()))
}

impl Draft {
    /// The raw key under a policy.
    ///
    /// # Errors
    /// Where no key signs.
    pub fn mint(&self, keyring: &Keyring, policy: PolicyNumber) -> Result<Minted> {
        let signer = Arc::clone(keyring.signer(Role::ApiKey)?);
        // The key would end with its signer, and nobody would have been told.
        let ends = self.expires.map_or(u64::MAX, u64::from);
        if keyring.expiry(signer.kid()).is_some_and(|expiry| expiry < ends) {
            return Err(Error::internal(anyhow::anyhow!("the signing key {} ends before the key would", signer.kid())));
        }
        let raw = self.mint_with(&signer, policy);
        // The last four characters are of the checksum: they narrow nothing down that anybody could search.
        let tail = raw.expose().get(raw.expose().len() - 4..).unwrap_or_default();
        let hint = format!("{}_{}_…{tail}", self.prefix.as_str(), self.environment.as_str());
        let digest = Digest::of(raw.expose());
        Ok(Minted { raw, stamp: Stamp { hint, policy, signing_key: signer.kid().short(), digest } })
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
    pub async fn store(
        &self,
        connection: &mut PgConnection,
        stamp: &Stamp,
        tenant: TenantId,
        status: Status,
        now: Timestamp,
    ) -> Result<()> {
        sqlx::query!(
            "INSERT INTO credentials
                 (index, position, tenant, api_key, signing_key, prefix, policy, expires_at, status, created_at, hint, digest)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            i64::from(self.place.index.0),
            i64::from(self.place.position),
            tenant.0,
            self.id.0,
            &stamp.signing_key[..],
            self.prefix.as_str(),
            i64::from(stamp.policy.0),
            expiry(self.expires),
            i16::from(status.value()),
            datetime(now),
            stamp.hint,
            &stamp.digest.as_bytes()[..],
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// What a new key is beside its credential.
#[derive(Clone)]
pub struct Profile {
    /// The tenant.
    pub tenant: TenantId,
    /// Whose it is.
    pub owner: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// How long a raw key is meant to be used, days.
    pub rotation_period_days: Option<i32>,
    /// Who asked for it; nobody for the first ones.
    pub by: Option<Arc<Actor>>,
    /// When.
    pub created: Timestamp,
}

/// A new key with its credential, ready to be stored.
#[derive(Clone)]
pub struct NewKey {
    /// What it is.
    pub profile: Profile,
    /// Its credential.
    pub draft: Draft,
    /// What minting added.
    pub stamp: Stamp,
}

impl NewKey {
    /// When time does something to it first.
    fn first_look(&self) -> Option<OffsetDateTime> {
        sweep::first_look(datetime(self.profile.created), expiry(self.draft.expires), self.profile.rotation_period_days)
    }

    /// What the audit trail says of it.
    pub fn event(&self) -> Event {
        let Self { profile, draft, stamp } = self;
        let after = json!({
            "name": profile.name,
            "description": profile.description,
            "owner_id": profile.owner,
            "scope": draft.scope,
            "environment": draft.environment,
            "token_exchange": draft.exchange,
            // Its number is enough: what it says never changes.
            "policy": stamp.policy,
            "rotation_period_days": profile.rotation_period_days,
            "expires_at": expiry(draft.expires).map(rfc3339),
            "key_hint": stamp.hint,
        });
        let event = Event { actor: profile.by.clone(), ..Event::by_itself(Action::ApiKeyCreated, profile.created) };
        event.on_key(draft.id).made_for(&profile.owner).after(members(after))
    }
}

/// Stores new keys, one transaction for each tenant; for each of them whether it was stored, as in [`store_in`].
///
/// # Errors
/// As any write: then those of some tenants may have been stored.
pub async fn store_keys(db: &Db, keys: Vec<NewKey>) -> Result<Vec<bool>> {
    let mut stored = vec![false; keys.len()];
    for (tenant, places) in grouped(&keys, |key| key.profile.tenant) {
        let theirs: Vec<&NewKey> = places.iter().map(|at| &keys[*at]).collect();
        let mut tx = db.tenant(tenant).await?;
        let done = store_in(tx.connection(), tenant, &theirs).await?;
        for (key, _) in theirs.iter().zip(&done).filter(|(_, done)| **done) {
            tx.record(key.event());
        }
        match tx.commit().await {
            Ok(()) => {}
            // One of them goes too far for its tenant or owner: each then goes by itself, and hears so.
            Err(error) if matches!(error.code(), Code::CeilingReached | Code::RateLimited | Code::OwnerDisabled) => continue,
            Err(error) => return Err(error),
        }
        for (at, done) in places.into_iter().zip(done) {
            stored[at] = done;
        }
    }
    Ok(stored)
}

/// Stores new keys of a tenant with their credentials in one statement; for each of them whether it was stored: not
/// where its policy has been superseded or isn't the tenant's.
///
/// # Errors
/// As any write.
pub async fn store_in(connection: &mut PgConnection, tenant: TenantId, keys: &[&NewKey]) -> Result<Vec<bool>> {
    let column = |of: fn(&NewKey) -> i64| keys.iter().map(|key| of(key)).collect::<Vec<i64>>();
    let text = |of: fn(&NewKey) -> &str| keys.iter().map(|key| of(key).to_owned()).collect::<Vec<String>>();
    let stored = sqlx::query_scalar!(
        r#"WITH fit AS (
             SELECT given.*
             FROM unnest($2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::smallint[], $8::text[], $9::bool[],
                         $10::timestamptz[], $11::bigint[], $12::bigint[], $13::text[], $14::uuid[], $15::timestamptz[], $16::bytea[], $17::text[],
                         $18::integer[], $19::bytea[], $20::timestamptz[])
                  AS given (id, policy, owner, name, description, scope, environment, exchange,
                            expires_at, index, position, hint, created_by, created_at, signing_key, prefix,
                            rotation_period_days, digest, wake_at)
             WHERE (SELECT number FROM policies WHERE number = given.policy AND tenant = $1 AND superseded_by IS NULL) IS NOT NULL
           ), key AS (
             INSERT INTO api_keys (id, tenant, owner, name, description, scope, environment, exchange, state, policy, expires_at,
                                   current_index, hint, created_by, created_at, updated_at, rotation_period_days, wake_at)
             SELECT id, $1, owner, name, description, scope, environment, exchange, 'active', policy, expires_at,
                    index, hint, created_by, created_at, created_at, rotation_period_days, wake_at FROM fit
           ), owner AS (
             -- In one order, so that two batches with the same new owners don't wait for each other.
             INSERT INTO owners (tenant, id, kind, name, created_at, updated_at)
             SELECT $1, owner, 'person', owner, min(created_at), min(created_at) FROM fit GROUP BY owner ORDER BY owner
             ON CONFLICT DO NOTHING
           ), credential AS (
             INSERT INTO credentials (index, position, tenant, api_key, signing_key, prefix, policy, expires_at, created_at, hint, digest)
             SELECT index, position, $1, id, signing_key, prefix, policy, expires_at, created_at, hint, digest FROM fit
           )
           SELECT id AS "id!" FROM fit"#,
        tenant.0,
        &keys.iter().map(|key| key.draft.id.0).collect::<Vec<_>>(),
        &column(|key| key.stamp.policy.0.into()),
        &text(|key| &key.profile.owner),
        &text(|key| &key.profile.name),
        &keys.iter().map(|key| key.profile.description.clone()).collect::<Vec<_>>() as _,
        &keys.iter().map(|key| key.draft.scope as i16).collect::<Vec<_>>(),
        &text(|key| key.draft.environment.as_str()),
        &keys.iter().map(|key| key.draft.exchange).collect::<Vec<_>>(),
        &keys.iter().map(|key| expiry(key.draft.expires)).collect::<Vec<_>>() as _,
        &column(|key| key.draft.place.index.0.into()),
        &column(|key| key.draft.place.position.into()),
        &text(|key| &key.stamp.hint),
        &keys.iter().map(|key| key.profile.by.as_ref().map(|by| by.who.key.0)).collect::<Vec<_>>() as _,
        &keys.iter().map(|key| datetime(key.profile.created)).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.stamp.signing_key.to_vec()).collect::<Vec<_>>(),
        &text(|key| key.draft.prefix.as_str()),
        &keys.iter().map(|key| key.profile.rotation_period_days).collect::<Vec<_>>() as _,
        &keys.iter().map(|key| key.stamp.digest.as_bytes().to_vec()).collect::<Vec<_>>(),
        &keys.iter().map(|key| key.first_look()).collect::<Vec<_>>() as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(keys.iter().map(|key| stored.contains(&key.draft.id.0)).collect())
}
