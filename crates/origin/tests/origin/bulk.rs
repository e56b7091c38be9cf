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

#[tokio::test]
async fn many_keys_are_made_whole_or_not_at_all_and_the_same_ones_again_for_the_same_request() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let bulk = format!("{KEYS}/bulk/create");
    let keys: Vec<Value> = (0..60).map(|n| json!({"name": format!("service {n}"), "rate_limit_per_hour": 5 + n % 3})).collect();
    let name = [("idempotency-key", "the-sixty")];
    let made = admin.send("POST", &bulk, Some(&json!({ "keys": keys })), &name).await.ok();
    let made = made["keys"].as_array().unwrap();
    assert_eq!(made.len(), 60);
    for (n, key) in made.iter().enumerate() {
        let shown = &key["api_key"];
        assert_eq!((&shown["name"], &shown["rate_limit_per_hour"]), (&json!(format!("service {n}")), &json!(5 + n % 3)));
        assert_eq!(admin.verdict(key["raw_key"].as_str().unwrap()).await, None);
    }
    // Three policies for sixty keys, each key in the trail, and the same raw keys to whom the answer was lost.
    assert_eq!(origin.database.count("SELECT count(DISTINCT policy) FROM api_keys WHERE name LIKE 'service %'").await, 3);
    assert_eq!(
        origin.database.count("SELECT count(*) FROM audit_log WHERE action = 'api_key_created' AND after LIKE '%service %'").await,
        60
    );
    let again = admin.send("POST", &bulk, Some(&json!({ "keys": keys })), &name).await.ok();
    let raw = |list: &[Value]| list.iter().map(|key| key["raw_key"].clone()).collect::<Vec<_>>();
    assert_eq!(raw(again["keys"].as_array().unwrap()), raw(made));
    admin.send("POST", &bulk, Some(&json!({"keys": keys[1..]})), &name).await.refused(422, "idempotency_mismatch");
    // One that can't be made, and none is; each fault is named with its place.
    let faulty = json!({"keys": [{"name": "good"}, {"name": ""}, {"name": "x", "expires_in_days": 0, "allowed_ips": ["here"]}]});
    let problem = admin.post(&bulk, faulty).await;
    assert_eq!(problem.status, 422);
    let errors = problem.json()["errors"].as_array().unwrap().iter().map(|error| error["field"].clone()).collect::<Vec<_>>();
    assert_eq!(errors, ["keys[1].name", "keys[2].expires_in_days", "keys[2].allowed_ips[0]"]);
    let beyond = origin.caller(json!({"capabilities": ["keys:create", "llm:gpt-4"]})).await;
    let wide = json!({"keys": [{"name": "good", "capabilities": ["llm:gpt-4"]}, {"name": "wide", "capabilities": ["llm:*"]}]});
    beyond.post(&bulk, wide).await.refused(403, "grant_exceeded");
    for count in [0, 501] {
        let keys = vec![json!({"name": "x"}); count];
        assert_eq!(admin.post(&bulk, json!({ "keys": keys })).await.problem().2, "keys");
    }
    assert_eq!(origin.database.count("SELECT count(*) FROM api_keys WHERE name IN ('good', 'wide', 'x')").await, 0);
}
