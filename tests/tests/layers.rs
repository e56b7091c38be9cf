//! Nothing points upward: the absences that ARCHITECTURE.md states, proved from Cargo's own graph of packages.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Result, ensure};
use keyward_tests::workspace_root;

const WASM: &str = "wasm32-unknown-unknown";

/// The packages that `from` reaches by normal dependencies where it is built for `target`, itself among them.
///
/// `cargo tree` and not `cargo metadata`: the latter unites the features of the whole workspace and of every platform,
/// and so shows what the origin asks of a shared package as if the core did.
fn reached(from: &str, target: &str) -> Result<BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--package", from, "--edges=normal", "--prefix=none", "--format={p}", "--target", target])
        .current_dir(workspace_root())
        .output()?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let names: BTreeSet<_> = text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    ensure!(names.contains(from), "cargo tree shows nothing of {from}: {text}");
    Ok(names)
}

fn check(from: &str, target: &str, never: &[&str]) -> Result<()> {
    let reached = reached(from, target)?;
    for name in never {
        ensure!(!reached.contains(*name), "{from} reaches {name}");
    }
    Ok(())
}

const RUNTIMES: [&str; 6] = ["tokio", "mio", "async-std", "smol", "worker", "wasm-bindgen"];
const DATABASES: [&str; 3] = ["sqlx", "sqlx-core", "tokio-postgres"];
const HTTP: [&str; 5] = ["http", "hyper", "reqwest", "axum", "tower"];
const CLOCKS: [&str; 6] = ["time", "chrono", "jiff", "web-time", "instant", "quanta"];
const RANDOMNESS: [&str; 3] = ["getrandom", "rand", "fastrand"];

#[test]
fn the_core_has_no_runtime_database_http_clock_or_randomness() -> Result<()> {
    let forbidden = [&RUNTIMES[..], &DATABASES, &HTTP, &CLOCKS, &RANDOMNESS].concat();
    check("keyward-core", "all", &forbidden)?;
    // The same holds of what only adds private keys to it.
    check("keyward-issuer", "all", &forbidden)
}

#[test]
fn what_runs_at_the_edge_or_in_a_browser_reaches_no_private_key() -> Result<()> {
    for name in ["keyward-edge", "keyward-wasm"] {
        let forbidden = [&DATABASES[..], &["mio", "keyward-issuer", "keyward-origin", "keyward-postgres"]].concat();
        check(name, WASM, &forbidden)?;
    }
    Ok(())
}

#[test]
fn no_layer_reaches_one_above_it() -> Result<()> {
    let order = ["keyward-core", "keyward-api", "keyward-issuer", "keyward-origin"];
    for (at, name) in order.iter().enumerate() {
        let mut above = order[at + 1..].to_vec();
        above.extend(["keyward-wasm", "keyward-edge", "keyward-tests", "xtask"]);
        check(name, "all", &above)?;
    }
    check("keyward-edge", WASM, &["keyward-wasm", "keyward-tests", "xtask"])
}
