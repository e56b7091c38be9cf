//! Programs that drive a browser over the pages, and what holds of every one.

use std::{env, fs, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Origin, target_dir, workspace_root};
use serde_json::{Value, json};

/// What doesn't happen within that won't.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A program of `tests/hosts/pages`, told where the origin is, and its first admin's key.
pub(crate) fn host(name: &str, origin: &Origin) -> Result<Command> {
    let shots = target_dir()?.join("pages");
    fs::create_dir_all(&shots)?;
    let mut command = Command::new("node");
    command
        .arg(workspace_root().join("tests/hosts/pages").join(name))
        .env("CHROMIUM", chromium()?)
        .env("SHOTS", shots)
        .env("PAGE", origin.url())
        .env("KEY", origin.admin_key()?.trim());
    Ok(command)
}

/// What it prints.
pub(crate) fn output(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("what it printed")
}

/// What it says of the pages, none of which may have complained or asked anybody but the origin.
pub(crate) fn visit(command: &mut Command) -> Result<Value> {
    let mut found = output(command)?;
    assert_eq!(found["faults"], json!([]), "a page has faults");
    assert_eq!(found["strangers"], json!([]), "a page asked somebody else");
    Ok(found["said"].take())
}

fn chromium() -> Result<String> {
    if let Ok(path) = env::var("KEYWARD_CHROMIUM") {
        return Ok(path);
    }
    let folders = env::var_os("PATH").context("PATH")?;
    let names = ["chromium", "google-chrome", "chromium-browser"];
    let found = env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.is_file());
    Ok(found.context("no Chromium here: run `cargo xtask setup`")?.display().to_string())
}
