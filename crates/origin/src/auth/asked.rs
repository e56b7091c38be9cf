//! The facts of a request that a decision about its caller looks at.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
};

use axum::{
    extract::ConnectInfo,
    http::{HeaderMap, Method, Uri, header, request::Parts},
};
use keyward_api::{Code, session::CSRF_HEADER};
use keyward_core::{AnyOr, AuditActor, PolicyClaims, Reason, canonical_address, find_credential, origin_host};
use uuid::Uuid;

use super::Row;
use crate::{
    audit::Actor,
    error::Result,
    sessions::{Secret, cookie},
    state::App,
};

/// Characters of a client's name that are kept.
const MAX_USER_AGENT: usize = 256;

/// Where a session stands in for its key.
const SESSIONS: [&str; 3] = ["/api/v1/", "/oauth/", "/session"];

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

/// What somebody shows who makes a request, or what stands in its place.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// A raw key.
    Key(&'a str),
    /// The secret of a session.
    Session(&'a str),
}

/// The facts of a request that a policy looks at.
pub struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
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

    /// The same of a request that doesn't carry with it who is connected, and who watches over it.
    pub fn told(parts: &'a Parts, peer: SocketAddr, visit: &'a Visit) -> Self {
        let peer = Some(canonical_address(peer.ip()));
        Self { method: &parts.method, uri: &parts.uri, headers: &parts.headers, peer, visit: Some(visit) }
    }

    /// Its target.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Its method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Its headers.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Whether it comes from a proxy that is believed.
    fn proxied(&self, app: &App) -> bool {
        self.peer.is_some_and(|peer| app.config.trusts(peer))
    }

    /// The client's address: the peer's, or where that is a proxy that is believed, the last one in X-Forwarded-For
    /// that isn't one too; `None` where what stands in its place is no address.
    pub fn address(&self, app: &App) -> Option<IpAddr> {
        if !self.proxied(app) {
            return self.peer;
        }
        let lines = self.headers.get_all("x-forwarded-for").iter().rev();
        // As bytes: what a client wrote before a hop that is a proxy's word may be anything.
        for hop in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            let hop = hop_address(hop)?;
            if !app.config.trusts(hop) {
                return Some(hop);
            }
        }
        self.peer
    }

    /// To whom its failures are put down: its address, or where the proxy doesn't say it, the proxy.
    pub fn answerable(&self, app: &App) -> Option<IpAddr> {
        self.address(app).or(self.peer)
    }

    /// Passes where credentials from this address may still turn out to be no good.
    pub fn guard(&self, app: &App) -> Result<()> {
        let Some(address) = self.answerable(app) else { return Ok(()) };
        app.failures.guard(address, app.clock.now())
    }

    /// Whether nobody on the way can read it: TLS up to a proxy that is believed, or never off this machine.
    pub(super) fn is_confidential(&self, app: &App) -> bool {
        if self.proxied(app) {
            return self.headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
        }
        self.peer.is_some_and(|peer| peer.is_loopback())
    }

    /// The host of the Origin header, lower case (RFC 6454 section 7).
    pub(super) fn domain(&self) -> Option<String> {
        origin_host(self.headers.get(header::ORIGIN)?.to_str().ok()?)
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
    pub fn actor(&self, app: &App, row: &Row) -> Arc<Actor> {
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
    pub(super) fn admitted_by(&self, app: &App, claims: &PolicyClaims) -> Result<(), Reason> {
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

    /// The one credential of the request; `None` where it has none. A session stands in for its key where people manage keys,
    /// and nowhere else: edges have no browsers.
    ///
    /// # Errors
    /// `credentials_conflict`, `credential_missing` where it is of another scheme alone.
    pub fn credential(&self, app: &App) -> Result<Option<Credential<'a>>, Reason> {
        let session = match SESSIONS.iter().any(|start| self.uri.path().starts_with(start)) {
            true => cookie::find(self.headers, &app.config)?,
            false => None,
        };
        match (self.key()?, session) {
            (Some(_), Some(_)) => Err(Reason::CredentialsConflict),
            (key, session) => Ok(key.map(Credential::Key).or(session.map(Credential::Session))),
        }
    }

    /// The one key of the request, whatever else it has.
    ///
    /// # Errors
    /// As [`Self::credential`].
    pub fn key(&self) -> Result<Option<&'a str>, Reason> {
        // What can't be read is a credential, too, and none of ours.
        let values = |name: &'static str| self.headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?"));
        find_credential(values("authorization"), values("x-api-key"))
    }

    /// Passes where a request with a session's cookie is the session's own: where it changes something, it says what only a
    /// page of ours can know, and the browser doesn't say that another site's made it.
    pub fn is_own(&self, app: &App, secret: &Secret) -> Result<()> {
        if matches!(*self.method, Method::GET | Method::HEAD | Method::OPTIONS) {
            return Ok(());
        }
        let only = |name: &str| {
            let mut all = self.headers.get_all(name).iter();
            all.next().filter(|_| all.next().is_none()).and_then(|value| value.to_str().ok())
        };
        let said = |name: &str| self.headers.contains_key(name);
        // https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header: `same-site` is another host's.
        let same_site = !said("sec-fetch-site") || only("sec-fetch-site") == Some("same-origin");
        let same_origin = !said("origin") || only("origin").is_some_and(|origin| self.is_ours(app, origin));
        if same_site && same_origin && only(CSRF_HEADER).is_some_and(|said| secret.has_csrf(said)) {
            return Ok(());
        }
        Err(Code::CsrfRefused.into())
    }

    /// Whether an origin (RFC 6454 section 6.2) is the one by which the world knows us, or the one that was asked.
    fn is_ours(&self, app: &App, origin: &str) -> bool {
        let asked = || {
            let host = self.headers.get(header::HOST)?.to_str().ok()?;
            let (scheme, authority) = origin.split_once("://")?;
            // Whoever is on the network can be any host without TLS.
            let scheme = scheme == "https" || scheme == "http" && !app.config.is_secure();
            Some(scheme && authority.eq_ignore_ascii_case(host))
        };
        origin == app.config.issuer || asked().unwrap_or(false)
    }
}

/// The address of a hop in X-Forwarded-For; some proxies name its port, too.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim();
    let address = hop.parse().or_else(|_| hop.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(canonical_address)
}
