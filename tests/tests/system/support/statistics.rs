//! A few durations, summed up.

use std::{fmt, time::Duration};

/// Durations that were measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statistics(Vec<Duration>);

impl Statistics {
    pub(crate) fn add(&mut self, time: Duration) {
        let at = self.0.partition_point(|other| *other <= time);
        self.0.insert(at, time);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The largest; zero where nothing was measured.
    pub(crate) fn max(&self) -> Duration {
        self.quantile(1.0)
    }

    /// The value below which this share of all lies; zero where nothing was measured.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let at = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Statistics {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        let mut times: Vec<_> = times.into_iter().collect();
        times.sort_unstable();
        Self(times)
    }
}

impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "median {:.1} ms, p99 {:.1} ms, largest {:.1} ms of {}",
            ms(self.quantile(0.5)),
            ms(self.quantile(0.99)),
            ms(self.max()),
            self.0.len()
        )
    }
}
