//! Rotation as a process: both halves visible, finished early, cancelled, due; and renewal.

use std::time::Duration;

use keyward_core::Reason;
use serde_json::{Value, json};

use crate::{
    edge::Edge,
    harness::{KEYS, Origin},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn hints(key: &Value) -> Vec<(String, bool, Option<&str>)> {
    let list = key["credentials"].as_array().unwrap();
    let hint = |one: &Value| one["key_hint"].as_str().unwrap().rsplit('…').next().unwrap().to_owned();
    list.iter().map(|one| (hint(one), one["current"] == true, one["expires_at"].as_str())).collect()
}

fn tail(raw: &str) -> String {
    raw[raw.len() - 4..].to_owned()
}

#[tokio::test]
async fn a_rotation_shows_both_halves_and_is_finished_early_or_cancelled_into_what_was_before() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let key = admin.create(json!({"expires_in_days": 30})).await;
    assert_eq!(hints(&key.body), [(tail(&key.raw), true, key.body["expires_at"].as_str())]);
    let rotate = json!({"overlap_seconds": 3600, "expires_in_days": 60});

    let answer = admin.act(&key.id, "rotate", Some(rotate.clone())).await.ok();
    let second = answer["new_raw_key"].as_str().unwrap().to_owned();
    let both =
        [(tail(&second), true, answer["api_key"]["expires_at"].as_str()), (tail(&key.raw), false, answer["old_key_expires_at"].as_str())];
    assert_eq!(hints(&answer["api_key"]), both);
    // Whoever rotates twice has mostly lost the first answer: then what the old clients use must not end by it.
    admin.act(&key.id, "rotate", Some(rotate.clone())).await.refused(409, "rotation_in_progress");

    let cancelled = admin.act(&key.id, "rotate/cancel", None).await.ok();
    assert_eq!(hints(&cancelled), hints(&key.body));
    for same in ["expires_at", "last_rotated", "key_hint", "policy"] {
        assert_eq!(cancelled[same], key.body[same], "{same}");
    }
    assert_eq!(edge.sees(&origin, &second).await, Err(Reason::Revoked));
    origin.advance(2 * DAY);
    assert!(edge.sees(&origin, &key.raw).await.is_ok(), "the old key has its own expiry again");
    assert_eq!(admin.act(&key.id, "rotate/cancel", None).await.ok()["etag"], cancelled["etag"]);

    let third = admin.act(&key.id, "rotate", Some(rotate.clone())).await.ok()["new_raw_key"].as_str().unwrap().to_owned();
    let finished = admin.act(&key.id, "rotate/finish", None).await.ok();
    assert_eq!(hints(&finished).len(), 1);
    assert_eq!(edge.sees(&origin, &key.raw).await, Err(Reason::Revoked));
    assert!(edge.sees(&origin, &third).await.is_ok());
    // What has ended doesn't come back, neither when finished nor when the overlap is over.
    admin.act(&key.id, "rotate/cancel", None).await.refused(409, "rotation_not_in_progress");
    admin.act(&key.id, "rotate", Some(rotate)).await.ok();
    origin.advance(Duration::from_secs(3601));
    admin.act(&key.id, "rotate/cancel", None).await.refused(409, "rotation_not_in_progress");
    // And a lasting one is ended at once by a rotation without overlap.
    admin.act(&key.id, "rotate", None).await.ok();
    let last = admin.act(&key.id, "rotate", Some(json!({"overlap_seconds": 0}))).await.ok();
    assert_eq!(hints(&last["api_key"]), [(tail(last["new_raw_key"].as_str().unwrap()), true, last["api_key"]["expires_at"].as_str())]);
}

