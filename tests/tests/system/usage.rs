//! What clients saw is what the origin has counted, whoever is killed in between.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Signal, Verdict, eventually,
    http::{Request, Response},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Caller, Metrics, SOON, Stack, alone, together};

/// Requests as a client has seen them answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Saw {
    passed: u64,
    refused: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// A client with a key, and what it has seen.
struct Client {
    id: String,
    raw: String,
    saw: Saw,
}

impl Client {
    async fn new(stack: &Stack, members: Value) -> Result<Self> {
        let key = stack.origin.create(members).await?;
        Ok(Self { id: key.id, raw: key.raw_key, saw: Saw::default() })
    }

    /// Begins with what the origin has counted by now: how often it took until the key passed isn't known here.
    async fn begin(&mut self, stack: &Stack) -> Result<()> {
        is_taken(stack).await?;
        is_sent(stack).await?;
        self.saw = counted(&self.report(stack).await?);
        Ok(())
    }

    /// Sends these, one after the other, and notes the answers.
    async fn send(&mut self, stack: &Stack, requests: &[Request]) -> Result<()> {
        for request in requests {
            let answer = stack.send(0, &request.clone().bearer(&self.raw)).await?;
            match answer.status {
                200 => {
                    self.saw.passed += 1;
                    self.saw.bytes_in += request.body.len() as u64;
                    self.saw.bytes_out += answer.body.len() as u64;
                }
                401 | 403 => self.saw.refused += 1,
                other => anyhow::bail!("{other}: {}", answer.text()),
            }
        }
        Ok(())
    }

    /// What the origin says of the key.
    async fn report(&self, stack: &Stack) -> Result<Value> {
        stack.origin.api("GET", &format!("/{}/usage?days=2", self.id), None).await?.expect(200)?.json()
    }

    /// Waits until the origin has counted what this client saw, exactly.
    async fn is_counted(&self, stack: &Stack) -> Result<Value> {
        let all = async || {
            let report = self.report(stack).await.ok()?;
            (counted(&report) == self.saw).then_some(report)
        };
        let waited = eventually("all is counted", SOON, all).await;
        let last = self.report(stack).await?;
        waited.with_context(|| format!("{:?}, and the client saw {:?}", counted(&last), self.saw))
    }
}

fn counted(report: &Value) -> Saw {
    let number = |name: &str| report[name].as_u64().unwrap_or(u64::MAX);
    Saw {
        passed: number("total_requests") - number("total_refused"),
        refused: number("total_refused"),
        bytes_in: number("bytes_in"),
        bytes_out: number("bytes_out"),
    }
}

/// Some of each kind: passed on both ways through the edge, with a body and without, and refused.
fn requests() -> Vec<Request> {
    let some = [
        Request::get("/v1/me"),
        Request::get("/files/a/b"),
        Request::new("POST", "/files/a").json(&json!({"text": "some that is longer than nothing"})),
        Request::new("POST", "/v1/chat/x").json(&json!({})),
        Request::get("/nowhere"),
    ];
    some.iter().cycle().take(50).cloned().collect()
}

/// Waits until the hubs have taken all that their isolates have counted.
async fn is_taken(stack: &Stack) -> Result<()> {
    is_nothing(stack, "the hubs have taken all", "keyward_usage_unreported").await
}

/// Waits until the origin has taken all that the hubs have.
async fn is_sent(stack: &Stack) -> Result<()> {
    is_nothing(stack, "the origin has taken all", "keyward_hub_usage_waiting").await
}

