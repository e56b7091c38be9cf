//! Requests at one time: never more than a key may have, by all edges together, and what ends or dies makes room.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use keyward_tests::{
    Created, Edge, Verdict, eventually, holds_for,
    http::{Connection, Request, Response},
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    limits::items,
    support::{Caller, PIECES, SOON, Stack, Workshop, together},
};

/// Edges in front of a service that takes its time.
async fn scene(edges: usize) -> Result<(Stack, Workshop)> {
    let mut stack = Stack::with_edges(0, |config| config).await?;
    let workshop = Workshop::start().await?;
    for _ in 0..edges {
        let config = stack.edge_config()?.var("KEYWARD_UPSTREAM", &format!("http://{}", workshop.address())).isolates(2);
        stack.edges.push(Edge::start(config).await?);
    }
    Ok((stack, workshop))
}

/// Waits until an isolate knows the key: with what the service does at once.
async fn known(stack: &Stack, key: &Created) -> Result<()> {
    for edge in &stack.edges {
        for isolate in 0..2 {
            eventually("the key is known", SOON, async || {
                let answer = edge.send(isolate, &Request::get("/a").bearer(&key.raw_key)).await.ok()?;
                (answer.status == 200).then_some(())
            })
            .await?;
        }
    }
    Ok(())
}

/// A client of an isolate that has sent its request, and waits.
struct Client {
    connection: Connection,
    request: Request,
}

impl Client {
    async fn begin(edge: &Edge, isolate: usize, request: &Request) -> Result<Self> {
        let mut connection = Connection::open(edge.addresses()[isolate]).await?;
        connection.start(request).await?;
        Ok(Self { connection, request: request.clone() })
    }

    /// Tries until its request is under way, as one of so many: what another isolate had a moment ago it gives back.
    async fn insist(edge: &Edge, isolate: usize, request: &Request, (workshop, count): (&Workshop, u64)) -> Result<Self> {
        eventually("it is under way", SOON, async || {
            let mut client = Self::begin(edge, isolate, request).await.ok()?;
            let begun = tokio::select! {
                _ = client.connection.receive(request) => false,
                begun = workshop.has(count) => begun.is_ok(),
            };
            begun.then_some(client)
        })
        .await
    }

    async fn end(mut self) -> Result<Response> {
        self.connection.receive(&self.request).await
    }
}

