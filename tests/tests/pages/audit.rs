//! The page of the audit trail.

use anyhow::{Context, Result};
use keyward_tests::Origin;
use serde_json::json;

use crate::support::{host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn the_trail_is_filtered_by_address_and_verified_in_the_browser_which_finds_a_change() -> Result<()> {
    let origin = Origin::start().await?;
    let key = origin.create(json!({"name": "a customer's"})).await?;
    origin.api("POST", &format!("/{}/suspend", key.id), None).await?.expect(200)?;
    let said = visit(host("audit.mjs", &origin)?.env("ID", &key.id))?;
    assert_eq!(said["filtered"], format!("/audit?action=api_key_suspended&key={}", key.id));
    let detail = said["detail"].as_str().context("detail")?;
    assert!(detail.contains(&key.id) && detail.contains("suspended"), "{detail}");
    let holds = said["holds"].as_str().context("holds")?;
    assert!(holds.contains("It holds") && holds.contains("follow from each other"), "{holds}");
    let broken = said["broken"].as_str().context("broken")?;
    assert!(broken.contains("was changed"), "{broken}");
    Ok(())
}
