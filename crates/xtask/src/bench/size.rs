//! What the edge and the browser package weigh, and how much of it is the verifier for known keys.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::Line;
use crate::wasm::{self, Flavour, Module};

/// What the edge should weigh at most, compressed: it is loaded wherever a first request comes. The first aim, which it misses:
/// what there is to reach, where `HELD` is what there is to keep.
const BUDGET: f64 = 300_000.0;
/// And as it is: every isolate holds it.
const RAW_BUDGET: f64 = 1_000_000.0;
/// What a change may not bring the edge beyond, compressed (decision 0126).
const HELD: f64 = 398_000.0;
/// What the edge may weigh at most, compressed, beyond what it would with dalek alone.
const TABLES_BUDGET: f64 = 10_000.0;

pub(super) fn run() -> Result<()> {
    for (simd, name) in [(true, "size.edge"), (false, "size.edge.plain")] {
        let ours = Flavour { simd, tables: true };
        let [compressed, raw] = module(Module::Edge, ours)?;
        let [with_dalek_alone, _] = module(Module::Edge, Flavour { tables: false, ..ours })?;
        line(&format!("{name}.gzip"), "a budget of 300 kB", BUDGET, compressed);
        line(&format!("{name}.raw"), "a budget of 1 MB", RAW_BUDGET, raw);
        line(&format!("{name}.gzip.tables"), "a budget of 10 kB over dalek alone", TABLES_BUDGET, compressed - with_dalek_alone);
    }
    wasm::package()?;
    for (simd, name) in [(true, "size.browser.gzip"), (false, "size.browser.plain.gzip")] {
        let [compressed, _] = module(Module::Browser, Flavour { simd, ..Flavour::SHIPPED })?;
        line(name, "a budget of 300 kB", BUDGET, compressed);
    }
    Ok(())
}

/// Fails where the edge as it was built last weighs more than it may, compressed or as it is.
pub(crate) fn hold() -> Result<()> {
    let [compressed, raw] = weigh(Module::Edge, Flavour::SHIPPED)?;
    ensure!(compressed <= HELD, "the edge weighs {compressed} bytes, compressed: more than the {HELD} of decision 0126");
    ensure!(raw <= RAW_BUDGET, "the edge weighs {raw} bytes: more than the {RAW_BUDGET} of decision 0126");
    Ok(())
}

fn line(name: &str, against: &str, budget: f64, value: f64) {
    let runtime = if name.ends_with("raw") { "none" } else { "gzip -9" };
    Line { name, against, ratio: budget / value, value, peer: budget, unit: "bytes", runtime }.print();
}

/// A module's bytes, compressed and as they are, as it is now.
fn module(module: Module, flavour: Flavour) -> Result<[f64; 2]> {
    wasm::build(module, flavour)?;
    weigh(module, flavour)
}

/// The same as it was built last.
fn weigh(module: Module, flavour: Flavour) -> Result<[f64; 2]> {
    let bytes = fs::read(module.folder(flavour)?.join(format!("{}_bg.wasm", module.name())))?;
    Ok([gzip(&bytes)?.len() as f64, bytes.len() as f64])
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = Command::new("gzip").args(["-9", "-n"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut input = gzip.stdin.take().context("its input")?;
    let bytes = bytes.to_vec();
    // Apart, because it begins to write before it has read everything.
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = gzip.wait_with_output()?;
    writer.join().ok().context("writing to gzip")??;
    ensure!(output.status.success(), "gzip failed");
    Ok(output.stdout)
}
