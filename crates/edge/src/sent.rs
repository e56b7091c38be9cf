//! What a request says of itself.

use crate::{
    config::{Config, Tls},
    decide::{Outcome, decide, decide_token},
    decisions::Facts,
    isolate::{Isolate, held},
    limits::demand::Demand,
    target::{Target, address},
    usage::Seen,
};
use keyward_core::{Request, Timestamp, origin_host};
use worker::web_sys;

/// What a request says of itself, as it was sent. A header that can't be read counts as absent, which permits nothing.
pub(crate) struct Sent<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: &'a Target,
    /// The text of its one credential.
    pub(crate) credential: &'a str,
    /// The header that names the caller's address.
    pub(crate) address: Option<&'a str>,
    /// The header Origin.
    pub(crate) origin: Option<&'a str>,
    /// The header that tells of TLS, where one does.
    pub(crate) tls: Option<&'a str>,
    /// The header that declares tokens, where one does.
    pub(crate) tokens: Option<&'a str>,
}

/// The headers that say it, as a request has them.
pub(crate) struct Said {
    address: Option<String>,
    origin: Option<String>,
    tls: Option<String>,
    tokens: Option<String>,
}

impl Said {
    /// Reads them.
    pub(crate) fn read(config: &Config, headers: &web_sys::Headers) -> Self {
        let header = |name: &str| headers.get(name).ok().flatten();
        Self {
            address: header(&config.client_ip_header),
            origin: header("origin"),
            tls: config.tls.header().and_then(header),
            tokens: config.tokens_header.as_deref().and_then(header),
        }
    }

    /// The request that has them.
    pub(crate) fn of<'a>(&'a self, method: &'a str, target: &'a Target, credential: &'a str) -> Sent<'a> {
        let Self { address, origin, tls, tokens } = self;
        let [address, origin, tls, tokens] = [address, origin, tls, tokens].map(Option::as_deref);
        Sent { method, target, credential, address, origin, tls, tokens }
    }
}

impl Sent<'_> {
    /// What of it is counted; the key is known when it is decided on.
    pub(crate) fn seen(&self, config: &Config) -> Seen {
        let route = config.routes.find(self.method, &self.target.path);
        Seen { route, address: address(self.address), ..Seen::default() }
    }

    /// What it wants of its key's limits.
    pub(crate) fn demand(&self, config: &Config, seen: &Seen) -> Demand {
        Demand::new(seen.route.map_or(0, |number| config.routes.cost_cents(number)), self.tokens)
    }

    /// What is kept of it, where it is taken as a sample.
    pub(crate) fn facts(&self, config: &Config, seen: &Seen) -> Facts {
        Facts {
            method: self.method.to_owned(),
            path: self.target.path.as_str().to_owned(),
            address: seen.address,
            domain: self.origin.and_then(origin_host),
            tls: self.is_tls(config),
            token: self.is_token(),
            route: seen.route,
        }
    }

    fn is_tls(&self, config: &Config) -> bool {
        match &config.tls {
            Tls::Scheme => self.target.https,
            Tls::Assumed => true,
            Tls::Header(_) => self.tls == Some("https"),
        }
    }

    /// No key has a dot.
    fn is_token(&self) -> bool {
        self.credential.contains('.')
    }

    /// Decides on it with what is held.
    pub(crate) fn decide(&self, isolate: &Isolate, seen: &Seen, now: Timestamp) -> Outcome {
        let config = &isolate.config;
        let domain = self.origin.and_then(origin_host);
        let asked = Request {
            method: self.method,
            path: &self.target.path,
            address: seen.address,
            domain: domain.as_deref(),
            tls: self.is_tls(config),
            requirement: seen.route.and_then(|number| config.routes.entry(number)).map(|(_, requirement)| requirement),
        };
        let decide = if self.is_token() { decide_token } else { decide };
        isolate.with(|state| decide(held(state), config, self.credential, &asked, now))
    }
}
