//! Making a credential: the raw key, and its row.

use std::sync::Arc;

use keyward_core::{ApiKeyClaims, Digest, Environment, KeyId, KeyPrefix, PolicyNumber, Role, ScopeClass, Status, TenantId, Timestamp};
use keyward_issuer::{ENTROPY_LEN, SecretKeyText, SigningKey, mint_api_key};
use serde::Serialize;
use sqlx::{
    PgConnection,
    types::{Uuid, time::OffsetDateTime},
};

use crate::{
    audit::{Action, Actor, Event, Records, in_order, with_records},
    auth::{Witness, Witnesses},
    batch::grouped,
    clock::{datetime, expiry, rfc3339},
    db::{Db, REFUSED, again},
    error::{Error, Result},
    keys::sweep,
    positions::Place,
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
    /// On what the one was recognised who asks for it, where that isn't certain.
    pub on: Option<Witness>,
}

impl NewKey {
    /// When time does something to it first.
    fn first_look(&self) -> Option<OffsetDateTime> {
        sweep::first_look(datetime(self.profile.created), expiry(self.draft.expires), self.profile.rotation_period_days)
    }

    /// What the audit trail says of it.
    pub fn event(&self) -> Event {
        let Self { profile, draft, stamp, .. } = self;
        let after = in_order(&Made {
            description: profile.description.as_deref(),
            environment: draft.environment,
            expires_at: expiry(draft.expires).map(rfc3339),
            key_hint: &stamp.hint,
            name: &profile.name,
            owner_id: &profile.owner,
            policy: stamp.policy,
            rotation_period_days: profile.rotation_period_days,
            scope: draft.scope,
            token_exchange: draft.exchange,
        });
        let event = Event { actor: profile.by.clone(), after, ..Event::by_itself(Action::ApiKeyCreated, profile.created) };
        event.on_key(draft.id).made_for(&profile.owner)
    }
}

/// A new key as the audit trail tells of it.
#[derive(Serialize)]
struct Made<'a> {
    description: Option<&'a str>,
    environment: Environment,
    expires_at: Option<String>,
    key_hint: &'a str,
    name: &'a str,
    owner_id: &'a str,
    /// Its number is enough: what it says never changes.
    policy: PolicyNumber,
    rotation_period_days: Option<i32>,
    scope: ScopeClass,
    token_exchange: bool,
}

/// Stores new keys, one transaction and one message for each tenant; for each of them whether it was stored. It isn't where
/// one of its tenant's can't be: each then goes by itself, and hears why.
///
/// # Errors
/// As any write: then those of some tenants may have been stored.
pub async fn store_keys(db: &Db, keys: Vec<NewKey>) -> Result<Vec<bool>> {
    let mut stored = vec![false; keys.len()];
    for (tenant, places) in grouped(&keys, |key| key.profile.tenant) {
        let theirs: Vec<&NewKey> = places.iter().map(|at| &keys[*at]).collect();
        let done = create_keys(db, tenant, &theirs).await?;
        places.into_iter().for_each(|at| stored[at] = done);
    }
    Ok(stored)
}

/// Stores new keys of a tenant, all or none, with what the trail says of them: a transaction that is one message. `false`
/// where one of them goes too far for its tenant or owner, its policy has been superseded, or who asks for it isn't as taken to be.
///
/// # Errors
/// As any write.
pub async fn create_keys(db: &Db, tenant: TenantId, keys: &[&NewKey]) -> Result<bool> {
    let events: Vec<Event> = keys.iter().map(|key| key.event()).collect();
    let (records, columns) = (Records::of(&events, 0)?, Columns::of(keys));
    let on = Witnesses::of(keys.iter().filter_map(|key| key.on.as_ref()));
    let mut is_sent = false;
    let created = again!(async {
        let created = with_records!(
            query_scalar!(
                r#"SELECT create_keys($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
                                      $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40,
                                      $41, $42, $43, $44, $45, $46, $47) AS "created!""#,
                tenant.0,
                &columns.ids,
                &columns.policies,
                &columns.owners,
                &columns.names,
                &columns.descriptions as _,
                &columns.scopes,
                &columns.environments,
                &columns.exchanges,
                &columns.expiries as _,
                &columns.indices,
                &columns.positions,
                &columns.hints,
                &columns.creators as _,
                &columns.creations,
                &columns.signers,
                &columns.prefixes,
                &columns.periods as _,
                &columns.digests,
                &columns.wakes as _,
                &on.indices,
                &on.owners,
                &on.statuses,
                &on.amended as _,
                &on.ends as _,
                &on.in_force,
            ),
            &records
        )
        .fetch_one(db.in_one_message())
        .await;
        let was_sent = std::mem::replace(&mut is_sent, true);
        let created = match created {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(REFUSED) => Ok(false),
            created => created,
        };
        let refused = match &created {
            Ok(created) => !created,
            Err(sqlx::Error::Database(error)) => error.is_unique_violation(),
            Err(_) => false,
        };
        // Sent before over a connection that broke, it may have been committed all the same. Nobody else makes these ids.
        if was_sent && refused && are_stored(db, &columns.ids).await? { Ok(true) } else { created }
    })?;
    Ok(created)
}

