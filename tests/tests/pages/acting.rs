//! The tenant in which an admin acts, left before the origin has answered.

use anyhow::{Context, Result};
use keyward_tests::{Origin, http::Request};
use serde_json::{Value, json};

use crate::support::{host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_begun_in_a_tenant_ends_there_and_is_never_shown_or_done_in_the_one_that_one_went_to() -> Result<()> {
    let origin = Origin::start().await?;
    origin.create(json!({"name": "ours"})).await?;
    let tenant = Request::new("POST", "/api/v1/tenants").bearer(&origin.admin_key()?).json(&json!({"slug": "acme", "name": "Acme"}));
    let made = origin.send(&tenant).await?.expect(201)?.json()?;
    let tenant = made["tenant"]["id"].as_str().context("a tenant")?;
    // More than one request changes.
    for (first, last) in [(0, 500), (500, 509)] {
        let keys: Vec<Value> = (first..last).map(|at| json!({"name": format!("worker {at}"), "owner_id": "robot"})).collect();
        origin.api("POST", &format!("/bulk/create?tenant={tenant}"), Some(&json!({"keys": keys}))).await?.expect(201)?;
    }
    let theirs = json!({"name": "theirs", "owner_id": "robot"});
    let theirs = origin.api("POST", &format!("?tenant={tenant}"), Some(&theirs)).await?.expect(201)?.json()?;
    let theirs = theirs["api_key"]["id"].as_str().context("a key")?;

    let said = visit(host("acting.mjs", &origin)?.env("TENANT", tenant).env("ID", theirs))?;
    let chunks = said["chunks"].as_array().context("chunks")?;
    assert!(chunks.len() > 1, "one request did it all: {said}");
    for chunk in chunks {
        assert_eq!(chunk, &json!(format!("/api/v1/api-keys/bulk/suspend?tenant={tenant}")));
    }
    assert_eq!(said["shown"], 0, "a key of the tenant that was left is shown in one's own");
    let suspended = async |tenant: &str| -> Result<usize> {
        let found = origin.api("GET", &format!("?limit=1000&status=suspended{tenant}"), None).await?.expect(200)?.json()?;
        Ok(found.as_array().context("keys")?.len())
    };
    assert_eq!(suspended("").await?, 0, "keys of one's own tenant were suspended");
    assert_eq!(suspended(&format!("&tenant={tenant}")).await?, 509);
    Ok(())
}
