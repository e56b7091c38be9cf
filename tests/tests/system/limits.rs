//! Limits that hold at every door together: the edges' and the origin's, whoever is killed in between.

use std::{
    cell::Cell,
    collections::BTreeMap,
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use keyward_core::{
    Timestamp,
    limits::{Period, Window},
};
use keyward_tests::{
    Created, Edge, EdgeConfig, eventually, holds_for,
    http::{Request, Response},
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::{Answer, Caller, Load, SOON, Stack, together};

/// Waits until a window of this period lasts long enough for a test that is about one.
pub(crate) async fn within(period: Period) {
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
pub(crate) fn admitted(stack: &Stack, key: &Created) -> u64 {
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
pub(crate) fn items(answer: &Response, field: &str) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
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

/// Clients that ask without end, whatever becomes of the servers.
struct Crowd {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// So many at each edge, with a pause between an answer and the next request.
    fn begin(stack: &Stack, key: &Created, each: usize, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let callers = (0..each).flat_map(|_| &stack.edges).map(|edge| me(edge, &key.raw_key));
        let ask = |mut caller: Caller| {
            let stop = stop.clone();
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    // Whoever is dead gives no answer; what matters is what came through.
                    let _ = caller.call().await;
                    tokio::time::sleep(pause).await;
                }
            })
        };
        let tasks = callers.map(ask).collect();
        Self { stop, tasks }
    }

    async fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await?;
        }
        Ok(())
    }
}

/// Counts what edges have admitted a key to the upstream, from now on.
struct Tally<'a> {
    key: &'a Created,
    admitted: Cell<u64>,
}

impl<'a> Tally<'a> {
    fn of(key: &'a Created) -> Self {
        Self { key, admitted: Cell::new(0) }
    }

    fn read(&self, stack: &Stack) -> u64 {
        self.admitted.set(self.admitted.get() + admitted(stack, self.key));
        self.admitted.get()
    }

    async fn reaches(&self, stack: &Stack, count: u64) -> Result<()> {
        eventually(&format!("{count} are admitted"), SOON, || std::future::ready((self.read(stack) >= count).then_some(()))).await
    }
}

#[tokio::test]
async fn not_one_more_is_admitted_whoever_is_killed_in_between() -> Result<()> {
    const LIMIT: u64 = 1000;
    let _turn = together().await;
    let mut stack = Stack::with_edges(2, |config| config).await?;
    within(Period::Day).await;
    let key = stack.origin.create(json!({"daily_quota": LIMIT})).await?;
    let tally = Tally::of(&key);
    let crowd = Crowd::begin(&stack, &key, 2, Duration::from_millis(15));

    tally.reaches(&stack, 150).await?;
    stack.edges[0].kill()?;
    stack.edges[0].restart().await?;
    tally.reaches(&stack, 300).await?;
    stack.origin.kill()?;
    stack.origin.restart().await?;
    tally.reaches(&stack, 450).await?;
    let database = stack.origin.postgres.as_mut().context("Postgres")?;
    database.kill()?;
    // The children of a killed server take a moment to notice, and none starts beside them.
    let killed = Instant::now();
    while let Err(error) = database.restart().await {
        ensure!(killed.elapsed() < SOON, "{error:#}");
    }
    tally.reaches(&stack, 600).await?;
    stack.edges[1].kill()?;
    stack.edges[1].restart().await?;

    stack.all_answer("/v1/me", &key.raw_key, 429).await?;
    // What was on its way back is given out again.
    holds_for("no more are admitted than there are", Duration::from_secs(6), async || tally.read(&stack) <= LIMIT).await?;
    crowd.end().await?;
    let admitted = tally.read(&stack);
    println!("{admitted} of {LIMIT} were admitted");
    // Each edge has taken with it what it held: an eighth of what was left at most.
    ensure!((LIMIT * 7 / 10..=LIMIT).contains(&admitted), "{admitted} of {LIMIT}");
    ensure!(validates(&stack, &key.raw_key).await?["valid"] == false);
    Ok(())
}

#[tokio::test]
async fn a_limit_that_is_changed_holds_with_what_was_used_before() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::with_edges(2, |config| config).await?;
    within(Period::Day).await;
    let key = stack.origin.create(json!({"daily_quota": 100_000})).await?;
    let tally = Tally::of(&key);
    let crowd = Crowd::begin(&stack, &key, 1, Duration::from_millis(20));
    tally.reaches(&stack, 100).await?;
    stack.origin.amend(&key.id, &json!({"daily_quota": 200})).await?;
    stack.all_answer("/v1/me", &key.raw_key, 429).await?;
    holds_for("no more are admitted than the lower limit", Duration::from_secs(6), async || tally.read(&stack) <= 200).await?;
    ensure!(tally.admitted.get() >= 198, "{} of 200", tally.admitted.get());
    stack.origin.amend(&key.id, &json!({"daily_quota": 250})).await?;
    tally.reaches(&stack, 248).await?;
    holds_for("no more are admitted than the higher limit", Duration::from_secs(2), async || tally.read(&stack) <= 250).await?;
    stack.origin.amend(&key.id, &json!({"daily_quota": 0})).await?;
    stack.all_answer("/v1/me", &key.raw_key, 429).await?;
    stack.origin.amend(&key.id, &json!({"daily_quota": "unlimited"})).await?;
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    tally.reaches(&stack, 300).await?;
    crowd.end().await
}

