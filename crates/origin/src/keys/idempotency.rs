//! The same request twice has one effect, and the same answer: the very key, for 24 hours.
//!
//! Raw keys are stored nowhere. What is kept, sealed, are the 16 bytes that make the signature come out the same again
//! from the credential's row and its signing key.

use axum::http::{HeaderMap, Method};
use keyward_api::Code;
use keyward_core::{PolicyNumber, StatusIndex, TenantId, Timestamp};
use keyward_issuer::{ENTROPY_LEN, SecretKeyText};
use sha2::{Digest, Sha256};
use sqlx::types::Uuid;
use time::Duration;

use super::issue::Draft;
use crate::{
    auth::Caller,
    clock::{datetime, expiry_seconds},
    db::Tx,
    error::{Error, Result},
    keys::row::{KeyRow, key_rows},
    positions::Place,
    state::App,
};
use keyward_core::KeyPrefix;

const KEPT: Duration = Duration::hours(24);
const MAX_KEY: usize = 255;
const HEADER: &str = "idempotency-key";

/// An Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) and the digest of the request that it came with.
pub struct Idempotency {
    key: String,
    request: [u8; 32],
}

impl Idempotency {
    /// Whether a request says something of the kind.
    pub fn is_asked(headers: &HeaderMap) -> bool {
        headers.contains_key(HEADER)
    }

    /// What a request says.
    ///
    /// # Errors
    /// `validation_failed` where the header is there and isn't 1 to 255 visible characters.
    pub fn from_request(headers: &HeaderMap, method: &Method, path: &str, tenant: TenantId, body: &[u8]) -> Result<Option<Self>> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().ok().filter(|key| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
        let (Some(key), None) = (key, values.next()) else {
            return Err(Error::field("Idempotency-Key", format!("one value of 1 to {MAX_KEY} visible ASCII characters")));
        };
        let mut digest = Sha256::new();
        for part in [method.as_str().as_bytes(), path.as_bytes(), tenant.0.as_bytes(), body] {
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        Ok(Some(Self { key: key.to_owned(), request: digest.finalize().into() }))
    }

    /// Claims the key for this request and the draft at this place of it; what the first one made there, where there was one. A request that comes while the
    /// first one is under way waits for it.
    ///
    /// # Errors
    /// `idempotency_mismatch` where it was another request; `idempotency_conflict` where what it made can't be used any
    /// more.
    pub async fn claim(
        &self,
        app: &App,
        tx: &mut Tx,
        caller: &Caller,
        tenant: TenantId,
        (at, draft): (usize, &Draft),
        now: Timestamp,
    ) -> Result<Option<Replay>> {
        if self.is_first(app, tx, caller, tenant, (at, Some(draft), None), now).await? {
            return Ok(None);
        }
        // Not there any more: forgotten this very moment.
        self.earlier(app, tx, caller, tenant, at, now).await?.ok_or(Code::IdempotencyConflict.into()).map(Some)
    }

    /// Claims the key, in the caller's own tenant, for a tenant that is about to be made, with the draft of its first key where
    /// there is one; which tenant the first request made, where there was one, and its key. Then the transaction goes on in that
    /// tenant's name.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub async fn claim_tenant(
        &self,
        app: &App,
        tx: &mut Tx,
        caller: &Caller,
        (made, draft): (TenantId, Option<&Draft>),
        now: Timestamp,
    ) -> Result<Option<(TenantId, Option<Replay>)>> {
        let own = caller.tenant();
        if self.is_first(app, tx, caller, own, (0, draft, Some(made)), now).await? {
            return Ok(None);
        }
        let first = self.claimed(tx, caller, own, 0, now).await?.ok_or(Code::IdempotencyConflict)?;
        let made = TenantId(first.made.ok_or(Code::IdempotencyConflict)?);
        tx.turn_to(made).await?;
        let key = if first.index.is_some() { Some(replay(app, tx, caller, made, (&self.key, first)).await?) } else { None };
        Ok(Some((made, key)))
    }

    /// Claims the key at this place of the request; whether nobody had.
    async fn is_first(
        &self,
        app: &App,
        tx: &mut Tx,
        caller: &Caller,
        tenant: TenantId,
        (at, draft, made): (usize, Option<&Draft>, Option<TenantId>),
        now: Timestamp,
    ) -> Result<bool> {
        let key = self.nth(at);
        let index = draft.map(|draft| i64::from(draft.place.index.0));
        let sealed = draft.map(|draft| app.data_key.seal(&purpose(caller, draft.place.index, &key), &draft.entropy)).transpose()?;
        let first = sqlx::query!(
            "INSERT INTO idempotency (tenant, caller, key, request, index, sealed, made, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (tenant, caller, key) DO UPDATE SET request = $4, index = $5, sealed = $6, made = $7, created_at = $8
             WHERE idempotency.created_at <= $9
             RETURNING index",
            tenant.0,
            caller.id().0,
            &key,
            &self.request[..],
            index,
            sealed,
            made.map(|made| made.0),
            datetime(now),
            datetime(now) - KEPT,
        )
        .fetch_optional(tx.connection())
        .await?;
        Ok(first.is_some())
    }

