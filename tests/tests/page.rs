//! The pages in a real browser, served by a real origin: the one that checks keys, with the wasm that a visitor would get,
//! and the API reference.

use std::{env, fs, process::Command};

use anyhow::{Context, Result, ensure};
use keyward_core::{Environment, ParsedKey, codec};
use keyward_tests::{Created, Origin, target_dir, workspace_root};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_a_genuine_key_from_a_forged_and_a_mistyped_one() -> Result<()> {
    let origin = Origin::start().await?;
    let key = origin.create(json!({"scope": "user"})).await?;
    let page = visit(&origin, &key, "")?;
    let genuine = &page["said"]["genuine"];
    assert_eq!(genuine["verdict"], "This key is genuine and holds.");
    assert_eq!(genuine["states"], json!(["good", "good", "good", "good"]));
    let values = genuine["values"].as_array().context("values")?;
    assert!(values.contains(&json!(key.id)), "{values:?}");
    let forged = &page["said"]["forged"];
    assert_eq!(forged["states"][1], "bad", "{forged}");
    assert_eq!(forged["states"][2], "warn", "the status of a key that nobody made was shown: {forged}");
    assert_eq!(page["said"]["mistyped"]["states"], json!(["bad"]));
    assert_eq!(page["faults"], json!([]), "the browser complained");
    assert_eq!(page["leaked"], json!([]), "the key left the page");
    assert_eq!(modules(&page)?, ["keyward_bg"]);
    Ok(())
}

/// V8's vectors need SSE 4.1, and it can be told to do without; on other machines it can't.
#[cfg(target_arch = "x86_64")]
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_vectors_gets_the_plain_module_and_the_same_answers() -> Result<()> {
    let origin = Origin::start().await?;
    let key = origin.create(json!({"scope": "user"})).await?;
    let page = visit(&origin, &key, "--no-enable-sse4-1")?;
    assert_eq!(modules(&page)?, ["keyward_plain_bg"]);
    assert_eq!(page["said"]["genuine"]["states"], json!(["good", "good", "good", "good"]));
    assert_eq!(page["said"]["forged"]["states"][1], "bad");
    assert_eq!(page["faults"], json!([]), "the browser complained");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_fits_a_phone_in_light_and_dark_and_asks_nobody_else() -> Result<()> {
    let origin = Origin::start().await?;
    let mut command = host("reference.mjs")?;
    let found = output(command.env("PAGE", origin.url()))?;
    let said = &found["said"];
    for scheme in ["light", "dark"] {
        assert_eq!(said[scheme]["width"], 360, "{scheme}: something sticks out");
        assert_eq!(said[scheme]["opened"], "schema-CreateKey", "{scheme}: a link leads to what is closed");
        assert!(said[scheme]["operations"].as_u64().is_some_and(|operations| operations > 40), "{said}");
    }
    assert_ne!(said["light"]["paper"], said["dark"]["paper"]);
    assert_eq!(found["faults"], json!([]), "the browser complained");
    let url = origin.url();
    assert_eq!(found["requests"], json!([format!("{url}/docs"), format!("{url}/docs/style.css")]));
    Ok(())
}

/// What the page says to a key, a forged one and a mistyped one, in a browser with these flags of V8.
fn visit(origin: &Origin, key: &Created, v8_flags: &str) -> Result<Value> {
    let mut command = host("page.mjs")?;
    command.env("PAGE", origin.url()).env("KEY", &key.raw_key).env("FORGED", forged(&key.raw_key)?).env("V8_FLAGS", v8_flags);
    output(&mut command)
}

/// A program that drives a browser.
fn host(name: &str) -> Result<Command> {
    let shots = target_dir()?.join("page");
    fs::create_dir_all(&shots)?;
    let mut command = Command::new("node");
    command.arg(workspace_root().join("tests/hosts").join(name)).env("CHROMIUM", chromium()?).env("SHOTS", shots);
    Ok(command)
}

/// What it prints.
fn output(command: &mut Command) -> Result<Value> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The names of the modules that the page loaded, without the bundler's digest of their content.
fn modules(page: &Value) -> Result<Vec<&str>> {
    let modules = page["modules"].as_array().context("modules")?;
    modules.iter().map(|name| Ok(name.as_str().context("a name")?.split('-').next().unwrap_or_default())).collect()
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
