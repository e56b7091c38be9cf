//! One tenant can't use up what all share.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, KEYS, Origin};

/// A tenant with these ceilings, its id, and a caller that manages it.
async fn tenant(origin: &Origin, ceilings: Value) -> (String, Client) {
    let made = origin
        .admin()
        .post("/api/v1/tenants", json!({"slug": "small", "name": "Small", "ceilings": ceilings, "first_key": true}))
        .await
        .ok();
    let manager = origin.client(made["first_key"]["raw_key"].as_str().unwrap());
    (made["tenant"]["id"].as_str().unwrap().to_owned(), manager)
}

#[tokio::test]
async fn no_more_keys_live_than_the_ceiling_whoever_creates_at_the_same_moment_and_on_whatever_server() {
    let origin = Origin::start().await;
    let beside = origin.beside().await;
    // The manager's own key is one of them.
    let (id, manager) = tenant(&origin, json!({"live_keys": 21})).await;
    let elsewhere = beside.client(&manager.key);
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..40 {
        let client = if at % 2 == 0 { manager.clone() } else { elsewhere.clone() };
        tasks.spawn(async move { client.try_create(json!({})).await });
    }
    let mut made = Vec::new();
    while let Some(answer) = tasks.join_next().await {
        let answer = answer.unwrap();
        match answer.status {
            201 => made.push(answer.json()["api_key"]["id"].as_str().unwrap().to_owned()),
            _ => answer.refused(409, "ceiling_reached"),
        }
    }
    assert_eq!(made.len(), 20);
    assert_eq!(manager.get(KEYS).await.ok().as_array().unwrap().len(), 21);
    let used = manager.get(&format!("/api/v1/tenants/{id}")).await.ok()["used"].clone();
    assert_eq!((&used["live_keys"], &used["creates_per_hour"]), (&json!(21), &json!(21)));
    // A key that ends makes room for one; what was refused is not asked for again within the second.
    manager.act(&made[0], "revoke", None).await.ok();
    origin.advance(Duration::from_secs(2));
    manager.create(json!({"expires_in_days": 1})).await;
    manager.try_create(json!({})).await.refused(409, "ceiling_reached");
    // So does one that expires, once they are counted anew.
    origin.advance(Duration::from_secs(2 * 24 * 3600));
    let admin = origin.admin();
    admin.send("PATCH", &format!("/api/v1/tenants/{id}"), Some(&json!({"name": "Still small"})), &[]).await.ok();
    manager.create(json!({})).await;
    manager.try_create(json!({})).await.refused(409, "ceiling_reached");
    admin.send("PATCH", &format!("/api/v1/tenants/{id}"), Some(&json!({"ceilings": {"live_keys": 22}})), &[]).await.ok();
    manager.create(json!({})).await;
}

#[tokio::test]
async fn creates_changes_and_policies_are_bounded_and_taking_a_key_out_of_use_is_never_refused() {
    let origin = Origin::start().await;
    let (_, manager) = tenant(&origin, json!({"creates_per_hour": 4, "changes_per_hour": 3, "policies": 3})).await;
    let keys = [manager.create(json!({})).await, manager.create(json!({})).await, manager.create(json!({"daily_quota": 7})).await];
    let refused = manager.try_create(json!({})).await;
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait));
    refused.refused(429, "rate_limited");
    // The manager's policy, the default one, the one with another quota.
    origin.advance(Duration::from_secs(wait));
    manager.try_create(json!({"daily_quota": 8})).await.refused(409, "ceiling_reached");
    origin.advance(Duration::from_secs(2));
    manager.create(json!({"daily_quota": 7})).await;

    for name in ["a", "b", "c"] {
        manager.act(&keys[0].id, "patch", Some(json!({"name": name}))).await.ok();
    }
    manager.act(&keys[0].id, "patch", Some(json!({"name": "d"}))).await.refused(429, "rate_limited");
    manager.act(&keys[0].id, "suspend", None).await.ok();
    manager.act(&keys[0].id, "resume", None).await.refused(429, "rate_limited");
    manager.act(&keys[1].id, "revoke", None).await.ok();
    origin.advance(Duration::from_secs(3600));
    manager.act(&keys[0].id, "resume", None).await.ok();
}

