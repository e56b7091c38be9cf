//! `cargo xtask bench`: how we compare, one JSON object a line.
//!
//! A ratio says how many times better we are than what stands in `against`, in the same run; greater is better. `value`
//! is ours and `peer` theirs. Peers take turns with us in short rounds, none always after the same one (`turns.rs`), and medians
//! are compared, so that a busy machine is busy for both. Decision 0016 says how edges are compared, 0125 how origins are.

mod cpu;
mod edge;
mod figures;
mod issue;
mod load;
mod origin;
mod servers;
mod size;
mod status;
mod turns;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;
pub(crate) use size::hold as hold_size;

/// Something to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// What the WebAssembly of the edge and of the browser package weighs
    Size,
    /// What a shard of the status list weighs, against the least that its information can
    Status,
    /// What checking a key costs at the edge: its signature against other implementations, the first requests of an
    /// isolate, and whole requests against a worker that passes everything through
    Edge,
    /// What the origin does in a second, against better-auth's API keys, pgbench and a bare axum server, all on the same
    /// machine and Postgres; and what it has in memory
    Origin,
}

/// What of the edge or of the origin to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Of the edge: verifications by themselves, warm hits and refusals: in workerd, Node and natively, against other
    /// implementations
    Verify,
    /// Of the edge: the first requests of a fresh isolate, against the same edge without tables
    ColdStart,
    /// Of the edge: whole requests under load, against a worker that passes everything through
    Requests,
    /// Of the edge: requests of a busy key with limits, against one without, and against asking an object each time
    Limits,
    /// Of the origin: keys made and revoked
    Writes,
    /// Of the origin: usage that edges report, added to the sums
    Ingest,
    /// Of the origin: keys asked about
    Validate,
    /// Of the origin: what a server has in memory that has made many keys and was asked about many
    Memory,
}

/// Measures these, or everything when there are none; of the edge and the origin these parts, or all.
pub(crate) fn run(benches: &[Bench], parts: &[Part]) -> Result<()> {
    let benches = if benches.is_empty() { Bench::value_variants() } else { benches };
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    let runtime = tokio::runtime::Runtime::new()?;
    for bench in benches {
        match bench {
            Bench::Size => size::run()?,
            Bench::Status => status::run()?,
            Bench::Edge => runtime.block_on(edge::run(parts))?,
            Bench::Origin => runtime.block_on(origin::run(parts))?,
        }
    }
    Ok(())
}

/// A result.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    name: &'a str,
    /// What we are compared with.
    against: &'a str,
    /// How many times better we are.
    ratio: f64,
    /// Ours.
    value: f64,
    /// Theirs.
    peer: f64,
    unit: &'a str,
    /// Where it ran.
    runtime: &'a str,
}

impl Line<'_> {
    fn print(&self) {
        let Self { name, against, ratio, value, peer, unit, runtime } = self;
        let (ratio, value, peer) = (round(*ratio), round(*value), round(*peer));
        let line = json!({
            "name": name, "against": against, "ratio": ratio, "value": value, "peer": peer, "unit": unit, "runtime": runtime,
        });
        println!("{line}");
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

/// Of an even number of values, what is between the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    f64::midpoint(at(values.len().saturating_sub(1) / 2), at(values.len() / 2))
}

fn lower_quartile(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 4).copied().unwrap_or(f64::NAN)
}
