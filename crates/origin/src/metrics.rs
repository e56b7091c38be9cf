//! What has happened, in numbers, for tests and operators: OpenMetrics text, as Prometheus reads it.
//!
//! Nothing is labelled by what clients bring: neither by a key, nor by a tenant, nor by a path as it was sent.

use std::{borrow::Cow, sync::atomic::AtomicI64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

/// Upper bounds of the buckets of durations, seconds: from a recognised caller to a database in trouble.
const DURATIONS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 20.0];

/// Counters since the server's start, and gauges as of their last reading.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Route, Histogram, fn() -> Histogram>,
    /// Objects signed for the feed.
    pub signed: Signed,
    /// Requests refused to callers who proved nothing.
    pub unproved: Counter,
    /// Requests that were turned away, unread, for what failed before from their address.
    pub turned_away: Counter,
    /// Edges that said that they had seen more than there is, and could not show it.
    pub positions_unproved: Counter,
    /// Requests that waited for permits of their key's limits.
    pub waited: Counter,
    feed_epoch: Gauge,
    feed_seq: Gauge,
    feed_waiting: Gauge,
    decision_streams: Gauge,
    manifest_expires: Gauge,
    connections: Family<Connections, Gauge<i64, AtomicI64>>,
}

/// A gauge's reading.
pub struct Readings {
    /// The feed's epoch.
    pub epoch: u32,
    /// The feed's last sequence number.
    pub seq: u64,
    /// Long polls under way.
    pub waiting: u64,
    /// Streams of decisions that are open.
    pub decision_streams: usize,
    /// Unix seconds from which edges trust nothing any more, unless a new manifest is signed.
    pub manifest_expires: u64,
    /// Connections to the database: the pool's name, how many there are, how many of them are idle.
    pub connections: [(&'static str, u32, usize); 4],
}

/// Objects signed for the feed: shows that many edges cost one signature.
#[derive(Clone, Default)]
pub struct Signed(Family<Kind, Counter>);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: Cow<'static, str>,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: Cow<'static, str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Connections {
    pool: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        let durations: fn() -> Histogram = || Histogram::new(DURATIONS);
        let mut metrics = Self {
            registry: Registry::with_prefix("keyward"),
            requests: Family::default(),
            durations: Family::new_with_constructor(durations),
            signed: Signed::default(),
            unproved: Counter::default(),
            turned_away: Counter::default(),
            positions_unproved: Counter::default(),
            waited: Counter::default(),
            feed_epoch: Gauge::default(),
            feed_seq: Gauge::default(),
            feed_waiting: Gauge::default(),
            decision_streams: Gauge::default(),
            manifest_expires: Gauge::default(),
            connections: Family::default(),
        };
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION") }).set(1);
        let registry = &mut metrics.registry;
        registry.register("build_info", "What this server was built from", build);
        registry.register("requests", "Requests answered, by route (a pattern)", metrics.requests.clone());
        registry.register_with_unit("request_duration", "How long answers took", Unit::Seconds, metrics.durations.clone());
        registry.register("signed", "Objects signed for the feed", metrics.signed.0.clone());
        registry.register("unproved_refusals", "Requests refused to callers who proved nothing", metrics.unproved.clone());
        registry.register(
            "positions_unproved",
            "Edges that said that they had seen more than there is, and could not show it",
            metrics.positions_unproved.clone(),
        );
        registry.register("turned_away", "Requests not looked at, after many failures from their address", metrics.turned_away.clone());
        registry.register("limit_waits", "Requests that waited for permits of their key's limits", metrics.waited.clone());
        registry.register("feed_epoch", "The feed's epoch", metrics.feed_epoch.clone());
        registry.register("feed_seq", "The feed's last sequence number", metrics.feed_seq.clone());
        registry.register("feed_waiting", "Long polls under way", metrics.feed_waiting.clone());
        registry.register("decision_streams", "Streams of decisions that are open", metrics.decision_streams.clone());
        registry.register_with_unit(
            "manifest_expires",
            "Unix time from which edges trust nothing any more, unless a new manifest is signed before",
            Unit::Seconds,
            metrics.manifest_expires.clone(),
        );
        registry.register("database_connections", "Connections to the database, by pool and state", metrics.connections.clone());
        metrics
    }
}

impl Signed {
    /// Counts an object of a kind.
    pub fn count(&self, kind: &'static str) {
        self.0.get_or_create(&Kind { kind }).inc();
    }
}

impl Metrics {
    /// Counts a request.
    pub fn count(&self, method: &'static str, route: Cow<'static, str>, status: u16, took: Duration) {
        self.durations.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Answered { method, route, status }).inc();
    }

    /// All of them as text.
    pub fn render(&self, readings: &Readings) -> String {
        self.feed_epoch.set(readings.epoch.into());
        self.feed_seq.set(readings.seq.try_into().unwrap_or(i64::MAX));
        self.feed_waiting.set(readings.waiting.try_into().unwrap_or(i64::MAX));
        self.decision_streams.set(readings.decision_streams.try_into().unwrap_or(i64::MAX));
        self.manifest_expires.set(readings.manifest_expires.try_into().unwrap_or(i64::MAX));
        for (pool, all, idle) in readings.connections {
            let idle = i64::try_from(idle).unwrap_or(i64::MAX);
            let gauge = |state| self.connections.get_or_create_owned(&Connections { pool, state });
            gauge("idle").set(idle);
            gauge("busy").set(i64::from(all) - idle);
        }
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
