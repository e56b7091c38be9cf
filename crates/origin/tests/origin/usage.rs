//! What keys are used for: counted once, for whom it belongs to, and read as it was.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use keyward_core::Timestamp;
use serde_json::{Value, json};

use crate::harness::{Client, Created, KEYS, Origin, eventually};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A UUIDv7 of that moment, never the same.
pub fn batch_id(made: Timestamp) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    sqlx::types::Uuid::from_u128(u128::from(made.millis()) << 80 | 7 << 76 | 2 << 62 | u128::from(count)).to_string()
}

pub fn hour(moment: Timestamp) -> u64 {
    moment.secs() / 3600
}

/// An entry of now, with these members.
pub fn entry(origin: &Origin, key: &Created, members: Value) -> Value {
    let mut entry =
        json!({"key": key.id, "hour": hour(origin.now()), "endpoint": "GET /v1/x", "outcome": "passed", "status": 2, "requests": 1});
    for (name, value) in members.as_object().unwrap() {
        entry[name] = value.clone();
    }
    entry
}

async fn send(origin: &Origin, entries: Vec<Value>, callers: Vec<Value>) -> Value {
    origin.edge().post("/edge/v1/usage", json!({"id": batch_id(origin.now()), "entries": entries, "callers": callers})).await.ok()
}

/// Turns the clock on by so much that the manifest has to be renewed, which the housekeeping at a start does.
async fn turn(origin: &mut Origin, by: Duration) {
    origin.advance(by);
    origin.restart().await;
    let ready = async || (origin.edge().get("/edge/v1/manifest").await.status == 200).then_some(());
    eventually("the manifest is renewed", ready).await;
}

pub async fn usage(client: &Client, key: &Created, query: &str) -> Value {
    client.get(&format!("{KEYS}/{}/usage?{query}", key.id)).await.ok()
}

pub async fn summary(client: &Client, query: &str) -> Value {
    client.get(&format!("{KEYS}/analytics/summary?{query}")).await.ok()
}

