//! Clients that hang up, at whatever moment.

use std::{
    future::poll_fn,
    net::SocketAddr,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    http::{Request, header},
    response::Response,
};
use http_body_util::Full;
use serde_json::{Value, json};
use sqlx::{Executor, Row};

use crate::harness::{KEYS, Origin, eventually};

/// The work of a request, dropped after so many steps, as that of a client which hangs up is; `None` where it wasn't done by then.
async fn hung_up<T>(steps: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut step = 0;
    poll_fn(|context| {
        step += 1;
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if step == steps => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Asks in this process, so that hanging up can be timed.
async fn ask(origin: &Origin, key: &str, method: &str, path: &str, body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", "the same each time")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let door = origin.door.clone().unwrap();
    door.answer(SocketAddr::from(([127, 0, 0, 1], 4711)), request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hangs_up_leaves_no_transaction_open() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let id = admin.create(json!({})).await.id;
    let mut database = origin.database.connect().await;
    let create = json!({"name": "made once"});
    let cases: [(&str, String, Value); 6] = [
        ("GET", KEYS.to_owned(), Value::Null),
        ("GET", "/api/v1/audit".to_owned(), Value::Null),
        ("PATCH", format!("{KEYS}/{id}"), json!({"name": "another"})),
        ("POST", format!("{KEYS}/{id}/rotate"), json!({"overlap_seconds": 0})),
        ("POST", KEYS.to_owned(), create),
        ("POST", "/api/v1/signing-keys".to_owned(), json!({"role": "token"})),
    ];
    for (method, path, body) in cases {
        for steps in 1.. {
            let answer = hung_up(steps, ask(&origin, &admin.key, method, &path, &body)).await;
            eventually(&format!("the end of the transaction of {method} {path}, dropped after {steps} steps"), async || {
                let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
                (database.fetch_one(open).await.unwrap().get::<i64, _>(0) == 0).then_some(())
            })
            .await;
            if let Some(answer) = answer {
                assert!(!answer.status().is_server_error(), "{method} {path}: {answer:?}");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denial_stays_in_the_trail_whenever_its_reader_hangs_up() {
    let origin = Origin::start().await;
    let (admin, denied) = (origin.admin(), origin.caller(json!({})).await);
    let trail = |action: &str| format!("/api/v1/audit?limit=1000&action={action}");
    let mut made = 0;
    for (method, path) in [("GET", trail("none")), ("POST", "/api/v1/audit/checkpoints".to_owned())] {
        for steps in 1.. {
            made += 1;
            denied.get(KEYS).await.refused(403, "capability_missing");
            let answer = hung_up(steps, ask(&origin, &admin.key, method, &path, &Value::Null)).await;
            eventually("all denials in the trail", async || {
                let records = admin.get(&trail("management_denied")).await.ok();
                let counts = records.as_array().unwrap().iter().map(|record| record["details"]["count"].as_u64().unwrap());
                (counts.sum::<u64>() == made).then_some(())
            })
            .await;
            if answer.is_some() {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_ask_for_a_status_list_one_of_them_makes_it() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    admin.create(json!({})).await;
    let mut holder = origin.database.connect().await;
    holder.execute("BEGIN; LOCK TABLE credentials IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let anyone = origin.anyone();
            tokio::spawn(async move { anyone.get("/status-lists/0").await })
        })
        .collect();
    let mut database = origin.database.connect().await;
    let mut makers = async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                       AND query LIKE 'SELECT index, status FROM credentials%'";
        database.fetch_one(waiting).await.unwrap().get::<i64, _>(0)
    };
    eventually("the first of them", async || (makers().await > 0).then_some(())).await;
    // For longer than a request waits for a connection.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(origin.anyone().get("/readyz").await.status, 200);
        assert_eq!(makers().await, 1);
    }
    holder.execute("COMMIT").await.unwrap();
    for asked in asking {
        assert_eq!(asked.await.unwrap().status, 200);
    }
}
