//! `cargo xtask test`: everything that has to hold before a change goes in.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    bench,
    products::{self, Product, Profile},
    queries, setup,
    shell::{cargo, root, run_quietly, step},
    up, vectors,
};

/// Crates that run as WebAssembly, beside what they run as natively.
const WASM_CRATES: [&str; 2] = ["keyward-edge", "keyward-wasm"];
const WASM: &str = "wasm32-unknown-unknown";
/// A workspace of its own: nothing else compiles what it takes.
const FUZZ: &str = "fuzz/Cargo.toml";
/// A target without a standard library.
const BARE: &str = "thumbv7em-none-eabihf";

/// What came of the checks so far.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Makes a check; a failed one is printed and counted, and the others are made all the same.
    fn check(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> bool {
        let result = step(name, work);
        match &result {
            Ok(()) => self.passed += 1,
            Err(error) => {
                self.failed += 1;
                eprintln!("{error:#}");
            }
        }
        result.is_ok()
    }
}

/// Makes all checks, or those that need neither a browser nor a runtime of the edge.
pub(crate) fn all(fast: bool) -> Result<()> {
    let start = Instant::now();
    step("setup", setup::all)?;
    let mut tally = Tally::default();
    tally.check("formatted", || {
        quiet(&["fmt", "--all", "--check"])?;
        quiet(&["fmt", "--manifest-path", FUZZ, "--check"])
    });
    tally.check("clippy", || quiet(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]));
    tally.check("clippy, for wasm", || {
        let packages = WASM_CRATES.iter().flat_map(|name| ["-p", name]);
        let command = ["clippy", "--target", WASM].into_iter().chain(packages).chain(["--", "-D", "warnings"]);
        quiet(&command.collect::<Vec<_>>())
    });
    tally.check("clippy, for the fuzz targets", fuzz_targets);
    tally.check("the core without std", || quiet(&["build", "-p", "keyward-core", "--target", BARE]));
    tally.check("vectors are what the generator writes", || vectors::generate(true));
    if fast {
        tests(&mut tally, &["--workspace", "--exclude", "keyward-tests"])?;
    } else {
        whole(&mut tally)?;
    }
    eprintln!("{:8.1} s  in all", start.elapsed().as_secs_f64());
    println!("{} passed, {} failed", tally.passed, tally.failed);
    ensure!(tally.failed == 0, "{} checks failed", tally.failed);
    Ok(())
}

/// Without the engine, which would take a C++ compiler, and in the one target directory.
fn fuzz_targets() -> Result<()> {
    let mut command = cargo();
    command.args(["clippy", "--manifest-path", FUZZ, "--all-targets", "--no-default-features", "--locked", "--target-dir"]);
    run_quietly(command.arg(keyward_tests::target_dir()?).args(["--", "-D", "warnings"]).env("CARGO_TERM_QUIET", "true")).map(drop)
}

/// What runs the built programs.
fn whole(tally: &mut Tally) -> Result<()> {
    // First, because it makes Cargo take the origin for changed.
    tally.check("queries are described as they are", || queries::describe(true));
    // Everything at once, as `cargo test` wants it: package by package, the same libraries would be compiled again for
    // each set of features.
    let compiled = tally.check("compiled", || quiet(&["build", "--workspace", "--all-targets"]));
    let built = compiled
        && tally.check("built for the edge and the browser", || {
            products::build(&[Product::Edge, Product::Www, Product::Vectors], Profile::Dev)?;
            setup::chromium().map(drop)
        });
    if !built {
        // Stale programs would be tested in the place of new ones.
        return tests(tally, &["--workspace", "--exclude", "keyward-tests"]);
    }
    tally.check("the edge weighs no more than it may", bench::hold_size);
    tally.check("the fast verifier in wasm, without and with SIMD", || {
        run_quietly(Command::new("node").arg(root().join("crates/known-key/tests/wasm.mjs"))).map(drop)
    });
    tally.check("up --check", || tokio::runtime::Runtime::new()?.block_on(up::check()));
    tests(tally, &["--workspace"])
}

