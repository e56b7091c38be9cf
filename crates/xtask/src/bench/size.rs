//! What the edge weighs.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use keyward_tests::Artefacts;

use super::Line;
use crate::products::{self, Product, Profile};

/// What the edge may weigh at most, compressed: it is loaded wherever a first request comes.
const BUDGET: f64 = 300_000.0;
/// And as it is: every isolate holds it.
const RAW_BUDGET: f64 = 1_000_000.0;

pub(super) fn run() -> Result<()> {
    products::build(&[Product::Edge], Profile::Dev)?;
    let wasm = Artefacts::locate()?.edge.join("glue_bg.wasm");
    let bytes = fs::read(&wasm)?;
    let compressed = gzip(&bytes)?.len() as f64;
    Line {
        name: "size.edge.gzip",
        against: "a budget of 300 kB",
        ratio: BUDGET / compressed,
        value: compressed,
        peer: BUDGET,
        unit: "bytes",
        runtime: "gzip -9",
    }
    .print();
    let raw = bytes.len() as f64;
    Line {
        name: "size.edge.raw",
        against: "a budget of 1 MB",
        ratio: RAW_BUDGET / raw,
        value: raw,
        peer: RAW_BUDGET,
        unit: "bytes",
        runtime: "none",
    }
    .print();
    Ok(())
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
