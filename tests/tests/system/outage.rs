//! What breaks behind the edge: keys that hold keep passing for a stated time, nobody waits for what can't come, and
//! everything catches up by itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Edge, EdgeConfig, Relay, Signal, Verdict, eventually,
    http::{Connection, Request},
};
use serde_json::{Value, json};
use tokio::{sync::oneshot, task::JoinSet};

use crate::support::{Answer, Caller, Load, Metrics, Publisher, SOON, Stack, Statistics, alone, together};

/// The ages of an edge.
#[derive(Clone, Copy)]
struct Ages {
    soft: Duration,
    hard: Duration,
}

const SHORT: Ages = Ages { soft: Duration::from_secs(3), hard: Duration::from_secs(5) };

/// A request waits at most this long, once; the rest of a second is for the machine.
const ONE_WAIT: Duration = Duration::from_millis(1500);
/// Longer than any request that waits for nothing, also on a busy machine.
const NO_WAIT: Duration = Duration::from_millis(400);

impl Ages {
    fn of(self, config: EdgeConfig) -> EdgeConfig {
        config.var("KEYWARD_SOFT_AGE_MS", &self.soft.as_millis().to_string()).var("KEYWARD_HARD_AGE_MS", &self.hard.as_millis().to_string())
    }
}

/// A client that asks all the time, with a little pause.
fn asking(edge: &Edge, isolate: usize, key: &str) -> Load {
    let caller = Caller::new(edge.addresses()[isolate], me(key));
    Load::begin(caller, Duration::from_millis(5))
}

fn me(key: &str) -> Request {
    Request::get("/v1/me").bearer(key)
}

/// Of the answers to one client during an outage: at most one waited, and that one not longer than it may.
fn at_most_one_waited(answers: &[Answer]) -> Result<()> {
    let waited: Vec<_> = answers.iter().map(Answer::took).filter(|took| *took > NO_WAIT).collect();
    ensure!(waited.len() <= 1, "{} requests waited: {waited:?}", waited.len());
    ensure!(waited.iter().all(|took| *took < ONE_WAIT), "a request waited {waited:?}");
    Ok(())
}

fn p99(answers: &[Answer]) -> Duration {
    answers.iter().map(Answer::took).collect::<Statistics>().quantile(0.99)
}

/// The age at which a passed request was decided, as the upstream was told: `epoch.seq.age`.
fn decided_at_age(answer: &Answer) -> Result<u64> {
    let body = answer.response.json()?;
    let headers = body["headers"].as_array().context("the echoed headers")?;
    let decision = headers.iter().find(|header| header[0] == "x-keyward-decision");
    let decision = decision.and_then(|header| header[1].as_str()).context("x-keyward-decision")?;
    Ok(decision.rsplit('.').next().context("an age")?.parse()?)
}