/// Whether keys with all of these ids are there.
async fn are_stored(db: &Db, ids: &[Uuid]) -> sqlx::Result<bool> {
    let stored = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM api_keys WHERE id = ANY($1)"#, ids).fetch_one(db.system()).await?;
    Ok(usize::try_from(stored) == Ok(ids.len()))
}

/// Stores new keys of a tenant with their credentials, all of them or none; whether that is done: not where a policy of theirs
/// has been superseded or isn't the tenant's.
///
/// # Errors
/// As any write.
pub async fn store_in(connection: &mut PgConnection, tenant: TenantId, keys: &[&NewKey]) -> Result<bool> {
    let columns = Columns::of(keys);
    let stored = sqlx::query_scalar!(
        r#"SELECT store_keys($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) AS "stored!""#,
        tenant.0,
        &columns.ids,
        &columns.policies,
        &columns.owners,
        &columns.names,
        &columns.descriptions as _,
        &columns.scopes,
        &columns.environments,
        &columns.exchanges,
        &columns.expiries as _,
        &columns.indices,
        &columns.positions,
        &columns.hints,
        &columns.creators as _,
        &columns.creations,
        &columns.signers,
        &columns.prefixes,
        &columns.periods as _,
        &columns.digests,
        &columns.wakes as _,
    )
    .fetch_one(connection)
    .await?;
    Ok(stored)
}

/// New keys as the database's functions take them: a column each of what they are.
struct Columns {
    ids: Vec<Uuid>,
    policies: Vec<i64>,
    owners: Vec<String>,
    names: Vec<String>,
    descriptions: Vec<Option<String>>,
    scopes: Vec<i16>,
    environments: Vec<String>,
    exchanges: Vec<bool>,
    expiries: Vec<Option<OffsetDateTime>>,
    indices: Vec<i64>,
    positions: Vec<i64>,
    hints: Vec<String>,
    creators: Vec<Option<Uuid>>,
    creations: Vec<OffsetDateTime>,
    signers: Vec<Vec<u8>>,
    prefixes: Vec<String>,
    periods: Vec<Option<i32>>,
    digests: Vec<Vec<u8>>,
    wakes: Vec<Option<OffsetDateTime>>,
}

impl Columns {
    fn of(keys: &[&NewKey]) -> Self {
        fn column<T>(keys: &[&NewKey], of: impl Fn(&NewKey) -> T) -> Vec<T> {
            keys.iter().map(|key| of(key)).collect()
        }
        Self {
            ids: column(keys, |key| key.draft.id.0),
            policies: column(keys, |key| key.stamp.policy.0.into()),
            owners: column(keys, |key| key.profile.owner.clone()),
            names: column(keys, |key| key.profile.name.clone()),
            descriptions: column(keys, |key| key.profile.description.clone()),
            scopes: column(keys, |key| key.draft.scope as i16),
            environments: column(keys, |key| key.draft.environment.as_str().to_owned()),
            exchanges: column(keys, |key| key.draft.exchange),
            expiries: column(keys, |key| expiry(key.draft.expires)),
            indices: column(keys, |key| key.draft.place.index.0.into()),
            positions: column(keys, |key| key.draft.place.position.into()),
            hints: column(keys, |key| key.stamp.hint.clone()),
            creators: column(keys, |key| key.profile.by.as_ref().map(|by| by.who.key.0)),
            creations: column(keys, |key| datetime(key.profile.created)),
            signers: column(keys, |key| key.stamp.signing_key.to_vec()),
            prefixes: column(keys, |key| key.draft.prefix.as_str().to_owned()),
            periods: column(keys, |key| key.profile.rotation_period_days),
            digests: column(keys, |key| key.stamp.digest.as_bytes().to_vec()),
            wakes: column(keys, NewKey::first_look),
        }
    }
}
