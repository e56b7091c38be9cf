//! Two tabs of one browser, which have one session.

use anyhow::{Context, Result};
use keyward_tests::{Origin, http::Request};
use serde_json::json;

use crate::support::{host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn tabs_agree_on_who_is_signed_in_and_a_sign_out_that_failed_is_not_said_to_be_one() -> Result<()> {
    let origin = Origin::start().await?;
    origin.create(json!({"name": "ours"})).await?;
    let body = json!({"slug": "acme", "name": "Acme", "first_key": true});
    let made = origin.send(&Request::new("POST", "/api/v1/tenants").bearer(&origin.admin_key()?).json(&body)).await?.expect(201)?.json()?;
    let raw = made["first_key"]["raw_key"].as_str().context("a first key")?;
    let theirs = Request::new("POST", "/api/v1/api-keys").bearer(raw).json(&json!({"name": "theirs", "owner_id": "robot"}));
    origin.send(&theirs).await?.expect(201)?;
    let said = visit(host("sessions.mjs", &origin)?.env("THEIRS", raw))?;
    assert_eq!(said["shown"], json!({"mixed": [], "ours": 0}), "keys of one tenant stood under another one's name");
    assert_eq!((&said["tenant"], &said["stays"]), (&json!("Acme"), &json!(true)));
    Ok(())
}