#[tokio::test]
async fn keys_that_expired_and_are_renewed_or_rotated_are_held_against_the_ceiling_again() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let (id, manager) = tenant(&origin, json!({"live_keys": 5})).await;
    let path = format!("/api/v1/tenants/{id}");
    let change = async |change: Value| admin.send("PATCH", &path, Some(&change), &[]).await.ok();
    let used = async || admin.get(&path).await.ok()["used"]["live_keys"].clone();
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(manager.create(json!({"expires_in_days": 1})).await);
    }
    // One that ends so early by a rotation alone, which can still be cancelled then.
    let rotated = manager.create(json!({})).await;
    let shorter = json!({"expires_in_days": 1, "overlap_seconds": 5 * 24 * 3600});
    manager.act(&rotated.id, "rotate", Some(shorter)).await.ok();
    old.push(rotated);
    origin.advance(Duration::from_secs(2 * 24 * 3600));
    // Counted anew: they make room for others.
    change(json!({"name": "Still small"})).await;
    let mut new = Vec::new();
    for _ in 0..4 {
        new.push(manager.create(json!({})).await);
    }
    let back = json!({"expires_in_days": 30});
    for call in ["renew", "rotate"] {
        manager.act(&old[0].id, call, Some(back.clone())).await.refused(409, "ceiling_reached");
    }
    manager.act(&old[3].id, "rotate/cancel", None).await.refused(409, "ceiling_reached");
    // What has ended by itself makes no room by being revoked, alone, with others, or as one of many.
    manager.act(&old[0].id, "revoke", None).await.ok();
    manager.act(&old[1].id, "revoke", Some(json!({"reason": "over"}))).await.ok();
    manager.post(&format!("{KEYS}/bulk/revoke"), json!({"ids": [old[2].id]})).await.ok();
    assert_eq!(used().await, 5);
    manager.try_create(json!({})).await.refused(409, "ceiling_reached");
    // What is live does, and what comes back takes it.
    manager.act(&new[0].id, "revoke", None).await.ok();
    manager.act(&old[3].id, "rotate/cancel", None).await.ok();
    assert_eq!(used().await, 5);
    origin.advance(Duration::from_secs(2));
    manager.try_create(json!({})).await.refused(409, "ceiling_reached");
    change(json!({"name": "Small"})).await;
    assert_eq!(used().await, 5, "the count was right before");
}

#[tokio::test]
async fn a_retry_is_answered_as_before_whatever_the_ceiling_says_by_then() {
    let origin = Origin::start().await;
    let (_, manager) = tenant(&origin, json!({"creates_per_hour": 4})).await;
    let ask = async |path: &str, key: &str, body: Value| manager.send("POST", path, Some(&body), &[("Idempotency-Key", key)]).await;
    let many = format!("{KEYS}/bulk/create");
    let (one, two) = (json!({"name": "one"}), json!({"keys": [{"name": "two"}, {"name": "three"}]}));
    let (first, others) = (ask(KEYS, "a", one.clone()).await.ok(), ask(&many, "b", two.clone()).await.ok());
    for _ in 0..2 {
        manager.try_create(json!({})).await.refused(429, "rate_limited");
        assert_eq!(ask(KEYS, "a", one.clone()).await.ok()["raw_key"], first["raw_key"]);
        assert_eq!(ask(&many, "b", two.clone()).await.ok()["keys"], others["keys"]);
        ask(KEYS, "a", json!({"name": "another"})).await.refused(422, "idempotency_mismatch");
        ask(KEYS, "c", one.clone()).await.refused(429, "rate_limited");
    }
}

#[tokio::test]
async fn a_ceiling_that_is_raised_on_one_server_is_raised_on_all_within_seconds() {
    let origin = Origin::start().await;
    let beside = origin.beside().await;
    let (id, manager) = tenant(&origin, json!({"creates_per_hour": 2})).await;
    let elsewhere = beside.client(&manager.key);
    manager.create(json!({})).await;
    elsewhere.try_create(json!({})).await.refused(429, "rate_limited");
    let raised = json!({"ceilings": {"creates_per_hour": 3}});
    origin.admin().send("PATCH", &format!("/api/v1/tenants/{id}"), Some(&raised), &[]).await.ok();
    origin.advance(Duration::from_secs(3));
    elsewhere.create(json!({})).await;
}

#[tokio::test]
async fn what_is_refused_or_asked_again_uses_up_no_place_in_the_status_lists() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({})).await;
    let missing = "01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11";
    admin.post("/api/v1/owners", json!({"id": "left"})).await.ok();
    admin.send("PATCH", "/api/v1/owners/left", Some(&json!({"disabled": true})), &[]).await.ok();
    let again = async |path: &str| admin.send("POST", path, Some(&json!({"name": "x"})), &[("Idempotency-Key", "x")]).await;
    let made = again(KEYS).await.ok()["raw_key"].clone();
    let rotate = format!("{KEYS}/{}/rotate", key.id);
    let rotated = admin.send("POST", &rotate, None, &[("Idempotency-Key", "y")]).await.ok()["new_raw_key"].clone();
    let keys: Vec<_> = (0..40).map(|at| json!({"name": "x", "expires_in_days": if at == 39 { 9999 } else { 9 }})).collect();
    // As many as a block has, of each.
    let taken = "SELECT last_value FROM position_blocks";
    let before = origin.database.count(taken).await;
    for _ in 0..60 {
        admin.act(missing, "rotate", None).await.refused(404, "not_found");
        admin.act(&key.id, "rotate", None).await.refused(409, "rotation_in_progress");
        admin.send("POST", &rotate, None, &[("If-Match", "\"x\"")]).await.refused(412, "precondition_failed");
        assert_eq!(admin.send("POST", &rotate, None, &[("Idempotency-Key", "y")]).await.ok()["new_raw_key"], rotated);
        assert_eq!(again(KEYS).await.ok()["raw_key"], made);
        admin.try_create(json!({"owner_id": "left"})).await.refused(409, "owner_disabled");
        admin.post(&format!("{KEYS}/bulk/create"), json!({"keys": keys})).await.refused(422, "validation_failed");
    }
    assert_eq!(origin.database.count(taken).await, before);
    // What was given back is good for others, once each.
    for _ in 0..20 {
        admin.create(json!({})).await;
    }
    assert_eq!(origin.database.count(taken).await, before);
}