async fn is_nothing(stack: &Stack, what: &str, metric: &str) -> Result<()> {
    for edge in &stack.edges {
        let nothing = async || (Metrics::of(edge, 0).await.ok()?.sum(metric) == 0).then_some(());
        eventually(what, SOON, nothing).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_clients_saw_is_counted_exactly_through_deaths_of_origin_and_edge() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::start().await?;
    let mut able = Client::new(&stack, json!({"capabilities": ["llm:gpt-4"]})).await?;
    let mut weak = Client::new(&stack, json!({})).await?;
    let revoked = stack.origin.create(json!({})).await?;
    stack.all_answer("/v1/me", &able.raw, 200).await?;
    stack.all_answer("/v1/me", &weak.raw, 200).await?;
    stack.origin.revoke(&revoked.id).await?;
    stack.all_answer("/v1/me", &revoked.raw_key, 401).await?;
    for client in [&mut able, &mut weak] {
        client.begin(&stack).await?;
    }

    for client in [&mut able, &mut weak] {
        client.send(&stack, &requests()).await?;
    }
    let report = able.is_counted(&stack).await?;
    ensure!(report["outcomes"].as_array().is_some_and(|all| all.len() == 2 && all[1]["outcome"] == "no_route"), "{report}");
    let endpoints = report["most_used_endpoints"].as_array().context("endpoints")?;
    let endpoints: Vec<_> = endpoints.iter().filter_map(|endpoint| endpoint["endpoint"].as_str()).collect();
    for route in ["GET /v1/me", "/files/**", "POST /v1/chat/**", "(none)"] {
        ensure!(endpoints.contains(&route), "{route} is not among {endpoints:?}");
    }
    ensure!(weak.is_counted(&stack).await?.to_string().contains("capability_missing"));

    // The origin is gone: the hub keeps what it is told. Then the edge dies, too.
    stack.origin.kill()?;
    able.send(&stack, &requests()).await?;
    is_taken(&stack).await?;
    ensure!(stack.metrics(0).await?.sum("keyward_hub_usage_waiting") > 0);
    stack.edges[0].kill()?;
    stack.edges[0].restart().await?;
    stack.origin.restart().await?;
    stack.warm(0).await?;
    able.is_counted(&stack).await?;

    // The origin adds a batch and its answer is lost on the way; then the hub sends it again.
    stack.relay.rule({
        let mut left = 3;
        move |request: &Request| {
            let usage = request.method == "POST" && request.target_text() == "/edge/v1/usage";
            if usage && left > 0 {
                left -= 1;
                return Verdict::Change(Box::new(|_| Response::new(503, "text/plain", "")));
            }
            Verdict::Pass
        }
    });
    weak.send(&stack, &requests()).await?;
    weak.is_counted(&stack).await?;
    is_sent(&stack).await?;
    let sent: Vec<_> = stack.relay.take().into_iter().filter(|request| request.target_text() == "/edge/v1/usage").collect();
    let again = sent.iter().filter(|one| sent.iter().filter(|other| other.body == one.body).count() > 1).count();
    ensure!(again > 0, "no batch was sent twice");
    weak.is_counted(&stack).await?;

    // Junk is counted for nobody.
    for _ in 0..7 {
        ensure!(stack.get(0, "/v1/me", "junk").await?.status == 401);
    }
    let nobodys = async || {
        let report = stack.origin.api("GET", "/analytics/summary", None).await.ok()?.json().ok()?;
        let all = report["unattributed"].as_array()?.iter().find(|one| one["outcome"] == "malformed")?.clone();
        (all["requests"].as_u64()? >= 7).then_some(())
    };
    eventually("junk is counted", SOON, nobodys).await
}

/// A killed isolate takes with it what it hadn't handed over, and nothing that it had.
#[tokio::test]
async fn a_killed_edge_loses_only_what_its_hub_had_not_taken() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::start().await?;
    let mut client = Client::new(&stack, json!({"capabilities": ["llm:gpt-4"]})).await?;
    stack.all_answer("/v1/me", &client.raw, 200).await?;
    client.begin(&stack).await?;
    for _ in 0..3 {
        client.send(&stack, &requests()).await?;
        is_taken(&stack).await?;
        let taken = client.saw;
        client.send(&stack, &requests()).await?;
        stack.edges[0].signal(Signal::Kill)?;
        stack.edges[0].restart().await?;
        stack.warm(0).await?;
        eventually("what was taken is counted", SOON, async || {
            let counted = counted(&client.report(&stack).await.ok()?);
            (counted.passed >= taken.passed && counted.refused >= taken.refused).then_some(())
        })
        .await?;
        // From here on with what there is: how much of the last was lost is the kill's luck.
        is_taken(&stack).await?;
        is_sent(&stack).await?;
        let counted = counted(&client.report(&stack).await?);
        ensure!(counted.passed <= client.saw.passed && counted.refused <= client.saw.refused, "{counted:?} and {:?}", client.saw);
        client.saw = counted;
    }
    Ok(())
}

/// What the clients of an edge have seen of a key.
#[derive(Default)]
struct Seen {
    passed: AtomicU64,
    /// Of these nobody knows what has become.
    broken: AtomicU64,
    lately: Mutex<VecDeque<Instant>>,
}

/// Keys, and clients of each at each edge.
const KEYS: usize = 2;
const EACH: usize = 2;
/// For so long before its death an edge may have kept what it has counted.
const IN_MEMORY: Duration = Duration::from_secs(1);

impl Seen {
    fn answered(&self) {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.push_back(Instant::now());
        while lately.front().is_some_and(|first| first.elapsed() > 2 * IN_MEMORY) {
            lately.pop_front();
        }
        self.passed.fetch_add(1, Ordering::SeqCst);
    }

    /// How many were answered in the second before that moment.
    fn before(&self, moment: Instant) -> u64 {
        let lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.iter().filter(|at| **at <= moment && moment - **at <= IN_MEMORY).count() as u64
    }
}

/// What dies in the middle of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Nobody,
    Origin,
    Database,
    Edge(usize),
}

