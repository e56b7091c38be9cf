//! What must not reach what, proved from Cargo's own account of the dependencies.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Has no standard library, hence nothing that is only there for a host with one.
const BARE: &str = "thumbv7em-none-eabihf";
const WASM: &str = "wasm32-unknown-unknown";
const NATIVE: &str = "x86_64-unknown-linux-gnu";

/// Runtimes, databases, HTTP and clocks: what the core has none of.
const OUTSIDE_THE_CORE: [&str; 22] = [
    "async-std",
    "axum",
    "chrono",
    "futures-executor",
    "getrandom",
    "http",
    "hyper",
    "jiff",
    "js-sys",
    "mio",
    "rand",
    "reqwest",
    "rustix",
    "smol",
    "socket2",
    "sqlx",
    "time",
    "tokio",
    "tower",
    "wasm-bindgen",
    "web-time",
    "worker",
];

#[test]
fn the_core_reaches_no_runtime_database_http_or_clock() -> Result<()> {
    for target in [BARE, NATIVE] {
        let dependencies = Dependencies::read(target)?;
        let reached = dependencies.of("keyward-core")?;
        let wrong: Vec<_> = OUTSIDE_THE_CORE.iter().filter(|name| reached.contains(**name)).collect();
        assert!(wrong.is_empty(), "keyward-core reaches {wrong:?}");
    }
    Ok(())
}

#[test]
fn what_runs_at_the_edge_or_in_a_browser_cannot_sign() -> Result<()> {
    let dependencies = Dependencies::read(WASM)?;
    for package in ["keyward-edge", "keyward-wasm"] {
        let reached = dependencies.of(package)?;
        for wrong in ["keyward-issuer", "keyward-origin", "keyward-postgres", "sqlx"] {
            assert!(!reached.contains(wrong), "{package} reaches {wrong}");
        }
    }
    Ok(())
}

#[test]
fn what_runs_at_the_edge_or_in_a_browser_carries_no_description_of_the_api() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for package in ["keyward-edge", "keyward-wasm"] {
        // Unlike the metadata it knows which features the package alone asks for.
        let output = Command::new(&cargo)
            .args(["tree", "--locked", "--package", package, "--target", WASM, "--edges", "normal", "--prefix", "none"])
            .current_dir(keyward_tests::workspace_root())
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let reached = String::from_utf8(output.stdout)?;
        assert!(reached.contains("keyward-core") && !reached.contains("utoipa"), "{package}: {reached}");
    }
    Ok(())
}

/// The workspace from the bottom up: each may use those before it.
const LAYERS: [&[&str]; 5] = [
    &["keyward-known-key", "keyward-postgres"],
    &["keyward-core"],
    &["keyward-issuer", "keyward-api", "keyward-vectors"],
    &["keyward-origin", "keyward-edge", "keyward-wasm", "keyward-bench"],
    &["keyward-tests", "xtask"],
];

#[test]
fn every_package_of_the_workspace_stands_in_one_layer() -> Result<()> {
    let metadata = metadata(NATIVE)?;
    let mut members = Vec::new();
    for package in metadata["packages"].as_array().context("packages")? {
        // What comes from nowhere else is ours.
        if package["source"].is_null() {
            members.push(text(&package["name"])?);
        }
    }
    members.sort_unstable();
    let mut layered = LAYERS.concat();
    layered.sort_unstable();
    assert_eq!(members, layered);
    Ok(())
}

#[test]
fn nothing_points_upward() -> Result<()> {
    let dependencies = Dependencies::read(NATIVE)?;
    for (at, layer) in LAYERS.iter().enumerate() {
        for package in *layer {
            let reached = dependencies.of(package)?;
            for above in LAYERS[at + 1..].iter().copied().flatten() {
                assert!(!reached.contains(*above), "{package} reaches {above}");
            }
        }
    }
    Ok(())
}

/// Package name to the names that it depends on; what tests alone need is left out.
struct Dependencies(BTreeMap<String, BTreeSet<String>>);

impl Dependencies {
    /// Those for a target. Features are those that the workspace as a whole asks for, so a name may stand here that the
    /// package alone wouldn't reach, and never the other way round.
    fn read(target: &str) -> Result<Self> {
        let metadata = metadata(target)?;
        let mut names = BTreeMap::new();
        for package in metadata["packages"].as_array().context("packages")? {
            names.insert(text(&package["id"])?, text(&package["name"])?);
        }
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in metadata["resolve"]["nodes"].as_array().context("nodes")? {
            let from = edges.entry(names[&text(&node["id"])?].clone()).or_default();
            for dependency in node["deps"].as_array().context("deps")? {
                let kinds = dependency["dep_kinds"].as_array().context("kinds")?;
                // A build script's dependencies run on the machine that compiles, and a kind of null is a normal one.
                if kinds.iter().any(|kind| kind["kind"].is_null()) {
                    from.insert(names[&text(&dependency["pkg"])?].clone());
                }
            }
        }
        Ok(Self(edges))
    }

    /// Everything that the package reaches.
    fn of(&self, package: &str) -> Result<BTreeSet<&str>> {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> =
            self.0.get(package).with_context(|| format!("no package {package}"))?.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            if reached.insert(name) {
                next.extend(self.0.get(name).into_iter().flatten().map(String::as_str));
            }
        }
        Ok(reached)
    }
}

/// Cargo's account of the workspace and all that it takes for a target.
fn metadata(target: &str) -> Result<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform", target])
        .current_dir(keyward_tests::workspace_root())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn text(value: &Value) -> Result<String> {
    Ok(value.as_str().context("a text")?.to_owned())
}
