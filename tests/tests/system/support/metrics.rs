//! An edge's counters.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use keyward_tests::{Edge, http::Request};

use super::METRICS_TOKEN;

/// The counters of one isolate at one moment, by their whole names with labels.
#[derive(Clone, Debug)]
pub(crate) struct Metrics(BTreeMap<String, u64>);

impl Metrics {
    /// Asks an isolate for its counters.
    pub(crate) async fn of(edge: &Edge, isolate: usize) -> Result<Self> {
        let request = Request::get("/.keyward/metrics").bearer(METRICS_TOKEN);
        let text = edge.send(isolate, &request).await?.expect(200)?.text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, value)| {
            let value: f64 = value.parse().with_context(|| format!("{name} {value}"))?;
            anyhow::Ok((name.to_owned(), value as u64))
        });
        Ok(Self(series.collect::<Result<_>>()?))
    }

    /// The sum of all series of this name, whatever their labels.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        let of_name = |series: &&String| series.split('{').next() == Some(name);
        self.0.iter().filter(|(series, _)| of_name(series)).map(|(_, value)| value).sum()
    }

    /// How many requests were refused for this reason.
    pub(crate) fn refused(&self, code: &str) -> u64 {
        self.0.get(&format!("keyward_refused_total{{reason=\"{code}\"}}")).copied().unwrap_or(0)
    }

    /// How many requests were passed on.
    pub(crate) fn passed(&self) -> u64 {
        self.sum("keyward_passed_total")
    }

    /// How many requests were decided on the short way.
    pub(crate) fn at_once(&self) -> u64 {
        self.sum("keyward_at_once_total")
    }

    /// How many requests waited for a refresh.
    pub(crate) fn blocked(&self) -> u64 {
        self.sum("keyward_blocked_waits_total")
    }

    /// How many objects of the feed were refused, by the isolate or by its hub.
    pub(crate) fn rejected(&self) -> u64 {
        self.sum("keyward_feed_rejected_total") + self.sum("keyward_hub_feed_rejected_total")
    }
}
