//! What if: a draft of a policy against what was decided lately.

use serde_json::{Value, json};

use crate::{
    decisions::{decision, send},
    harness::{Created, Origin},
};

const REPLAY: &str = "/api/v1/policies/replay";

/// Key, route, from, to, requests.
fn lines(answer: &Value) -> Vec<(String, String, String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let changes = answer["changes"].as_array().unwrap().iter();
    changes
        .map(|one| (text(&one["key_name"]), text(&one["route"]), text(&one["from"]), text(&one["to"]), one["requests"].as_u64().unwrap()))
        .collect()
}

fn line(key: &str, route: &str, from: &str, to: &str, requests: u64) -> (String, String, String, String, u64) {
    (key.into(), route.into(), from.into(), to.into(), requests)
}

/// Two keys with decisions of all kinds.
async fn some(origin: &Origin) -> (Created, Created) {
    let admin = origin.admin();
    let terms = json!({"name": "able", "capabilities": ["llm:*"], "owner_id": "ann", "allowed_endpoints": ["/v1/**"]});
    let able = admin.create(terms).await;
    let weak = admin.create(json!({"name": "weak", "owner_id": "bob", "allowed_ips": ["192.0.2.0/24"]})).await;
    let chat = |key, members: Value| {
        let mut all = json!({"method": "POST", "path": "/v1/chat/x", "route": "POST /v1/chat/**", "capability": "llm:gpt-4"});
        members.as_object().unwrap().iter().for_each(|(name, value)| all[name] = value.clone());
        decision(origin, key, all)
    };
    let refused = |outcome: &str, weight: u64| json!({"outcome": outcome, "status": 403, "weight": weight});
    send(
        origin,
        vec![
            chat(&able, json!({"weight": 10})),
            chat(&able, json!({"weight": 20, "address": "198.51.100.7"})),
            chat(&able, json!({"weight": 3, "outcome": "daily_quota_exceeded", "status": 429})),
            chat(&able, json!({"weight": 5, "outcome": "key_suspended", "status": 401})),
            chat(&able, json!({"weight": 2, "outcome": "state_stale", "status": 503})),
            chat(&able, json!({"weight": 4, "token": true})),
            chat(&able, json!({"weight": 6, "token": true, "outcome": "capability_missing", "status": 403})),
            chat(&able, json!({"weight": 1, "path_cut": true})),
            chat(&weak, refused("capability_missing", 7)),
            chat(&weak, json!({"weight": 8, "outcome": "address_not_allowed", "status": 403, "address": "198.51.100.7"})),
            decision(origin, &weak, json!({"weight": 9, "path": "/v1/me", "route": "/v1/me"})),
            decision(origin, &weak, json!({"weight": 30, "path": "/x", "route": null, "outcome": "no_route", "status": 403})),
        ],
    )
    .await
    .ok();
    (able, weak)
}

