//! What edges decided lately: kept once, for a while, within bounds; shown and told to those whose keys it is about.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::{
    harness::{Answer, Client, Created, Origin, eventually},
    usage::batch_id,
};

const DECISIONS: &str = "/api/v1/decisions";

/// A decision of now, with these members.
pub fn decision(origin: &Origin, key: &Created, members: Value) -> Value {
    let mut decision = json!({
        "at_ms": origin.now().millis(), "key": key.id, "weight": 1, "policy": key.body["policy"], "epoch": 1, "seq": 4, "method": "GET",
        "path": "/v1/x", "address": "192.0.2.1", "tls": true, "route": "/v1/**", "outcome": "passed", "status": 200, "duration_ms": 3,
    });
    for (name, value) in members.as_object().unwrap() {
        decision[name] = value.clone();
    }
    decision
}

pub async fn send(origin: &Origin, decisions: Vec<Value>) -> Answer {
    origin.edge().post("/edge/v1/decisions", json!({"id": batch_id(origin.now()), "decisions": decisions})).await
}

/// The paths of what a query finds, page by page, newest first.
async fn paths(client: &Client, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut path = format!("{DECISIONS}?{query}");
    loop {
        let answer = client.get(&path).await;
        let next = answer.headers.get("link").map(|link| link.to_str().unwrap().to_owned());
        found.extend(answer.ok().as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap().to_owned()));
        let Some(next) = next else { return found };
        path = next.trim_start_matches('<').split('>').next().unwrap().to_owned();
    }
}

#[tokio::test]
async fn a_decision_is_kept_once_and_seen_by_those_who_see_its_key() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let reads = ["keys:read"];
    let ann = origin.caller(json!({"capabilities": reads, "owner_id": "ann"})).await;
    let tenant = origin.caller(json!({"capabilities": reads, "scope": "tenant"})).await;
    let other = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other", "first_key": true})).await.ok();
    let foreign = origin.client(other["first_key"]["raw_key"].as_str().unwrap());
    let (hers, theirs) = (admin.create(json!({"owner_id": "ann"})).await, foreign.create(json!({})).await);
    let (bobs, ghost) = (admin.create(json!({"owner_id": "bob"})).await, "0197c1a0-0000-7000-8000-000000000000");
    let batch = json!({"id": batch_id(origin.now()), "decisions": [
        decision(&origin, &hers, json!({"path": "/v1/a", "cost": 25, "capability": "llm:chat", "domain": "app.example"})),
        decision(&origin, &bobs, json!({"path": "/v1/b", "outcome": "endpoint_blocked", "status": 403, "weight": 7})),
        decision(&origin, &theirs, json!({"path": "/v1/c"})),
        decision(&origin, &Created { id: ghost.into(), raw: String::new(), body: json!({"policy": 1}) }, json!({"path": "/v1/d"})),
        decision(&origin, &hers, json!({"path": "/w/e", "outcome": "key_revoked", "status": 401, "policy": null, "route": null})),
        decision(&origin, &hers, json!({"path": "/v1/f", "outcome": "upstream_unavailable", "status": 502})),
    ]});
    let edge = origin.edge();
    for _ in 0..3 {
        assert_eq!(edge.post("/edge/v1/decisions", batch.clone()).await.ok()["id"], batch["id"]);
    }

    for (client, query, expected) in [
        (&admin, "", vec!["/v1/f", "/w/e", "/v1/b", "/v1/a"]),
        (&tenant, "limit=1", vec!["/v1/f", "/w/e", "/v1/b", "/v1/a"]),
        (&ann, "limit=2", vec!["/v1/f", "/w/e", "/v1/a"]),
        (&foreign, "", vec!["/v1/c"]),
        (&admin, "outcome=passed", vec!["/v1/f", "/v1/a"]),
        (&admin, "outcome=refused&limit=1", vec!["/w/e", "/v1/b"]),
        (&admin, "reason=endpoint_blocked", vec!["/v1/b"]),
        (&ann, "reason=endpoint_blocked", vec![]),
        (&admin, "path=/v1/", vec!["/v1/f", "/v1/b", "/v1/a"]),
        (&admin, &format!("key={}&path=/w", hers.id), vec!["/w/e"]),
        (&foreign, &format!("key={}", hers.id), vec![]),
        (&admin, "cursor=3", vec!["/v1/b", "/v1/a"]),
        (&admin, "cursor=18446744073709551615&limit=1", vec!["/v1/f", "/w/e", "/v1/b", "/v1/a"]),
    ] {
        assert_eq!(paths(client, query).await, expected, "{query}");
    }
    let one = admin.get(&format!("{DECISIONS}/1")).await.ok()["decision"].clone();
    for (member, expected) in [
        ("id", json!(1)),
        ("key_id", json!(hers.id)),
        ("verdict", json!("passed")),
        ("outcome", json!("passed")),
        ("weight", json!(1)),
        ("policy", hers.body["policy"].clone()),
        ("position", json!("1.4")),
        ("method", json!("GET")),
        ("address", json!("192.0.2.1")),
        ("domain", json!("app.example")),
        ("tls", json!(true)),
        ("token", json!(false)),
        ("route", json!("/v1/**")),
        ("capability", json!("llm:chat")),
        ("status", json!(200)),
        ("cost_cents", json!(25)),
        ("duration_ms", json!(3)),
    ] {
        assert_eq!(one[member], expected, "{member}");
    }
    ann.get(&format!("{DECISIONS}/1")).await.ok();
    // A tenant's numbers are its own, so that none of them says how much another does.
    assert_eq!(foreign.get(&format!("{DECISIONS}/1")).await.ok()["decision"]["path"], "/v1/c");
    for (client, number) in [(&ann, "2"), (&foreign, "2"), (&admin, "5"), (&admin, "01"), (&admin, "x"), (&admin, "9223372036854775807")] {
        client.get(&format!("{DECISIONS}/{number}")).await.refused(404, "not_found");
    }
    for (query, field) in [("limit=0", "limit"), ("reason=A", "reason"), ("path=v1", "path"), ("outcome=x", "outcome"), ("key=x", "key")] {
        assert_eq!(admin.get(&format!("{DECISIONS}?{query}")).await.problem(), (422, "validation_failed".into(), field.into()), "{query}");
    }
}

