//! A change reaches every edge soon, and the first request after it is already right.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use keyward_tests::{eventually, http::Request};
use serde_json::json;
use tokio::{sync::Barrier, task::JoinSet};

use crate::support::{Caller, Load, SOON, Stack, Statistics, alone, together};

/// The bound for every single change.
const USUAL_BOUND: Duration = Duration::from_secs(1);
const EDGES: usize = 3;
/// How often the new answer must come in a row until an edge counts as settled: were it to go back once, it would be
/// by an older state overtaking a newer one, soon after.
const SETTLED: usize = 20;

/// How long after the sending of `change` the last answer `before` was given by any edge, for callers that don't
/// pause. Whoever has once answered `after` must stay with it.
async fn last_of_the_old(
    stack: &Stack,
    request: &Request,
    (before, after): (u16, u16),
    change: impl Future<Output = Result<()>>,
) -> Result<Duration> {
    let mut edges = JoinSet::new();
    let all_call = Arc::new(Barrier::new(stack.edges.len() + 1));
    for edge in &stack.edges {
        let mut caller = Caller::new(edge.addresses()[0], request.clone());
        let all_call = all_call.clone();
        edges.spawn(async move {
            let first = caller.call().await?;
            ensure!(first.status() == before, "{} before anything has changed", first.status());
            all_call.wait().await;
            let (mut last, mut settled) = (first, 0);
            let start = Instant::now();
            while settled < SETTLED {
                let answer = caller.call().await?;
                if answer.status() == after {
                    settled += 1;
                } else {
                    let text = answer.response.text();
                    ensure!(answer.status() == before, "{}: {text}", answer.status());
                    ensure!(settled == 0, "back to the old after {settled} answers of the new");
                    last = answer;
                }
                ensure!(start.elapsed() < SOON, "still the old after {SOON:?}");
            }
            Ok(last)
        });
    }
    all_call.wait().await;
    let sent = Instant::now();
    change.await?;
    let change_took = sent.elapsed();
    let mut longest = Duration::ZERO;
    while let Some(edge) = edges.join_next().await {
        let last = edge??;
        let after = last.answered - sent;
        if after > USUAL_BOUND / 2 {
            println!(
                "slow: the change took {change_took:?}; {before} was answered {after:?} after, to a request that took {:?}",
                last.took()
            );
        }
        longest = longest.max(after);
    }
    if longest > USUAL_BOUND / 2 {
        // Whether an edge lost its feed meanwhile, or the machine was busy.
        for at in 0..stack.edges.len() {
            let metrics = stack.metrics(at).await?;
            let failures = [metrics.sum("keyward_refresh_failures_total"), metrics.sum("keyward_hub_refresh_failures_total")];
            println!("edge {at}: refreshes that failed in the isolate and in the hub: {failures:?}");
        }
    }
    Ok(longest)
}

fn me(key: &str) -> Request {
    Request::get("/v1/me").bearer(key)
}

fn search(key: &str) -> Request {
    Request::get("/v1/search").bearer(key)
}

/// Revokes so many keys under load, one after the other.
async fn revoke_under_load(count: usize) -> Result<()> {
    let _turn = alone().await;
    let stack = Stack::with_edges(EDGES, |config| config).await?;
    let origin = &stack.origin;
    let ordinary = origin.create(json!({})).await?.raw_key;
    let load = stack.edges.iter().map(|edge| {
        let caller = Caller::new(edge.addresses()[0], me(&ordinary));
        Load::begin(caller, Duration::ZERO)
    });
    let load: Vec<_> = load.collect();
    let mut times = Statistics::default();
    for _ in 0..count {
        let key = origin.create(json!({})).await?;
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
        let request = me(&key.raw_key);
        times.add(last_of_the_old(&stack, &request, (200, 401), origin.revoke(&key.id)).await?);
    }
    let mut requests = 0;
    for load in load {
        let answers = load.end().await?;
        requests += answers.len();
        ensure!(answers.iter().all(|answer| answer.status() == 200), "the load was refused");
    }
    println!("revoke under load ({requests} other requests): {times}");
    ensure!(times.max() < USUAL_BOUND, "{times}");
    Ok(())
}

