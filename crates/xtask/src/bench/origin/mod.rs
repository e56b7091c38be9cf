//! What the origin does in a second, whole path each: an authenticated caller, the audit trail where it is due, and all of it
//! through HTTP. `validate` is about answers from memory, `writes` and `ingest` about what is committed, `memory` about what
//! a server holds; fsync is on for everybody.
//!
//! Peers: better-auth with its API keys and pgbench, on the same Postgres, and a bare axum server. Decision 0125 says how they
//! are compared: whoever has a turn is warmed up with requests that don't count, and then measured by the clock.

mod contender;
mod ingest;
mod memory;
mod peers;
mod pgbench;
mod validate;
mod writes;

use anyhow::Result;
use keyward_tests::{Origin, OriginConfig};

use super::{
    Part,
    figures::{Figures, Goal, goal},
    load::Load,
    servers,
};

/// For everybody.
const CONNECTIONS: usize = 32;
/// Before each turn: whoever was idle, or has just started, takes up what it works with.
const WARM_UP_SECONDS: u32 = 2;
const TURN_SECONDS: u32 = 3;
const BETTER_AUTH: &str = "better-auth";
/// It has no call that makes many keys.
const ONE_BY_ONE: &str = "better-auth, one by one";
const PGBENCH: &str = "pgbench";
const SQL: &str = "sql";
const AXUM: &str = "axum-hello";
const P99: &str = "8 ms";
const MEMORY: &str = "200 MB";
const RUNTIME: &str = "native";

/// What there is to reach.
const GOALS: [Goal; 12] = [
    goal("validate.fresh", BETTER_AUTH, RUNTIME, 30.0),
    goal("validate.reused", BETTER_AUTH, RUNTIME, 80.0),
    goal("validate.hotkey", BETTER_AUTH, RUNTIME, 40.0),
    goal("validate.forged", BETTER_AUTH, RUNTIME, 8.0),
    goal("validate.cold", BETTER_AUTH, RUNTIME, 10.0),
    goal("validate.p99", P99, RUNTIME, 1.0),
    goal("create.rate", BETTER_AUTH, RUNTIME, 8.0),
    goal("create.rate", PGBENCH, RUNTIME, 1.0),
    goal("create.batch", ONE_BY_ONE, RUNTIME, 15.0),
    goal("revoke.rate", BETTER_AUTH, RUNTIME, 4.0),
    goal("ingest.rate", SQL, RUNTIME, 0.5),
    goal("memory.resident", MEMORY, RUNTIME, 1.0),
];

/// Measures these parts.
pub(super) async fn run(parts: &[Part]) -> Result<()> {
    servers::build()?;
    let load = Load::new()?;
    let mut figures = Figures::new(&GOALS);
    if parts.contains(&Part::Memory) {
        memory::run(&mut figures, &load).await?;
    }
    if [Part::Writes, Part::Ingest, Part::Validate].iter().any(|part| parts.contains(part)) {
        let mut origin = start(&[]).await?;
        let peer = peers::BetterAuth::start(&origin).await?;
        if parts.contains(&Part::Writes) {
            writes::run(&mut figures, &load, &origin, &peer).await?;
        }
        if parts.contains(&Part::Ingest) {
            ingest::run(&mut figures, &origin).await?;
        }
        if parts.contains(&Part::Validate) {
            validate::run(&mut figures, &load, &mut origin, &peer).await?;
        }
    }
    figures.summary();
    Ok(())
}

/// An origin on a Postgres that writes through to the disk.
async fn start(env: &[(&str, &str)]) -> Result<Origin> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    servers::origin(OriginConfig { fsync: true, env, ..OriginConfig::default() }).await
}
