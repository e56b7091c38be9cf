//! Waiting for a condition instead of for a time.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How often a condition is looked at: short against everything that a test measures.
const PERIOD: Duration = Duration::from_millis(5);

/// Asks `probe` until it answers `Some`, and returns that.
///
/// # Errors
/// When it hasn't answered by `within`; `what` says in words what was waited for.
pub async fn eventually<T, F>(what: &str, within: Duration, mut probe: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(answer) = probe().await {
            return Ok(answer);
        }
        if start.elapsed() >= within {
            bail!("waited {within:?} in vain until {what}");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Asks `probe` again and again for as long as `time`, at least once: for what must *not* change.
///
/// # Errors
/// As soon as it answers `false`.
pub async fn holds_for<F>(what: &str, time: Duration, mut probe: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = bool>,
{
    let start = Instant::now();
    loop {
        if !probe().await {
            bail!("after {:?} it was no longer so that {what}", start.elapsed());
        }
        if start.elapsed() >= time {
            return Ok(());
        }
        tokio::time::sleep(PERIOD).await;
    }
}