/// So many requests by clients of two edges, with a death in between; where an edge died, how much it had answered of each key just before.
async fn round(stack: &mut Stack, keys: &[Client], seen: &[Vec<Arc<Seen>>], requests: u64, death: Death) -> Result<Option<Vec<u64>>> {
    let left = Arc::new(AtomicU64::new(requests));
    let mut clients = JoinSet::new();
    for nth in 0..2 * KEYS * EACH {
        let (edge, key) = (nth % 2, nth / 2 % keys.len());
        let request = if nth % 5 != 0 { Request::get("/v1/me") } else { Request::new("POST", "/files/a").json(&json!({})) };
        let mut caller = Caller::new(stack.edges[edge].addresses()[0], request.bearer(&keys[key].raw));
        let (left, seen) = (left.clone(), seen[edge][key].clone());
        clients.spawn(async move {
            while left.load(Ordering::Relaxed) > 0 {
                match caller.call().await {
                    Ok(answer) if answer.status() == 200 => {
                        seen.answered();
                        let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
                    }
                    // An edge that has just been started, or one that is gone.
                    Ok(_) => tokio::task::yield_now().await,
                    Err(_) => {
                        seen.broken.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                }
            }
        });
    }
    let halfway = async || (left.load(Ordering::Relaxed) <= requests / 2).then_some(());
    eventually("half of the round is over", 10 * SOON, halfway).await?;
    let mut died = None;
    match death {
        Death::Nobody => {}
        Death::Origin => {
            stack.origin.kill()?;
            stack.origin.restart().await?;
        }
        Death::Database => {
            let database = stack.origin.postgres.as_mut().context("Postgres")?;
            database.kill()?;
            let killed = Instant::now();
            // The children of a killed server take a moment to notice, and none starts beside them.
            while let Err(error) = database.restart().await {
                ensure!(killed.elapsed() < SOON, "{error:#}");
            }
        }
        Death::Edge(edge) => {
            stack.edges[edge].kill()?;
            let moment = Instant::now();
            died = Some(seen[edge].iter().map(|seen| seen.before(moment)).collect());
            stack.edges[edge].restart().await?;
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended?;
    }
    Ok(died)
}

/// So many requests through restarts of everything, one after the other: all are counted, but for a second of a killed edge's.
async fn campaign(requests: u64, rounds: u64) -> Result<()> {
    let mut stack = Stack::with_edges(2, |config| config).await?;
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        let client = Client::new(&stack, json!({})).await?;
        stack.all_answer("/v1/me", &client.raw, 200).await?;
        keys.push(client);
    }
    // Each seventh batch is added, and nobody hears of it: it comes again.
    let mut batches = 0;
    stack.relay.rule(move |request: &Request| {
        batches += u64::from(request.target_text() == "/edge/v1/usage");
        let lost = request.target_text() == "/edge/v1/usage" && batches.is_multiple_of(7);
        if lost { Verdict::Change(Box::new(|_| Response::new(503, "text/plain", ""))) } else { Verdict::Pass }
    });
    let seen: Vec<Vec<Arc<Seen>>> = (0..2).map(|_| (0..KEYS).map(|_| Arc::default()).collect()).collect();
    for client in &mut keys {
        client.begin(&stack).await?;
    }
    let (mut again, mut lost_in_all, mut in_all) = (0, 0, 0);
    for nth in 0..rounds {
        let deaths = [Death::Origin, Death::Edge(0), Death::Database, Death::Edge(1), Death::Nobody];
        let death = deaths[nth as usize % deaths.len()];
        let passed = |key: usize| seen.iter().map(|of| of[key].passed.load(Ordering::SeqCst)).sum::<u64>();
        let before: Vec<u64> = (0..KEYS).map(passed).collect();
        seen.iter().flatten().for_each(|seen| seen.broken.store(0, Ordering::SeqCst));
        let died = round(&mut stack, &keys, &seen, requests / rounds, death).await?;
        is_taken(&stack).await?;
        is_sent(&stack).await?;
        let sent: Vec<_> = stack.relay.take().into_iter().filter(|request| request.target_text() == "/edge/v1/usage").collect();
        again += sent.iter().filter(|one| sent.iter().filter(|other| other.body == one.body).count() > 1).count();
        for (key, client) in keys.iter_mut().enumerate() {
            let saw = passed(key) - before[key];
            let counted = counted(&client.report(&stack).await?).passed - client.saw.passed;
            let (may_be_lost, may_be_more) = match (death, &died) {
                // Each client may have had an answer that it hadn't read yet.
                (Death::Edge(edge), Some(lately)) => {
                    (lately[key] + EACH as u64, seen[edge][key].broken.load(Ordering::SeqCst).min(EACH as u64))
                }
                _ => (0, 0),
            };
            ensure!(
                counted + may_be_lost >= saw && counted <= saw + may_be_more,
                "{death:?}: {counted} of {saw} (-{may_be_lost}, +{may_be_more})"
            );
            lost_in_all += saw.saturating_sub(counted);
            in_all += saw;
            client.saw.passed += counted;
        }
    }
    println!("{in_all} requests; {lost_in_all} died uncounted with an edge; {again} batches came more than once");
    ensure!(again > 0, "no batch came twice");
    ensure!(in_all >= requests, "{in_all} requests");
    Ok(())
}

#[tokio::test]
async fn all_is_counted_through_restarts_of_everything_but_for_a_second_of_a_killed_edge() -> Result<()> {
    let _turn = together().await;
    campaign(5_000, 5).await
}

#[tokio::test]
#[ignore = "long: cargo xtask soak usage"]
async fn soak_usage() -> Result<()> {
    let _turn = alone().await;
    campaign(1_000_000, 50).await
}