#[tokio::test]
async fn a_report_has_the_figures_of_its_range_and_a_key_those_of_its_life() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let (key, other, unused) = (admin.create(json!({})).await, admin.create(json!({})).await, admin.create(json!({})).await);
    let now = origin.now();
    let last = now.millis();
    let latency = json!([0, 5, 0, 0, 0, 0, 0, 1]);
    let entries = vec![
        entry(&origin, &key, json!({"requests": 7, "bytes_in": 10, "bytes_out": 1000, "cost": 3, "latency": latency, "last_ms": last})),
        entry(&origin, &key, json!({"requests": 2, "status": 4})),
        entry(&origin, &key, json!({"requests": 1, "outcome": "upstream_unavailable", "status": 5, "endpoint": "POST /v1/y/**"})),
        entry(&origin, &key, json!({"requests": 4, "outcome": "endpoint_blocked", "status": 4, "endpoint": "POST /v1/y/**"})),
        entry(&origin, &key, json!({"requests": 5, "outcome": "rate_limit_exceeded", "status": 4})),
        entry(&origin, &key, json!({"requests": 1, "outcome": "of_an_edge_that_is_newer", "status": 4, "endpoint": ""})),
        // Two days ago.
        entry(&origin, &key, json!({"requests": 100, "hour": hour(now) - 48})),
        entry(&origin, &other, json!({"requests": 1000})),
    ];
    let today = now.secs() / (24 * 3600);
    let caller = |address: &str, requests: u64| json!({"key": key.id, "day": today, "address": address, "requests": requests});
    send(&origin, entries, vec![caller("192.0.2.1", 3), caller("2001:db8::1", 8), caller("2001:db8::2", 9), caller("::ffff:192.0.2.1", 1)])
        .await;

    let report = usage(&admin, &key, "days=1").await;
    for (member, expected) in [
        ("total_requests", json!(20)),
        ("total_errors", json!(3)),
        ("total_refused", json!(10)),
        ("avg_requests_per_day", json!(20.0)),
        ("rate_limit_hits", json!(5)),
        ("keys_analyzed", json!(1)),
        ("bytes_in", json!(10)),
        ("bytes_out", json!(1000)),
        ("cost_cents", json!(3)),
        (
            "most_used_endpoints",
            json!([
                {"endpoint": "GET /v1/x", "requests": 14, "errors": 2, "refused": 5},
                {"endpoint": "POST /v1/y/**", "requests": 5, "errors": 1, "refused": 4},
                {"endpoint": "(none)", "requests": 1, "errors": 0, "refused": 1},
            ]),
        ),
        (
            "outcomes",
            json!([
                {"outcome": "passed", "requests": 9},
                {"outcome": "rate_limit_exceeded", "requests": 5},
                {"outcome": "endpoint_blocked", "requests": 4},
                {"outcome": "(other)", "requests": 1},
                {"outcome": "upstream_unavailable", "requests": 1},
            ]),
        ),
        ("statuses", json!([{"class": 2, "requests": 7}, {"class": 4, "requests": 12}, {"class": 5, "requests": 1}])),
        ("top_addresses", json!([{"address": "2001:db8::/64", "requests": 17}, {"address": "192.0.2.1", "requests": 4}])),
    ] {
        assert_eq!(report[member], expected, "{member}");
    }
    let latencies: Vec<_> = report["latency"].as_array().unwrap().iter().map(|bucket| (&bucket["up_to_ms"], &bucket["requests"])).collect();
    assert_eq!((latencies[1], latencies[7]), ((&json!(5), &json!(5)), (&json!(null), &json!(1))));
    assert_eq!(report["date_range"]["days"], 1);

    let month = usage(&admin, &key, "").await;
    assert_eq!((&month["total_requests"], &month["avg_requests_per_day"]), (&json!(120), &json!(4.0)));
    let series = month["series"].as_array().unwrap();
    assert_eq!((series.len(), &series[27]["requests"], &series[28]["requests"]), (30, &json!(100), &json!(0)));
    assert_eq!((&series[29]["requests"], &series[29]["errors"], &series[29]["bytes"]), (&json!(20), &json!(3), &json!(1010)));
    let hours = usage(&admin, &key, "days=3&interval=hour").await["series"].as_array().unwrap().clone();
    assert_eq!((hours.len() as u64, &hours.last().unwrap()["requests"]), (49 + hour(now) % 24, &json!(20)));
    assert_eq!(hours[hours.len() - 49]["requests"], 100);

    // The whole tenant, with the caller's own requests left out: those are not made with a key at an edge.
    let all = summary(&admin, "days=3").await;
    assert_eq!((&all["total_requests"], &all["keys_analyzed"]), (&json!(1120), &json!(2)));
    let shown = admin.get(&format!("{KEYS}/{}", key.id)).await.ok();
    assert_eq!((&shown["usage"]["requests_count"], &shown["usage"]["bytes_transferred"]), (&json!(120), &json!(1010)));
    assert_eq!((&shown["usage"]["errors_count"], &shown["usage"]["rate_limit_hits"]), (&json!(3), &json!(5)));
    assert_eq!(shown["usage"]["last_used"], report["last_used"]);
    assert_eq!(
        admin.get(&format!("{KEYS}/{}", unused.id)).await.ok()["usage"],
        json!({
            "requests_count": 0, "bytes_transferred": 0, "errors_count": 0, "rate_limit_hits": 0, "last_used": null
        })
    );
    for (query, days) in
        [("days=0", "1 to 365"), ("days=366", "1 to 365"), ("days=32&interval=hour", "1 to 31"), ("days=-1", ""), ("day=1", "")]
    {
        for path in [format!("{KEYS}/{}/usage?{query}", key.id), format!("{KEYS}/analytics/summary?{query}")] {
            let answer = admin.get(&path).await;
            assert!(answer.text.contains(days), "{query}: {answer:?}");
            answer.refused(422, "validation_failed");
        }
    }
}