/// The origin goes away as `how` says and stays away for `time`; then it comes back.
async fn an_outage(how: How, time: Duration, ages: Ages) -> Result<()> {
    let _turn = alone().await;
    let mut stack = Stack::with_edges(2, |config| ages.of(config)).await?;
    // A third one lets user keys pass for longer.
    let open_config = ages.of(stack.edge_config()?).var("KEYWARD_OUTAGE", "user=open:3600");
    stack.edges.push(Edge::start(open_config).await?);
    stack.warm(2).await?;
    let origin = &stack.origin;
    let user = origin.create(json!({})).await?;
    let tenant = origin.create(json!({"scope": "tenant"})).await?;
    let revoked = origin.create(json!({})).await?;
    origin.revoke(&revoked.id).await?;
    for (key, status) in [(&user, 200), (&tenant, 200), (&revoked, 401)] {
        stack.all_answer("/v1/me", &key.raw_key, status).await?;
    }

    let healthy = asking(&stack.edges[0], 0, &user.raw_key);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let healthy = healthy.end().await?;
    ensure!(healthy.iter().all(|answer| answer.status() == 200), "a healthy edge refused a key");
    let before = Metrics::of(&stack.edges[0], 0).await?.blocked();

    match how {
        How::Stopped => stack.origin.signal(Signal::Stop)?,
        How::Killed => stack.origin.kill()?,
    }
    let gone = Instant::now();
    let clients: Vec<_> = stack.edges.iter().flat_map(|edge| [&user, &tenant, &revoked].map(|key| asking(edge, 0, &key.raw_key))).collect();
    tokio::time::sleep(time).await;
    let back = Instant::now();
    let mut answers = Vec::new();
    for client in clients {
        answers.push(client.end().await?);
    }
    // The closed edges, then the open one; of each the user's, the tenant's and the revoked key.
    for (at, answers) in answers.iter().enumerate() {
        at_most_one_waited(answers).with_context(|| format!("client {at}"))?;
        let open = at == 6;
        for answer in answers {
            let after = answer.sent - gone;
            let text = || format!("client {at}, {after:?} after: {} {}", answer.status(), answer.response.text());
            match answer.status() {
                200 => {
                    ensure!(at % 3 != 2, "a revoked key passed: {}", text());
                    // Its state was at most a poll old when the origin went.
                    ensure!(open || after <= ages.hard + Duration::from_millis(100), "{}", text());
                }
                401 => ensure!(at % 3 == 2, "{}", text()),
                503 => {
                    // What was revoked stays revoked at any age.
                    ensure!(!open && at % 3 != 2, "{}", text());
                    ensure!(answer.response.json()?["code"] == "state_stale", "{}", text());
                    // The last heartbeat came at most one long poll before.
                    ensure!(answer.answered - gone + Duration::from_millis(2500) > ages.hard, "too early: {}", text());
                }
                _ => anyhow::bail!("{}", text()),
            }
        }
        let last = answers.last().context("an answer")?;
        let expected = match (open, at % 3) {
            (_, 2) => 401,
            (true, _) => 200,
            (false, _) => 503,
        };
        ensure!(last.status() == expected, "client {at} ended with {}", last.status());
    }
    let blocked = Metrics::of(&stack.edges[0], 0).await?.blocked() - before;
    // Three clients asked this isolate at once; only those of the one moment may have waited.
    ensure!(blocked <= 3, "{blocked} requests waited");
    let (calm, rough) = (p99(&healthy), p99(&answers[0]));
    println!("p99 healthy {calm:?}, in the outage {rough:?}");
    ensure!(rough < calm * 3 + Duration::from_millis(100), "p99 {rough:?} against {calm:?}");

    // Back: what happens next is known everywhere, without anybody restarting anything.
    match how {
        How::Stopped => stack.origin.signal(Signal::Continue)?,
        How::Killed => stack.origin.restart().await?,
    }
    stack.origin.revoke(&tenant.id).await?;
    let news = [(&user, 200), (&tenant, 401), (&revoked, 401)];
    for (key, status) in news {
        stack.all_answer("/v1/me", &key.raw_key, status).await?;
    }
    println!("caught up {:?} after the origin was back", back.elapsed());
    for (key, status) in news {
        for at in 0..stack.edges.len() {
            let answer = stack.get(at, "/v1/me", &key.raw_key).await?;
            ensure!(answer.status == status, "after catching up: {} {}", answer.status, answer.text());
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum How {
    Stopped,
    Killed,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_origin_stopped_keys_pass_until_the_hard_age_and_nobody_waits_twice() -> Result<()> {
    an_outage(How::Stopped, Duration::from_secs(8), SHORT).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_origin_killed_keys_pass_until_the_hard_age_and_nobody_waits_twice() -> Result<()> {
    an_outage(How::Killed, Duration::from_secs(8), SHORT).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask soak outage"]
async fn soak_outage() -> Result<()> {
    let ages = Ages { soft: Duration::from_secs(5), hard: Duration::from_secs(20) };
    an_outage(How::Stopped, Duration::from_secs(30), ages).await?;
    an_outage(How::Killed, Duration::from_secs(30), ages).await
}

/// Every passed request carries the age of the state that it was decided on; none is past the hard age.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_decision_is_taken_on_a_state_past_the_hard_age() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(1, |config| SHORT.of(config)).await?;
    let key = stack.origin.create(json!({})).await?.raw_key;
    stack.all_answer("/v1/me", &key, 200).await?;
    stack.origin.kill()?;
    let mut caller = Caller::new(stack.edges[0].addresses()[0], me(&key));
    let mut oldest = 0;
    loop {
        let answer = caller.call().await?;
        if answer.status() != 200 {
            ensure!(answer.response.json()?["code"] == "state_stale", "{}", answer.response.text());
            break;
        }
        oldest = oldest.max(decided_at_age(&answer)?);
    }
    let hard = u64::try_from(SHORT.hard.as_millis())?;
    ensure!(oldest <= hard, "a request passed on a state {oldest} ms old");
    // And they were not refused before their time: requests came every few milliseconds.
    ensure!(oldest + 500 > hard, "refused at {oldest} ms");
    Ok(())
}

/// An isolate that starts while the origin is away has nothing that it may trust.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_isolate_that_starts_in_an_outage_passes_nothing() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(1, |config| SHORT.of(config)).await?;
    let key = stack.origin.create(json!({})).await?.raw_key;
    stack.all_answer("/v1/me", &key, 200).await?;
    stack.origin.signal(Signal::Stop)?;
    stack.edges[0].restart().await?;
    let mut caller = Caller::new(stack.edges[0].addresses()[0], me(&key));
    let mut answers = Vec::new();
    for _ in 0..50 {
        answers.push(caller.call().await?);
    }
    for answer in &answers {
        ensure!(answer.status() == 503, "{}: {}", answer.status(), answer.response.text());
        ensure!(answer.response.json()?["code"] == "state_unavailable", "{}", answer.response.text());
    }
    at_most_one_waited(&answers)?;
    stack.origin.signal(Signal::Continue)?;
    stack.all_answer("/v1/me", &key, 200).await
}

/// However many ask a cold isolate at once, the origin is asked once for each thing, and nobody is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_cold_requests_one_asks_and_all_are_answered() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::start().await?;
    stack.edges[0].restart().await?;
    // Of terms that nobody has met: the policies of earlier keys are in the hub's storage, which outlives it.
    let key = stack.origin.create(json!({"daily_quota": 7_654_321})).await?.raw_key;
    let _earlier = stack.relay.take();
    let mut clients = JoinSet::new();
    for _ in 0..50 {
        let mut caller = Caller::new(stack.edges[0].addresses()[0], me(&key));
        clients.spawn(async move { caller.call().await });
    }
    while let Some(answer) = clients.join_next().await {
        let answer = answer??;
        ensure!(answer.status() == 200, "{}: {}", answer.status(), answer.response.text());
        ensure!(answer.took() < ONE_WAIT, "a cold request took {:?}", answer.took());
    }
    let asked: Vec<_> = stack.relay.take().iter().map(Request::target_text).collect();
    for thing in ["/edge/v1/snapshot", "/edge/v1/parts/", "/edge/v1/policies/"] {
        let times = asked.iter().filter(|target| target.starts_with(thing)).count();
        ensure!(times == 1, "{thing} was asked for {times} times: {asked:?}");
    }
    Ok(())
}

/// Many ask a cold isolate whose refresh is slow; the one who leads it resets its connection. The others are answered
/// as if nothing had happened, and so are those that come later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_resets_its_connection_in_a_refresh_harms_nobody() -> Result<()> {
    let _turn = together().await;
    let publisher = Publisher::start().await?;
    let upstream = keyward_tests::Upstream::start().await?;
    let relay = Relay::start(publisher.address()).await?;
    let key = publisher.published().mint(1, 1)?;
    let config = publisher.edge_config(&relay.url(), &upstream)?.isolates(2);
    let mut edge = Edge::start(config).await?;
    for followers in [0, 1, 10] {
        edge.restart().await?;
        // Everything that the edge asks for waits until the leader is gone.
        let (open, opened) = tokio::sync::watch::channel(false);
        let _earlier = relay.take();
        relay.rule(move |_| {
            let (release, held) = oneshot::channel();
            let mut opened = opened.clone();
            tokio::spawn(async move {
                let _ = opened.wait_for(|open| *open).await;
                drop(release);
            });
            Verdict::Hold(held)
        });
        let mut leader = Connection::open(edge.addresses()[0]).await?;
        leader.start(&me(&key)).await?;
        eventually("the leader's refresh is under way", SOON, async || (relay.count() > 0).then_some(())).await?;
        let mut others = JoinSet::new();
        for at in 0..followers {
            // Followers of the same isolate, and of another one beside the same hub.
            let mut caller = Caller::new(edge.addresses()[at % 2], me(&key));
            others.spawn(async move { caller.call().await });
        }
        leader.reset()?;
        open.send_replace(true);
        while let Some(answer) = others.join_next().await {
            let answer = answer??;
            ensure!(answer.status() == 200, "{followers}: {} {}", answer.status(), answer.response.text());
            ensure!(answer.took() < ONE_WAIT, "{followers}: a follower waited {:?}", answer.took());
        }
        for isolate in 0..2 {
            let answer = Caller::new(edge.addresses()[isolate], me(&key)).call().await?;
            ensure!(answer.status() == 200, "{followers}: {} {}", answer.status(), answer.response.text());
            ensure!(answer.took() < ONE_WAIT, "{followers}: the next one waited {:?}", answer.took());
        }
    }
    Ok(())
}

/// With its database gone the origin says so quickly; with the database back it goes on, and so do the edges.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_origin_survives_its_database() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::start().await?;
    let key = stack.origin.create(json!({})).await?;
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    for _ in 0..2 {
        stack.origin.postgres.as_mut().context("a database of its own")?.kill()?;
        let asked = Instant::now();
        let answer = stack.origin.api("POST", "", Some(&json!({"name": "in vain"}))).await?;
        ensure!(answer.status == 503, "{}: {}", answer.status, answer.text());
        ensure!(answer.json()?["code"] == "database_unavailable", "{}", answer.text());
        ensure!(asked.elapsed() < Duration::from_secs(4), "it took {:?} to say so", asked.elapsed());
        let ready = stack.origin.send(&Request::get("/readyz")).await?;
        ensure!(ready.status == 503, "ready without a database: {}", ready.status);
        stack.origin.send(&Request::get("/healthz")).await?.expect(200)?;
        stack.get(0, "/v1/me", &key.raw_key).await?.expect(200)?;

        stack.origin.postgres.as_mut().context("a database of its own")?.restart().await?;
        stack.origin.ready().await?;
        let fresh = eventually("keys can be created again", SOON, async || stack.origin.create(json!({})).await.ok()).await?;
        stack.all_answer("/v1/me", &fresh.raw_key, 200).await?;
        stack.origin.revoke(&fresh.id).await?;
        stack.all_answer("/v1/me", &fresh.raw_key, 401).await?;
    }
    stack.origin.must_be_running()
}

/// The same where the origin runs Postgres itself: it starts it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_origin_with_a_database_of_its_own_starts_it_again() -> Result<()> {
    let _turn = together().await;
    let config = keyward_tests::OriginConfig { own_database: true, ..Default::default() };
    let mut stack = Stack::start_with(config, 1, |config| config).await?;
    let key = stack.origin.create(json!({})).await?;
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    kill_postgres_of(&stack)?;
    let fresh = eventually("keys can be created again", SOON, async || stack.origin.create(json!({})).await.ok())
        .await
        .with_context(|| stack.origin.log())?;
    stack.all_answer("/v1/me", &fresh.raw_key, 200).await?;
    let same: Value = stack.origin.api("GET", &format!("/{}", key.id), None).await?.expect(200)?.json()?;
    ensure!(same["id"] == json!(key.id));
    // Killed itself, and its database with it or not: the next start takes the data over.
    stack.origin.kill()?;
    stack.origin.restart().await?;
    stack.origin.revoke(&fresh.id).await?;
    stack.all_answer("/v1/me", &fresh.raw_key, 401).await?;
    stack.origin.must_be_running()
}

/// Kills the postmaster whose data lie in the origin's directory.
fn kill_postgres_of(stack: &Stack) -> Result<()> {
    let find = std::process::Command::new("find").arg(stack.origin.data()).args(["-name", "postmaster.pid"]).output()?;
    let path = String::from_utf8(find.stdout)?;
    let path = path.lines().next().context("no postmaster.pid in the data directory")?;
    let pid = std::fs::read_to_string(path)?;
    let pid = pid.lines().next().context("a process id")?.to_owned();
    let killed = std::process::Command::new("kill").args(["-9", &pid]).status()?;
    ensure!(killed.success(), "kill -9 {pid}");
    Ok(())
}