/// Revokes so many keys that every edge knows, while it has hardly any requests: one look some milliseconds after the
/// revocation, which may still pass, and one when the bound is over, which may not.
async fn revoke_with_little_traffic(count: usize) -> Result<()> {
    /// What lies between two requests to an edge before the revocation.
    const SILENCE: Duration = Duration::from_secs(2);
    let _turn = alone().await;
    let stack = Stack::with_edges(EDGES, |config| config).await?;
    let origin = &stack.origin;
    let look = async |key: &str| {
        let mut answers = Vec::new();
        for edge in &stack.edges {
            answers.push(Caller::new(edge.addresses()[0], me(key)).call().await?);
        }
        anyhow::Ok(answers)
    };
    let (mut admitted, mut refused) = (Statistics::default(), Statistics::default());
    for round in 0..count {
        let key = origin.create(json!({})).await?;
        for answer in look(&key.raw_key).await? {
            ensure!(answer.status() == 200, "before the revocation: {} {}", answer.status(), answer.response.text());
        }
        let next = Instant::now() + SILENCE;
        // From right away to half the bound.
        let head_start = USUAL_BOUND.mul_f64((round as f64 + 0.5) / count as f64).mul_f64(0.5);
        tokio::time::sleep_until((next - head_start).into()).await;
        let sent = Instant::now();
        origin.revoke(&key.id).await?;
        tokio::time::sleep_until(next.into()).await;
        for answer in look(&key.raw_key).await? {
            match answer.status() {
                200 => admitted.add(answer.answered - sent),
                401 => refused.add(answer.sent - sent),
                other => anyhow::bail!("{other}: {}", answer.response.text()),
            }
        }
        tokio::time::sleep_until((sent + USUAL_BOUND).into()).await;
        for (at, answer) in look(&key.raw_key).await?.iter().enumerate() {
            let after = answer.sent - sent;
            ensure!(answer.status() == 401, "edge {at}, {after:?} after: {} {}", answer.status(), answer.response.text());
        }
    }
    println!("revoke with little traffic, at the first look: admitted after {admitted}; refused after {refused}");
    ensure!(!refused.is_empty(), "no edge knew of a revocation after half of the bound");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_everywhere_within_a_second_under_load() -> Result<()> {
    revoke_under_load(20).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_is_refused_everywhere_within_a_second_with_little_traffic() -> Result<()> {
    revoke_with_little_traffic(5).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask soak revocations"]
async fn soak_revocations() -> Result<()> {
    revoke_under_load(100).await?;
    revoke_with_little_traffic(100).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspend_resume_and_amend_are_as_fast_as_revoke() -> Result<()> {
    let _turn = alone().await;
    let stack = Stack::with_edges(EDGES, |config| config).await?;
    let origin = &stack.origin;
    let mut times = Statistics::default();
    for _ in 0..5 {
        let key = origin.create(json!({"capabilities": ["rag:search"]})).await?;
        let request = search(&key.raw_key);
        stack.all_answer("/v1/search", &key.raw_key, 200).await?;
        let suspend = origin.suspend(&key.id);
        times.add(last_of_the_old(&stack, &request, (200, 401), suspend).await?);
        let resume = origin.resume(&key.id);
        times.add(last_of_the_old(&stack, &request, (401, 200), resume).await?);
        // Each narrowing and each widening is a policy that nobody has seen before.
        let narrow = json!({"capabilities": [], "rate_limit_per_hour": 7_000_000});
        let narrow = async { origin.amend(&key.id, &narrow).await.map(drop) };
        times.add(last_of_the_old(&stack, &request, (200, 403), narrow).await?);
        let widen = json!({"capabilities": ["rag:search"]});
        let widen = async { origin.amend(&key.id, &widen).await.map(drop) };
        times.add(last_of_the_old(&stack, &request, (403, 200), widen).await?);
    }
    println!("suspend, resume, amend: {times}");
    ensure!(times.max() < USUAL_BOUND, "{times}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_key_passes_everywhere_at_once_even_with_a_policy_that_nobody_has_seen() -> Result<()> {
    let _turn = alone().await;
    let stack = Stack::with_edges(EDGES, |config| config).await?;
    let mut times = Statistics::default();
    for round in 0..10 {
        let body = json!({"capabilities": ["rag:search"], "daily_quota": 5000 + round});
        let sent = Instant::now();
        let key = stack.origin.create(body).await?;
        for edge in &stack.edges {
            // The very first request: it may wait, and may not be refused.
            let answer = Caller::new(edge.addresses()[0], search(&key.raw_key)).call().await?;
            ensure!(answer.status() == 200, "{}: {}", answer.status(), answer.response.text());
            times.add(answer.answered - sent);
        }
    }
    println!("create to first pass: {times}");
    ensure!(times.max() < USUAL_BOUND, "{times}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrowed_key_stays_narrow_through_suspend_and_resume() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::with_edges(2, |config| config).await?;
    let origin = &stack.origin;
    let key = origin.create(json!({"capabilities": ["rag:search"]})).await?;
    origin.amend(&key.id, &json!({"capabilities": []})).await?;
    origin.suspend(&key.id).await?;
    stack.all_answer("/v1/me", &key.raw_key, 401).await?;
    origin.resume(&key.id).await?;
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    for at in 0..2 {
        let answer = stack.get(at, "/v1/search", &key.raw_key).await?.expect(403)?;
        ensure!(answer.json()?["code"] == "capability_missing");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_during_an_overlap_stops_both_credentials() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::with_edges(2, |config| config).await?;
    let origin = &stack.origin;
    let old = origin.create(json!({"capabilities": ["rag:search"]})).await?;
    let new = origin.rotate(&old.id, Some(&json!({"overlap_seconds": 3600}))).await?;
    ensure!(old.id == new.id, "a rotation changed the key's id");
    for key in [&old, &new] {
        stack.all_answer("/v1/search", &key.raw_key, 200).await?;
    }
    origin.revoke(&old.id).await?;
    for key in [&old, &new] {
        stack.all_answer("/v1/search", &key.raw_key, 401).await?;
        for at in 0..2 {
            let answer = stack.get(at, "/v1/search", &key.raw_key).await?;
            ensure!(answer.json()?["code"] == "key_revoked", "{}", answer.text());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_supersession_changes_a_thousand_keys_of_a_plan() -> Result<()> {
    const KEYS: usize = 1000;
    let _turn = alone().await;
    let stack = Stack::with_edges(2, |config| config).await?;
    let origin = &stack.origin;
    let plan = json!({"capabilities": ["rag:search"], "monthly_quota": 12_345});
    let first = origin.create(plan.clone()).await?;
    let policy = first.body["api_key"]["policy"].clone();
    let mut keys = vec![first.raw_key];
    for _ in 1..KEYS {
        let key = origin.create(plan.clone()).await?;
        ensure!(key.body["api_key"]["policy"] == policy, "equal terms, another policy");
        keys.push(key.raw_key);
    }
    let (sample, outsider) = (&keys[KEYS / 2], origin.create(json!({"capabilities": ["rag:search"]})).await?.raw_key);
    for key in [sample, &outsider] {
        stack.all_answer("/v1/search", key, 200).await?;
    }
    let seq = async |at: usize| anyhow::Ok(stack.edges[at].health(0).await?["seq"].as_u64());
    let before = seq(0).await?;

    let supersede = async {
        let path = format!("/api/v1/policies/{policy}/supersede");
        let request = Request::new("POST", path).bearer(&origin.admin_key()?);
        let change = json!({"capabilities": ["llm:gpt-4"]});
        origin.send(&request.json(&change)).await?.expect(200).map(drop)
    };
    let took = last_of_the_old(&stack, &search(sample), (200, 403), supersede).await?;
    println!("a supersession of {KEYS} keys: {took:?}");
    ensure!(took < USUAL_BOUND, "{took:?}");
    for key in &keys {
        for at in 0..2 {
            let answer = stack.get(at, "/v1/search", key).await?.expect(403)?;
            ensure!(answer.json()?["code"] == "capability_missing", "{}", answer.text());
        }
    }
    let chat = Request::new("POST", "/v1/chat/completions").bearer(sample);
    stack.send(0, &chat).await?.expect(200)?;
    stack.get(0, "/v1/search", &outsider).await?.expect(200)?;
    // It is one change, not a thousand.
    let after = seq(0).await?;
    ensure!(after == before.map(|seq| seq + 1), "from {before:?} to {after:?}");
    Ok(())
}

/// Nobody asks an edge for `time`; then the first request finds the world as it is.
async fn right_after_silence(time: Duration) -> Result<()> {
    let _turn = together().await;
    let stack = Stack::with_edges(EDGES, |config| config).await?;
    let origin = &stack.origin;
    let kept = origin.create(json!({})).await?;
    let (revoked, suspended) = (origin.create(json!({})).await?, origin.create(json!({})).await?);
    let amended = origin.create(json!({"capabilities": ["rag:search"]})).await?;
    for key in [&kept, &revoked, &suspended, &amended] {
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    }
    origin.revoke(&revoked.id).await?;
    origin.suspend(&suspended.id).await?;
    origin.amend(&amended.id, &json!({"capabilities": []})).await?;
    let created = origin.create(json!({"capabilities": ["rag:search"], "daily_quota": 77})).await?;
    tokio::time::sleep(time).await;

    // One edge for each key that changed, so that each answer is the first one after the silence.
    let firsts = [(&revoked, "/v1/me", 401), (&suspended, "/v1/me", 401), (&amended, "/v1/search", 403)];
    for (at, (key, target, status)) in firsts.into_iter().enumerate() {
        let answer = stack.get(at, target, &key.raw_key).await?;
        ensure!(answer.status == status, "{at}: {} {}", answer.status, answer.text());
        stack.get(at, "/v1/search", &created.raw_key).await?.expect(200)?;
        stack.get(at, "/v1/me", &kept.raw_key).await?.expect(200)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_request_after_silence_is_already_right() -> Result<()> {
    right_after_silence(Duration::from_secs(2)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask soak silence"]
async fn soak_silence() -> Result<()> {
    right_after_silence(Duration::from_secs(60)).await
}

/// What only a snapshot tells: amendments, suspensions and revocations from before an edge was there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_starts_late_knows_all_that_happened_before() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(1, |config| config).await?;
    let origin = &stack.origin;
    let terms = || json!({"capabilities": ["rag:search"]});
    let (kept, revoked, narrowed) = (origin.create(terms()).await?, origin.create(terms()).await?, origin.create(terms()).await?);
    let rotated = origin.create(terms()).await?;
    origin.revoke(&revoked.id).await?;
    origin.amend(&narrowed.id, &json!({"capabilities": []})).await?;
    let new = origin.rotate(&rotated.id, Some(&json!({"overlap_seconds": 0}))).await?;
    stack.edges[0].restart().await?;
    for (key, status) in [(&kept, 200), (&revoked, 401), (&narrowed, 403), (&rotated, 401), (&new, 200)] {
        eventually("the edge has a state", SOON, async || {
            let answer = stack.get(0, "/v1/search", &key.raw_key).await.ok()?;
            (answer.status != 503).then_some(())
        })
        .await?;
        let answer = stack.get(0, "/v1/search", &key.raw_key).await?;
        ensure!(answer.status == status, "{status} expected: {} {}", answer.status, answer.text());
    }
    Ok(())
}