#[tokio::test]
async fn a_request_has_its_slot_until_its_answer_has_ended_or_its_client_is_gone() -> Result<()> {
    let _turn = together().await;
    let (stack, workshop) = scene(1).await?;
    let edge = &stack.edges[0];
    let key = stack.origin.create(json!({"max_concurrent_requests": 3, "daily_quota": 1000})).await?;
    known(&stack, &key).await?;
    workshop.has(0).await?;
    // A body that is under way, a request without one (the short way), and one with one (the long way).
    let (stream, get, post) = (Request::get("/files/a"), Request::get("/v1/me"), Request::new("POST", "/files/b").json(&json!({})));
    let [stream, get, post] = [stream, get, post].map(|request| request.bearer(&key.raw_key));
    let streaming = Client::begin(edge, 0, &stream).await?;
    workshop.has(1).await?;
    let short = Client::insist(edge, 1, &get, (&workshop, 2)).await?;
    let long = Client::insist(edge, 0, &post, (&workshop, 3)).await?;
    for (isolate, request) in [(0, &get), (1, &get), (0, &post), (1, &stream)] {
        let refused = edge.send(isolate, request).await?.expect(429)?;
        ensure!(refused.json()?["code"] == "concurrency_limit_exceeded", "{}", refused.text());
        ensure!(refused.headers.first("retry-after") == Some("1"), "{:?}", refused.headers);
        let policy = refused.headers.first("ratelimit-policy").unwrap_or_default();
        ensure!(policy.contains(r#""concurrent";q=3;qu="concurrent-requests""#), "{policy}");
    }

    // Each end makes room for one: an answer's, and those of clients that vanish before theirs has begun.
    short.connection.reset()?;
    workshop.has(2).await?;
    let short = Client::insist(edge, 1, &get, (&workshop, 3)).await?;
    long.connection.reset()?;
    workshop.has(2).await?;
    let long = Client::insist(edge, 0, &post, (&workshop, 3)).await?;
    workshop.finish(3);
    for (client, length) in [(streaming, None), (short, Some("10")), (long, Some("10"))] {
        let whole = client.end().await?.expect(200)?;
        ensure!(whole.text() == PIECES.concat(), "{}", whole.text());
        ensure!(whole.headers.first("content-length") == length, "{:?}", whole.headers);
    }
    // And while its answer comes.
    let streaming = Client::begin(edge, 0, &stream).await?;
    workshop.has(1).await?;
    let others = [Client::insist(edge, 0, &get, (&workshop, 2)).await?, Client::insist(edge, 0, &get, (&workshop, 3)).await?];
    edge.send(0, &get).await?.expect(429)?;
    streaming.connection.reset()?;
    workshop.has(2).await?;
    let last = Client::insist(edge, 1, &get, (&workshop, 3)).await?;
    workshop.finish(3);
    for client in others.into_iter().chain([last]) {
        client.end().await?.expect(200)?;
    }
    ensure!(workshop.most() == 3, "{} at a time", workshop.most());
    Ok(())
}

#[tokio::test]
async fn an_answer_that_says_to_be_short_gives_its_slot_back_when_it_begins_and_so_does_a_client_that_leaves_before() -> Result<()> {
    // Less than it takes to find out that a request is gone without a word.
    const AT_ONCE: Duration = Duration::from_secs(3);
    let _turn = together().await;
    let (stack, workshop) = scene(1).await?;
    let edge = &stack.edges[0];
    let key = stack.origin.create(json!({"max_concurrent_requests": 1})).await?;
    known(&stack, &key).await?;
    let request = |method, target: &str| Request::new(method, target).bearer(&key.raw_key);
    let is_free = async || {
        let free = async || (edge.send(0, &request("GET", "/a")).await.ok()?.status == 200).then_some(());
        eventually("its slot is free", AT_ONCE, free).await
    };
    is_free().await?;
    // Who waits for each answer finds the slot free, whatever kind of answer that is.
    for method in ["GET", "HEAD", "POST", "GET"].repeat(5) {
        edge.send(0, &request(method, "/a")).await?.expect(200)?;
    }

    for (length, is_short) in [("?length=10", true), ("?length=65536", true), ("?length=65537", false), ("", false)] {
        let target = format!("/files/a{length}");
        let client = Client::begin(edge, 0, &request("GET", &target)).await?;
        workshop.has(1).await?;
        if is_short {
            is_free().await?;
        } else {
            // For longer than it is believed that no slot is free.
            for _ in 0..5 {
                edge.send(0, &request("GET", "/a")).await?.expect(429)?;
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
        }
        workshop.finish(1);
        let whole = client.end().await?.expect(200)?;
        ensure!(whole.text().ends_with(PIECES[1]), "{length}: {}", whole.text());
        is_free().await?;
    }

    for request in [request("GET", "/v1/me"), request("POST", "/files/a")] {
        let client = Client::insist(edge, 0, &request, (&workshop, 1)).await?;
        client.connection.reset()?;
        workshop.has(0).await?;
        is_free().await?;
    }
    ensure!(workshop.most() <= 2, "{} at a time", workshop.most());
    Ok(())
}

/// Clients without end.
struct Crowd {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn begin(stack: &Stack, key: &Created, each: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let addresses = stack.edges.iter().flat_map(|edge| edge.addresses().to_vec());
        let callers = addresses.flat_map(|address| std::iter::repeat_n(address, each));
        let tasks = callers.map(|address| {
            let (stop, mut caller) = (stop.clone(), Caller::new(address, Request::get("/a").bearer(&key.raw_key)));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let _ = caller.call().await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            })
        });
        Self { tasks: tasks.collect(), stop }
    }

    async fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn never_are_more_under_way_than_the_limit_by_all_edges_together_whoever_is_killed() -> Result<()> {
    const LIMIT: u64 = 5;
    let _turn = together().await;
    let (mut stack, workshop) = scene(2).await?;
    let key = stack.origin.create(json!({"max_concurrent_requests": LIMIT})).await?;
    known(&stack, &key).await?;
    let crowd = Crowd::begin(&stack, &key, 3);
    let more = async |count: u64| {
        let target = workshop.all() + count;
        // All slots may be of one that died, for 15 s.
        eventually("work goes on", 2 * SOON, || std::future::ready((workshop.all() >= target).then_some(()))).await
    };
    more(300).await?;
    stack.edges[0].kill()?;
    stack.edges[0].restart().await?;
    more(100).await?;
    stack.origin.kill()?;
    more(100).await?;
    stack.origin.restart().await?;
    more(100).await?;
    stack.edges[1].kill()?;
    stack.edges[1].restart().await?;
    more(300).await?;
    // What died has its slots for as long as its lease; then all are there again.
    eventually("all slots are used at one edge", SOON, async || {
        let before = workshop.all();
        more(20).await.ok()?;
        (workshop.most() == LIMIT && workshop.all() > before).then_some(())
    })
    .await?;
    crowd.end().await?;
    println!("{} requests, {} of {LIMIT} at a time", workshop.all(), workshop.most());
    ensure!(workshop.most() == LIMIT, "{} of {LIMIT} at a time", workshop.most());
    Ok(())
}

/// An object has its slots for five minutes, and renews them at half time.
#[tokio::test]
#[ignore = "long: cargo xtask soak limits"]
async fn soak_limits_what_is_under_way_on_a_lease_that_ends_is_cut_off_and_not_before() -> Result<()> {
    const LEASE: Duration = Duration::from_secs(300);
    let _turn = together().await;
    let (stack, workshop) = scene(1).await?;
    let edge = &stack.edges[0];
    let key = stack.origin.create(json!({"max_concurrent_requests": 3})).await?;
    known(&stack, &key).await?;
    workshop.has(0).await?;
    let (stream, get) = (Request::get("/files/a").bearer(&key.raw_key), Request::get("/v1/me").bearer(&key.raw_key));
    let streaming = Client::begin(edge, 0, &stream).await?;
    workshop.has(1).await?;
    let sized = Request::get("/files/a?length=100000").bearer(&key.raw_key);
    let sized = Client::insist(edge, 0, &sized, (&workshop, 2)).await?;
    let waiting = Client::insist(edge, 1, &get, (&workshop, 3)).await?;

    stack.relay.rule(|_| Verdict::Reset);
    let cut = Instant::now();
    holds_for("half of the lease is left at least", LEASE / 2 - Duration::from_secs(10), async || workshop.now() == 3).await?;
    let ended = || std::future::ready((workshop.now() == 0).then_some(()));
    eventually("all is cut off", LEASE.saturating_sub(cut.elapsed()), ended).await?;
    println!("cut off {:?} after the origin was lost", cut.elapsed());
    ensure!(sized.end().await.is_err(), "an answer of a stated length looks whole");
    // Where no length is stated the runtime hides it, as it does where an upstream breaks.
    ensure!(streaming.end().await?.text() == PIECES[0], "an answer that had begun goes on");
    ensure!(waiting.end().await?.expect(503)?.json()?["code"] == "limit_unavailable");

    // With the origin there again, all slots are.
    stack.relay.rule(|_| Verdict::Pass);
    let first = Client::insist(edge, 0, &get, (&workshop, 1)).await?;
    let second = Client::insist(edge, 1, &get, (&workshop, 2)).await?;
    workshop.finish(2);
    first.end().await?.expect(200)?;
    second.end().await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn a_key_that_may_have_none_is_told_so_from_its_first_request_on() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let key = stack.origin.create(json!({"max_concurrent_requests": 0, "daily_quota": 9})).await?;
    stack.all_answer("/v1/me", &key.raw_key, 429).await?;
    for scheme in ["Bearer", "bearer"] {
        let request = Request::get("/v1/me").header("authorization", &format!("{scheme} {}", key.raw_key));
        let answer = stack.send(0, &request).await?.expect(429)?;
        ensure!(answer.json()?["code"] == "concurrency_limit_exceeded" && answer.headers.first("retry-after") == Some("1"), "{answer:?}");
        let (policy, state) = (items(&answer, "ratelimit-policy")?, items(&answer, "ratelimit")?);
        ensure!(state["concurrent"]["r"] == 0 && policy["daily_quota"]["q"] == 9, "{answer:?}");
    }
    Ok(())
}