#[tokio::test]
async fn a_batch_counts_once_however_often_it_is_sent_and_is_answered_the_same() {
    let mut origin = Origin::start().await;
    let key = origin.key(json!({})).await;
    let lost = json!({"key": "01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11", "hour": 1, "outcome": "passed", "requests": 3});
    let batch = json!({"id": batch_id(origin.now()), "entries": [entry(&origin, &key, json!({"requests": 2})), lost]});
    let post = |client: Client| {
        let batch = batch.clone();
        async move { client.post("/edge/v1/usage", batch).await.ok() }
    };
    let expected = json!({"id": batch["id"], "unattributed": 3, "clamped": 3});
    for answer in join_all((0..8).map(|_| post(origin.edge()))).await {
        assert_eq!(answer, expected);
    }
    let beside = origin.beside().await;
    assert_eq!(post(beside.edge()).await, expected);
    origin.restart().await;
    assert_eq!(post(origin.edge()).await, expected);
    assert_eq!(usage(&origin.admin(), &key, "").await["total_requests"], 2);
    assert_eq!(summary(&origin.admin(), "").await["unattributed"], json!([{"outcome": "passed", "requests": 3}]));
}

#[tokio::test]
async fn whose_a_key_is_the_origin_knows_and_nobody_sees_anothers_use() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let made = admin.post("/api/v1/tenants", json!({"slug": "acme", "name": "Acme", "first_key": true})).await.ok();
    let theirs = origin.client(made["first_key"]["raw_key"].as_str().unwrap());
    let all = json!({"capabilities": ["keys:*"], "scope": "tenant"});
    let (tenant, manager) = (made["tenant"]["id"].as_str().unwrap(), origin.caller(all).await);
    let (ann, bob) =
        (origin.key(json!({"owner_id": "ann", "capabilities": ["keys:read"]})).await, origin.key(json!({"owner_id": "bob"})).await);
    let foreign = theirs.create(json!({})).await;
    let entries = [(&ann, 1), (&bob, 10), (&foreign, 100)].map(|(key, requests)| entry(&origin, key, json!({"requests": requests})));
    let nobodys = ["malformed", "signature_invalid", "malformed"]
        .map(|outcome| json!({"hour": hour(origin.now()), "outcome": outcome, "status": 4, "requests": 5}));
    send(&origin, entries.into_iter().chain(nobodys).collect(), vec![]).await;

    let total = async |client: &Client, query: &str| summary(client, query).await["total_requests"].as_u64().unwrap();
    let user = origin.client(&ann.raw);
    assert_eq!((total(&user, "").await, total(&manager, "").await, total(&admin, "").await, total(&theirs, "").await), (1, 11, 11, 100));
    assert_eq!(total(&admin, &format!("tenant={tenant}")).await, 100);
    manager.get(&format!("{KEYS}/analytics/summary?tenant={tenant}")).await.refused(403, "scope_insufficient");
    let missing = manager.get(&format!("{KEYS}/01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11/usage")).await;
    for (client, key) in [(&manager, &foreign), (&user, &bob), (&theirs, &ann), (&admin, &foreign)] {
        let answer = client.get(&format!("{KEYS}/{}/usage", key.id)).await;
        assert_eq!(answer.text, missing.text);
        answer.refused(404, "not_found");
    }
    // Of many keys at once, those that are seen, in the order of the question.
    let ids = [&foreign, &bob, &ann].map(|key| key.id.as_str()).join(",");
    let seen = async |client: &Client| {
        let series = client.get(&format!("{KEYS}/analytics/series?ids={ids}&days=2")).await.ok();
        series["keys"].as_array().unwrap().iter().map(|key| (key["id"].clone(), key["requests"].clone())).collect::<Vec<_>>()
    };
    let used = |key: &Created, requests: u64| (json!(key.id), json!([0, requests]));
    assert_eq!(seen(&user).await, [used(&ann, 1)]);
    assert_eq!(seen(&manager).await, [used(&bob, 10), used(&ann, 1)]);
    assert_eq!(seen(&theirs).await, [used(&foreign, 100)]);
    for query in ["ids=x", "days=0", "days=91", &format!("ids={}", [ann.id.as_str(); 101].join(","))] {
        admin.get(&format!("{KEYS}/analytics/series?{query}")).await.refused(422, "validation_failed");
    }
    // What is nobody's is for who runs all of it.
    let nobodys = json!([{"outcome": "malformed", "requests": 10}, {"outcome": "signature_invalid", "requests": 5}]);
    assert_eq!(summary(&admin, "").await["unattributed"], nobodys);
    assert!(summary(&manager, "").await.get("unattributed").is_none());
}

