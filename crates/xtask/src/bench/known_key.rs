//! The verifier for keys known beforehand, against other implementations: natively, and as WebAssembly in Node and
//! workerd against `crypto.subtle`. What is measured stands beside the crate; here it is built and started.

use std::{path::PathBuf, process::Command};

use anyhow::Result;
use keyward_tests::{Artefacts, target_dir};

use crate::shell::{cargo, root, run, run_quietly};

const PACKAGE: &str = "keyward-known-key";
/// A program that is started for each slot of a measurement, so it needs a `main`, which wasm32-unknown-unknown hasn't.
const WASI: &str = "wasm32-wasip1";

pub(super) fn measure() -> Result<()> {
    run(cargo().args(["run", "--quiet", "--release", "-p", PACKAGE, "--example", "bench", "--features", "bench-peers"]))?;
    run_quietly(Command::new("rustup").current_dir(root()).args(["target", "add", WASI]))?;
    let (plain, simd) = (wasm("-simd128")?, wasm("+simd128")?);
    let script = root().join("crates/known-key/examples/bench.mjs");
    run(Command::new("node").arg(script).args([plain, simd]).arg(Artefacts::locate()?.workerd))
}

/// The example as WebAssembly with or without vector instructions, each in a target directory of its own.
fn wasm(feature: &str) -> Result<PathBuf> {
    let target = target_dir()?.join("bench").join(feature);
    let mut command = cargo();
    command.args(["build", "--quiet", "--profile", "wasm", "-p", PACKAGE, "--example", "bench", "--target", WASI]);
    run(command.arg("--target-dir").arg(&target).env("RUSTFLAGS", format!("-C target-feature={feature}")))?;
    Ok(target.join(WASI).join("wasm/examples/bench.wasm"))
}
