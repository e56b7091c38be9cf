//! What the tests stand on, beside the harness.

mod caller;
mod echo;
mod metrics;
pub(crate) mod publisher;
mod stack;
mod statistics;
mod turn;
mod workshop;

pub(crate) use caller::{Answer, Caller, Load};
pub(crate) use echo::{CHUNK, Echo, LEFT, Socket};
pub(crate) use metrics::Metrics;
pub(crate) use publisher::{Publisher, now_ms};
pub(crate) use stack::{METRICS_TOKEN, Stack, common};
pub(crate) use statistics::Statistics;
pub(crate) use turn::{alone, together};
pub(crate) use workshop::{PIECES, Workshop};

use std::time::Duration;

/// For everything that is bound to happen: long, so that a slow machine fails nothing, and irrelevant to a fast one.
pub(crate) const SOON: Duration = Duration::from_secs(20);