#[tokio::test]
async fn a_change_during_an_overlap_is_for_both_halves_and_a_cancelled_rotation_keeps_it() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let key = admin.create(json!({"expires_in_days": 3})).await;
    let second = admin.act(&key.id, "rotate", None).await.ok()["new_raw_key"].as_str().unwrap().to_owned();
    admin.act(&key.id, "suspend", None).await.ok();
    let changed = admin.act(&key.id, "patch", Some(json!({"rate_limit_per_hour": 7}))).await.ok();
    let renewed = admin.act(&key.id, "renew", Some(json!({"expires_in_days": 9}))).await.ok();
    let cancelled = admin.act(&key.id, "rotate/cancel", None).await.ok();
    assert_eq!((&cancelled["status"], &cancelled["policy"]), (&json!("suspended"), &changed["policy"]));
    assert_eq!(cancelled["expires_at"], renewed["expires_at"]);
    assert_eq!(edge.sees(&origin, &key.raw).await, Err(Reason::Suspended));
    assert_eq!(edge.sees(&origin, &second).await, Err(Reason::Revoked));
    admin.act(&key.id, "resume", None).await.ok();
    origin.advance(8 * DAY);
    let seen = edge.sees(&origin, &key.raw).await.unwrap();
    assert_eq!(edge.policy(&origin, seen.policy()).await.claims().limits.rate_per_hour, Some(7));
}

#[tokio::test]
async fn a_renewed_key_is_the_same_raw_key_with_another_expiry_and_nobody_renews_beyond_itself() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let key = admin.create(json!({"expires_in_days": 1})).await;
    origin.advance(2 * DAY);
    assert_eq!(edge.sees(&origin, &key.raw).await, Err(Reason::Expired));
    let renewed = admin.act(&key.id, "renew", Some(json!({"expires_in_days": 10}))).await.ok();
    assert_eq!(renewed["status"], "active");
    assert_eq!(edge.sees(&origin, &key.raw).await.unwrap().policy().to_string(), renewed["policy"].to_string());
    assert_eq!(admin.verdict(&key.raw).await, None);
    let never = admin.act(&key.id, "renew", Some(json!({"expires_in_days": null}))).await.ok();
    assert_eq!(never["expires_at"], json!(null));
    for body in [
        json!({}),
        json!({"expires_at": "2020-01-01T00:00:00Z"}),
        json!({"expires_at": "2200-01-01T00:00:00Z"}),
        json!({"expires_at": "x"}),
        json!({"expires_at": "2027-01-01T00:00:00Z", "expires_in_days": 1}),
        json!({"days": 1}),
    ] {
        admin.act(&key.id, "renew", Some(body)).await.refused(422, "validation_failed");
    }
    let short = origin.caller(json!({"capabilities": ["keys:*"], "scope": "tenant", "expires_in_days": 20})).await;
    let theirs = admin.create(json!({"expires_in_days": 5})).await;
    assert_eq!(short.act(&theirs.id, "renew", Some(json!({"expires_in_days": 21}))).await.problem().1, "grant_exceeded");
    short.act(&theirs.id, "renew", Some(json!({"expires_in_days": 19}))).await.ok();
    let stronger = admin.create(json!({"capabilities": ["admin:user_management"]})).await;
    short.act(&stronger.id, "renew", Some(json!({"expires_in_days": 2}))).await.refused(403, "grant_exceeded");
}

