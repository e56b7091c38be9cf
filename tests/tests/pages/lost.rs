//! What failed.

use anyhow::Result;
use keyward_tests::{Origin, http::Request};
use serde_json::json;

use crate::support::{host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_not_taken_for_a_no_and_what_cannot_be_asked_is_said_to_be_old() -> Result<()> {
    let origin = Origin::start().await?;
    let key = origin.create(json!({"name": "billing exporter"})).await?;
    let said = visit(host("lost.mjs", &origin)?.env("ID", &key.id).env("ORIGIN", origin.process_id()?.to_string()))?;
    assert_eq!(said["followed"], 0, "a dialog on one key stood over another one");
    let kept = origin.api("GET", &format!("/{}", key.id), None).await?.expect(200)?.json()?;
    assert_eq!((&kept["status"], &kept["description"]), (&json!("suspended"), &json!("exports bills")));
    let owners =
        origin.send(&Request::get("/api/v1/owners?search=team-billing").bearer(&origin.admin_key()?)).await?.expect(200)?.json()?;
    assert_eq!(owners.as_array().map(Vec::len), Some(1));
    Ok(())
}