#[tokio::test]
async fn a_batch_that_is_wrong_is_refused_whole_and_says_where() {
    let origin = Origin::start().await;
    let (edge, key) = (origin.edge(), origin.key(json!({})).await);
    let good = entry(&origin, &key, json!({}));
    let with = |name: &str, value: Value| {
        let mut entry = good.clone();
        entry[name] = value;
        json!({"id": batch_id(origin.now()), "entries": [good, entry]})
    };
    let old = Timestamp::from_millis(origin.now().millis() - 31 * 24 * 3600 * 1000);
    let caller = json!({"key": key.id, "day": 1, "address": "192.0.2.1", "requests": 0});
    for (batch, field) in [
        (with("requests", json!(0)), "entries[1].requests"),
        (with("requests", json!(-1)), "entries[1].requests"),
        (with("requests", json!(1u64 << 40)), "entries[1].requests"),
        (with("latency", json!([1, 1, 0, 0, 0, 0, 0, 0])), "entries[1].latency"),
        (with("latency", json!([u64::MAX, 1, 0, 0, 0, 0, 0, 0])), "entries[1].latency"),
        (with("latency", json!([1])), "entries[1].latency"),
        (with("status", json!(6)), "entries[1].status"),
        (with("outcome", json!("No spaces")), "entries[1].outcome"),
        (with("endpoint", json!("/".repeat(513))), "entries[1].endpoint"),
        (with("endpoint", json!("/\u{0}")), "entries[1].endpoint"),
        (with("bytes_in", json!(u64::MAX)), "entries[1].bytes_in"),
        (with("tenant", json!("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11")), "tenant"),
        (json!({"id": "01981f9f-7a3c-4cc0-8a52-6b6d3c1f0e11", "entries": []}), "id"),
        (json!({"id": batch_id(old), "entries": []}), "id"),
        (json!({"id": batch_id(origin.now()), "entries": [], "callers": [caller]}), "callers[0].requests"),
        (json!({"id": batch_id(origin.now()), "entries": vec![good.clone(); 2001]}), "entries"),
    ] {
        let answer = edge.post("/edge/v1/usage", batch).await;
        assert_eq!(answer.problem(), (422, "validation_failed".into(), field.into()), "{answer:?}");
    }
    edge.post("/edge/v1/usage", json!({"x": "x".repeat(1 << 20)})).await.refused(413, "body_too_large");
    assert_eq!(usage(&origin.admin(), &key, "").await["total_requests"], 0);
}

#[tokio::test]
async fn what_comes_too_late_or_too_early_counts_for_the_nearest_hour_that_is_taken() {
    let origin = Origin::start().await;
    let (admin, key, now) = (origin.admin(), origin.key(json!({})).await, hour(origin.now()));
    for (hour, clamped) in [(now - 7 * 24, 0), (now - 7 * 24 - 1, 1), (0, 1), (now + 1, 0), (now + 2, 1), (u64::from(u32::MAX), 1)] {
        assert_eq!(send(&origin, vec![entry(&origin, &key, json!({"hour": hour}))], vec![]).await["clamped"], clamped, "{hour}");
    }
    let days = [0, u64::from(u32::MAX)].map(|day| json!({"key": key.id, "day": day, "address": "192.0.2.1", "requests": 1}));
    send(&origin, vec![], days.to_vec()).await;
    // The next hour may be of tomorrow.
    origin.advance(Duration::from_secs(3600));
    let report = usage(&admin, &key, "days=9&interval=hour").await;
    let points: Vec<_> =
        report["series"].as_array().unwrap().iter().filter_map(|point| point["requests"].as_u64().filter(|n| *n > 0)).collect();
    assert_eq!((points, &report["total_requests"]), (vec![3, 3], &json!(6)));
    assert_eq!(report["top_addresses"], json!([{"address": "192.0.2.1", "requests": 2}]));
    // Nobody was seen in the time to come.
    assert!(report["last_used"].as_str().unwrap() <= report["date_range"]["end"].as_str().unwrap());
}

