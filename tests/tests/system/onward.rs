//! What goes on to the upstream, and what is an answer of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use keyward_tests::{
    Edge, Relay, Verdict,
    http::{Request, Response},
};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{Stack, together};

/// Far more than any of these takes.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Keys of which one has few slots, so that the edge follows its answers to their end, and the other has no limit.
async fn keys(stack: &Stack) -> Result<[String; 2]> {
    let few = stack.origin.create(json!({"max_concurrent_requests": 2})).await?.raw_key;
    let free = stack.origin.create(json!({"max_concurrent_requests": "unlimited"})).await?.raw_key;
    for key in [&few, &free] {
        stack.all_answer("/v1/me", key, 200).await?;
    }
    Ok([few, free])
}

#[tokio::test]
async fn an_upload_that_expects_to_be_asked_for_its_body_arrives_whole() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    for key in keys(&stack).await? {
        // More often than there are slots: each is free again.
        for _ in 0..3 {
            let upload = Request { body: vec![b'x'; 1_500_000], ..Request::new("POST", "/files/a") };
            let upload = upload.header("expect", "100-continue").bearer(&key);
            let answer = timeout(AT_ONCE, stack.send(0, &upload)).await??.expect(200)?;
            ensure!(answer.json()?["body_bytes"] == 1_500_000, "{}", answer.text());
        }
    }
    Ok(())
}

/// The runtime takes an interim answer for the final one.
#[tokio::test]
async fn a_status_that_is_no_final_one_is_no_answer() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(0, |config| config).await?;
    let odd = Relay::start(stack.upstream.address()).await?;
    let config = stack.edge_config()?.var("KEYWARD_UPSTREAM", &odd.url()).var("KEYWARD_RATELIMIT_FIELDS", "passed");
    stack.edges.push(Edge::start(config).await?);
    let keys = keys(&stack).await?;
    odd.rule(|request| match request.target_text().strip_prefix("/files/").and_then(|status| status.parse().ok()) {
        Some(status) => Verdict::Answer(Response::new(status, "text/plain", "")),
        None => Verdict::Pass,
    });
    for key in keys {
        for status in [100, 103, 101, 600, 999] {
            // Without a body the short way, and with one the long way.
            for method in ["GET", "POST"] {
                let request = Request::new(method, format!("/files/{status}")).json(&json!({})).bearer(&key);
                let request = if method == "GET" { Request { body: Vec::new(), ..request } } else { request };
                let answer = timeout(AT_ONCE, stack.send(0, &request)).await??.expect(502)?;
                ensure!(answer.json()?["code"] == "upstream_unavailable", "{}", answer.text());
            }
        }
        stack.get(0, "/files/599", &key).await?.expect(599)?;
        stack.get(0, "/v1/me", &key).await?.expect(200)?;
    }
    ensure!(stack.metrics(0).await?.sum("keyward_upstream_failures_total") == 20);
    Ok(())
}
