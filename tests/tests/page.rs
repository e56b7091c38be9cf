//! The page in a real browser, served by a real origin, checking keys with the wasm that a visitor would get.

use std::{env, fs, process::Command};

use anyhow::{Context, Result, ensure};
use keyward_core::{Environment, ParsedKey, codec};
use keyward_tests::{Origin, target_dir, workspace_root};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_a_genuine_key_from_a_forged_and_a_mistyped_one() -> Result<()> {
    let origin = Origin::start().await?;
    let key = origin.create(json!({"scope": "user"})).await?;
    let shots = target_dir()?.join("page");
    fs::create_dir_all(&shots)?;
    let output = Command::new("node")
        .arg(workspace_root().join("tests/hosts/page.mjs"))
        .env("CHROMIUM", chromium()?)
        .env("PAGE", origin.url())
        .env("KEY", &key.raw_key)
        .env("FORGED", forged(&key.raw_key)?)
        .env("SHOTS", shots)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page: Value = serde_json::from_slice(&output.stdout)?;

    let genuine = &page["said"]["genuine"];
    assert_eq!(genuine["verdict"], "This key is genuine and holds.");
    assert_eq!(genuine["states"], json!(["good", "good", "good", "good"]));
    let values = genuine["values"].as_array().context("values")?;
    assert!(values.contains(&json!(key.id)), "{values:?}");
    let forged = &page["said"]["forged"];
    assert_eq!(forged["states"][1], "bad", "{forged}");
    assert_eq!(forged["states"][2], "open", "the status of a key that nobody made was shown: {forged}");
    assert_eq!(page["said"]["mistyped"]["states"], json!(["bad"]));
    assert_eq!(page["faults"], json!([]), "the browser complained");
    assert_eq!(page["leaked"], json!([]), "the key left the page");
    Ok(())
}

/// The same key with another signature, under a right checksum.
fn forged(text: &str) -> Result<String> {
    let key = ParsedKey::parse(text).map_err(|reason| anyhow::anyhow!("{reason}"))?;
    let mut signature = *key.signature();
    signature[0] ^= 1;
    let mut forged = String::new();
    codec::write_key(key.prefix(), Environment::Live, &key.unverified_claims().to_bytes(), &signature, &mut forged);
    Ok(forged)
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