#[tokio::test]
async fn a_change_is_made_only_in_the_state_that_if_match_names() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({})).await;
    let path = format!("{KEYS}/{}", key.id);
    let first = admin.get(&path).await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(first.json()["etag"], tag);
    let patch = async |tag: &str| admin.send("PATCH", &path, Some(&json!({"name": "new"})), &[("If-Match", tag)]).await;
    let changed = patch(&tag).await;
    let newer = changed.headers["etag"].to_str().unwrap().to_owned();
    assert_ne!(newer, tag);
    for old in [tag.as_str(), &format!("W/{newer}"), "\"other\""] {
        patch(old).await.refused(412, "precondition_failed");
    }
    patch("nonsense").await.refused(422, "validation_failed");
    patch(&format!("{tag}, {newer}")).await.ok();
    patch("*").await.ok();
    for (method, call) in [
        ("POST", "suspend"),
        ("POST", "resume"),
        ("POST", "rotate"),
        ("POST", "rotate/finish"),
        ("POST", "rotate/cancel"),
        ("DELETE", "revoke"),
    ] {
        admin.send(method, &format!("{path}/{call}"), None, &[("If-Match", &tag)]).await.refused(412, "precondition_failed");
    }
    let renew = json!({"expires_in_days": 5});
    admin.send("POST", &format!("{path}/renew"), Some(&renew), &[("If-Match", &tag)]).await.refused(412, "precondition_failed");
    // Another policy in force is another state, though nobody touched the key.
    let before = admin.get(&path).await.ok();
    admin.post(&format!("/api/v1/policies/{}/supersede", before["policy"]), json!({"daily_quota": 3})).await.ok();
    assert_ne!(admin.get(&path).await.ok()["etag"], before["etag"]);
    // And one that isn't there isn't there, whatever is named.
    let missing = format!("{KEYS}/01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11");
    admin.send("PATCH", &missing, Some(&json!({})), &[("If-Match", &tag)]).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_reason_is_kept_with_the_first_revoke_and_bounded() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({})).await;
    let path = format!("{KEYS}/{}/revoke", key.id);
    for reason in [json!(""), json!("x".repeat(257)), json!("a\nb"), json!(5)] {
        assert_eq!(admin.send("DELETE", &path, Some(&json!({"reason": reason})), &[]).await.problem().2, "reason");
    }
    let twice = admin.send("DELETE", &format!("{path}?reason=a"), Some(&json!({"reason": "b"})), &[]).await;
    assert_eq!(twice.problem().2, "reason");
    admin.send("DELETE", &format!("{path}?reason=leaked%20to%20a%20log"), None, &[]).await.ok();
    admin.send("DELETE", &path, Some(&json!({"reason": "later"})), &[]).await.ok();
    let shown = admin.get(&format!("{KEYS}/{}", key.id)).await.ok();
    assert_eq!(shown["revocation_reason"], "leaked to a log");
    assert_eq!((&shown["credentials"], shown["revoked_at"].is_string()), (&json!([]), true));
}

#[tokio::test]
async fn every_turn_of_a_keys_life_is_in_the_trail_once_and_a_repetition_that_changes_nothing_is_not() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({"owner_id": "ann"})).await;
    for (call, body) in [
        ("rotate", json!({})),
        ("rotate/cancel", json!({})),
        ("rotate/cancel", json!({})),
        ("rotate", json!({})),
        ("rotate/finish", json!({})),
        ("rotate/finish", json!({})),
        ("renew", json!({"expires_in_days": 9})),
    ] {
        admin.act(&key.id, call, Some(body)).await.ok();
    }
    for (action, rest) in [
        ("reassign", json!({"owner_id": "bob"})),
        ("suspend", json!({})),
        ("suspend", json!({})),
        ("resume", json!({"dry_run": true})),
        ("resume", json!({})),
        ("revoke", json!({"reason": "over"})),
    ] {
        let mut body = json!({"ids": [key.id]});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        admin.post(&format!("{KEYS}/bulk/{action}"), body).await.ok();
    }
    let trail = admin.get(&format!("/api/v1/audit?key={}", key.id)).await.ok();
    let trail = trail.as_array().unwrap();
    let actions: Vec<_> = trail.iter().rev().map(|record| record["action"].as_str().unwrap()).collect();
    let expected = [
        "created",
        "rotated",
        "rotation_cancelled",
        "rotated",
        "rotation_finished",
        "renewed",
        "updated",
        "suspended",
        "resumed",
        "revoked",
    ];
    assert_eq!(actions, expected.map(|action| format!("api_key_{action}")));
    assert_eq!(trail[0]["details"]["reason"], "over");
    assert_eq!((&trail[3]["before"]["owner_id"], &trail[3]["after"]["owner_id"]), (&json!("ann"), &json!("bob")));
}
