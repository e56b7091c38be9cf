//! The holes of the API that Keyward grew from, as far as keys are concerned: each stays closed.

use std::time::Duration;

use serde_json::json;

use crate::{
    edge::Edge,
    harness::{KEYS, Origin},
    usage::batch_id,
};

#[tokio::test]
async fn hole_05_keys_of_people_who_left_are_found_reassigned_and_revoked_by_tenant_scope() {
    let origin = Origin::start().await;
    let manager = origin.caller(json!({"capabilities": ["keys:*"], "scope": "tenant"})).await;
    let left = [origin.key(json!({"owner_id": "left"})).await, origin.key(json!({"owner_id": "left"})).await];
    let handed = manager.act(&left[0].id, "patch", Some(json!({"owner_id": "stays"}))).await.ok();
    assert_eq!(handed["owner_id"], "stays");
    let done = manager.post(&format!("{KEYS}/bulk/revoke"), json!({"filter": {"owner_id": "left"}, "reason": "has left"})).await.ok();
    assert_eq!((&done["matched"], &done["key_ids"]), (&json!(1), &json!([left[1].id])));
    let key = manager.get(&format!("{KEYS}/{}", left[1].id)).await.ok();
    assert_eq!((&key["status"], &key["revocation_reason"]), (&json!("revoked"), &json!("has left")));
    // A caller of user scope gives away nothing, and to nobody.
    let user = origin.caller(json!({"capabilities": ["keys:*"], "owner_id": "ann"})).await;
    let own = user.create(json!({})).await;
    user.act(&own.id, "patch", Some(json!({"owner_id": "bob"}))).await.refused(403, "scope_insufficient");
    let bulk = json!({"ids": [own.id], "owner_id": "bob"});
    user.post(&format!("{KEYS}/bulk/reassign"), bulk).await.refused(403, "scope_insufficient");
}

#[tokio::test]
async fn hole_05_whoever_is_given_a_key_is_an_owner_who_can_be_disabled() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let [one, other] = [origin.key(json!({})).await, origin.key(json!({})).await];
    let reassign =
        async |ids: &[&str], owner: &str| admin.post(&format!("{KEYS}/bulk/reassign"), json!({"ids": ids, "owner_id": owner})).await;
    admin.act(&one.id, "patch", Some(json!({"owner_id": "new"}))).await.ok();
    reassign(&[&other.id], "newer").await.ok();
    for (owner, key) in [("new", &one), ("newer", &other)] {
        assert_eq!(admin.get(&format!("/api/v1/owners/{owner}")).await.ok()["name"], owner);
        admin.send("PATCH", &format!("/api/v1/owners/{owner}"), Some(&json!({"disabled": true})), &[]).await.ok();
        assert_eq!(admin.verdict(&key.raw).await.as_deref(), Some("API key is suspended"));
    }
    // Who is disabled is given nothing, as before; and what gives nothing makes nobody.
    admin.act(&one.id, "patch", Some(json!({"owner_id": "newer"}))).await.refused(409, "owner_disabled");
    reassign(&[&one.id], "newer").await.refused(409, "owner_disabled");
    admin.act(&one.id, "revoke", None).await.ok();
    assert_eq!(reassign(&[&one.id], "nobody").await.ok()["changed"], 0);
    admin.get("/api/v1/owners/nobody").await.refused(404, "not_found");
}

