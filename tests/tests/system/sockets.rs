//! WebSockets through the edge.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Created, Edge, eventually};
use serde_json::json;

use crate::support::{Echo, LEFT, SOON, Socket, Stack, together};

/// Less than it takes to find out that a request is gone without a word.
const AT_ONCE: Duration = Duration::from_secs(3);
/// More than that.
const SILENT: Duration = Duration::from_secs(8);

async fn open(server: SocketAddr, key: &Created, way: &str) -> Result<Result<Socket, u16>> {
    // The same key in both headers is out of the ordinary, and goes the long way.
    let bearer = format!("Bearer {}", key.raw_key);
    let both = [("authorization", bearer.as_str()), ("x-api-key", &key.raw_key)];
    Socket::open(server, "/files/socket", if way == "long" { &both } else { &both[..1] }).await
}

#[tokio::test]
async fn a_websocket_passes_and_has_its_slot_until_either_side_closes_it() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(0, |config| config).await?;
    let echo = Echo::start().await?;
    let config = stack.edge_config()?.var("KEYWARD_UPSTREAM", &format!("http://{}", echo.address()));
    stack.edges.push(Edge::start(config).await?);
    let server = stack.edges[0].addresses()[0];

    let unlimited = stack.origin.create(json!({"max_concurrent_requests": "unlimited"})).await?;
    let one = stack.origin.create(json!({"max_concurrent_requests": 1})).await?;
    let opened = async |key: &Created, way, within| {
        eventually("it opens", within, async || open(server, key, way).await.ok().and_then(Result::ok)).await
    };
    for way in ["short", "long"] {
        let mut free = opened(&unlimited, way, SOON).await?;
        free.talk().await?;
        free.close(1000).await?;
        echo.has(0).await?;
        ensure!(echo.closed() == [1000]);

        let mut socket = opened(&one, way, SOON).await?;
        socket.talk().await?;
        let began = Instant::now();
        loop {
            ensure!(open(server, &one, way).await?.err() == Some(429), "another opens beside it");
            socket.talk().await?;
            if way == "long" || began.elapsed() > SILENT {
                break;
            }
        }
        socket.close(4001).await?;
        echo.has(0).await?;
        ensure!(echo.closed() == [4001]);

        let socket = opened(&one, way, AT_ONCE).await.context("after one that its client has closed")?;
        ensure!(socket.leave().await? == (LEFT.0, LEFT.1.to_owned()));
        echo.has(0).await?;
        echo.closed();

        let socket = opened(&one, way, AT_ONCE).await.context("after one that the service has closed")?;
        socket.vanish()?;
        echo.has(0).await?;
        echo.closed();
        opened(&one, way, AT_ONCE).await.context("after one whose client is gone")?.close(1000).await?;
        echo.has(0).await?;
        echo.closed();
    }
    Ok(())
}