#[tokio::test]
async fn clients_cannot_blow_the_sums_up_with_names_that_they_invent() {
    let origin = Origin::start().await;
    let (key, day) = (origin.key(json!({})).await, origin.now().secs() / (24 * 3600));
    for round in 0..3u32 {
        let entries = (0..500u32).map(|n| entry(&origin, &key, json!({"endpoint": format!("/{round}/{n}")}))).collect();
        let caller = |n: u32| json!({"key": key.id, "day": day, "address": std::net::Ipv4Addr::from_bits(round << 16 | n).to_string(), "requests": 1});
        send(&origin, entries, (0..500).map(caller).collect()).await;
    }
    for (table, name, of_a_key, of_a_tenant) in
        [("usage_days", "endpoint", 65, 513), ("usage_hours", "endpoint", 65, 513), ("usage_addresses", "address", 65, 1025)]
    {
        let count = async |whole: &str| {
            let key = &key.id;
            origin.database.count(&format!("SELECT count(DISTINCT {name}) FROM {table} WHERE (api_key = '{key}') = {whole}")).await
        };
        assert_eq!((count("true").await, count("false").await), (of_a_key, of_a_tenant), "{table}");
    }
    let report = usage(&origin.admin(), &key, "").await;
    assert_eq!((&report["total_requests"], &report["most_used_endpoints"][0]["endpoint"]), (&json!(1500), &json!("(other)")));
    assert_eq!(report["most_used_endpoints"][0]["requests"], 1500 - 64);
    assert_eq!(report["top_addresses"][0], json!({"address": "(other)", "requests": 1500 - 64}));
}

#[tokio::test]
async fn what_validate_decides_is_counted_and_written_before_an_orderly_end() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let open = admin.create(json!({"require_tls": false})).await;
    let strict = admin.create(json!({"allowed_endpoints": ["/v1/only"], "require_tls": false})).await;
    let empty = admin.create(json!({"rate_limit_per_hour": 0, "require_tls": false})).await;
    for _ in 0..3 {
        assert_eq!(admin.verdict(&open.raw).await, None);
    }
    assert!(admin.verdict(&strict.raw).await.is_some() && admin.verdict(&empty.raw).await.is_some());
    admin.act(&open.id, "suspend", None).await.ok();
    assert!(admin.verdict(&open.raw).await.is_some());
    let other = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other", "first_key": true})).await.ok();
    let foreign = origin.client(other["first_key"]["raw_key"].as_str().unwrap());
    assert_eq!(foreign.verdict(&open.raw).await.unwrap(), "Invalid API key");
    origin.restart().await;
    let admin = origin.admin();
    let report = usage(&admin, &open, "").await;
    assert_eq!(report["outcomes"], json!([{"outcome": "passed", "requests": 3}, {"outcome": "key_suspended", "requests": 1}]));
    assert_eq!(report["most_used_endpoints"][0]["endpoint"], "/v1/x");
    assert_eq!(report["top_addresses"], json!([{"address": "192.0.2.1", "requests": 4}]));
    assert_eq!(usage(&admin, &strict, "").await["outcomes"], json!([{"outcome": "endpoint_not_allowed", "requests": 1}]));
    let empty = admin.get(&format!("{KEYS}/{}", empty.id)).await.ok();
    assert_eq!((&empty["usage"]["rate_limit_hits"], &empty["usage"]["errors_count"]), (&json!(1), &json!(0)));
    // And soon, where nobody ends anything.
    admin.verdict(&strict.raw).await;
    eventually("it is counted", async || (usage(&admin, &strict, "").await["total_requests"] == 2).then_some(())).await;
}

