//! What the edge counts, and how it tells (Prometheus text exposition format, version 0.0.4).

use crate::{
    denial::Denial,
    follow::{Fault, Object},
};
use keyward_core::AcceleratorCounters;
use std::fmt::Write;

/// The media type of the exposition.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4";

/// Counters of one isolate, or of one hub. They begin at nothing whenever it is started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests that were passed to the upstream.
    pub passed: u64,
    /// Requests decided at once, in one call from JavaScript; the others went the long way.
    pub at_once: u64,
    /// Requests that got no answer from the upstream.
    pub upstream_failures: u64,
    /// Times that the feed was asked, the long polls included.
    pub refreshes: u64,
    /// Of these, how many left the state older than it may be.
    pub refresh_failures: u64,
    /// Requests that had to wait for a state.
    pub blocked_waits: u64,
    /// Requests sent to the origin.
    pub origin_requests: u64,
    /// Requests sent to the hub.
    pub hub_requests: u64,
    /// Requests that had to wait for permits of their key.
    pub limit_waits: u64,
    /// Requests that were permitted beyond what is known of their key's limits.
    pub uncounted: u64,
    /// Requests that were ended because their slot was lost.
    pub cut: u64,
    /// Questions and returns sent to keys' objects.
    pub permit_requests: u64,
    /// Of these, how many came to nothing.
    pub permit_failures: u64,
    refused: Tally<Denial>,
    rejected: Tally<(Object, Fault)>,
}

