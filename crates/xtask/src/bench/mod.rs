//! `cargo xtask bench`: how we compare, one JSON object a line.
//!
//! A ratio says how many times better we are than what stands in `against`, in the same run; greater is better. Peers
//! take turns with us in short rounds, and medians are compared, so that a busy machine is busy for both.

mod cpu;
mod edge;
mod known_key;
mod origin;
mod size;
mod status;
mod verify;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;

/// Something to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// What the edge's WebAssembly weighs
    Size,
    /// What a shard of the status list weighs, against the least that its information can
    Status,
    /// CPU a request at the edge, against a worker that passes everything through
    Edge,
    /// A key's signature checked in WebAssembly, against the runtime's own crypto.subtle
    Verify,
    /// The verifier for keys known beforehand, against other implementations
    KnownKey,
    /// Keys created a second, against rows committed one by one by the same Postgres
    Origin,
}

/// Rounds of each contender.
const ROUNDS: usize = 7;

/// Measures these, or everything when there are none.
pub(crate) fn run(benches: &[Bench]) -> Result<()> {
    let benches = if benches.is_empty() { Bench::value_variants() } else { benches };
    let runtime = tokio::runtime::Runtime::new()?;
    for bench in benches {
        match bench {
            Bench::Size => size::run()?,
            Bench::Status => status::run()?,
            Bench::Edge => runtime.block_on(edge::run())?,
            Bench::Verify => runtime.block_on(verify::run())?,
            Bench::KnownKey => known_key::measure()?,
            Bench::Origin => runtime.block_on(origin::run())?,
        }
    }
    Ok(())
}

/// A result.
struct Line<'a> {
    name: &'a str,
    /// What we are compared with.
    against: &'a str,
    /// How many times better we are.
    ratio: f64,
    /// Ours.
    value: f64,
    unit: &'a str,
    /// Where it ran.
    runtime: &'a str,
}

impl Line<'_> {
    fn print(&self) {
        let Self { name, against, ratio, value, unit, runtime } = self;
        let (ratio, value) = (round(*ratio), round(*value));
        println!("{}", json!({"name": name, "against": against, "ratio": ratio, "value": value, "unit": unit, "runtime": runtime}));
    }
}

/// To four digits that say something.
fn round(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10f64.powi(3 - value.abs().log10().floor() as i32);
    (value * scale).round() / scale
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
