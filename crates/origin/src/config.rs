//! What `keyward serve` is told.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{bail, ensure};
use axum::http::Uri;
use keyward_core::Network;

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The URL by which the world knows this origin: the `iss` of all it signs. No trailing slash.
    pub issuer: String,
    /// The issuer that the deployment had, where this server is to give it its own instead. Without it, a server that has another issuer
    /// than its deployment doesn't start.
    pub change_issuer_from: Option<String>,
    /// Where files stay: the first keys, the journal, the private Postgres.
    pub data_dir: PathBuf,
    /// `false`: nothing is forced to the disk. For tests that kill processes, not machines.
    pub durable: bool,
    /// Static pages to serve, if any.
    pub www: Option<PathBuf>,
    /// Proxies whose word on the client's address and scheme is taken.
    pub trusted_proxies: Vec<Network>,
    /// How many credentials from one address may be no good in a minute; 0: any number.
    pub failures_per_minute: u32,
    /// For how long `validate` gives the same token again for the same key, seconds; 0: a new one each time.
    pub token_reuse_seconds: u64,
    /// For how many days the sums of usage are kept; whole months go at a time.
    pub usage_days: u32,
    /// For how many hours samples of decisions are kept; 0: none is.
    pub decision_hours: u32,
    /// How connections are kept.
    pub connections: Connections,
}

/// How connections are kept.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// At a time; who comes then waits to be let in.
    pub most: usize,
    /// How often it is looked whether anything moves on each. Once without: a head that doesn't come ends it; six times: an answer that
    /// isn't read.
    pub look: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self { most: 10_000, look: Duration::from_secs(10) }
    }
}

/// See [`Config::failures_per_minute`]: more than a misconfigured client makes that tries again every second.
pub const DEFAULT_FAILURES: u32 = 120;
/// See [`Config::token_reuse_seconds`]: a token has four of its five minutes left when it is handed out.
pub const DEFAULT_TOKEN_REUSE: u64 = 60;
/// The longest reuse: a token that is handed out has to be of some use.
const MAX_TOKEN_REUSE: u64 = 240;

/// See [`Config::usage_days`]: a year, and the month before it to compare with.
pub const DEFAULT_USAGE_DAYS: u32 = 400;
/// The fewest, for the series by hour, and the most.
const USAGE_DAYS: std::ops::RangeInclusive<u32> = 31..=3660;

/// See [`Config::decision_hours`]: until somebody who was told of yesterday's trouble looks.
pub const DEFAULT_DECISION_HOURS: u32 = 24;
/// The most: a week of what people's addresses and paths are in.
const MAX_DECISION_HOURS: u32 = 168;

/// The longest issuer: it stands in every status list and token.
const MAX_ISSUER: usize = 256;

/// What a folder of pages has.
const INDEX: &str = "index.html";

impl Config {
    /// Refuses what can't work before anything is started.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(fault) = issuer_fault(&self.issuer) {
            bail!("{:?} can't be the issuer: {fault}", self.issuer);
        }
        if let Some(www) = &self.www {
            ensure!(www.join(INDEX).is_file(), "there are no pages in {}: it has no {INDEX}", www.display());
        }
        ensure!(self.token_reuse_seconds <= MAX_TOKEN_REUSE, "tokens can be handed out again for at most {MAX_TOKEN_REUSE} seconds");
        ensure!(USAGE_DAYS.contains(&self.usage_days), "usage is kept for {} to {} days", USAGE_DAYS.start(), USAGE_DAYS.end());
        ensure!(self.decision_hours <= MAX_DECISION_HOURS, "samples of decisions are kept for at most {MAX_DECISION_HOURS} hours");
        Ok(())
    }

    /// Whether the issuer is the address of no machine: then it is where somebody listens, and not where anybody is reached.
    pub fn is_nowhere(&self) -> bool {
        let host = self.issuer.parse::<Uri>().ok().and_then(|uri| host_address(uri.host()?));
        host.is_some_and(|address| address.is_unspecified())
    }

    /// Whether the world reaches us by TLS.
    pub fn is_secure(&self) -> bool {
        self.issuer.starts_with("https://")
    }

    /// Whether this peer is a proxy that is believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(peer))
    }
}

fn host_address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Why a text can't be the issuer. Others join paths to it, and compare it as it stands.
fn issuer_fault(issuer: &str) -> Option<&'static str> {
    if issuer.len() > MAX_ISSUER {
        return Some("it is too long");
    }
    // The parser would drop a fragment.
    if issuer.contains(['?', '#']) {
        return Some("it has a query or fragment");
    }
    if !issuer.starts_with("http://") && !issuer.starts_with("https://") {
        return Some("it begins with neither https:// nor http://");
    }
    let Ok(uri) = issuer.parse::<Uri>() else { return Some("it is no URL") };
    let (Some(authority), Some(host)) = (uri.authority(), uri.host().filter(|host| !host.is_empty())) else {
        return Some("it has no host");
    };
    if authority.as_str().contains('@') {
        return Some("it holds a user or password");
    }
    if authority.as_str().len() > host.len() && authority.port_u16().is_none() {
        return Some("its port is none");
    }
    issuer.ends_with('/').then_some("it ends with a slash")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_a_url_that_paths_can_be_joined_to() {
        for issuer in ["https://keys.example.com", "http://127.0.0.1:8080", "http://[::1]:8080", "https://example.com/keys"] {
            assert_eq!(issuer_fault(issuer), None, "{issuer}");
        }
        for issuer in [
            "https://a.example/x?y#z",
            "https://a.example?y",
            "https://a.example#z",
            "https://me:secret@a.example",
            "https://",
            "https://:80",
            "https:///x",
            "https://a.example:",
            "https://a.example:99999",
            "https://a.example/",
            "https://a b",
            "ftp://a.example",
            "a.example",
            "",
        ] {
            assert!(issuer_fault(issuer).is_some(), "{issuer}");
        }
        assert!(issuer_fault(&format!("https://{}", "a".repeat(MAX_ISSUER))).is_some());
    }
}
