//! Limits: exact over clients, servers, restarts and windows; from memory; and through the wire for edges.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keyward_core::Timestamp;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor};
use uuid::Uuid;

use crate::harness::{Client, Created, KEYS, Origin, eventually};

const HOUR: u64 = 3_600_000;

/// What `validate` answers.
pub async fn ask(client: &Client, raw: &str, more: Value) -> Value {
    let mut request = json!({"api_key": raw, "endpoint": "/v1/x"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.post(&format!("{KEYS}/validate"), request).await.ok()
}

async fn passes(client: &Client, raw: &str) -> bool {
    ask(client, raw, json!({})).await["valid"] == true
}

/// A key whose only limits are these.
pub async fn key(origin: &Origin, limits: Value) -> Created {
    let mut members =
        json!({"rate_limit_per_hour": "unlimited", "daily_quota": "unlimited", "monthly_quota": "unlimited", "token_exchange": false});
    members.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    origin.key(members).await
}

/// Turns the clock to the middle of the first hour of the next month: no test is about an edge unless it says so.
async fn at_rest(origin: &Origin) {
    let now = origin.now();
    let next = keyward_core::limits::Window::at(keyward_core::limits::Period::Month, now).end().millis() + HOUR / 2;
    origin.advance(Duration::from_millis(next - now.millis()));
}

/// A server of which the clock stands in the middle of a month's first hour.
pub async fn start() -> Origin {
    let origin = Origin::start().await;
    at_rest(&origin).await;
    origin
}

/// So many clients at a time ask until none of them passes; how often they passed.
async fn exhaust(clients: Vec<Client>, raw: &str) -> u64 {
    let passed = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|client| {
            let (passed, raw) = (Arc::clone(&passed), raw.to_owned());
            tokio::spawn(async move {
                while passes(&client, &raw).await {
                    passed.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    passed.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_exact_under_many_clients() {
    let origin = start().await;
    let key = key(&origin, json!({"rate_limit_per_hour": 1000})).await;
    let passed = exhaust(vec![origin.admin(); 32], &key.raw).await;
    assert!((990..=1000).contains(&passed), "{passed}");
    let refused = ask(&origin.admin(), &key.raw, json!({})).await;
    assert_eq!(
        (&refused["error_message"], &refused["rate_limit_remaining"]),
        (&json!("Rate limit exceeded: 1000/1000 requests per hour"), &json!(0))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_hold_a_limit_together_and_what_one_does_not_use_the_other_gets() {
    let origin = start().await;
    let other = origin.beside().await;
    let key = key(&origin, json!({"rate_limit_per_hour": 300})).await;
    let mut clients = vec![origin.admin(); 4];
    clients.extend(vec![other.admin(); 4]);
    let mut passed = exhaust(clients, &key.raw).await;
    assert!(passed <= 300, "{passed}");
    // One of them may hold some, which it gives back, since nobody asks it any more.
    eventually("all are used", async || {
        passed += u64::from(passes(&other.admin(), &key.raw).await);
        (passed == 300).then_some(())
    })
    .await;
    assert!(!passes(&origin.admin(), &key.raw).await && !passes(&other.admin(), &key.raw).await);
}

#[tokio::test]
async fn what_is_left_is_told_and_a_request_that_one_limit_refuses_is_charged_to_none() {
    let origin = start().await;
    let admin = origin.admin();
    let limits =
        json!({"rate_limit_per_hour": 5, "daily_quota": 100, "monthly_quota": 50, "cost_limit_cents": 100, "max_tokens_per_request": 10});
    let key = key(&origin, limits).await;
    let said = |answer: &Value| {
        (
            answer["error_message"].as_str().unwrap_or("valid").to_owned(),
            answer["rate_limit_remaining"].as_u64(),
            answer["quota_remaining"].as_u64(),
        )
    };
    let told = async |request: Value| said(&ask(&admin, &key.raw, request).await);
    assert_eq!(told(json!({"cost_cents": 30})).await, ("valid".into(), Some(4), Some(49)));
    assert_eq!(told(json!({"cost_cents": 71})).await, ("Cost limit exceeded: 30/100 cents per month".into(), Some(4), Some(49)));
    assert_eq!(told(json!({"tokens": 11})).await.0, "Token limit exceeded: 11/10 tokens per request");
    assert_eq!(told(json!({"cost_cents": 70, "tokens": 10})).await, ("valid".into(), Some(3), Some(48)));
    assert_eq!(told(json!({"cost_cents": 1})).await.0, "Cost limit exceeded: 100/100 cents per month");
    for left in [2, 1, 0] {
        assert_eq!(told(json!({})).await, ("valid".into(), Some(left), Some(45 + left)));
    }
    for _ in 0..10 {
        assert_eq!(told(json!({})).await, ("Rate limit exceeded: 5/5 requests per hour".into(), Some(0), Some(45)));
    }
    // What was refused has cost the month nothing.
    for hour in 1..=3 {
        origin.advance(Duration::from_millis(HOUR));
        for left in (0..5).rev() {
            let (message, rate, quota) = told(json!({})).await;
            assert_eq!((message.as_str(), rate), ("valid", Some(left)));
            // What is on its way while the clock is turned on isn't seen.
            assert!(quota <= Some(45 - 5 * hour + left), "{quota:?}");
        }
    }
    let usage = eventually("it is counted", async || {
        let usage = admin.get(&format!("{KEYS}/{}/usage?days=1", key.id)).await.ok();
        (usage["total_requests"] == 20 + 13).then_some(usage)
    })
    .await;
    assert_eq!((&usage["rate_limit_hits"], &usage["cost_cents"]), (&json!(13), &json!(100)));
    let outcome =
        |name: &str| usage["outcomes"].as_array().unwrap().iter().find(|line| line["outcome"] == name).unwrap()["requests"].clone();
    let expected = [("passed", 20), ("rate_limit_exceeded", 10), ("cost_limit_exceeded", 2), ("tokens_limit_exceeded", 1)];
    for (name, requests) in expected {
        assert_eq!(outcome(name), requests, "{name}");
    }
}

#[tokio::test]
async fn days_and_months_have_their_quotas_in_their_words() {
    let origin = start().await;
    let admin = origin.admin();
    for (limit, message) in [
        ("daily_quota", "Daily quota exceeded: 50/50 requests per day"),
        ("monthly_quota", "Monthly quota exceeded: 50/50 requests per month"),
    ] {
        let key = key(&origin, json!({limit: 50})).await;
        for left in (0..50).rev() {
            let answer = ask(&admin, &key.raw, json!({})).await;
            assert_eq!((&answer["valid"], &answer["quota_remaining"]), (&json!(true), &json!(left)));
        }
        assert_eq!(ask(&admin, &key.raw, json!({})).await["error_message"], message);
    }
}

#[tokio::test]
async fn each_window_has_its_own_permits_and_its_edge_takes_of_both() {
    let origin = start().await;
    let admin = origin.admin();
    let key = key(&origin, json!({"rate_limit_per_hour": 3})).await;
    let until = async |millis: u64| {
        let now = origin.now().millis();
        origin.advance(Duration::from_millis(now.next_multiple_of(HOUR) + millis - now));
    };
    for _ in 0..2 {
        for expected in [true, true, true, false] {
            assert_eq!(passes(&admin, &key.raw).await, expected);
        }
        // The first moment of the next hour may be the last one of this, by another clock: it waits until it is sure.
        until(5).await;
        assert!(passes(&admin, &key.raw).await);
        assert!(origin.now().millis() % HOUR >= 1000);
        assert!(passes(&admin, &key.raw).await && passes(&admin, &key.raw).await && !passes(&admin, &key.raw).await);
        until(HOUR / 2).await;
    }
}

#[tokio::test]
async fn a_limit_that_is_changed_holds_at_once_for_all_of_its_window() {
    let origin = start().await;
    let admin = origin.admin();
    let key = key(&origin, json!({"rate_limit_per_hour": 1000})).await;
    let patch = async |limit: Value| admin.act(&key.id, "patch", Some(json!({"rate_limit_per_hour": limit}))).await.ok();
    for _ in 0..20 {
        assert!(passes(&admin, &key.raw).await);
    }
    // Permits that were given under the old limit are there, and are worth nothing now.
    patch(json!(22)).await;
    assert_eq!(exhaust(vec![admin.clone()], &key.raw).await, 2);
    patch(json!(30)).await;
    assert_eq!(exhaust(vec![admin.clone()], &key.raw).await, 8);
    patch(json!(10)).await;
    let refused = ask(&admin, &key.raw, json!({})).await;
    assert_eq!(refused["error_message"], "Rate limit exceeded: 10/10 requests per hour");
    patch(json!("unlimited")).await;
    assert!(passes(&admin, &key.raw).await);
    patch(json!(0)).await;
    assert_eq!(ask(&admin, &key.raw, json!({})).await["error_message"], "Rate limit exceeded: 0/0 requests per hour");
}

#[tokio::test]
async fn permits_in_memory_need_no_database_and_without_any_it_is_said() {
    let origin = start().await;
    let admin = origin.admin();
    let key = key(&origin, json!({"rate_limit_per_hour": 1000})).await;
    assert!(passes(&admin, &key.raw).await);
    let mut holder = origin.database.connect().await;
    let mut held = holder.begin().await.unwrap();
    held.execute(AssertSqlSafe("LOCK TABLE limit_accounts IN ACCESS EXCLUSIVE MODE")).await.unwrap();
    // A first block, less what is asked for at a quarter of it.
    for _ in 0..10 {
        assert!(passes(&admin, &key.raw).await);
    }
    let answer = loop {
        let answer = admin.post(&format!("{KEYS}/validate"), json!({"api_key": key.raw})).await;
        if answer.status != 200 {
            break answer;
        }
    };
    answer.refused(503, "database_unavailable");
    held.rollback().await.unwrap();
    eventually("permits come again", async || {
        let answer = admin.post(&format!("{KEYS}/validate"), json!({"api_key": key.raw})).await;
        (answer.status == 200 && answer.json()["valid"] == true).then_some(())
    })
    .await;
}

#[tokio::test]
async fn few_requests_wait_for_permits() {
    let origin = start().await;
    let admin = origin.admin();
    let key = key(&origin, json!({"rate_limit_per_hour": 100_000, "daily_quota": 100_000})).await;
    for _ in 0..500 {
        assert!(passes(&admin, &key.raw).await);
    }
    let metrics = admin.get("/metrics").await.text;
    let waits = metrics.lines().find_map(|line| line.strip_prefix("keyward_limit_waits_total ")).unwrap();
    assert!((1..50).contains(&waits.parse::<u32>().unwrap()), "{waits} of 500");
}

#[tokio::test]
async fn a_restart_loses_no_permits() {
    let mut origin = start().await;
    let key = key(&origin, json!({"rate_limit_per_hour": 100})).await;
    let mut passed = 0;
    for _ in 0..4 {
        for _ in 0..5 {
            passed += u64::from(passes(&origin.admin(), &key.raw).await);
        }
        origin.restart().await;
    }
    passed += exhaust(vec![origin.admin()], &key.raw).await;
    assert_eq!(passed, 100);
}

/// A UUIDv7 of that moment.
pub fn id(moment: Timestamp) -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let next = u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
    Uuid::from_u128(u128::from(moment.millis()) << 80 | 7 << 76 | 2 << 62 | next)
}

#[tokio::test]
async fn an_edge_gets_each_answer_once_however_often_it_asks() {
    let origin = start().await;
    let edge = origin.edge();
    let key = key(&origin, json!({"rate_limit_per_hour": 100, "cost_limit_cents": 1000})).await;
    let hour = origin.now().millis() / HOUR;
    let permits = async |body: Value| edge.post("/edge/v1/permits", body).await.ok();
    let question = |least: u64, wanted: u64| json!({"id": id(origin.now()), "key": key.id, "meter": "rate_per_hour", "window": hour, "least": least, "wanted": wanted});
    let first = question(1, 40);
    let answer = permits(json!({"wanted": [first]})).await;
    // An eighth of what there is.
    assert_eq!(answer["granted"], json!([{"id": first["id"], "amount": 12, "left": 88, "fault": null}]));
    assert!(origin.now().millis() - answer["now_ms"].as_u64().unwrap() < 20_000);
    assert_eq!(permits(json!({"wanted": [first, first]})).await["granted"], json!([answer["granted"][0], answer["granted"][0]]));
    let least = question(80, 80);
    assert_eq!(permits(json!({"wanted": [least]})).await["granted"][0]["amount"], 80);
    let too_many = question(9, 9);
    assert_eq!(
        permits(json!({"wanted": [too_many]})).await["granted"][0],
        json!({"id": too_many["id"], "amount": 0, "left": 8, "fault": null})
    );
    // What comes back can be given again, and comes back once.
    let back = json!({"id": id(origin.now()), "key": key.id, "meter": "rate_per_hour", "window": hour, "amount": 50});
    for _ in 0..2 {
        assert_eq!(
            permits(json!({"returned": [back, back]})).await["taken"],
            json!([{"id": back["id"], "fault": null}, {"id": back["id"], "fault": null}])
        );
    }
    assert_eq!(permits(json!({"wanted": [question(58, 58)]})).await["granted"][0]["left"], 0);
    assert!(!passes(&origin.admin(), &key.raw).await, "one limit for both doors");
    // What can't be taken says why, and the rest is done.
    let with = |change: Value| {
        let mut question = question(1, 1);
        question.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        question
    };
    let old = Timestamp::from_millis(origin.now().millis() - 121_000);
    let wanted = json!([
        with(json!({"key": Uuid::nil()})),
        with(json!({"id": id(old)})),
        with(json!({"id": Uuid::nil()})),
        with(json!({"window": hour - 1})),
        with(json!({"window": hour + 1})),
        with(
            json!({"meter": "cost_cents", "window": keyward_core::limits::Window::at(keyward_core::limits::Period::Month, origin.now()).number(), "wanted": 5})
        ),
        with(json!({"meter": "daily_quota", "window": hour / 24, "wanted": 7})),
    ]);
    let granted = permits(json!({"wanted": wanted})).await["granted"].clone();
    let faults: Vec<_> =
        granted.as_array().unwrap().iter().map(|answer| (answer["fault"].as_str(), answer["amount"].as_u64().unwrap())).collect();
    let refused = ["unknown_key", "id_refused", "id_refused", "window_refused", "window_refused"].map(|fault| (Some(fault), 0));
    assert_eq!(faults, [&refused[..], &[(None, 5), (None, 7)]].concat());
    assert_eq!((&granted[5]["left"], &granted[6]["left"]), (&json!(995), &Value::Null));
    // After its window nothing comes back, and a new one has its own permits.
    origin.advance(Duration::from_millis(HOUR));
    let late = json!({"id": id(origin.now()), "key": key.id, "meter": "rate_per_hour", "window": hour, "amount": 50});
    assert_eq!(permits(json!({"returned": [late]})).await["taken"][0]["fault"], "window_refused");
    let next = with(json!({"window": hour + 1, "id": id(origin.now())}));
    assert_eq!(permits(json!({"wanted": [next]})).await["granted"][0]["left"], 99);
    for (wrong, field) in [
        (json!({"wanted": [with(json!({"least": 0}))]}), "wanted[0].least"),
        (json!({"wanted": [with(json!({"wanted": u64::MAX}))]}), "wanted[0].wanted"),
        (json!({"returned": [with(json!({"amount": 1}))]}), "least"),
        (json!({"wanted": vec![first.clone(); 257]}), "wanted"),
        (json!({"more": 1}), "more"),
    ] {
        let (status, code, named) = edge.post("/edge/v1/permits", wrong).await.problem();
        assert_eq!((status, code.as_str(), named.as_str()), (422, "validation_failed", field));
    }
}