#[tokio::test]
async fn hole_07_zero_is_a_limit_of_zero_and_days_are_bounded() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let zero = json!({
        "rate_limit_per_hour": 0, "daily_quota": 0, "monthly_quota": 0, "cost_limit_cents": 0, "max_tokens_per_request": 0,
        "max_concurrent_requests": 0,
    });
    let key = admin.create(zero.clone()).await;
    let (amended, mut edge) = (admin.create(json!({})).await, Edge::start(&origin).await);
    admin.act(&amended.id, "patch", Some(zero.clone())).await.ok();
    for key in [&key, &amended] {
        let shown = admin.get(&format!("{KEYS}/{}", key.id)).await.ok();
        for limit in zero.as_object().unwrap().keys() {
            assert_eq!(shown[limit], 0, "{limit}");
        }
        let policy = edge.sees(&origin, &key.raw).await.unwrap().policy();
        let limits = edge.policy(&origin, policy).await.claims().limits;
        assert_eq!((limits.rate_per_hour, limits.daily_quota, limits.cost_cents), (Some(0), Some(0), Some(0)));
    }
    for days in [json!(0), json!(-1), json!(3651), json!(1_000_000_000)] {
        for (call, body) in [("renew", json!({"expires_in_days": days})), ("rotate", json!({"expires_in_days": days}))] {
            admin.act(&key.id, call, Some(body)).await.refused(422, "validation_failed");
        }
        admin.act(&key.id, "patch", Some(json!({"rotation_period_days": days}))).await.refused(422, "validation_failed");
        admin.try_create(json!({"rotation_period_days": days})).await.refused(422, "validation_failed");
        admin.get(&format!("{KEYS}?expiring_within_days={days}")).await.refused(422, "validation_failed");
    }
}

#[tokio::test]
async fn hole_08_nothing_that_is_written_after_a_revoke_brings_a_key_back() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let key = admin.create(json!({})).await;
    admin.act(&key.id, "rotate", None).await.ok();
    admin.act(&key.id, "revoke", None).await.ok();
    let all = [
        ("patch", json!({"rate_limit_per_hour": 5})),
        ("patch", json!({"name": "again"})),
        ("suspend", json!({})),
        ("resume", json!({})),
        ("rotate", json!({})),
        ("rotate/finish", json!({})),
        ("rotate/cancel", json!({})),
        ("renew", json!({"expires_in_days": 100})),
    ];
    for (call, body) in all {
        admin.act(&key.id, call, Some(body)).await.refused(409, "key_revoked");
    }
    for call in ["suspend", "resume", "reassign"] {
        let mut body = json!({"ids": [key.id]});
        if call == "reassign" {
            body["owner_id"] = json!("somebody");
        }
        assert_eq!(admin.post(&format!("{KEYS}/bulk/{call}"), body).await.ok()["changed"], 0, "{call}");
    }
    // Nor anything that is counted after it: usage stands apart from the key.
    let before = admin.get(&format!("{KEYS}/{}", key.id)).await;
    let entry = json!({"key": key.id, "hour": origin.now().secs() / 3600, "outcome": "key_revoked", "status": 4, "requests": 1});
    origin.edge().post("/edge/v1/usage", json!({"id": batch_id(origin.now()), "entries": [entry]})).await.ok();
    let after = admin.get(&format!("{KEYS}/{}", key.id)).await;
    assert_eq!(after.headers["etag"], before.headers["etag"]);
    let after = after.ok();
    assert_eq!((&after["status"], &after["usage"]["requests_count"]), (&json!("revoked"), &json!(1)));
    assert_eq!(edge.sees(&origin, &key.raw).await, Err(keyward_core::Reason::Revoked));
}

#[tokio::test]
async fn hole_09_what_is_asked_twice_is_done_once_and_a_revoked_key_gives_no_secret() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let send = async |path: &str, key: &str| admin.send("POST", path, Some(&json!({"name": "x"})), &[("Idempotency-Key", key)]).await;
    let (one, two) = (send(KEYS, "k").await.ok(), send(KEYS, "k").await.ok());
    assert_eq!((&one["raw_key"], &one["api_key"]["id"]), (&two["raw_key"], &two["api_key"]["id"]));
    let id = one["api_key"]["id"].as_str().unwrap();
    // These need no Idempotency-Key: each says how it is to be, and not what to do to it.
    let moment = admin.get(&format!("{KEYS}/{id}")).await.ok()["expires_at"].clone();
    admin.act(id, "rotate", Some(json!({"overlap_seconds": 60}))).await.ok();
    let again = [
        ("rotate/cancel", json!({})),
        ("rotate/finish", json!({})),
        ("renew", json!({"expires_at": moment})),
        ("suspend", json!({})),
        ("resume", json!({})),
    ];
    for (call, body) in again {
        let (first, second) = (admin.act(id, call, Some(body.clone())).await.ok(), admin.act(id, call, Some(body)).await.ok());
        assert_eq!(first, second, "{call}");
    }
    for bulk in [json!({"ids": [id]}), json!({"filter": {"search": "x marks the spot"}})] {
        let (first, second) = (
            admin.post(&format!("{KEYS}/bulk/revoke"), bulk.clone()).await.ok(),
            admin.post(&format!("{KEYS}/bulk/revoke"), bulk).await.ok(),
        );
        assert_eq!((&first["matched"], &second["changed"]), (&second["matched"], &json!(0)));
    }
    admin.act(id, "rotate", None).await.refused(409, "key_revoked");
}

