//! What `keyward serve` is told.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::ensure;
use keyward_core::Network;

/// The settings of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The URL by which the world knows this origin: the `iss` of all it signs. No trailing slash.
    pub issuer: String,
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

impl Config {
    /// Refuses what can't work before anything is started.
    ///
    /// # Errors
    /// With what is wrong.
    pub fn check(&self) -> anyhow::Result<()> {
        let shaped = self.issuer.starts_with("http://") || self.issuer.starts_with("https://");
        ensure!(
            shaped
                && !self.issuer.ends_with('/')
                && self.issuer.len() <= MAX_ISSUER
                && self.issuer.bytes().all(|byte| byte.is_ascii_graphic()),
            "the issuer has to be an http(s) URL without a trailing slash, of at most {MAX_ISSUER} characters"
        );
        ensure!(self.token_reuse_seconds <= MAX_TOKEN_REUSE, "tokens can be handed out again for at most {MAX_TOKEN_REUSE} seconds");
        ensure!(USAGE_DAYS.contains(&self.usage_days), "usage is kept for {} to {} days", USAGE_DAYS.start(), USAGE_DAYS.end());
        ensure!(self.decision_hours <= MAX_DECISION_HOURS, "samples of decisions are kept for at most {MAX_DECISION_HOURS} hours");
        Ok(())
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
