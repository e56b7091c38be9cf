//! Limits that hold at every door together: the edges' and the origin's, whoever is killed in between.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use keyward_core::{
    Timestamp,
    limits::{Period, Window},
};
use keyward_tests::{
    Created, Edge, eventually, holds_for,
    http::{Request, Response},
};
use serde_json::{Value, json};

use crate::support::{Answer, Caller, Load, SOON, Stack, together};

/// Waits until a window of this period lasts long enough for a test that is about one.
async fn within(period: Period) {
    const LONG: u64 = 60_000;
    const PAST: u64 = 3_000;
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let window = Window::at(period, Timestamp::from_millis(now));
        let (since, left) = (now - window.begin().millis(), window.end().millis() - now);
        let wait = if left < LONG { left + PAST } else { PAST.saturating_sub(since) };
        if wait == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
}

/// Whether the origin permits a request with this key.
async fn validates(stack: &Stack, raw: &str) -> Result<Value> {
    stack.origin.api("POST", "/validate", Some(&json!({"api_key": raw, "endpoint": "/v1/me"}))).await?.expect(200)?.json()
}

fn me(edge: &Edge, key: &str) -> Caller {
    Caller::new(edge.addresses()[0], Request::get("/v1/me").bearer(key))
}

/// How often edges have admitted a key: what its upstream has seen of it.
fn admitted(stack: &Stack, key: &Created) -> u64 {
    let by = |request: &&Request| request.headers.first("x-keyward-key-id") == Some(key.id.as_str());
    stack.upstream.take().iter().filter(by).count() as u64
}

/// How often each status came.
fn statuses<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> BTreeMap<u16, u64> {
    let mut count = BTreeMap::new();
    answers.into_iter().for_each(|answer| *count.entry(answer.status()).or_default() += 1);
    count
}

/// The numbers that a structured field's items have as parameters, by the item's name: `"hour";r=3;t=5`.
fn items(answer: &Response, field: &str) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
    let text = answer.headers.first(field).with_context(|| format!("no {field}"))?;
    text.split(", ")
        .map(|item| {
            let mut parts = item.split(';');
            let name = parts.next().and_then(|name| name.strip_prefix('"')?.strip_suffix('"')).context("a name")?;
            let numbers =
                parts.filter_map(|part| part.split_once('=').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?))));
            Ok((name.to_owned(), numbers.collect()))
        })
        .collect()
}

#[tokio::test]
async fn a_limit_admits_exactly_as_many_as_it_says_at_the_edge_and_at_the_origin_together() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    within(Period::Hour).await;
    let key = stack.origin.create(json!({"rate_limit_per_hour": 50, "daily_quota": 1000})).await?;
    let mut client = me(&stack.edges[0], &key.raw_key);
    // Until the edge has heard of the key it refuses, which is charged to nobody.
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    for nth in 1..50 {
        let answer = client.call().await?;
        ensure!(answer.status() == 200, "{nth}: {}", answer.response.text());
    }
    for nth in 0..20 {
        let answer = client.call().await?.response;
        ensure!(answer.status == 429, "{nth} past the limit: {} {}", answer.status, answer.text());
        ensure!(answer.json()?["code"] == "rate_limit_exceeded", "{}", answer.text());
        let (policy, state) = (items(&answer, "ratelimit-policy")?, items(&answer, "ratelimit")?);
        ensure!(policy["rate_per_hour"] == BTreeMap::from([("q".into(), 50), ("w".into(), 3600)]), "{policy:?}");
        ensure!(policy["daily_quota"]["q"] == 1000 && state["daily_quota"]["r"] <= 950, "{policy:?} {state:?}");
        let rate = &state["rate_per_hour"];
        let wait: u64 = answer.headers.first("retry-after").context("no Retry-After")?.parse()?;
        ensure!(rate["r"] == 0 && rate["t"] == wait && (1..=3600).contains(&wait), "{rate:?} {wait}");
        ensure!(answer.headers.first("x-ratelimit-limit").is_none(), "legacy names that nobody asked for");
    }
    let admitted_by_the_edge = admitted(&stack, &key);
    ensure!(admitted_by_the_edge == 50, "{admitted_by_the_edge} of 50");
    let answer = validates(&stack, &key.raw_key).await?;
    ensure!(answer["valid"] == false, "{answer}");
    ensure!(answer["error_message"] == "Rate limit exceeded: 50/50 requests per hour", "{answer}");

    // The other way round: what the origin has admitted the edge can't.
    let key = stack.origin.create(json!({"daily_quota": 40})).await?;
    let mut passed = 0;
    while validates(&stack, &key.raw_key).await?["valid"] == true {
        passed += 1;
        ensure!(passed <= 40, "the origin admits more than there are");
    }
    stack.all_answer("/v1/me", &key.raw_key, 429).await?;
    ensure!(passed + admitted(&stack, &key) == 40, "{passed} at the origin");

    // Refusals are counted under the limit's code, and cost neither the upstream nor a wait.
    let report = async || {
        let report = stack.origin.api("GET", &format!("/{}/usage?days=2", key.id), None).await.ok()?.json().ok()?;
        let outcomes = report["outcomes"].as_array()?.clone();
        outcomes.iter().any(|one| one["outcome"] == "daily_quota_exceeded").then_some(())
    };
    eventually("the refusals are counted", SOON, report).await
}

#[tokio::test]
async fn two_edges_hold_a_limit_together_and_use_it_up() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::with_edges(2, |config| config).await?;
    within(Period::Day).await;
    let key = stack.origin.create(json!({"daily_quota": 1000})).await?;
    let loads: Vec<_> = (0..8).map(|nth| Load::begin(me(&stack.edges[nth % 2], &key.raw_key), Duration::from_millis(2))).collect();
    eventually("the limit is reached", SOON, async || {
        let answer = stack.get(0, "/v1/me", &key.raw_key).await.ok()?;
        let other = stack.get(1, "/v1/me", &key.raw_key).await.ok()?;
        (answer.status == 429 && other.status == 429).then_some(())
    })
    .await?;
    let _ = stack.relay.take();
    const WATCHED: Duration = Duration::from_secs(3);
    holds_for("both refuse", WATCHED, async || {
        let answer = stack.get(0, "/v1/me", &key.raw_key).await;
        answer.is_ok_and(|answer| answer.status == 429)
    })
    .await?;
    // Exhausted, it costs its authority little, however many ask.
    let permits = stack.relay.take().iter().filter(|request| request.target_text() == "/edge/v1/permits").count();
    let a_second = permits as f64 / WATCHED.as_secs_f64();
    let mut answers = Vec::new();
    for load in loads {
        answers.extend(load.end().await?);
    }
    let count = statuses(&answers);
    let passed = admitted(&stack, &key);
    println!("{count:?}, {passed} admitted, {a_second:.1} questions a second about the exhausted key");
    ensure!((990..=1000).contains(&passed), "{passed} of 1000 were admitted: {count:?}");
    ensure!(count.keys().all(|status| [200, 401, 429].contains(status)), "{count:?}");
    ensure!(a_second <= 12.0, "{a_second} questions a second about an exhausted key");
    Ok(())
}