#[tokio::test]
async fn what_an_idle_edge_does_not_use_another_can_within_seconds() -> Result<()> {
    const GIVEN_BACK: Duration = Duration::from_secs(7);
    let _turn = together().await;
    let stack = Stack::with_edges(2, |config| config).await?;
    within(Period::Day).await;
    let key = stack.origin.create(json!({"daily_quota": 200})).await?;
    let tally = Tally::of(&key);
    // One request each, by which each edge has a block. Then one is silent.
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    let start = Instant::now();
    eventually("the other edge has used all", GIVEN_BACK, async || {
        let _ = stack.get(1, "/v1/me", &key.raw_key).await;
        (tally.read(&stack) == 200).then_some(())
    })
    .await?;
    println!("all was used after {:?}", start.elapsed());
    Ok(())
}

#[tokio::test]
async fn a_deployment_can_tell_all_clients_of_their_limits() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::with_edges(1, |config| config.var("KEYWARD_RATELIMIT_FIELDS", "passed, legacy")).await?;
    within(Period::Hour).await;
    let key = stack.origin.create(json!({"rate_limit_per_hour": 5})).await?;
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    // Without a body a request goes the short way, with one the long one.
    let requests =
        [Request::get("/v1/me"), Request::new("POST", "/files/a").json(&json!({})), Request::get("/v1/me"), Request::get("/v1/me")];
    for (request, left) in requests.into_iter().zip([3, 2, 1, 0]) {
        let answer = stack.send(0, &request.bearer(&key.raw_key)).await?.expect(200)?;
        ensure!(items(&answer, "ratelimit")?["rate_per_hour"]["r"] == left, "{:?}", answer.headers);
        ensure!(answer.headers.first("x-ratelimit-remaining") == Some(left.to_string().as_str()), "{:?}", answer.headers);
        ensure!(answer.json()?["method"].is_string(), "the upstream's answer: {}", answer.text());
    }
    let refused = stack.get(0, "/v1/me", &key.raw_key).await?.expect(429)?;
    ensure!(refused.headers.first("x-ratelimit-limit") == Some("5"), "{:?}", refused.headers);
    // A token is its key's.
    let token = stack.origin.exchange(&key.raw_key, &[]).await?;
    ensure!(stack.get(0, "/v1/me", &token).await?.expect(429)?.json()?["code"] == "rate_limit_exceeded");
    let free = stack.origin.create(json!({})).await?;
    stack.all_answer("/v1/me", &free.raw_key, 200).await?;
    ensure!(stack.get(0, "/v1/me", &free.raw_key).await?.headers.first("ratelimit-policy").is_none(), "of a key without limits");
    Ok(())
}

/// What went back to the origin.
fn given_back(requests: &[Request]) -> Result<u64> {
    let mut amounts = BTreeMap::new();
    for request in requests.iter().filter(|request| request.target_text() == "/edge/v1/permits") {
        let body: Value = serde_json::from_slice(&request.body)?;
        for back in body["returned"].as_array().into_iter().flatten() {
            amounts.insert(back["id"].to_string(), back["amount"].as_u64().unwrap_or_default());
        }
    }
    Ok(amounts.values().sum())
}

#[tokio::test]
async fn a_key_that_is_used_now_and_then_waits_as_often_as_the_deployment_says() -> Result<()> {
    const BLOCK: u64 = 128;
    let _turn = together().await;
    let (stay, keep_none) = (("KEYWARD_LIMIT_IDLE_MS", "60000"), ("KEYWARD_LIMIT_KEEP_MS", "0"));
    // Of the block that the first request brings nothing goes back for a while; most; all but that one.
    for (setting, back, waits) in [(Some(stay), 0, 0), (None, BLOCK / 2, 0), (Some(keep_none), BLOCK - 1, 1)] {
        let with = |config| setting.into_iter().fold(config, |config: EdgeConfig, (name, value)| config.var(name, value));
        let stack = Stack::with_edges(1, with).await?;
        within(Period::Day).await;
        let key = stack.origin.create(json!({"daily_quota": 10_000})).await?;
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
        let before = stack.metrics(0).await?.sum("keyward_limit_waits_total");
        let mut heard = Vec::new();
        let mut reads = || {
            heard.extend(stack.relay.take());
            given_back(&heard)
        };
        if back > 0 {
            let arrives = || ready(reads().is_ok_and(|amount| amount >= back).then_some(()));
            eventually("what isn't used is at the origin again", Duration::from_secs(7), arrives).await?;
        } else {
            holds_for("nothing goes back", Duration::from_secs(5), || ready(reads().is_ok_and(|amount| amount == 0))).await?;
        }
        stack.get(0, "/v1/me", &key.raw_key).await?.expect(200)?;
        let waited = stack.metrics(0).await?.sum("keyward_limit_waits_total") - before;
        ensure!(waited == waits, "{setting:?}: {waited} waited");
    }
    Ok(())
}
