//! Who calls: a Keyward key, or a session that stands in for one, decided upon as the edge would; on the status as committed, or as the feed has it where
//! that is good enough.

mod asked;
mod row;
mod witness;

use std::{ops::Deref, sync::Arc};

use keyward_api::Code;
use keyward_core::{
    AuthenticKey, Capability, Decision, Environment, KeyId, Missing, NormalPath, ParsedKey, PolicyClaims, PolicyTerms, Reason, Refusal,
    Request, Requirement, ScopeClass, SignedKey, StatusIndex, TenantId, VerifiedKey, Verifier,
};

use crate::{audit::Actor, error::Result, keys::issued::is_issued, limits::Seen, policies::Stored, sessions, state::App};
pub use asked::{Asked, Credential, Visit};
pub use row::{Found, Row, Wanted, find};
pub use witness::{Witness, Witnesses};

/// The holder of a key that holds: a caller, or whom a caller asks about.
#[derive(Clone)]
pub struct Holder {
    key: VerifiedKey,
    signed: SignedKey,
    row: Arc<Row>,
    policy: Arc<Stored>,
}

/// The holder who makes a request.
#[derive(Clone)]
pub struct Caller {
    holder: Holder,
    actor: Arc<Actor>,
}

impl Caller {
    /// As the audit trail names it, with the request that it made.
    pub fn actor(&self) -> &Arc<Actor> {
        &self.actor
    }

    /// Whoever it is, apart from the request.
    pub fn into_holder(self) -> Holder {
        self.holder
    }
}

impl Deref for Caller {
    type Target = Holder;

    fn deref(&self) -> &Holder {
        &self.holder
    }
}

impl Holder {
    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.key.id()
    }

    /// The key as it holds now.
    pub fn key(&self) -> &VerifiedKey {
        &self.key
    }

    /// What the key says of itself.
    pub fn signed(&self) -> SignedKey {
        self.signed
    }

    /// The key's tenant.
    pub fn tenant(&self) -> TenantId {
        self.row.tenant
    }

    /// Whose key it is.
    pub fn owner(&self) -> &str {
        &self.row.owner
    }

    /// How far it reaches.
    pub fn scope(&self) -> ScopeClass {
        self.policy.policy.claims().scope
    }

    /// All that it holds.
    pub fn terms(&self) -> PolicyTerms {
        self.policy.terms()
    }

    /// Unix seconds from which it can't be used; `None`: never.
    pub fn expires(&self) -> Option<u64> {
        self.key.expires()
    }

    /// What it holds, as it stands.
    pub fn claims(&self) -> &PolicyClaims {
        self.policy.policy.claims()
    }

    /// On what it was recognised.
    pub fn witness(&self) -> Witness {
        Witness { index: self.key.index(), row: Arc::clone(&self.row) }
    }

    /// The one owner whose it sees; `None`: it sees everybody's.
    pub fn sees_only(&self) -> Option<&str> {
        (self.scope() <= ScopeClass::User).then_some(self.owner())
    }

    /// Whether it sees what is this owner's.
    pub fn sees(&self, owner: &str) -> bool {
        self.sees_only().is_none_or(|only| only == owner)
    }
}

/// How new what is known of a credential has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As it is committed now: for whoever changes something.
    Committed,
    /// As the feed has brought it here, or newer: what this server has answered for is in it, what another has answered
    /// for within `feed::known::SOFT_AGE` at the latest. Costs no statement where the credential was met lately. The
    /// owner may be the one of before.
    Followed,
    /// A key as [`Self::Followed`], a session as [`Self::Committed`]: for what has the database look whether the caller still is as it
    /// was recognised ([`Witness`]) when it does what is asked for.
    Presumed,
}

