//! What surrounds the pages.

use anyhow::{Context, Result};
use keyward_tests::Origin;
use serde_json::json;

use crate::support::{host, output, visit};

/// Bytes that a first visit may bring, as they come over the wire.
const FIRST_LOAD: u64 = 250 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_is_where_they_wanted_to_be_and_the_browser_keeps_no_key() -> Result<()> {
    let origin = Origin::start().await?;
    let auditor = origin.create(json!({"name": "auditor", "scope": "tenant", "capabilities": ["audit:read"]})).await?;
    let said = visit(host("shell.mjs", &origin)?.env("AUDITOR", &auditor.raw_key))?;
    assert_eq!(said["auditor"], "/audit", "who may read the trail alone isn't led there");
    assert!(said["refused"].as_str().context("refused")?.contains("invalid_token"), "{said}");
    assert_eq!(said["address"], "/keys?status=active");
    let stored = said["stored"].as_str().context("stored")?;
    assert!(!stored.contains("kwd_live_") && !stored.contains(&origin.admin_key()?[9..40]), "{stored}");
    assert_eq!(said["commanded"], "/inspect", "the palette leads nowhere");
    assert_eq!(said["folded"], true, "the navigation is in the way of a phone's page");
    assert_eq!(said["themes"], true, "the switch changes nothing");
    assert!(said["nowhere"].as_str().context("nowhere")?.contains("not_found"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_visit_with_the_wasm_stays_under_250_kb() -> Result<()> {
    let origin = Origin::start().await?;
    let found = output(&mut host("weight.mjs", &origin)?)?;
    let loaded = found["inspect"].as_array().context("inspect")?;
    assert!(loaded.iter().any(|file| file["path"].as_str().is_some_and(|path| path.ends_with(".wasm"))), "{found}");
    let bytes: u64 = loaded.iter().filter_map(|file| file["bytes"].as_u64()).sum();
    assert!(bytes < FIRST_LOAD, "{bytes} bytes: {found}");
    println!("{bytes} bytes on a first visit");
    Ok(())
}