/// Runs Rust tests and counts them one by one.
fn tests(tally: &mut Tally, selection: &[&str]) -> Result<()> {
    let start = Instant::now();
    let mut command = cargo();
    command.args(["test", "--no-fail-fast"]).args(selection);
    let before = tally.failed;
    let succeeded = count(&mut command, tally)?;
    if !succeeded && tally.failed == before {
        // It didn't come as far as a test: something doesn't compile, or a test program crashed.
        tally.failed += 1;
    }
    eprintln!("{:8.1} s  tests", start.elapsed().as_secs_f64());
    Ok(())
}

/// Runs `cargo test`, passing its output on, and adds up its result lines. Whether it succeeded.
fn count(command: &mut Command, tally: &mut Tally) -> Result<bool> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let output = child.stdout.take().context("its output")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        if let Some(result) = line.strip_prefix("test result: ") {
            let (passed, failed) = result_line(result).with_context(|| line.clone())?;
            tally.passed += passed;
            tally.failed += failed;
        }
        // A line for each test that passes hides the others.
        let dull = line.is_empty() || line.ends_with("... ok") || line.starts_with("running ") || line.contains(" 0 failed");
        if !dull {
            println!("{line}");
        }
    }
    Ok(child.wait()?.success())
}

/// `ok. 3 passed; 0 failed; …`
fn result_line(text: &str) -> Option<(usize, usize)> {
    let number = |what: &str| text.split(['.', ';']).find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok());
    Some((number("passed")?, number("failed")?))
}

/// Runs cargo; shows its output only when it fails.
fn quiet(arguments: &[&str]) -> Result<()> {
    run_quietly(cargo().args(arguments).env("CARGO_TERM_QUIET", "true")).map(drop)
}

/// What is run long in another way than by its mark: the comparison of the fast verifier with the reference, and the
/// core's properties.
const APART: [(&str, Run); 2] = [("sameness", sameness), ("properties", properties)];

/// Whether all of it succeeded.
type Run = fn(&mut Tally) -> Result<bool>;

/// Runs the long tests of this name (or all of them) in release, with their output shown.
pub(crate) fn soak(name: Option<&str>) -> Result<()> {
    setup::all()?;
    let mut tally = Tally::default();
    let mut succeeded = true;
    for (own, run) in APART {
        if name.is_none_or(|name| name == own) {
            succeeded &= run(&mut tally)?;
        }
    }
    if !APART.iter().any(|(own, _)| name == Some(own)) {
        products::build(&products::RUN, Profile::Release)?;
        let mut command = cargo();
        command.args(["test", "--release", "-p", "keyward-tests", "-p", "keyward-origin", "-p", "keyward-core", "--no-fail-fast", "--"]);
        command.args(["--ignored", "--nocapture", "--test-threads=1"]).args(name);
        succeeded &= count(&mut command, &mut tally)?;
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if !succeeded {
        bail!("the soak failed");
    }
    ensure!(tally.passed > 0, "no soak of that name");
    Ok(())
}

/// Ten million signatures, sound and damaged, natively and then in wasm without and with SIMD. Whether the fast
/// verifier and the reference agreed on all of them.
fn sameness(tally: &mut Tally) -> Result<bool> {
    const CAMPAIGN: [&str; 3] = ["a_long_campaign", "--ignored", "--nocapture"];
    let mut native = cargo();
    native.args(["test", "--release", "-p", "keyward-known-key", "--test", "verdict", "--"]).args(CAMPAIGN);
    let mut wasm = Command::new("node");
    wasm.arg(root().join("crates/known-key/tests/wasm.mjs")).args(CAMPAIGN).env("CARGO_ARGS", "--release");
    Ok(count(&mut native, tally)? & count(&mut wasm, tally)?)
}

/// What holds for every input, tried on a hundred times as many as in a test, unless `KEYWARD_SOAK` says otherwise.
fn properties(tally: &mut Tally) -> Result<bool> {
    let times = std::env::var("KEYWARD_SOAK").unwrap_or_else(|_| "100".into());
    let mut command = cargo();
    command.args(["test", "--release", "-p", "keyward-core", "--test", "properties"]).env("KEYWARD_SOAK", times);
    count(&mut command, tally)
}
