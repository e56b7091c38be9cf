//! The page that checks keys, with the wasm that a visitor would get.

use anyhow::{Context, Result};
use keyward_core::{Environment, ParsedKey, codec};
use keyward_tests::{Created, Origin, http::Request};
use serde_json::{Value, json};

use crate::support::{host, output};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_a_genuine_key_from_a_forged_and_a_mistyped_one() -> Result<()> {
    let origin = Origin::start().await?;
    let key = origin.create(json!({"scope": "user", "token_exchange": true})).await?;
    let page = visit(&origin, &key, "", Some(&exchanged(&origin, &key).await?))?;
    let genuine = &page["said"]["genuine"];
    assert_eq!(genuine["verdict"], "This key is genuine and holds.");
    let states = genuine["states"].as_object().context("states")?;
    assert!(states.len() == 8 && states.values().all(|state| state == "good"), "{states:?}");
    let values = genuine["values"].as_array().context("values")?;
    assert!(values.contains(&json!(key.id)), "{values:?}");
    let forged = &page["said"]["forged"]["states"];
    assert_eq!((&forged["key checksum"], &forged["key signature"]), (&json!("good"), &json!("bad")));
    assert_eq!(forged["key status"], "warn", "the status of a key that nobody made was shown: {forged}");
    assert_eq!(page["said"]["mistyped"]["verdict"], "The checksum is wrong: a typing error, or a part is missing.");
    let token = page["said"]["token"]["states"].as_object().context("states")?;
    assert!(token.len() == 8 && token.values().all(|state| state == "good"), "{token:?}");
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
    let page = visit(&origin, &key, "--no-enable-sse4-1", None)?;
    assert_eq!(modules(&page)?, ["keyward_plain_bg"]);
    assert_eq!(page["said"]["genuine"]["verdict"], "This key is genuine and holds.");
    assert_eq!(page["said"]["forged"]["states"]["key signature"], "bad");
    assert_eq!(page["faults"], json!([]), "the browser complained");
    Ok(())
}

/// What the page says to a key, a forged one, a mistyped one and perhaps a token, in a browser with these flags of V8.
fn visit(origin: &Origin, key: &Created, v8_flags: &str, token: Option<&str>) -> Result<Value> {
    let mut command = host("inspector.mjs", origin)?;
    command.env("KEY", &key.raw_key).env("FORGED", forged(&key.raw_key)?).env("V8_FLAGS", v8_flags);
    command.envs(token.map(|token| ("TOKEN", token)));
    output(&mut command)
}

/// A token for all that a key permits.
async fn exchanged(origin: &Origin, key: &Created) -> Result<String> {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:keyward:token-type:api-key"),
        ("subject_token", &key.raw_key),
    ];
    let body = form.map(|(name, value)| format!("{name}={value}")).join("&");
    let mut request = Request::new("POST", "/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    request.body = body.into_bytes();
    let answer = origin.send(&request).await?.expect(200)?.json()?;
    Ok(answer["access_token"].as_str().context("a token")?.to_owned())
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