#[tokio::test]
async fn a_decision_is_explained_by_the_rules_that_it_was_made_by() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let terms = json!({"capabilities": ["llm:*"], "allowed_endpoints": ["/v1/**", "/w"], "blocked_endpoints": ["/v1/no/*"], "allowed_ips": ["192.0.2.0/24"]});
    let key = admin.create(terms).await;
    let refused = |outcome: &str, members: Value| {
        let mut all = json!({"outcome": outcome, "status": 403, "capability": "llm:chat"});
        members.as_object().unwrap().iter().for_each(|(name, value)| all[name] = value.clone());
        decision(&origin, &key, all)
    };
    let (wrong, cut) = (json!({"capability": "rag:search", "address": "198.51.100.7"}), json!({"path_cut": true}));
    let sent = vec![
        decision(&origin, &key, json!({"capability": "llm:chat"})),
        refused("endpoint_blocked", json!({"path": "/v1/no/x"})),
        refused("address_not_allowed", wrong),
        refused("no_route", json!({"route": null, "capability": null})),
        refused("key_suspended", json!({"policy": null})),
        refused("daily_quota_exceeded", json!({})),
        refused("limit_unavailable", json!({})),
        refused("capability_missing", json!({"token": true})),
        refused("scope_exceeded", json!({})),
        refused("wrong_audience", json!({"token": true, "policy": null})),
        refused("endpoint_blocked", cut),
        refused("endpoint_blocked", json!({"epoch": 2})),
    ];
    send(&origin, sent).await.ok();
    // What wasn't kept, and how many were.
    for (number, kept, broken) in [
        (1, 19, vec![]),
        (2, 18, vec![("policy", "blocked", "endpoint_blocked", "/v1/no/*")]),
        (3, 17, vec![("policy", "address", "address_not_allowed", "-"), ("policy", "capability", "capability_missing", "-")]),
        (4, 18, vec![("policy", "route", "no_route", "-")]),
        (5, 6, vec![("key", "status", "key_suspended", "-")]),
        (6, 18, vec![("policy", "limits", "daily_quota_exceeded", "-")]),
        (7, 18, vec![("policy", "limits", "limit_unavailable", "-")]),
        (8, 19, vec![("token", "capability", "capability_missing", "-")]),
        (9, 18, vec![("policy", "scope", "scope_exceeded", "-")]),
        (10, 3, vec![("token", "audience", "wrong_audience", "-")]),
        (11, 0, vec![]),
        (12, 0, vec![]),
    ] {
        let answer = admin.get(&format!("{DECISIONS}/{number}")).await.ok();
        let steps = answer["steps"].as_array().unwrap();
        let text = |step: &Value, member: &str| step[member].as_str().unwrap_or("-").to_owned();
        let lost: Vec<_> = steps.iter().filter(|step| step["passed"] == false).collect();
        let found: Vec<_> = lost.iter().map(|step| ["source", "rule", "code", "by"].map(|member| text(step, member))).collect();
        let expected: Vec<_> =
            broken.iter().map(|(source, rule, code, by)| [source, rule, code, by].map(|text| (*text).to_owned())).collect();
        assert_eq!(found, expected, "{answer}");
        assert_eq!(steps.iter().filter(|step| step["passed"] == true).count(), kept, "{answer}");
    }
    let passed = admin.get(&format!("{DECISIONS}/1")).await.ok();
    let by = |rule: &str| passed["steps"].as_array().unwrap().iter().find(|step| step["rule"] == rule).unwrap()["by"].clone();
    assert_eq!(
        [by("endpoint"), by("address"), by("capability"), by("blocked")],
        [json!("/v1/**"), json!("192.0.2.0/24"), json!("llm:*"), Value::Null]
    );
}

