//! What happened, in numbers, for tests and operators (Prometheus' text format 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counters since the server's start.
#[derive(Default)]
pub struct Metrics {
    /// Requests by method, route (a pattern, so that no path with an id is kept) and status.
    requests: Mutex<BTreeMap<(String, String, u16), u64>>,
    /// Objects signed for the feed.
    pub signed: Signed,
    /// Requests refused to callers who proved nothing.
    pub unproved: AtomicU64,
}

/// Objects signed for the feed: shows that many edges cost one signature.
#[derive(Default)]
pub struct Signed {
    /// Deltas.
    pub deltas: AtomicU64,
    /// Heartbeats.
    pub heartbeats: AtomicU64,
    /// Snapshots.
    pub snapshots: AtomicU64,
}

impl Metrics {
    /// Counts a request.
    pub fn count(&self, method: &str, route: &str, status: u16) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((method.to_owned(), route.to_owned(), status)).or_default() += 1;
    }

    /// All of them as text.
    pub fn render(&self, epoch: u32, seq: u64, waiting: u64) -> String {
        let mut text = String::from("# TYPE keyward_requests_total counter\n");
        for ((method, route, status), count) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            // Writing to a string can't fail.
            let _ = writeln!(text, "keyward_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}");
        }
        text.push_str("# TYPE keyward_signed_total counter\n");
        for (kind, count) in [("delta", &self.signed.deltas), ("heartbeat", &self.signed.heartbeats), ("snapshot", &self.signed.snapshots)]
        {
            let _ = writeln!(text, "keyward_signed_total{{kind=\"{kind}\"}} {}", count.load(Ordering::Relaxed));
        }
        let unproved = self.unproved.load(Ordering::Relaxed);
        let _ = writeln!(text, "# TYPE keyward_unproved_refusals_total counter\nkeyward_unproved_refusals_total {unproved}");
        let _ = write!(
            text,
            "# TYPE keyward_feed_epoch gauge\nkeyward_feed_epoch {epoch}\n# TYPE keyward_feed_seq gauge\nkeyward_feed_seq {seq}\n# TYPE keyward_feed_waiting gauge\nkeyward_feed_waiting {waiting}\n"
        );
        text
    }
}