/// Counts by a few keys. A list: there are never many, and maps are large in WebAssembly.
#[derive(Debug)]
struct Tally<K>(Vec<(K, u64)>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq + Copy> Tally<K> {
    fn add(&mut self, key: K) {
        match self.0.iter_mut().find(|(own, _)| *own == key) {
            Some((_, count)) => *count += 1,
            None => self.0.push((key, 1)),
        }
    }

    fn count(&self, key: K) -> u64 {
        self.0.iter().find(|(own, _)| *own == key).map_or(0, |(_, count)| *count)
    }
}

impl Counters {
    /// Counts a refused request.
    pub fn refused(&mut self, denial: impl Into<Denial>) {
        self.refused.add(denial.into());
    }

    /// Counts something that arrived over the feed and was not taken.
    pub fn rejected(&mut self, object: Object, fault: Fault) {
        self.rejected.add((object, fault));
    }

    /// An answer that has the shape it should have; one that hasn't is counted.
    pub fn parsed<T: serde::de::DeserializeOwned>(&mut self, text: &str) -> Option<T> {
        let parsed = serde_json::from_str(text).ok();
        if parsed.is_none() {
            self.rejected(Object::Reply, Fault::Shape);
        }
        parsed
    }

    /// Writes an isolate's counters.
    pub fn write_isolate(&self, out: &mut String) {
        family(out, "keyward_refused_total", "counter", "Requests refused, by reason code.");
        for denial in Denial::all() {
            sample(out, "keyward_refused_total", &format!("reason=\"{}\"", denial.code()), self.refused.count(denial));
        }
        for (name, help, value) in [
            ("keyward_passed_total", "Requests permitted.", self.passed),
            ("keyward_at_once_total", "Requests, permitted or refused, that were decided on the short way.", self.at_once),
            ("keyward_upstream_requests_total", "Requests sent to the upstream.", self.passed),
            ("keyward_upstream_failures_total", "Requests that got no answer from the upstream.", self.upstream_failures),
            ("keyward_blocked_waits_total", "Requests that had to wait for a state.", self.blocked_waits),
            ("keyward_hub_requests_total", "Requests sent to the hub.", self.hub_requests),
            ("keyward_limit_waits_total", "Requests that had to wait for permits of their key.", self.limit_waits),
            ("keyward_uncounted_total", "Requests permitted beyond what is known of their key's limits.", self.uncounted),
            ("keyward_cut_total", "Requests ended because their slots could not be held.", self.cut),
            ("keyward_permit_requests_total", "Questions and returns sent to keys' objects.", self.permit_requests),
            ("keyward_permit_failures_total", "Of these, how many got no answer, or none that could be used.", self.permit_failures),
        ] {
            family(out, name, "counter", help);
            sample(out, name, "", value);
        }
        self.write_feed("keyward", out);
    }

    /// Writes a hub's counters.
    pub fn write_hub(&self, out: &mut String) {
        self.write_feed("keyward_hub", out);
    }

    fn write_feed(&self, prefix: &str, out: &mut String) {
        for (name, help, value) in [
            ("refreshes_total", "Times that the feed was asked.", self.refreshes),
            ("refresh_failures_total", "Times that asking did not make the state fresh.", self.refresh_failures),
            ("origin_requests_total", "Requests sent to the origin.", self.origin_requests),
        ] {
            let name = format!("{prefix}_{name}");
            family(out, &name, "counter", help);
            sample(out, &name, "", value);
        }
        let name = format!("{prefix}_feed_rejected_total");
        family(out, &name, "counter", "Objects of the feed that were not taken, by kind and fault.");
        for ((object, fault), value) in &self.rejected.0 {
            sample(out, &name, &format!("object=\"{}\",fault=\"{}\"", object.as_str(), fault.as_str()), *value);
        }
    }
}

/// Writes how signatures were verified.
pub fn signatures(out: &mut String, counters: AcceleratorCounters, remembered: u64) {
    family(out, "keyward_signatures_total", "counter", "Signatures judged: by tables, by the reference, by both, or from memory.");
    for (by, value) in [("tables", counters.fast), ("reference", counters.reference), ("both", counters.guarded), ("memory", remembered)] {
        sample(out, "keyward_signatures_total", &format!("by=\"{by}\""), value);
    }
    let name = "keyward_signature_disagreements_total";
    family(out, name, "counter", "Times that tables and reference did not agree: more than none is a defect.");
    sample(out, name, "", counters.disagreements);
}

/// Writes how many counted requests the hub hasn't taken yet, and how many could not be counted.
pub fn usage(out: &mut String, unreported: u64, lost: u64) {
    gauge(out, "keyward_usage_unreported", "Requests that were counted and that the hub hasn't taken yet.", unreported);
    let name = "keyward_usage_lost_total";
    family(out, name, "counter", "Requests that could not be counted, or their answers: too many at a time, or no hub for too long.");
    sample(out, name, "", lost);
}

/// Writes what became of a hub's batches of usage.
pub fn hub_usage(out: &mut String, waiting: u64, sent: u64, dropped: u64) {
    gauge(out, "keyward_hub_usage_waiting", "Batches of usage that wait for the origin.", waiting);
    let name = "keyward_hub_usage_batches_total";
    family(out, name, "counter", "Batches of usage that the origin has, and batches that were given up.");
    sample(out, name, "fate=\"sent\"", sent);
    sample(out, name, "fate=\"dropped\"", dropped);
}

/// Writes a gauge.
pub fn gauge(out: &mut String, name: &str, help: &str, value: u64) {
    family(out, name, "gauge", help);
    sample(out, name, "", value);
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String can't fail.
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}

fn sample(out: &mut String, name: &str, labels: &str, value: u64) {
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        labels => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyward_core::Reason;

    #[test]
    fn every_reason_has_a_line_and_the_counts_are_right() {
        let mut counters = Counters::default();
        counters.refused(Reason::Revoked);
        counters.refused(Reason::Revoked);
        counters.rejected(Object::Delta, Fault::Signature);
        let mut text = String::new();
        counters.write_isolate(&mut text);
        assert!(text.contains("keyward_refused_total{reason=\"key_revoked\"} 2\n"));
        assert!(text.contains("keyward_refused_total{reason=\"malformed\"} 0\n"));
        assert!(text.contains("keyward_feed_rejected_total{object=\"delta\",fault=\"signature\"} 1\n"));
    }
}
