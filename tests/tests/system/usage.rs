//! What clients saw is what the origin has counted, whoever is killed in between.

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Signal, Verdict, eventually,
    http::{Request, Response},
};
use serde_json::{Value, json};

use crate::support::{Metrics, SOON, Stack, together};

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

/// Waits until the hub has taken all that the isolate has counted.
async fn is_taken(stack: &Stack) -> Result<()> {
    let taken = async || {
        let metrics = Metrics::of(&stack.edges[0], 0).await.ok()?;
        (metrics.sum("keyward_usage_unreported") == 0).then_some(())
    };
    eventually("the hub has taken all", SOON, taken).await
}

/// Waits until the origin has taken all that the hub has.
async fn is_sent(stack: &Stack) -> Result<()> {
    let sent = async || {
        let metrics = stack.metrics(0).await.ok()?;
        (metrics.sum("keyward_hub_usage_waiting") == 0).then_some(())
    };
    eventually("the origin has taken all", SOON, sent).await
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

    // The origin adds a batch, and dies with its answer on the way; then the hub sends it again.
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
