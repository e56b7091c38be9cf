//! Who calls: a Keyward key, decided upon as the edge would; on the status as committed, or as the feed has it where
//! that is good enough.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    ops::Deref,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use keyward_api::Code;
use keyward_core::{
    Amendment, AnyOr, AuditActor, AuthenticKey, Capability, Decision, Digest, Environment, KeyId, Missing, NormalPath, ParsedKey,
    PolicyClaims, PolicyNumber, PolicyTerms, Reason, Refusal, Request, Requirement, ScopeClass, SignedKey, Standing, Status, StatusIndex,
    Statuses, TenantId, VerifiedKey, Verifier, canonical_address,
};

use crate::{
    audit::Actor,
    clock::expiry_seconds,
    db::{Db, again},
    error::{Error, Result},
    keys::issued::is_issued,
    policies::{Stored, policy_number},
    state::App,
};
use uuid::Uuid;

/// Characters of a client's name that are kept.
const MAX_USER_AGENT: usize = 256;

/// The holder of a key that holds: a caller, or whom a caller asks about.
#[derive(Clone)]
pub struct Holder {
    key: VerifiedKey,
    signed: SignedKey,
    tenant: TenantId,
    owner: Arc<str>,
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
        self.tenant
    }

    /// Whose key it is.
    pub fn owner(&self) -> &str {
        &self.owner
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

    /// Whether it sees what is this owner's.
    pub fn sees(&self, owner: &str) -> bool {
        self.scope() > ScopeClass::User || self.owner() == owner
    }
}

/// What is told of a request while it is answered, to who watches over it (`http::observe`).
pub struct Visit {
    /// Names it, in its answer and in the audit trail.
    pub id: Uuid,
    actor: OnceLock<Arc<Actor>>,
}

impl Visit {
    /// A request that nobody has looked at yet.
    pub fn new(id: Uuid) -> Self {
        Self { id, actor: OnceLock::new() }
    }

    /// Who made it, where that was proved.
    pub fn actor(&self) -> Option<&Arc<Actor>> {
        self.actor.get()
    }
}

/// The facts of a request that a policy looks at.
pub struct Asked<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    peer: Option<IpAddr>,
    visit: Option<&'a Visit>,
}

impl<'a> Asked<'a> {
    /// The facts of a request.
    pub fn new(parts: &'a Parts) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| canonical_address(info.0.ip()));
        let visit = parts.extensions.get::<Arc<Visit>>().map(|visit| &**visit);
        Self { method: &parts.method, uri: &parts.uri, headers: &parts.headers, peer, visit }
    }

    /// Whether it comes from a proxy that is believed.
    fn proxied(&self, app: &App) -> bool {
        self.peer.is_some_and(|peer| app.config.trusts(peer))
    }