#[tokio::test]
async fn a_draft_says_which_requests_it_would_decide_otherwise() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let (able, weak) = some(&origin).await;
    let policy = |key: &Created| key.body["policy"].clone();
    for (asked, requests, changed, undecided, expected) in [
        // As it is nothing changes, of which anything can be said.
        (json!({"key_id": able.id, "change": {}}), 51, [0, 0, 0], 7, vec![]),
        (json!({"policy": policy(&weak), "change": {}}), 54, [0, 0, 0], 0, vec![]),
        // Narrower: what passed is refused, and what a limit refused is for another reason.
        (
            json!({"key_id": able.id, "change": {"allowed_ips": ["192.0.2.0/24"], "blocked_endpoints": ["/v2"]}}),
            51,
            [20, 0, 0],
            7,
            vec![line("able", "POST /v1/chat/**", "passed", "address_not_allowed", 20)],
        ),
        (
            json!({"key_id": able.id, "change": {"allowed_endpoints": ["/v2/**"]}}),
            51,
            [34, 0, 3],
            7,
            vec![
                line("able", "POST /v1/chat/**", "passed", "endpoint_not_allowed", 34),
                line("able", "POST /v1/chat/**", "daily_quota_exceeded", "endpoint_not_allowed", 3),
            ],
        ),
        // Wider: what was refused passes, or is refused further on.
        (
            json!({"policy": policy(&weak), "change": {"capabilities": ["llm:gpt-4"]}}),
            54,
            [0, 7, 0],
            0,
            vec![line("weak", "POST /v1/chat/**", "capability_missing", "passed", 7)],
        ),
        (
            json!({"policy": policy(&weak), "change": {"allowed_ips": "any"}}),
            54,
            [0, 0, 8],
            0,
            vec![line("weak", "POST /v1/chat/**", "address_not_allowed", "capability_missing", 8)],
        ),
        // All terms, for all keys; one whose scope is above what a key was signed for permits it nothing.
        (
            json!({"terms": {"capabilities": ["llm:gpt-4"], "allowed_endpoints": ["POST /v1/**"]}}),
            105,
            [9, 15, 0],
            7,
            vec![
                line("weak", "/v1/me", "passed", "endpoint_not_allowed", 9),
                line("weak", "POST /v1/chat/**", "address_not_allowed", "passed", 8),
                line("weak", "POST /v1/chat/**", "capability_missing", "passed", 7),
            ],
        ),
        (
            json!({"key_id": weak.id, "terms": {"scope": "tenant"}}),
            54,
            [9, 0, 45],
            0,
            vec![
                line("weak", "-", "no_route", "scope_exceeded", 30),
                line("weak", "/v1/me", "passed", "scope_exceeded", 9),
                line("weak", "POST /v1/chat/**", "address_not_allowed", "scope_exceeded", 8),
                line("weak", "POST /v1/chat/**", "capability_missing", "scope_exceeded", 7),
            ],
        ),
    ] {
        let answer = admin.post(REPLAY, asked.clone()).await.ok();
        let of = |name: &str| answer[name].as_u64().unwrap();
        assert_eq!(of("requests"), requests, "{asked}: {answer}");
        assert_eq!(["newly_refused", "newly_permitted", "refused_otherwise"].map(of), changed, "{asked}: {answer}");
        assert_eq!((of("changed"), of("undecided")), (changed.iter().sum(), undecided), "{asked}: {answer}");
        assert_eq!(lines(&answer), expected, "{asked}");
        for change in answer["changes"].as_array().unwrap() {
            let example = admin.get(&format!("/api/v1/decisions/{}", change["example"])).await.ok()["decision"].clone();
            assert_eq!((&example["key_id"], &example["outcome"]), (&change["key_id"], &change["from"]));
        }
    }
}

#[tokio::test]
async fn a_draft_is_held_against_what_its_caller_sees_and_wrong_ones_are_told_apart() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let (able, weak) = some(&origin).await;
    let ann = origin.caller(json!({"capabilities": ["keys:read"], "owner_id": "ann"})).await;
    let other = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other", "first_key": true})).await.ok();
    let foreign = origin.client(other["first_key"]["raw_key"].as_str().unwrap());
    let block = json!({"terms": {"blocked_endpoints": ["/**"]}});
    let requests =
        async |client: &crate::harness::Client, asked: &Value| client.post(REPLAY, asked.clone()).await.ok()["requests"].as_u64();
    assert_eq!(requests(&ann, &block).await, Some(51));
    assert_eq!(requests(&foreign, &block).await, Some(0));
    assert_eq!(requests(&ann, &json!({"policy": weak.body["policy"], "change": {}})).await, Some(0));
    // Of what is older than was asked for nothing is said.
    origin.advance(std::time::Duration::from_secs(2 * 3600));
    assert_eq!(requests(&admin, &block).await, Some(0));
    assert_eq!(requests(&admin, &json!({"hours": 3, "terms": {}})).await, Some(105));

    ann.post(REPLAY, json!({"key_id": weak.id, "change": {}})).await.refused(404, "not_found");
    foreign.post(REPLAY, json!({"key_id": able.id, "change": {}})).await.refused(404, "not_found");
    foreign.post(REPLAY, json!({"policy": able.body["policy"], "change": {}})).await.refused(404, "not_found");
    admin.post(REPLAY, json!({"policy": 999_999, "change": {}})).await.refused(404, "not_found");
    for (asked, field) in [
        (json!({}), "terms"),
        (json!({"terms": {}, "change": {}, "key_id": able.id}), "terms"),
        (json!({"change": {}}), "change"),
        (json!({"terms": {}, "hours": 0}), "hours"),
        (json!({"terms": {}, "hours": 169}), "hours"),
        (json!({"terms": {"capabilities": ["no:such"]}}), "terms.capabilities[0]"),
        (json!({"terms": {"allowed_ips": ["x"]}}), "terms.allowed_ips[0]"),
        (json!({"key_id": able.id, "change": {"allowed_endpoints": ["x"]}}), "change.allowed_endpoints[0]"),
        (json!({"terms": {"name": "x"}}), "name"),
    ] {
        let (status, code, named) = admin.post(REPLAY, asked.clone()).await.problem();
        assert_eq!((status, code.as_str(), named.as_str()), (422, "validation_failed", field), "{asked}");
    }
}
