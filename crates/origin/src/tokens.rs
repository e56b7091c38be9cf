//! Capability tokens: made, for a moment made once for many, and taken back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use keyward_core::{
    AccessTokenClaims, AnyOr, Capability, EndpointPattern, Network, PolicyNumber, Role, StatusIndex, StatusRef, StatusReference, TenantId,
};
use keyward_issuer::{SignError, status_list_uri};
use serde_json::json;
use uuid::Uuid;

use crate::{
    audit::{Action, Actor, Event, Issue, members},
    auth::Holder,
    clock::datetime,
    db::again,
    error::{Error, Result},
    ids::new_id,
    lately::Lately,
    state::App,
};

/// For how long a token counts, seconds, unless less is asked for.
pub const LIFETIME: u64 = 300;
/// Tokens of one generation that are remembered; two are held, a kilobyte a token where its policy is short.
const GENERATION: usize = 16_384;
/// A longer token isn't remembered: memory stays bounded by what is usual.
const MAX_REMEMBERED: usize = 2048;
/// The channel on which the database announces of which credential a token was taken back.
pub const CHANNEL: &str = "keyward_tokens";

/// Tokens that were made lately.
pub struct Tokens(Mutex<Lately<StatusIndex, Made>>);

#[derive(Clone)]
struct Made {
    text: Arc<str>,
    /// What the key permitted then.
    policy: PolicyNumber,
    /// Unix seconds.
    made: u64,
    exp: u64,
    /// The manifest whose key signed it.
    manifest: u64,
}

impl Default for Tokens {
    fn default() -> Self {
        Self(Mutex::new(Lately::new(GENERATION)))
    }
}

impl Tokens {
    /// No longer hands out what was made for a credential.
    pub fn forget(&self, index: StatusIndex) {
        self.made().forget(&index);
    }

