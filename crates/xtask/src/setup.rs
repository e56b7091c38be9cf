//! Everything that the build and the tests need beside Cargo. Each step looks first, so a second run costs nothing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use keyward_tests::target_dir;
use sha2::{Digest, Sha256};

use crate::shell::{root, run_quietly, step, which};

/// wasm32 runs at the edge and in browsers, with WASI in tests; thumbv7em has no std, which proves that the core needs
/// none.
const TARGETS: [&str; 3] = ["wasm32-unknown-unknown", "wasm32-wasip1", "thumbv7em-none-eabihf"];

/// Where Debian puts Chromium.
const CHROMIUM: &str = "/usr/bin/chromium";

/// Said where it can't be installed from here: as root on Debian it can. The one on npm has no psql, which the tests use.
const NO_POSTGRES: &str = "Postgres 15 or newer is missing. Install it: `apt install postgresql` (Debian, Ubuntu), `dnf install \
    postgresql-server postgresql-contrib` (Fedora), `pacman -S postgresql` (Arch); it needn't be set up or started. \
    Or set KEYWARD_PG_BIN to the folder of its programs";

/// What is needed to build everything and to run it.
pub(crate) fn to_run() -> Result<()> {
    targets()?;
    npm()?;
    postgres()
}

/// The same, and what the tests need beside it.
pub(crate) fn all() -> Result<()> {
    to_run()?;
    python()?;
    programs()
}

/// Rust's standard library for the other targets. A `rust-toolchain.toml` could name them, but rustup ignores that
/// where it may not install by itself.
fn targets() -> Result<()> {
    let rustup = || {
        let mut command = Command::new("rustup");
        command.current_dir(root());
        command
    };
    let installed = run_quietly(rustup().args(["target", "list", "--installed"]))?;
    let missing: Vec<&str> = TARGETS.into_iter().filter(|target| !installed.lines().any(|line| line == *target)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    step("Rust targets", || run_quietly(rustup().args(["target", "add"]).args(missing)).map(drop))
}

/// workerd, binaryen, Vite, TypeScript, Playwright's client and jose, exactly as locked.
fn npm() -> Result<()> {
    locked("npm packages", &root())
}

/// The npm packages that the lock in this folder names.
fn locked(name: &str, folder: &Path) -> Result<()> {
    let stamp = folder.join("node_modules/.keyward-lock");
    let Some(digest) = outdated(&folder.join("package-lock.json"), &stamp)? else { return Ok(()) };
    ensure!(which("npm").is_some(), "node and npm are missing: install Node 20.19, 22.13 or newer");
    step(name, || {
        // None of them needs an install script; what doesn't run can do no harm.
        let mut npm = Command::new("npm");
        run_quietly(npm.current_dir(folder).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))?;
        Ok(fs::write(&stamp, digest)?)
    })
}

/// A Python of its own with PyJWT, which reads our tokens as somebody else's library; exactly the versions named.
fn python() -> Result<()> {
    let wanted = root().join("tests/hosts/requirements.txt");
    let folder = target_dir()?.join("python");
    let stamp = folder.join(".keyward-lock");
    let Some(digest) = outdated(&wanted, &stamp)? else { return Ok(()) };
    step("Python packages", || {
        let make = || run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).map(drop);
        // Debian's Python comes without what makes environments.
        make().or_else(|error| {
            ensure!(is_root() && which("apt-get").is_some(), "{error:#}\ninstall Python 3 with venv");
            apt("python3-venv").and_then(|()| make())
        })?;
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--no-deps"]);
        run_quietly(pip.arg("--requirement").arg(&wanted))?;
        Ok(fs::write(&stamp, digest)?)
    })
}

/// What the documentation's example in curl takes.
fn programs() -> Result<()> {
    for program in ["curl", "jq", "openssl"] {
        if which(program).is_none() {
            ensure!(is_root() && which("apt-get").is_some(), "no {program} here: install it");
            step(program, || apt(program))?;
        }
    }
    Ok(())
}

/// The digest of a list of what is wanted, where the stamp says that something else was installed, or nothing.
fn outdated(wanted: &Path, stamp: &Path) -> Result<Option<String>> {
    let digest: String = Sha256::digest(fs::read(wanted)?).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(if fs::read_to_string(stamp).is_ok_and(|done| done == digest) { None } else { Some(digest) })
}

/// A Postgres to run, not a running one.
fn postgres() -> Result<()> {
    let told = env::var_os("KEYWARD_PG_BIN").map(PathBuf::from);
    let Err(missing) = keyward_postgres::find_binaries(told.as_deref()) else { return Ok(()) };
    if told.is_some() {
        // Who names one wants that one, and no other.
        return Err(missing.context("KEYWARD_PG_BIN"));
    }
    ensure!(is_root() && which("apt-get").is_some(), NO_POSTGRES);
    step("Postgres", || apt("postgresql"))?;
    keyward_postgres::find_binaries(None).map(drop)
}

/// The load generator of the benchmarks.
pub(crate) fn wrk() -> Result<()> {
    if which("wrk").is_none() {
        ensure!(is_root() && which("apt-get").is_some(), "no wrk here: install the package `wrk`");
        step("wrk", || apt("wrk"))?;
    }
    Ok(())
}

/// What the benchmarks compare with, exactly as locked. Returns its folder.
pub(crate) fn peers() -> Result<PathBuf> {
    let folder = root().join("crates/bench/js");
    locked("npm packages to compare with", &folder)?;
    Ok(folder)
}

/// What the benchmark of the origin compares with, exactly as locked. Returns its folder.
pub(crate) fn origin_peers() -> Result<PathBuf> {
    let folder = root().join("crates/bench/origin");
    locked("better-auth to compare with", &folder)?;
    Ok(folder)
}

/// A browser for the test of the pages; returns its path.
pub(crate) fn chromium() -> Result<String> {
    if let Ok(path) = env::var("KEYWARD_CHROMIUM") {
        return Ok(path);
    }
    if let Some(path) = ["chromium", "google-chrome", "chromium-browser"].into_iter().find_map(which) {
        return Ok(path.display().to_string());
    }
    ensure!(is_root() && which("apt-get").is_some(), "no Chromium here: install one, or set KEYWARD_CHROMIUM to its path");
    step("Chromium", || apt("chromium"))?;
    ensure!(Path::new(CHROMIUM).exists(), "{CHROMIUM} is still missing");
    Ok(CHROMIUM.to_owned())
}

fn apt(package: &str) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        run_quietly(command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments)).map(drop)
    };
    let install = ["install", "--yes", "--quiet", "--no-install-recommends", package];
    // A fresh machine has no lists yet; an old one's may name files that are gone.
    apt(&install).or_else(|_| apt(&["update", "--quiet"]).and_then(|()| apt(&install)))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
