//! What a request says of itself.

use crate::{
    config::{Config, Tls},
    decide::{Outcome, decide, decide_token},
    isolate::{Isolate, held},
    limits::demand::Demand,
    target::{Target, address, origin_host},
    usage::Seen,
};
use keyward_core::{Request, Timestamp};

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

impl Sent<'_> {
    /// What of it is counted; the key is known when it is decided on.
    pub(crate) fn seen(&self, config: &Config) -> Seen {
        Seen { key: None, route: config.routes.find(self.method, &self.target.path), address: address(self.address) }
    }

    /// What it wants of its key's limits.
    pub(crate) fn demand(&self, config: &Config, seen: &Seen) -> Demand {
        Demand::new(seen.route.map_or(0, |number| config.routes.cost_cents(number)), self.tokens)
    }

    /// Decides on it with what is held.
    pub(crate) fn decide(&self, isolate: &Isolate, seen: &Seen, now: Timestamp) -> Outcome {
        let config = &isolate.config;
        let domain = origin_host(self.origin);
        let asked = Request {
            method: self.method,
            path: &self.target.path,
            address: seen.address,
            domain: domain.as_deref(),
            tls: match &config.tls {
                Tls::Scheme => self.target.https,
                Tls::Assumed => true,
                Tls::Header(_) => self.tls == Some("https"),
            },
            requirement: seen.route.and_then(|number| config.routes.entry(number)).map(|(_, requirement)| requirement),
        };
        // No key has a dot.
        let decide = if self.credential.contains('.') { decide_token } else { decide };
        isolate.with(|state| decide(held(state), config, self.credential, &asked, now))
    }
}
