//! One action on many keys.

use keyward_core::Reason;
use serde_json::{Value, json};

use crate::{
    edge::Edge,
    harness::{Client, Created, KEYS, Origin},
};

async fn bulk(client: &Client, action: &str, body: Value) -> Value {
    client.post(&format!("{KEYS}/bulk/{action}"), body).await.ok()
}

#[tokio::test]
async fn a_chunk_is_one_delta_goes_on_by_its_cursor_and_counts_without_changing() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let mut keys: Vec<Created> = Vec::new();
    for _ in 0..7 {
        keys.insert(0, admin.create(json!({"owner_id": "team"})).await);
    }
    admin.act(&keys[3].id, "suspend", None).await.ok();
    edge.catch_up(&origin).await;
    let before = edge.position().seq;

    let request = json!({"filter": {"owner_id": "team"}, "dry_run": true, "limit": 3});
    let counted = bulk(&admin, "suspend", request.clone()).await;
    assert_eq!((&counted["matched"], &counted["changed"], &counted["dry_run"]), (&json!(3), &json!(3), &json!(true)));
    assert!(edge.sees(&origin, &keys[0].raw).await.is_ok());
    assert_eq!(edge.position().seq, before);

    let mut request = json!({"filter": {"owner_id": "team"}, "limit": 3});
    let mut changed = Vec::new();
    let mut calls = 0;
    loop {
        let done = bulk(&admin, "suspend", request.clone()).await;
        calls += 1;
        changed.extend(done["key_ids"].as_array().unwrap().clone());
        if done["next_cursor"].is_null() {
            break;
        }
        request["cursor"] = done["next_cursor"].clone();
    }
    assert_eq!((changed.len(), calls), (6, 3));
    for key in &keys {
        assert_eq!(edge.sees(&origin, &key.raw).await, Err(Reason::Suspended));
    }
    assert_eq!(edge.position().seq, before + 3);

    let ids: Vec<_> = keys[..5].iter().map(|key| json!(key.id)).collect();
    let resumed = bulk(&admin, "resume", json!({"ids": ids})).await;
    assert_eq!(resumed["changed"], 5);
    let revoked = bulk(&admin, "revoke", json!({"filter": {"owner_id": "team", "status": "active"}, "reason": "project ended"})).await;
    assert_eq!((&revoked["matched"], &revoked["changed"]), (&json!(5), &json!(5)));
    for (at, key) in keys.iter().enumerate() {
        let expected = if at < 5 { Reason::Revoked } else { Reason::Suspended };
        assert_eq!(edge.sees(&origin, &key.raw).await, Err(expected));
    }
    let given = bulk(&admin, "reassign", json!({"filter": {"owner_id": "team"}, "owner_id": "next"})).await;
    assert_eq!((&given["matched"], &given["changed"]), (&json!(7), &json!(2)));
    assert_eq!(edge.position().seq, before + 5, "owners are none of the feed's business");
}

#[tokio::test]
async fn what_the_caller_does_not_see_is_not_there_and_a_request_that_is_wrong_names_its_member() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let ann = origin.caller(json!({"capabilities": ["keys:*"], "owner_id": "ann"})).await;
    let (mine, theirs) = (ann.create(json!({})).await, admin.create(json!({"owner_id": "bob"})).await);
    let unknown = "01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11";
    let done = bulk(&ann, "suspend", json!({"ids": [mine.id, theirs.id, unknown]})).await;
    assert_eq!((&done["key_ids"], &done["not_found"]), (&json!([mine.id]), &json!([theirs.id, unknown])));
    assert_eq!(bulk(&ann, "revoke", json!({"filter": {"owner_id": "bob"}})).await["matched"], 0);
    // All that it sees, and no more.
    bulk(&ann, "revoke", json!({"filter": {}})).await;
    assert_eq!(admin.get(&format!("{KEYS}/{}", theirs.id)).await.ok()["status"], "active");

    let many = vec![unknown; 501];
    for (action, body, field) in [
        ("suspend", json!({}), "filter"),
        ("suspend", json!({"ids": []}), "ids"),
        ("suspend", json!({"ids": many}), "ids"),
        ("suspend", json!({"ids": [unknown], "filter": {}}), "filter"),
        ("suspend", json!({"ids": [unknown], "limit": 5}), "limit"),
        ("suspend", json!({"filter": {}, "limit": 501}), "limit"),
        ("suspend", json!({"filter": {}, "limit": 0}), "limit"),
        ("suspend", json!({"filter": {}, "cursor": "x"}), "cursor"),
        ("suspend", json!({"filter": {"colour": "red"}}), "colour"),
        ("suspend", json!({"filter": {"search": "ab"}}), "search"),
        ("suspend", json!({"filter": {}, "reason": "x"}), "reason"),
        ("suspend", json!({"filter": {}, "owner_id": "x"}), "owner_id"),
        ("revoke", json!({"filter": {}, "reason": ""}), "reason"),
        ("reassign", json!({"filter": {}}), "owner_id"),
        ("reassign", json!({"filter": {}, "owner_id": ""}), "owner_id"),
    ] {
        let answer = admin.post(&format!("{KEYS}/bulk/{action}"), body.clone()).await;
        assert_eq!(answer.problem(), (422, "validation_failed".into(), field.into()), "{action} {body}");
    }
}
