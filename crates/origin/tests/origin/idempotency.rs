//! The same request twice.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, KEYS, Origin};

async fn create(client: &Client, key: &str, body: &Value) -> crate::harness::Answer {
    client.send("POST", KEYS, Some(body), &[("Idempotency-Key", key)]).await
}

#[tokio::test]
async fn a_retry_gets_the_same_key_and_another_request_does_not_get_it() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let body = json!({"name": "once", "capabilities": ["llm:gpt-4"]});
    let first = create(&admin, "a", &body).await.ok();
    let again = create(&admin, "a", &body).await.ok();
    assert_eq!(first["raw_key"], again["raw_key"]);
    assert_eq!(first["api_key"]["id"], again["api_key"]["id"]);
    create(&admin, "a", &json!({"name": "other"})).await.refused(422, "idempotency_mismatch");
    assert_ne!(create(&admin, "b", &body).await.ok()["raw_key"], first["raw_key"]);
    // Another caller's keys are its own, whatever it calls them.
    let other = origin.caller(json!({"capabilities": ["keys:*", "llm:gpt-4"], "scope": "tenant"})).await;
    assert_ne!(create(&other, "a", &body).await.ok()["raw_key"], first["raw_key"]);
    assert_eq!(create(&admin, "not visible", &body).await.problem(), (422, "validation_failed".into(), "Idempotency-Key".into()));

    let id = first["api_key"]["id"].as_str().unwrap();
    let rotate = async || {
        let path = format!("{KEYS}/{id}/rotate");
        admin.send("POST", &path, Some(&json!({"overlap_seconds": 60})), &[("Idempotency-Key", "c")]).await
    };
    let (rotated, again) = (rotate().await.ok(), rotate().await.ok());
    assert_eq!((&rotated["new_raw_key"], &rotated["old_key_expires_at"]), (&again["new_raw_key"], &again["old_key_expires_at"]));
    assert_eq!(admin.verdict(rotated["new_raw_key"].as_str().unwrap()).await, None);

    admin.act(id, "revoke", None).await.ok();
    rotate().await.refused(409, "idempotency_conflict");
    create(&admin, "a", &body).await.refused(409, "idempotency_conflict");
    origin.advance(Duration::from_secs(24 * 3600 + 1));
    assert_ne!(create(&admin, "a", &body).await.ok()["raw_key"], first["raw_key"]);
}

#[tokio::test]
async fn requests_at_the_same_moment_make_one_key() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let tries: Vec<_> = (0..16)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move { create(&admin, "race", &json!({"name": "one"})).await.ok()["raw_key"].clone() })
        })
        .collect();
    let mut keys = Vec::new();
    for attempt in tries {
        keys.push(attempt.await.unwrap());
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
    let listed = admin.get(KEYS).await.ok();
    assert_eq!(listed.as_array().unwrap().iter().filter(|key| key["name"] == "one").count(), 1);
}

#[tokio::test]
async fn a_retry_is_not_shown_a_key_that_was_given_to_somebody_else_since() {
    let origin = Origin::start().await;
    let ann = origin.caller(json!({"capabilities": ["keys:*"], "owner_id": "ann"})).await;
    let body = json!({"name": "hers"});
    let made = create(&ann, "a", &body).await.ok();
    let id = made["api_key"]["id"].as_str().unwrap();
    origin.admin().act(id, "patch", Some(json!({"owner_id": "bob"}))).await.ok();
    create(&ann, "a", &body).await.refused(409, "idempotency_conflict");
    ann.get(&format!("{KEYS}/{id}")).await.refused(404, "not_found");
}
