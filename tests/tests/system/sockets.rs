//! WebSockets through the edge.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Created, Edge, eventually};
use serde_json::json;

use crate::support::{CHUNK, Echo, LEFT, SOON, Socket, Stack, together};

/// A WebSocket has its slot for so long after it opens (`crates/edge/js/hold.js`).
const OPENING: Duration = Duration::from_secs(10);
/// More than connections hold by themselves between a service and a client that doesn't read, and far less than an isolate may have.
const HELD: u64 = 64 << 20;

/// What doesn't move for so long waits.
const STILL: Duration = Duration::from_secs(2);

async fn open(server: SocketAddr, key: &Created, way: &str) -> Result<Result<Socket, u16>> {
    // The same key in both headers is out of the ordinary, and goes the long way.
    let bearer = format!("Bearer {}", key.raw_key);
    let both = [("authorization", bearer.as_str()), ("x-api-key", &key.raw_key)];
    Socket::open(server, "/files/socket", if way == "long" { &both } else { &both[..1] }).await
}

/// An edge before a service that speaks over WebSockets.
async fn scene() -> Result<(Stack, Echo, SocketAddr)> {
    let mut stack = Stack::with_edges(0, |config| config).await?;
    let echo = Echo::start().await?;
    let config = stack.edge_config()?.var("KEYWARD_UPSTREAM", &format!("http://{}", echo.address()));
    stack.edges.push(Edge::start(config).await?);
    let server = stack.edges[0].addresses()[0];
    Ok((stack, echo, server))
}

async fn opened(server: SocketAddr, key: &Created, way: &str) -> Result<Socket> {
    eventually("it opens", SOON, async || open(server, key, way).await.ok().and_then(Result::ok)).await
}

#[tokio::test]
async fn a_websocket_passes_and_counts_while_it_opens() -> Result<()> {
    let _turn = together().await;
    let (stack, echo, server) = scene().await?;
    let unlimited = stack.origin.create(json!({"max_concurrent_requests": "unlimited"})).await?;
    for way in ["short", "long"] {
        let one = stack.origin.create(json!({"max_concurrent_requests": 1})).await?;
        for key in [&unlimited, &one] {
            let mut socket = opened(server, key, way).await?;
            let began = Instant::now();
            socket.talk().await?;
            if key.id == one.id {
                ensure!(open(server, &one, way).await?.err() == Some(429), "another opens beside it");
                let second = opened(server, &one, way).await.context("after the first has opened")?;
                ensure!(began.elapsed() > OPENING - Duration::from_secs(1), "after {:?}", began.elapsed());
                ensure!(second.leave().await? == (LEFT.0, LEFT.1.to_owned()));
                echo.has(1).await?;
                echo.closed();
                socket.talk().await?;
            }
            socket.close(4001).await?;
            echo.has(0).await?;
            ensure!(echo.closed() == [4001]);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_service_waits_for_a_client_that_does_not_read_and_the_edge_holds_nothing() -> Result<()> {
    let _turn = together().await;
    let (stack, echo, server) = scene().await?;
    let one = stack.origin.create(json!({"max_concurrent_requests": 1})).await?;
    let mut socket = opened(server, &one, "short").await?;
    socket.flood().await?;
    let (mut before, mut since) = (0, Instant::now());
    let sent = eventually("the service waits, or doesn't", SOON, || {
        let sent = echo.sent();
        if sent != before {
            (before, since) = (sent, Instant::now());
        }
        std::future::ready((sent > HELD || since.elapsed() > STILL).then_some(sent))
    })
    .await?;
    ensure!((1..=HELD).contains(&sent), "{sent} bytes were taken from the service");
    // Who reads again gets what was waiting.
    socket.read(HELD / CHUNK as u64 + 1).await
}