    /// The client's address: the peer's, or where that is a proxy that is believed, the last one in X-Forwarded-For
    /// that isn't one too.
    pub fn address(&self, app: &App) -> Option<IpAddr> {
        if !self.proxied(app) {
            return self.peer;
        }
        let lines: Vec<_> = self.headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(','));
        for hop in hops {
            let hop = canonical_address(hop.trim().parse().ok()?);
            if !app.config.trusts(hop) {
                return Some(hop);
            }
        }
        self.peer
    }

    /// Passes where credentials from this address may still turn out to be no good.
    fn guard(&self, app: &App) -> Result<()> {
        let Some(address) = self.address(app) else { return Ok(()) };
        app.failures.guard(address, app.clock.now())
    }

    /// Whether nobody on the way can read it: TLS up to a proxy that is believed, or never off this machine.
    fn is_confidential(&self, app: &App) -> bool {
        if self.proxied(app) {
            return self.headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
        }
        self.peer.is_some_and(|peer| peer.is_loopback())
    }

    /// The host of the Origin header, lower case (RFC 6454 section 7).
    fn domain(&self) -> Option<String> {
        let origin = self.headers.get(header::ORIGIN)?.to_str().ok()?;
        let host = origin.split_once("://")?.1;
        Some(host.rsplit_once(':').map_or(host, |(host, _)| host).to_ascii_lowercase())
    }

    /// As the client names itself, bounded; what isn't ASCII is left out.
    fn user_agent(&self) -> Option<String> {
        let name = self.headers.get(header::USER_AGENT)?.as_bytes();
        Some(name.iter().filter(|byte| (0x20..0x7f).contains(*byte)).take(MAX_USER_AGENT).map(|byte| char::from(*byte)).collect())
    }

    /// Who made it, where that has been proved by now.
    pub fn made_by(&self) -> Option<&'a Arc<Actor>> {
        self.visit.and_then(Visit::actor)
    }

    /// Who makes it, known by a genuine key.
    fn actor(&self, app: &App, row: &Row) -> Arc<Actor> {
        let actor = Arc::new(Actor {
            who: AuditActor { tenant: row.tenant, key: row.key, owner: row.owner.as_ref().to_owned() },
            address: self.address(app),
            user_agent: self.user_agent(),
            request: self.visit.map_or(Uuid::nil(), |visit| visit.id),
        });
        if let Some(visit) = self.visit {
            // A request has one caller.
            let _ = visit.actor.set(Arc::clone(&actor));
        }
        actor
    }

    /// Whether a policy admits requests from where this one comes from: its address, Origin and TLS.
    fn admitted_by(&self, app: &App, claims: &PolicyClaims) -> Result<(), Reason> {
        let address = self.address(app);
        let domain = self.domain();
        let checks = [
            (
                Reason::AddressNotAllowed,
                claims.ips.only().is_none_or(|list| list.iter().any(|net| address.is_some_and(|ip| net.contains(ip)))),
            ),
            (
                Reason::DomainNotAllowed,
                match (&claims.domains, &domain) {
                    (AnyOr::Any, _) => true,
                    (AnyOr::Only(list), Some(domain)) => list.iter().any(|pattern| pattern.matches(domain)),
                    (AnyOr::Only(_), None) => false,
                },
            ),
            (Reason::TlsRequired, !claims.require_tls || self.is_confidential(app)),
        ];
        checks.into_iter().find(|(_, holds)| !holds).map_or(Ok(()), |(reason, _)| Err(reason))
    }

    /// The one credential of the request.
    ///
    /// # Errors
    /// `credential_missing`, `credentials_conflict`, `malformed` where it is of another scheme.
    pub fn credential(&self) -> Result<&'a str, Reason> {
        let bearers = self.headers.get_all(header::AUTHORIZATION).iter().map(|value| {
            let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let keys = self.headers.get_all("x-api-key").iter().map(|value| value.to_str().ok().map(str::trim));
        let mut all = bearers.chain(keys);
        let first = all.next().ok_or(Reason::CredentialMissing)?;
        if all.any(|other| other != first) {
            return Err(Reason::CredentialsConflict);
        }
        first.ok_or(Reason::Malformed)
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
}

/// The caller of a request, who has to have `capability`.
///
/// # Errors
/// The reason why not; `database_unavailable` where it can't be known.
pub async fn authenticate(app: &App, asked: &Asked<'_>, capability: &Capability, freshness: Freshness) -> Result<Caller> {
    let credential = asked.credential()?;
    let key = ParsedKey::parse(credential).map_err(|reason| asked.guard(app).err().unwrap_or_else(|| reason.into()))?;
    // Management is production, whichever environment the keys are for that are managed.
    let caller = identify(app, asked, &key, Environment::Live, freshness).await?;
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

/// The holder of a key, for what every key may do about itself: of its policy, what it says of where requests come from
/// has to hold, and nothing else.
///
/// # Errors
/// As [`authenticate`].
pub async fn holder(app: &App, asked: &Asked<'_>, key: &ParsedKey<'_>, freshness: Freshness) -> Result<Caller> {
    let holder = identify(app, asked, key, key.environment(), freshness).await?;
    if holder.claims().scope > holder.key().scope() {
        return Err(Reason::ScopeExceeded.into());
    }
    asked.admitted_by(app, holder.claims())?;
    Ok(holder)
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
    // A genuine key without a row was made in a past that was undone. That is final, as a revocation is.
    let row = row(app, &authentic, freshness).await?.ok_or(Reason::Revoked)?;
    // From here on a refusal has a name in the audit trail.
    let actor = asked.actor(app, &row);
    Ok(Caller { holder: admit(app, &authentic, &row, environment).await?, actor })
}

/// The holder of a key of this tenant, for who asks about it; `None` where nobody has proved that it is one: it may be
/// junk, forged, or another tenant's, and whatever its state.
///
/// # Errors
/// The reason why the tenant's key doesn't hold; `database_unavailable` where it can't be known.
pub async fn of_tenant(app: &App, tenant: TenantId, key: &ParsedKey<'_>) -> Result<Option<Holder>> {
    let authentic = match authentic(app, key).await {
        Ok(authentic) => authentic,
        Err(error) => match error.code() {
            Code::Refused(reason) if !reason.proved() => return Ok(None),
            _ => return Err(error),
        },
    };
    let row = row(app, &authentic, Freshness::Followed).await?.filter(|row| row.tenant == tenant);
    let Some(row) = row else { return Ok(None) };
    // Both environments are asked about: which of them is meant, the key itself says.
    admit(app, &authentic, &row, authentic.environment()).await.map(Some)
}

/// The holder of a genuine key, where it holds on this row.
///
/// # Errors
/// The reason why it doesn't; as any read where its policy wasn't met before.
async fn admit(app: &App, authentic: &AuthenticKey, row: &Row, environment: Environment) -> Result<Holder> {
    let keyring = app.keyrings.current();
    let key = Verifier::new(&keyring.keys, row, environment).admit(authentic, app.clock.now())?;
    let claims = authentic.claims();
    let signed = SignedKey { policy: claims.policy, scope: claims.scope, environment: authentic.environment() };
    let policy = app.policies.lookup(app, key.policy()).await?;
    Ok(Holder { key, signed, tenant: row.tenant, owner: Arc::clone(&row.owner), policy })
}

/// The row of a genuine credential; `None` where there is none that was made together with it.
///
/// # Errors
/// `database_unavailable` where it can't be known.
pub async fn row(app: &App, key: &AuthenticKey, freshness: Freshness) -> Result<Option<Arc<Row>>> {
    let claims = key.claims();
    let row = row_at(app, claims.index, freshness).await?;
    Ok(row.filter(|row| row.key == claims.id && row.signed == claims.policy))
}

/// The row at an index, whoever's it is.
///
/// # Errors
/// As [`row`].
pub async fn row_at(app: &App, index: StatusIndex, freshness: Freshness) -> Result<Option<Arc<Row>>> {
    let known = &app.feed.known;
    if freshness == Freshness::Followed
        && let Some(row) = known.recall(index)
    {
        return Ok(Some(row));
    }
    let ticket = known.ticket(index);
    let row = app.rows.ask(index).await?.map(Arc::new);
    if let Some(row) = &row {
        known.keep(index, ticket, row);
    }
    Ok(row)
}

/// What the database says of the credential at an index.
#[derive(Clone)]
pub struct Row {
    /// The key.
    pub key: KeyId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its owner.
    pub owner: Arc<str>,
    status: Status,
    signed: PolicyNumber,
    amendment: Option<Amendment>,
    /// The signed or amended policy, and what has taken its place.
    in_force: (PolicyNumber, PolicyNumber),
}

/// The rows of some indices, each as it is committed now.
///
/// # Errors
/// As any read.
pub async fn find(db: &Db, indices: &[StatusIndex]) -> Result<Vec<Option<Row>>> {
    let wanted: Vec<i64> = indices.iter().map(|index| i64::from(index.0)).collect();
    let rows = again!(
        sqlx::query!(
            // Row by row through the indexes: over a table that looks small, a join would rather read all of it.
            r#"SELECT found.* FROM unnest($1::bigint[]) AS wanted (index) CROSS JOIN LATERAL (
                   SELECT c.index, k.id, k.tenant, k.owner, c.status, c.policy AS signed, c.amended_policy, c.amended_expires,
                          p.number, p.superseded_by
                   FROM credentials c
                   JOIN api_keys k ON k.id = c.api_key
                   JOIN policies p ON p.number = coalesce(c.amended_policy, c.policy)
                   WHERE c.index = wanted.index LIMIT 1
               ) AS found"#,
            &wanted
        )
        .fetch_all(db.system())
    )?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let index = StatusIndex(u32::try_from(row.index).map_err(Error::internal)?);
        let status = u8::try_from(row.status).ok().and_then(Status::from_value);
        let row = Row {
            key: KeyId(row.id),
            tenant: TenantId(row.tenant),
            owner: row.owner.into(),
            status: status.ok_or_else(|| Error::internal(anyhow::anyhow!("a status that is none")))?,
            signed: policy_number(row.signed),
            amendment: row.amended_policy.map(|policy| Amendment {
                index,
                policy: policy_number(policy),
                expires: expiry_seconds(row.amended_expires),
            }),
            in_force: (policy_number(row.number), policy_number(row.superseded_by.unwrap_or(row.number))),
        };
        found.insert(index, row);
    }
    Ok(indices.iter().map(|index| found.get(index).cloned()).collect())
}

impl Row {
    /// Its policy as signed or amended, before supersession.
    pub fn own_policy(&self) -> PolicyNumber {
        self.in_force.0
    }

    #[cfg(test)]
    pub fn example(policy: PolicyNumber) -> Self {
        Self {
            key: KeyId(uuid::Uuid::nil()),
            tenant: TenantId(uuid::Uuid::nil()),
            owner: "somebody".into(),
            status: Status::Valid,
            signed: policy,
            amendment: None,
            in_force: (policy, policy),
        }
    }
}

/// Of a key that was found authentic before its row was read.
impl Statuses for Row {
    fn standing(&self, index: StatusIndex) -> Result<Standing, Missing> {
        match self.status {
            Status::Valid => Ok(Standing::Valid),
            Status::Invalid => Ok(Standing::Invalid),
            Status::Suspended => Ok(Standing::Suspended),
            Status::Amended => self.amendment.map(Standing::Amended).ok_or(Missing::Amendment(index)),
        }
    }

    fn issued(&self, index: StatusIndex, digest: &Digest) -> Result<bool, Missing> {
        Err(Missing::Issued(index, *digest))
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        if policy == self.in_force.0 { self.in_force.1 } else { policy }
    }
}
