//! What checking a key costs at the edge. `verify` compares verifications by themselves, `cold_start` the first requests
//! of an isolate, `requests` whole requests; `figures` says what was to be reached.

mod cold_start;
mod figures;
mod hosts;
mod load;
mod requests;
mod slots;
mod verify;

use anyhow::Result;
use clap::ValueEnum;
use figures::Figures;

/// What of the edge to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Verifications by themselves, warm hits and refusals: in workerd, Node and natively, against other implementations
    Verify,
    /// The first requests of a fresh isolate, against the same edge without tables
    ColdStart,
    /// Whole requests under load, against a worker that passes everything through
    Requests,
}

/// Measures these parts, or all when there are none.
pub(super) async fn run(parts: &[Part]) -> Result<()> {
    let parts = if parts.is_empty() { Part::value_variants() } else { parts };
    let mut figures = Figures::default();
    for part in parts {
        match part {
            Part::Verify => verify::run(&mut figures).await?,
            Part::ColdStart => cold_start::run(&mut figures).await?,
            Part::Requests => requests::run(&mut figures).await?,
        }
    }
    figures.summary();
    Ok(())
}