    fn made(&self) -> MutexGuard<'_, Lately<StatusIndex, Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a token is to hold of what its key permits.
pub struct Extent {
    /// For whom it is.
    pub audience: String,
    /// For how long, seconds.
    pub lifetime: u64,
    /// What it permits.
    pub capabilities: Vec<Capability>,
    /// Where.
    pub endpoints: AnyOr<EndpointPattern>,
    /// From which addresses.
    pub ips: AnyOr<Network>,
}

impl Extent {
    /// All that the key permits, for this deployment itself.
    pub fn whole(app: &App, holder: &Holder) -> Self {
        let claims = holder.claims();
        Self {
            audience: app.config.issuer.clone(),
            lifetime: LIFETIME,
            capabilities: claims.capabilities.clone(),
            endpoints: claims.endpoints.clone(),
            ips: claims.ips.clone(),
        }
    }
}

/// A token for all that a key permits, for who asks about it: one that was made for the same key and policy not long ago, or a new one. `None`
/// where that is more than a token may hold.
///
/// # Errors
/// Where no key signs.
pub fn whole(app: &App, actor: &Arc<Actor>, holder: &Holder) -> Result<Option<Arc<str>>> {
    let (now, key) = (app.clock.now().secs(), holder.key());
    let manifest = app.keyrings.current().keys.manifest().version;
    let window = app.config.token_reuse_seconds;
    let fits = |made: &Made| {
        let young = (made.made..made.made.saturating_add(window)).contains(&now);
        // A key that by now ends before has to have a token that does.
        young && made.policy == key.policy() && made.manifest == manifest && key.expires().is_none_or(|expires| made.exp <= expires)
    };
    if let Some(made) = app.tokens.made().recall(&key.index()).filter(fits) {
        return Ok(Some(made.text));
    }
    let Some(Minted { text, claims }) = mint(app, holder, Extent::whole(app, holder))? else { return Ok(None) };
    app.audit.tally.issue(actor, Issue { key: holder.id(), grant: "validate" }, claims.jti, app.clock.now());
    let text: Arc<str> = text.into();
    if window > 0 && text.len() <= MAX_REMEMBERED {
        let made = Made { text: Arc::clone(&text), policy: key.policy(), made: now, exp: claims.exp, manifest };
        app.tokens.made().keep(key.index(), made);
    }
    Ok(Some(text))
}

/// A token that has been made.
pub struct Minted {
    /// As it is presented.
    pub text: String,
    /// What it says.
    pub claims: AccessTokenClaims,
}

/// A new token (RFC 9068) of a key; it counts no longer than its key and its signing key do. That it holds no more than
/// the key permits is for the caller to know. `None` where it would be longer than a token may be.
///
/// # Errors
/// Where no key signs.
pub fn mint(app: &App, holder: &Holder, extent: Extent) -> Result<Option<Minted>> {
    let now = app.clock.now();
    let keyring = app.keyrings.current();
    let signer = keyring.signer(Role::Token)?;
    let (key, policy, issuer) = (holder.key(), holder.claims(), &app.config.issuer);
    let end = key.expires().into_iter().chain(keyring.expiry(signer.kid())).min();
    let exp = (now.secs() + extent.lifetime.min(LIFETIME)).min(end.unwrap_or(u64::MAX));
    if exp <= now.secs() {
        return Err(Error::internal(anyhow::anyhow!("the key that signs tokens has expired")));
    }
    let scope: Vec<_> = extent.capabilities.iter().map(Capability::as_str).collect();
    let claims = AccessTokenClaims {
        iss: issuer.clone(),
        sub: key.id(),
        aud: extent.audience,
        exp,
        iat: now.secs(),
        jti: new_id(now)?.0,
        client_id: key.id(),
        scope: scope.join(" "),
        cap: extent.capabilities,
        tenant: holder.tenant(),
        ep: extent.endpoints,
        blocked: policy.blocked_endpoints.clone(),
        ip: extent.ips,
        lim: policy.limits,
        key: holder.signed(),
        status: StatusReference {
            status_list: StatusRef {
                idx: u32::try_from(key.index().offset()).map_err(Error::internal)?,
                uri: status_list_uri(issuer, key.index().shard()),
            },
        },
    };
    match signer.sign(&claims) {
        Ok(text) => Ok(Some(Minted { text, claims })),
        Err(SignError::TooLong) => Ok(None),
        Err(error) => Err(Error::internal(error)),
    }
}

/// Takes a token back: from the answer on no server's introspection knows it, and this one hands it out to nobody.
///
/// # Errors
/// As any write.
pub async fn revoke(app: &App, by: Option<&Arc<Actor>>, claims: &AccessTokenClaims, index: StatusIndex) -> Result<()> {
    let mut tx = app.db.tenant(claims.tenant).await?;
    let exp = i64::try_from(claims.exp).ok().and_then(|exp| time::OffsetDateTime::from_unix_timestamp(exp).ok());
    sqlx::query!(
        "INSERT INTO revoked_tokens (jti, tenant, expires_at) VALUES ($1, $2, $3) ON CONFLICT (jti) DO NOTHING",
        claims.jti,
        claims.tenant.0,
        exp.context("an expiry that is no time")?,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!("SELECT pg_notify($1, $2)::text AS sent", CHANNEL, index.to_string()).fetch_one(tx.connection()).await?;
    let details = members(json!({"key": claims.sub, "expires": claims.exp}));
    // Whoever has a token may take it back, and needn't say who that is.
    let event = Event { actor: by.cloned(), ..Event::by_itself(Action::TokenRevoked, app.clock.now()) };
    tx.record(event.on("token", claims.jti).details(details));
    tx.commit().await?;
    app.tokens.forget(index);
    tracing::info!(event = "token_revoked", jti = %claims.jti, key = %claims.sub, tenant = %claims.tenant);
    Ok(())
}

/// Whether a token was taken back.
///
/// # Errors
/// As any read.
pub async fn is_revoked(app: &App, tenant: TenantId, jti: Uuid) -> Result<bool> {
    let found = again!(
        sqlx::query_scalar!("SELECT jti FROM revoked_tokens WHERE jti = $1 AND tenant = $2", jti, tenant.0).fetch_optional(app.db.system())
    )?;
    Ok(found.is_some())
}

/// Forgets the tokens taken back that have expired since.
///
/// # Errors
/// As any write.
pub async fn sweep(app: &App) -> Result<()> {
    sqlx::query!("DELETE FROM revoked_tokens WHERE expires_at <= $1", datetime(app.clock.now())).execute(app.db.system()).await?;
    Ok(())
}