/// The caller of a request, who has to have `capability`.
///
/// # Errors
/// The reason why not; `database_unavailable` where it can't be known.
pub async fn authenticate(app: &App, asked: &Asked<'_>, capability: &Capability, freshness: Freshness) -> Result<Caller> {
    let caller = match asked.credential(app)?.ok_or(Reason::CredentialMissing)? {
        Credential::Key(text) => {
            let key = parse(app, asked, text)?;
            // Management is production, whichever environment the keys are for that are managed.
            identify(app, asked, &key, Environment::Live, freshness).await?
        }
        Credential::Session(text) => sessions::recognise(app, asked, text, freshness).await?.caller,
    };
    let path = NormalPath::parse(asked.uri.path()).map_err(|_| Reason::PathRefused)?;
    let domain = asked.domain();
    let requirement = Requirement::Capability(capability.clone());
    let request = Request {
        method: asked.method.as_str(),
        path: &path,
        address: asked.address(app),
        domain: domain.as_deref(),
        tls: asked.is_confidential(app),
        requirement: Some(&requirement),
    };
    if let Decision::Deny(reason) = caller.policy.policy.decide(caller.key(), &request) {
        return Err(reason.into());
    }
    Ok(caller)
}

/// The key in a text. Whoever shows junk too often is told that instead.
///
/// # Errors
/// The reason why there is none; `rate_limited`.
pub fn parse<'a>(app: &App, asked: &Asked<'_>, text: &'a str) -> Result<ParsedKey<'a>> {
    ParsedKey::parse(text).map_err(|reason| asked.guard(app).err().unwrap_or_else(|| reason.into()))
}

/// The holder of a key, for what every key may do about itself: of its policy, what it says of where requests come from
/// has to hold, and nothing else.
///
/// # Errors
/// As [`authenticate`].
pub async fn holder(app: &App, asked: &Asked<'_>, key: &ParsedKey<'_>, freshness: Freshness) -> Result<Caller> {
    of_itself(app, asked, identify(app, asked, key, key.environment(), freshness).await?)
}

/// The same, of whoever makes the request.
///
/// # Errors
/// As [`authenticate`].
pub async fn client(app: &App, asked: &Asked<'_>, credential: Credential<'_>, freshness: Freshness) -> Result<Caller> {
    match credential {
        Credential::Key(text) => holder(app, asked, &parse(app, asked, text)?, freshness).await,
        Credential::Session(text) => of_itself(app, asked, sessions::recognise(app, asked, text, freshness).await?.caller),
    }
}

/// A caller who does what every key may do about itself.
///
/// # Errors
/// Why its policy doesn't admit that from there.
pub fn of_itself(app: &App, asked: &Asked<'_>, caller: Caller) -> Result<Caller> {
    if caller.claims().scope > caller.key().scope() {
        return Err(Reason::ScopeExceeded.into());
    }
    asked.admitted_by(app, caller.claims())?;
    Ok(caller)
}

/// The key, if it was issued: its signature holds; and where its signing key is frozen, which anybody may have by now, the
/// database has its digest. That is asked once, since it stays true.
///
/// # Errors
/// The reason why not; `database_unavailable` where it can't be known.
pub async fn authentic(app: &App, key: &ParsedKey<'_>) -> Result<AuthenticKey> {
    let (keyring, now) = (app.keyrings.current(), app.clock.now());
    match keyring.authenticate(key, now) {
        Err(Refusal::Undecided(Missing::Issued(index, digest))) => {
            let issued = is_issued(&app.db, index, &digest).await?;
            Ok(keyring.authenticate_issued(key, (digest, issued), now)?)
        }
        known => Ok(known?),
    }
}

/// Whose key it is, where it holds. Junk and forgeries don't reach the database.
///
/// # Errors
/// As [`authenticate`].
pub async fn identify(app: &App, asked: &Asked<'_>, key: &ParsedKey<'_>, environment: Environment, freshness: Freshness) -> Result<Caller> {
    if let Err(error) = asked.guard(app)
        && !app.keyrings.current().knows(key)
    {
        return Err(error);
    }
    let authentic = authentic(app, key).await?;
    admitted(app, asked, &authentic, environment, freshness).await
}

/// Whose a genuine key is, where it holds.
///
/// # Errors
/// As [`authenticate`].
pub async fn admitted(
    app: &App,
    asked: &Asked<'_>,
    authentic: &AuthenticKey,
    environment: Environment,
    freshness: Freshness,
) -> Result<Caller> {
    // A genuine key without a row was made in a past that was undone. That is final, as a revocation is.
    let row = row(app, authentic, freshness).await?.ok_or(Reason::Revoked)?;
    // From here on a refusal has a name in the audit trail.
    let actor = asked.actor(app, &row);
    let holder = admit(app, authentic, row, environment).await?;
    app.usage.presence.note(holder.tenant(), holder.id(), app.clock.now());
    Ok(Caller { holder, actor })
}

