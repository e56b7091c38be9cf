//! Who calls: a Keyward key, decided upon as the edge would, on the status as committed.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use keyward_core::{
    Amendment, AuditActor, AuthenticKey, Capability, Decision, Environment, KeyId, Missing, NormalPath, ParsedKey, PolicyNumber,
    PolicyTerms, Reason, Request, Requirement, ScopeClass, Standing, Status, StatusIndex, Statuses, TenantId, VerifiedKey, Verifier,
    canonical_address,
};

use crate::{
    audit::Actor,
    clock::expiry_seconds,
    db::{Db, again},
    error::{Error, Result},
    policies::{Stored, policy_number},
    signing::Keyring,
    state::App,
};
use uuid::Uuid;

/// Characters of a client's name that are kept.
const MAX_USER_AGENT: usize = 256;

/// A caller whose key permits what it asks for.
#[derive(Clone)]
pub struct Caller {
    key: VerifiedKey,
    tenant: TenantId,
    actor: Arc<Actor>,
    policy: Arc<Stored>,
}

impl Caller {
    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.key.id()
    }

    /// The key's tenant.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Whose key it is.
    pub fn owner(&self) -> &str {
        &self.actor.who.owner
    }

    /// As the audit trail names it, with the request that it made.
    pub fn actor(&self) -> &Arc<Actor> {
        &self.actor
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
    fn address(&self, app: &App) -> Option<IpAddr> {
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

    /// Who makes it, known by a genuine key.
    fn actor(&self, app: &App, row: &Row) -> Arc<Actor> {
        let actor = Arc::new(Actor {
            who: AuditActor { tenant: row.tenant, key: row.key, owner: row.owner.clone() },
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

    /// The one credential of the request.
    fn credential(&self) -> Result<&'a str, Reason> {
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

/// The caller of a request, who has to have `capability`.
///
/// # Errors
/// The reason why not; `database_unavailable` where it can't be known.
pub async fn authenticate(app: &App, asked: &Asked<'_>, capability: &Capability) -> Result<Caller> {
    let parsed = ParsedKey::parse(asked.credential()?)?;
    // Management is production, whichever environment the keys are for that are managed.
    let genuine = recognise(app, &parsed).await?;
    // From here on a refusal has a name in the audit trail.
    let actor = asked.actor(app, &genuine.row);
    let key = genuine.admit(app, Environment::Live)?;
    let policy = app.policies.lookup(app, key.policy()).await?;
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
    if let Decision::Deny(reason) = policy.policy.decide(&key, &request) {
        return Err(reason.into());
    }
    Ok(Caller { key, tenant: actor.who.tenant, actor, policy })
}

/// What the database says of the credential at an index.
#[derive(Clone)]
pub struct Row {
    /// The key.
    pub key: KeyId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its owner.
    pub owner: String,
    status: Status,
    signed: PolicyNumber,
    amendment: Option<Amendment>,
    /// The signed or amended policy, and what has taken its place.
    in_force: (PolicyNumber, PolicyNumber),
}

/// Verifies a key on its row as it is committed now. Junk and forgeries don't reach the database.
///
/// # Errors
/// The reason why it doesn't hold; `database_unavailable` where it can't be known.
pub async fn verify(app: &App, parsed: &ParsedKey<'_>, environment: Environment) -> Result<(VerifiedKey, Row)> {
    let genuine = recognise(app, parsed).await?;
    Ok((genuine.admit(app, environment)?, genuine.row))
}

/// A key whose signature holds, with its row.
struct Genuine {
    authentic: AuthenticKey,
    row: Row,
    keyring: Arc<Keyring>,
}

/// The costly half of [`verify`]: whose key it is.
async fn recognise(app: &App, parsed: &ParsedKey<'_>) -> Result<Genuine> {
    let keyring = app.keyrings.current();
    let authentic = keyring.authenticate(parsed, app.clock.now())?;
    let claims = authentic.claims();
    // A genuine key without a row was made in a past that was undone. That is final, as a revocation is.
    let row = app.rows.ask(claims.index).await?.filter(|row| row.key == claims.id && row.signed == claims.policy).ok_or(Reason::Revoked)?;
    Ok(Genuine { authentic, row, keyring })
}

impl Genuine {
    /// The other half: whether it holds now.
    fn admit(&self, app: &App, environment: Environment) -> Result<VerifiedKey> {
        Ok(Verifier::new(&self.keyring.keys, &self.row, environment).admit(&self.authentic, app.clock.now())?)
    }
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
            owner: row.owner,
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

impl Statuses for Row {
    fn standing(&self, index: StatusIndex) -> Result<Standing, Missing> {
        match self.status {
            Status::Valid => Ok(Standing::Valid),
            Status::Invalid => Ok(Standing::Invalid),
            Status::Suspended => Ok(Standing::Suspended),
            Status::Amended => self.amendment.map(Standing::Amended).ok_or(Missing::Amendment(index)),
        }
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        if policy == self.in_force.0 { self.in_force.1 } else { policy }
    }
}
