//! What checking a key costs at the edge. `verify` compares verifications by themselves, `cold_start` the first requests
//! of an isolate, `requests` whole requests, `limits` those of a key with limits; `GOALS` says what was to be reached.

mod cold_start;
mod hosts;
mod limits;
mod requests;
mod slots;
mod verify;

use anyhow::Result;

use super::{
    Part,
    figures::{Figures, Goal, goal},
};

/// What there is to reach. A request that may cost 1.25 times its peer's is 0.8 times better. Against jose the goal was set for
/// `verify.cold`; it is held by what does as much as jose does, `verify.whole`.
const GOALS: [Goal; 20] = [
    goal("verify.cold.w6", "webcrypto", "workerd", 3.0),
    goal("verify.cold.w8", "webcrypto", "workerd", 4.0),
    goal("verify.cold.w6", "dalek", "workerd", 6.0),
    goal("verify.cold.w8", "dalek", "workerd", 8.0),
    goal("verify.whole.w6", "jose", "workerd", 4.5),
    goal("verify.whole.w8", "jose", "workerd", 4.5),
    goal("verify.cold.w6", "dalek", "native", 1.0 / 0.35),
    goal("verify.cold.w8", "dalek", "native", 1.0 / 0.30),
    goal("verify.warm", "map-get", "workerd", 1.0 / 2.0),
    goal("verify.warm", "verify.cold.w6", "workerd", 30.0),
    goal("reject.malformed", "map-get", "workerd", 5.0),
    goal("reject.checksum", "map-get", "workerd", 1.0 / 1.3),
    goal("cold-start.first-request", "dalek", "workerd", 1.0),
    goal("cold-start.longest-step", "2 ms", "workerd", 1.0),
    goal("edge.known-key", PASS_THROUGH, "workerd", 1.0 / 1.25),
    goal("edge.new-key", PASS_THROUGH, "workerd", 1.0 / 1.5),
    goal("limits.cpu", UNLIMITED, "workerd", 1.0 / 1.10),
    goal("limits.p50", UNLIMITED, "workerd", 1.0 / 1.10),
    goal("limits.throughput", EACH_TIME, "workerd", 2.0),
    goal("limits.waits", "1 % of requests", "workerd", 1.0),
];

/// The peer of whole requests.
const PASS_THROUGH: &str = "a worker that passes through";

/// The peers of limited requests.
const UNLIMITED: &str = "a key without limits";
const EACH_TIME: &str = "an object asked each time";

/// Measures these parts.
pub(super) async fn run(parts: &[Part]) -> Result<()> {
    let mut figures = Figures::new(&GOALS);
    for part in parts {
        match part {
            Part::Verify => verify::run(&mut figures).await?,
            Part::ColdStart => cold_start::run(&mut figures).await?,
            Part::Requests => requests::run(&mut figures).await?,
            Part::Limits => limits::run(&mut figures).await?,
            Part::Writes | Part::Ingest | Part::Validate | Part::Memory => {}
        }
    }
    figures.summary();
    Ok(())
}