/// The holder of a key of this tenant, for who asks about it; `None` where nobody has proved that it is one: it may be
/// junk, forged, or another tenant's, and whatever its state.
///
/// # Errors
/// The reason why the tenant's key doesn't hold; `database_unavailable` where it can't be known.
pub async fn of_tenant(app: &App, tenant: TenantId, key: &ParsedKey<'_>) -> Result<Option<Holder>> {
    Ok(asked_about(app, tenant, key, false).await?.map(|(holder, _)| holder))
}

/// The same for who is about to spend from the key's account, with that account where the key had to be read anyway.
///
/// # Errors
/// As [`of_tenant`].
pub async fn spender_of_tenant(app: &App, tenant: TenantId, key: &ParsedKey<'_>) -> Result<Option<(Holder, Option<Seen>)>> {
    asked_about(app, tenant, key, true).await
}

async fn asked_about(app: &App, tenant: TenantId, key: &ParsedKey<'_>, account: bool) -> Result<Option<(Holder, Option<Seen>)>> {
    let authentic = match authentic(app, key).await {
        Ok(authentic) => authentic,
        Err(error) => match error.code() {
            Code::Refused(reason) if !reason.proved() => return Ok(None),
            _ => return Err(error),
        },
    };
    let found = look(app, authentic.claims().index, Freshness::Followed, account).await?;
    let Some((row, account)) = found.filter(|(row, _)| is_of(row, &authentic) && row.tenant == tenant) else { return Ok(None) };
    // Both environments are asked about: which of them is meant, the key itself says.
    let holder = admit(app, &authentic, row, authentic.environment()).await?;
    Ok(Some((holder, account)))
}

/// The holder of a genuine key, where it holds on this row.
///
/// # Errors
/// The reason why it doesn't; as any read where its policy wasn't met before.
async fn admit(app: &App, authentic: &AuthenticKey, row: Arc<Row>, environment: Environment) -> Result<Holder> {
    let keyring = app.keyrings.current();
    let key = Verifier::new(&keyring.keys, &*row, environment).admit(authentic, app.clock.now())?;
    let claims = authentic.claims();
    let signed = SignedKey { policy: claims.policy, scope: claims.scope, environment: authentic.environment() };
    let policy = app.policies.lookup(app, key.policy()).await?;
    Ok(Holder { key, signed, row, policy })
}

/// The row of a genuine credential; `None` where there is none that was made together with it.
///
/// # Errors
/// `database_unavailable` where it can't be known.
pub async fn row(app: &App, key: &AuthenticKey, freshness: Freshness) -> Result<Option<Arc<Row>>> {
    let row = row_at(app, key.claims().index, freshness).await?;
    Ok(row.filter(|row| is_of(row, key)))
}

/// Whether a row was made together with a genuine credential.
fn is_of(row: &Row, key: &AuthenticKey) -> bool {
    let claims = key.claims();
    row.key == claims.id && row.signed == claims.policy
}

/// The row at an index, whoever's it is.
///
/// # Errors
/// As [`row`].
pub async fn row_at(app: &App, index: StatusIndex, freshness: Freshness) -> Result<Option<Arc<Row>>> {
    Ok(look(app, index, freshness, false).await?.map(|(row, _)| row))
}

/// The row at an index, and its key's account where that is wanted and the row is read.
async fn look(app: &App, index: StatusIndex, freshness: Freshness, account: bool) -> Result<Option<(Arc<Row>, Option<Seen>)>> {
    let known = &app.feed.known;
    if freshness != Freshness::Committed
        && let Some(row) = known.recall(index)
    {
        return Ok(Some((row, None)));
    }
    let ticket = known.ticket(index);
    let Some(Found { row, account }) = app.rows.ask(Wanted { index, account }).await? else { return Ok(None) };
    let row = Arc::new(row);
    known.keep(index, ticket, &row);
    Ok(Some((row, account)))
}