#[tokio::test]
async fn usage_is_kept_for_so_long_and_its_tables_are_there_before_they_are_needed() {
    let mut origin = Origin::start().await;
    let key = origin.key(json!({"expires_in_days": 3650})).await;
    send(&origin, vec![entry(&origin, &key, json!({"requests": 5}))], vec![]).await;
    let tables =
        async |origin: &Origin| origin.database.count("SELECT count(*) FROM pg_inherits WHERE inhparent = 'usage_days'::regclass").await;
    let first = tables(&origin).await;
    assert!((2..=3).contains(&first), "{first}");
    turn(&mut origin, 200 * DAY).await;
    send(&origin, vec![entry(&origin, &key, json!({"requests": 7}))], vec![]).await;
    let total = async |origin: &Origin, days: u32| usage(&origin.admin(), &key, &format!("days={days}")).await["total_requests"].clone();
    assert_eq!((total(&origin, 201).await, total(&origin, 200).await), (json!(12), json!(7)));
    turn(&mut origin, 235 * DAY).await;
    eventually("what is too old is gone", async || {
        (origin.database.count("SELECT count(*) FROM usage_hours WHERE requests = 5").await == 0).then_some(())
    })
    .await;
    assert_eq!(total(&origin, 365).await, json!(7));
    assert!(origin.database.count("SELECT count(*) FROM usage_batches").await == 0);
    // A key's own sums are of its life.
    assert_eq!(origin.admin().get(&format!("{KEYS}/{}", key.id)).await.ok()["usage"]["requests_count"], 12);
}

#[tokio::test]
async fn keys_are_found_by_when_they_were_last_used() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let (often, once, _never) = (
        admin.create(json!({"name": "often", "owner_id": "x"})).await,
        admin.create(json!({"name": "once", "owner_id": "x"})).await,
        admin.create(json!({"name": "never", "owner_id": "x"})).await,
    );
    send(&origin, vec![entry(&origin, &often, json!({})), entry(&origin, &once, json!({}))], vec![]).await;
    turn(&mut origin, 40 * DAY).await;
    admin.create(json!({"name": "new", "owner_id": "x"})).await;
    send(&origin, vec![entry(&origin, &often, json!({}))], vec![]).await;
    for (query, expected) in [
        ("unused_for_days=30", vec!["never", "once"]),
        ("unused_for_days=41", vec![]),
        ("never_used=true", vec!["new", "never"]),
        ("never_used=false", vec!["new", "never", "once", "often"]),
        ("never_used=true&unused_for_days=30", vec!["never"]),
        ("unused_for_days=30&sort=name&order=asc", vec!["never", "once"]),
    ] {
        let keys = admin.get(&format!("{KEYS}?owner_id=x&{query}")).await.ok();
        let names: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected, "{query}");
    }
    // Nor are those found that run the deployment, though nothing of what they do is counted.
    assert_eq!(origin.edge().get("/edge/v1/manifest").await.status, 200);
    let found = async || {
        let keys = admin.get(&format!("{KEYS}?never_used=true")).await.ok();
        let names: Vec<_> = keys.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect();
        (names == ["new", "never"]).then_some(())
    };
    eventually("only keys that nobody uses are found", found).await;
    admin.get(&format!("{KEYS}?unused_for_days=0")).await.refused(422, "validation_failed");
    let bulk = json!({"filter": {"owner_id": "x", "unused_for_days": 30}, "reason": "unused"});
    assert_eq!(admin.post(&format!("{KEYS}/bulk/revoke"), bulk).await.ok()["changed"], 2);
}