#[tokio::test]
async fn hole_10_a_key_expires_by_the_time_everywhere_and_suspending_is_real() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({"expires_in_days": 1, "owner_id": "x"})).await;
    let other = admin.create(json!({"owner_id": "x"})).await;
    admin.act(&other.id, "suspend", None).await.ok();
    assert_eq!(admin.verdict(&other.raw).await.unwrap(), "API key is suspended");
    let listed = async |origin: &Origin, status: &str| {
        let keys = origin.admin().get(&format!("{KEYS}?owner_id=x&status={status}&sort=expires")).await.ok();
        keys.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    origin.advance(Duration::from_secs(24 * 3600 - 60));
    assert_eq!(listed(&origin, "active").await, std::slice::from_ref(&key.id));
    origin.advance(Duration::from_secs(60));
    // Whether the sweeper has been there or not.
    assert_eq!((listed(&origin, "active").await, listed(&origin, "expired").await), (vec![], vec![key.id.clone()]));
    origin.stop().await;
    origin.database.execute("UPDATE api_keys SET lapsed = false, wake_at = NULL").await;
    origin.restart().await;
    assert_eq!((listed(&origin, "active").await, listed(&origin, "expired").await), (vec![], vec![key.id.clone()]));
    assert_eq!(origin.admin().verdict(&key.raw).await.unwrap(), "API key has expired");
}

#[tokio::test]
async fn hole_13_figures_are_of_the_range_asked_for_and_none_of_them_stays_empty() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({})).await;
    let now = origin.now().secs() / 3600;
    let entry = |hour: u64, outcome: &str, status: u8| json!({"key": key.id, "hour": hour, "endpoint": "GET /v1/x", "outcome": outcome, "status": status, "requests": 2, "bytes_out": 50});
    let entries =
        [entry(now, "passed", 2), entry(now, "passed", 5), entry(now, "rate_limit_exceeded", 4), entry(now - 24 * 6, "passed", 2)];
    origin.edge().post("/edge/v1/usage", json!({"id": batch_id(origin.now()), "entries": entries})).await.ok();
    for path in [format!("{KEYS}/{}/usage", key.id), format!("{KEYS}/analytics/summary")] {
        let report = admin.get(&format!("{path}?days=1")).await.ok();
        let member = |name: &str| report[name].as_u64().unwrap();
        assert_eq!(["total_requests", "total_errors", "rate_limit_hits", "bytes_out"].map(member), [6, 2, 2, 150], "{path}");
        assert_eq!(report["most_used_endpoints"][0]["endpoint"], "GET /v1/x");
        assert_eq!(admin.get(&format!("{path}?days=7")).await.ok()["total_requests"], 8);
        for days in [json!(0), json!(-1), json!(366), json!(1_000_000_000)] {
            admin.get(&format!("{path}?days={days}")).await.refused(422, "validation_failed");
        }
    }
    for (query, usage) in [("", true), ("include_usage=true", true), ("include_usage=false", false)] {
        let keys = admin.get(&format!("{KEYS}?{query}")).await.ok();
        let of = keys.as_array().unwrap().iter().find(|found| found["id"] == key.id.as_str()).unwrap();
        assert_eq!(of["usage"].is_null(), !usage, "{query}");
        assert!(!usage || of["usage"]["requests_count"] == 8, "{of}");
    }
}