#[tokio::test]
async fn what_an_edge_says_wrongly_is_refused_as_a_whole() {
    let origin = Origin::start().await;
    let key = origin.key(json!({})).await;
    for (field, value) in [
        ("weight", json!(0)),
        ("weight", json!(1_000_000_001)),
        ("at_ms", json!(u64::MAX)),
        ("seq", json!(u64::MAX)),
        ("method", json!("GET\n")),
        ("path", json!("v1")),
        ("path", json!(format!("/{}", "x".repeat(1024)))),
        ("domain", json!("x".repeat(257))),
        ("route", json!("x".repeat(513))),
        ("capability", json!("\0")),
        ("outcome", json!("Passed")),
        ("status", json!(1000)),
        ("cost", json!(u64::MAX)),
    ] {
        let sent = send(&origin, vec![decision(&origin, &key, json!({})), decision(&origin, &key, json!({field: value}))]).await;
        assert_eq!(sent.problem(), (422, "validation_failed".into(), format!("decisions[1].{field}")), "{value}");
    }
    let edge = origin.edge();
    for (id, decisions) in [
        ("0197c1a0-0000-4000-8000-000000000000".to_owned(), vec![]),
        (batch_id(keyward_core::Timestamp::from_millis(origin.now().millis() - 25 * 3_600_000)), vec![]),
        (batch_id(origin.now()), vec![decision(&origin, &key, json!({})); 501]),
    ] {
        edge.post("/edge/v1/decisions", json!({"id": id, "decisions": decisions})).await.refused(422, "validation_failed");
    }
    assert!(paths(&origin.admin(), "").await.is_empty());
}

#[tokio::test]
async fn of_a_flood_no_more_is_kept_than_there_is_room_for_and_it_stands_for_all() {
    let origin = Origin::start().await;
    let key = origin.key(json!({})).await;
    let second = origin.beside().await;
    for _ in 0..4 {
        let flood = |n: usize| vec![decision(&origin, &key, json!({"weight": n})); 500];
        let (one, other) = tokio::join!(send(&origin, flood(1)), send(&second, flood(2)));
        assert_eq!((one.status, other.status), (200, 200));
    }
    let database = &origin.database;
    let rows = database.count("SELECT count(*) FROM decisions").await;
    assert!((2000..2050).contains(&rows), "{rows}");
    let all = "SELECT (SELECT sum(weight) FROM decisions)::bigint + (SELECT sum(owed) FROM decision_meters)::bigint";
    assert_eq!(database.count(all).await, 4 * 500 * 3);
    assert_eq!(database.count("SELECT max(seq) - min(seq) + 1 FROM decisions").await, rows);
    // With time there is room again, and the next ones stand for what was left out.
    origin.advance(Duration::from_secs(60));
    assert_eq!(send(&origin, vec![decision(&origin, &key, json!({}))]).await.status, 200);
    assert_eq!(database.count("SELECT sum(weight)::bigint FROM decisions").await, 4 * 500 * 3 + 1);
}

#[tokio::test]
async fn what_is_old_is_not_shown_and_soon_not_there() {
    let mut origin = Origin::start().await;
    let (admin, key) = (origin.admin(), origin.key(json!({"expires_in_days": null})).await);
    send(&origin, vec![decision(&origin, &key, json!({"path": "/old"}))]).await.ok();
    origin.advance(Duration::from_secs(23 * 3600));
    origin.restart().await;
    eventually("the manifest is renewed", async || (origin.edge().get("/edge/v1/manifest").await.status == 200).then_some(())).await;
    let late = decision(&origin, &key, json!({"path": "/late", "at_ms": origin.now().millis() - 25 * 3_600_000}));
    send(&origin, vec![late, decision(&origin, &key, json!({"path": "/new"}))]).await.ok();
    assert_eq!(paths(&admin, "").await, ["/new", "/old"]);
    origin.advance(Duration::from_secs(2 * 3600));
    assert_eq!(paths(&admin, "").await, ["/new"]);
    origin.advance(Duration::from_secs(6 * 3600));
    origin.restart().await;
    let gone = async || (origin.database.count("SELECT count(*) FROM decisions WHERE path = '/old'").await == 0).then_some(());
    eventually("what is old is gone", gone).await;
    assert_eq!(paths(&admin, "").await, ["/new"]);
    // Where none are wanted none are kept, nor those of before.
    origin.decision_hours = 0;
    origin.restart().await;
    send(&origin, vec![decision(&origin, &key, json!({"path": "/unwanted"}))]).await.ok();
    let none = async || (origin.database.count("SELECT count(*) FROM decisions").await == 0).then_some(());
    eventually("none is kept", none).await;
    assert!(paths(&admin, "").await.is_empty());
}