    /// What the first request with the key made at this place of it, where there was one; claims nothing.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub async fn earlier(
        &self,
        app: &App,
        tx: &mut Tx,
        caller: &Caller,
        tenant: TenantId,
        at: usize,
        now: Timestamp,
    ) -> Result<Option<Replay>> {
        match self.claimed(tx, caller, tenant, at, now).await? {
            Some(first) => replay(app, tx, caller, tenant, (&self.nth(at), first)).await.map(Some),
            None => Ok(None),
        }
    }

    /// What the first request with the key left for this place of it.
    async fn claimed(&self, tx: &mut Tx, caller: &Caller, tenant: TenantId, at: usize, now: Timestamp) -> Result<Option<Claimed>> {
        let first = sqlx::query_as!(
            Claimed,
            "SELECT request, index, sealed, made FROM idempotency
             WHERE tenant = $1 AND caller = $2 AND key = $3 AND created_at > $4",
            tenant.0,
            caller.id().0,
            &self.nth(at),
            datetime(now) - KEPT,
        )
        .fetch_optional(tx.connection())
        .await?;
        if first.as_ref().is_some_and(|first| first.request != self.request) {
            return Err(Code::IdempotencyMismatch.into());
        }
        Ok(first)
    }

    /// The key for the draft at a place: no client can send one with such a character in it.
    fn nth(&self, at: usize) -> String {
        if at == 0 { self.key.clone() } else { format!("{}\u{1f}{at}", self.key) }
    }
}

/// What a first request left.
struct Claimed {
    request: Vec<u8>,
    /// Of the credential that it made, and what makes that come out the same; both or neither.
    index: Option<i64>,
    sealed: Option<Vec<u8>>,
    /// The tenant that it made.
    made: Option<Uuid>,
}

async fn replay(app: &App, tx: &mut Tx, caller: &Caller, tenant: TenantId, (key, first): (&str, Claimed)) -> Result<Replay> {
    let Some((index, sealed)) = first.index.zip(first.sealed) else { return Err(Code::IdempotencyConflict.into()) };
    let credential =
        sqlx::query!("SELECT api_key, position, signing_key, prefix, policy, expires_at, status FROM credentials WHERE index = $1", index,)
            .fetch_optional(tx.connection())
            .await?
            .filter(|credential| credential.status != 1)
            .ok_or(Code::IdempotencyConflict)?;
    let row = key_rows!("WHERE tenant = $1 AND id = $2", tenant.0, credential.api_key).fetch_one(tx.connection()).await?;
    // It was given to somebody else since: to this caller it isn't there any more.
    if !caller.sees(&row.owner) {
        return Err(Code::IdempotencyConflict.into());
    }
    let short = credential.signing_key.as_slice().try_into().map_err(Error::internal)?;
    let signer = app.keyrings.current().api_key_signer(short).cloned().ok_or(Code::IdempotencyConflict)?;
    let status_index = StatusIndex(u32::try_from(index).map_err(Error::internal)?);
    let entropy = app.data_key.open(&purpose(caller, status_index, key), &sealed)?;
    let draft = Draft {
        id: row.id(),
        scope: row.scope()?,
        exchange: row.exchange,
        prefix: KeyPrefix::parse(&credential.prefix).unwrap_or_default(),
        environment: row.environment()?,
        expires: expiry_seconds(credential.expires_at),
        place: Place { position: u32::try_from(credential.position).map_err(Error::internal)?, index: status_index },
        entropy: <[u8; ENTROPY_LEN]>::try_from(entropy.as_slice()).map_err(Error::internal)?,
    };
    let policy = PolicyNumber(u32::try_from(credential.policy).map_err(Error::internal)?);
    Ok(Replay { raw: draft.mint_with(&signer, policy), key: row })
}

fn purpose(caller: &Caller, index: StatusIndex, key: &str) -> String {
    format!("entropy {} {index} {key}", caller.id())
}

/// What the first request made.
pub struct Replay {
    /// The raw key, the same again.
    pub raw: SecretKeyText,
    /// The key as it is now.
    pub key: KeyRow,
}

/// Forgets what is older than it is kept.
///
/// # Errors
/// As any write.
pub async fn sweep(app: &App) -> Result<()> {
    sqlx::query!("DELETE FROM idempotency WHERE created_at <= $1", datetime(app.clock.now()) - KEPT).execute(app.db.system()).await?;
    Ok(())
}
