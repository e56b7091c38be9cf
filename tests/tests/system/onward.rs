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

/// Sends it the short way, and again the long way (the scheme in lower case is out of the ordinary): what the upstream got.
async fn both_ways(stack: &Stack, key: &str, request: &Request) -> Result<[Request; 2]> {
    let mut got = Vec::new();
    for scheme in ["Bearer", "bearer"] {
        let _ = stack.upstream.take();
        let request = request.clone().header("authorization", &format!("{scheme} {key}"));
        timeout(AT_ONCE, stack.send(0, &request)).await??.expect(200)?;
        got.append(&mut stack.upstream.take());
    }
    got.try_into().map_err(|got| anyhow::anyhow!("each once: {got:?}"))
}

#[tokio::test]
async fn no_header_of_a_client_says_another_path_method_or_identity_than_was_decided_on() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let [_, key] = keys(&stack).await?;
    let names = [
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-Uri",
        "X-Forwarded-Prefix",
        "X.Original.Url",
        "X-Original-Method",
        "X-HTTP-Method-Override",
        "X-Keyward.Tenant",
        "X!Keyward-Scope",
        "X_Keyward_Scope",
        "X-Keyward\u{ad}Tenant",
        "Expect",
    ];
    let request = names.iter().fold(Request::get("/files/a"), |request, name| request.header(name, "claimed"));
    for got in both_ways(&stack, &key, &request.header("X-Forwarded-Host", "passes")).await? {
        let claims: Vec<_> = got.headers.0.iter().filter(|(_, value)| value == "claimed").collect();
        ensure!(claims.is_empty(), "{claims:?}");
        ensure!(got.headers.first("x-keyward-scope") == Some("user") && got.headers.first("x-forwarded-host") == Some("passes"), "{got:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_upstream_says_to_the_edge_alone_goes_no_further() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(0, |config| config).await?;
    let talks = Relay::start(stack.upstream.address()).await?;
    let config = stack.edge_config()?.var("KEYWARD_UPSTREAM", &talks.url());
    stack.edges.push(Edge::start(config).await?);
    let keys = keys(&stack).await?;
    talks.rule(|_| {
        Verdict::Change(Box::new(|mut response| {
            response.headers.add("X-Keyward-Cost-Cents", "10");
            response.headers.add("x-own", "passes");
            response
        }))
    });
    for key in keys {
        for (method, scheme) in [("GET", "Bearer"), ("GET", "bearer"), ("HEAD", "Bearer"), ("POST", "Bearer")] {
            let request = Request::new(method, "/files/a").header("authorization", &format!("{scheme} {key}"));
            let answer = timeout(AT_ONCE, stack.send(0, &request)).await??.expect(200)?;
            ensure!(answer.headers.first("x-keyward-cost-cents").is_none(), "{answer:?}");
            ensure!(answer.headers.first("x-own") == Some("passes"), "{answer:?}");
            ensure!(method == "HEAD" || answer.json()?["method"] == method, "{answer:?}");
        }
    }
    Ok(())
}

/// The runtime hears such a name, and can't say it.
#[tokio::test]
async fn a_name_that_cannot_be_sent_on_is_no_failure_of_the_upstream() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let [_, key] = keys(&stack).await?;
    let request =
        Request::get("/files/a").header("caf\u{e9}", "claimed").header("accept", "a").header("cookie", "a=1").header("cookie", "b=2");
    for got in both_ways(&stack, &key, &request).await? {
        ensure!(got.headers.0.iter().all(|(_, value)| value != "claimed"), "{got:?}");
        ensure!(got.headers.first("accept") == Some("a") && got.headers.first("cookie").is_some(), "{got:?}");
    }
    ensure!(stack.metrics(0).await?.sum("keyward_upstream_failures_total") == 0);
    Ok(())
}

#[tokio::test]
async fn a_query_whose_bytes_would_arrive_as_others_is_refused() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let [_, key] = keys(&stack).await?;
    for (query, status) in [(&b"a=\xe9"[..], 400), (b"a=\xc3\xa9", 200), (b"a=%E9", 200), (b"a=%EF%BF%BD", 200)] {
        let target = [b"/files/a?", query].concat();
        let answer = stack.send(0, &Request::get(target).bearer(&key)).await?.expect(status)?;
        ensure!(status == 200 || answer.json()?["code"] == "path_refused", "{}", answer.text());
    }
    Ok(())
}

#[tokio::test]
async fn a_request_that_would_rather_speak_http2_is_answered_all_the_same() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let [_, key] = keys(&stack).await?;
    let request = Request::get("/files/a").header("connection", "Upgrade, HTTP2-Settings").header("upgrade", "h2c");
    for got in both_ways(&stack, &key, &request.header("http2-settings", "AAMAAABkAAQAAP__")).await? {
        ensure!(got.headers.first("upgrade").is_none() && got.headers.first("http2-settings").is_none(), "{got:?}");
    }
    ensure!(stack.metrics(0).await?.sum("keyward_upstream_failures_total") == 0);
    Ok(())
}

#[tokio::test]
async fn a_body_goes_on_on_either_way_but_none_of_head() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let [_, key] = keys(&stack).await?;
    for (method, bytes) in [("POST", 4), ("DELETE", 4), ("GET", 4), ("HEAD", 0)] {
        let request = Request { body: b"text".to_vec(), ..Request::new(method, "/files/a") };
        for got in both_ways(&stack, &key, &request).await? {
            ensure!(got.body.len() == bytes, "{got:?}");
            let length = got.headers.first("content-length").or(got.headers.first("transfer-encoding"));
            ensure!(length == Some(bytes.to_string().as_str()).filter(|_| bytes > 0), "{got:?}");
        }
    }
    Ok(())
}

/// A request that has lost its credential looks like anybody's: the runtime adds these where it passes its caches by.
#[tokio::test]
async fn no_answer_is_taken_from_a_cache_between_edge_and_upstream() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let [_, key] = keys(&stack).await?;
    for method in ["GET", "HEAD", "POST"] {
        for got in both_ways(&stack, &key, &Request::new(method, "/files/a")).await? {
            let said = ["cache-control", "pragma"].map(|name| got.headers.first(name));
            ensure!(said == [Some("no-cache"); 2], "{got:?}");
        }
    }
    for got in both_ways(&stack, &key, &Request::get("/files/a").header("cache-control", "max-age=7")).await? {
        ensure!(got.headers.first("cache-control") == Some("max-age=7"), "{got:?}");
    }
    Ok(())
}