#[tokio::test]
async fn a_stream_tells_what_another_server_was_sent_and_goes_on_where_it_broke_off() {
    let origin = Origin::start().await;
    let second = origin.beside().await;
    let tenant = origin.key(json!({"capabilities": ["keys:read"], "scope": "tenant"})).await;
    let key = origin.key(json!({})).await;
    let tell = async |path: &str, outcome: &str| {
        send(&origin, vec![decision(&origin, &key, json!({"path": path, "outcome": outcome}))]).await.ok();
    };
    let watcher = second.client(&tenant.raw);
    tell("/before", "passed").await;
    let mut all = watcher.watch(&format!("{DECISIONS}/stream"), &[]).await.unwrap();
    let mut refused = watcher.watch(&format!("{DECISIONS}/stream?outcome=refused&path=/v"), &[]).await.unwrap();
    tell("/v1", "passed").await;
    tell("/w2", "no_route").await;
    tell("/v3", "no_route").await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let (id, decision) = all.next().await.unwrap();
        assert_eq!(decision["id"].to_string(), id);
        told.push(decision["path"].as_str().unwrap().to_owned());
    }
    assert_eq!(told, ["/v1", "/w2", "/v3"]);
    assert_eq!(refused.next().await.unwrap().1["path"], "/v3");
    drop(all);
    tell("/v4", "passed").await;
    for (query, header, expected) in
        [("", Some("3"), ["/v3", "/v4"]), ("?after=3", None, ["/v3", "/v4"]), ("?after=9", Some("3"), ["/v3", "/v4"])]
    {
        let headers: Vec<_> = header.map(|id| ("last-event-id", id)).into_iter().collect();
        let mut again = watcher.watch(&format!("{DECISIONS}/stream{query}"), &headers).await.unwrap();
        for path in expected {
            assert_eq!(again.next().await.unwrap().1["path"], path);
        }
    }
    assert_eq!(watcher.watch(&format!("{DECISIONS}/stream"), &[("last-event-id", "x")]).await.err(), Some(422));

    // What comes faster is stood for by what is told.
    let mut fast = watcher.watch(&format!("{DECISIONS}/stream"), &[]).await.unwrap();
    send(&origin, vec![decision(&origin, &key, json!({})); 500]).await.ok();
    let mut weight = 0;
    let mut ids = BTreeSet::new();
    while weight < 500 {
        let (id, decision) = fast.next().await.unwrap();
        assert!(ids.insert(id.parse::<u64>().unwrap()));
        weight += decision["weight"].as_u64().unwrap();
    }
    assert_eq!((weight, ids.len()), (500, 50));
}

#[tokio::test]
async fn a_stream_ends_with_its_key_and_there_are_only_so_many() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let stream = format!("{DECISIONS}/stream");
    let key = origin.key(json!({"capabilities": ["keys:read"], "scope": "tenant"})).await;
    let client = origin.client(&key.raw);
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(client.watch(&stream, &[]).await.unwrap());
    }
    assert_eq!(client.watch(&stream, &[]).await.err(), Some(429));
    let other = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other", "first_key": true})).await.ok();
    let mut foreign = origin.client(other["first_key"]["raw_key"].as_str().unwrap()).watch(&stream, &[]).await.unwrap();
    let lasting = origin.key(json!({"capabilities": ["keys:read"], "scope": "tenant"})).await;
    drop(open.pop());
    let lasting = origin.client(&lasting.raw);
    let mut stays = eventually("a place is free", async || lasting.watch(&stream, &[]).await.ok()).await;

    // A page's session is no better than its key.
    drop(open.pop());
    let signed_in = client.sign_in().await;
    open.push(eventually("a place is free", async || signed_in.watch(&stream, &[]).await.ok()).await);
    admin.act(&key.id, "revoke", None).await.ok();
    for mut stream in open {
        assert_eq!(stream.next().await, None);
    }
    let about = origin.key(json!({})).await;
    send(&origin, vec![decision(&origin, &about, json!({}))]).await.ok();
    assert!(stays.next().await.is_some());
    // A server that ends ends them, and isn't held up.
    let began = std::time::Instant::now();
    origin.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!((stays.next().await, foreign.next().await), (None, None));
}
