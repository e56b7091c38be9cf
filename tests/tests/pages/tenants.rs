//! The pages of tenants, owners and the catalogue.

use anyhow::{Context, Result};
use keyward_tests::{Origin, http::Request};
use serde_json::json;

use crate::support::{host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn tenants_owners_and_capabilities_are_made_in_pages_that_act_in_the_tenant_that_their_address_names() -> Result<()> {
    let origin = Origin::start().await?;
    origin.create(json!({"name": "ours"})).await?;
    let said = visit(&mut host("tenants.mjs", &origin)?)?;
    assert_eq!((&said["wrong"], &said["early"], &said["home"]), (&json!("true"), &json!(false), &json!(0)));
    let tenant = said["tenant"].as_str().context("tenant")?;
    assert_eq!(said["there"], format!("/keys?tenant={tenant}"));
    assert_eq!(said["theirs"], json!(["First management key"]), "keys of another tenant are shown");
    assert!(said["second"].as_str().context("second")?.starts_with("acme_live_"), "it was made in another tenant");
    assert!(said["added"].as_str().context("added")?.contains("own"));
    // What was done in the pages is so in the tenant, and only there.
    let get = async |path: String| origin.send(&Request::get(&path).bearer(&origin.admin_key()?)).await?.expect(200)?.json();
    assert_eq!(get(format!("/api/v1/tenants/{tenant}")).await?["ceilings"]["live_keys"], 2);
    let owners = get(format!("/api/v1/owners?tenant={tenant}")).await?;
    let owner = owners.as_array().and_then(|owners| owners.iter().find(|owner| owner["id"] == "build/robot 1")).context("the owner")?;
    assert_eq!((&owner["kind"], &owner["email"]), (&json!("service"), &json!("builds@example.com")));
    let keys = get(format!("/api/v1/api-keys?owner_id=acme-admin&tenant={tenant}")).await?;
    assert_eq!(keys[0]["status"], "suspended", "enabling an owner brings keys back by itself");
    Ok(())
}
