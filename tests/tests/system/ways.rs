//! A request that can be decided at once goes the short way through the edge, every other one the long way. Nobody can
//! tell which it was, but by the time that it took.

use anyhow::{Result, ensure};
use keyward_core::limits::Period;
use keyward_tests::{
    eventually,
    http::{Headers, Request, Response},
};
use serde_json::{Value, json};

use crate::{
    limits::{admitted, within},
    support::{SOON, Stack, together},
};

/// What came of a request: the answer, and what the upstream got, where it got something.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: u16,
    body: Value,
    headers: Vec<(String, String)>,
    upstream: Option<Value>,
}

/// Sends it, and says whether it went the short way.
async fn send(stack: &Stack, request: &Request) -> Result<(Outcome, bool)> {
    let before = stack.metrics(0).await?.at_once();
    let _ = stack.upstream.take();
    let answer = stack.send(0, request).await?;
    let short = stack.metrics(0).await?.at_once() - before;
    let got = stack.upstream.take();
    ensure!(got.len() <= 1 && short <= 1, "one request is sent on once at most");
    let upstream = got.first().map(|got| json!([got.method, got.target_text(), fields(&got.headers, &["x-keyward-decision"])]));
    Ok((outcome(answer, upstream)?, short == 1))
}

/// Sends one that should go the short way. Now and then a request goes the long one to renew the isolate's loop; the
/// next doesn't.
async fn send_short(stack: &Stack, request: &Request) -> Result<Outcome> {
    for _ in 0..2 {
        if let (outcome, true) = send(stack, request).await? {
            return Ok(outcome);
        }
    }
    anyhow::bail!("{request:?} goes the long way")
}

fn outcome(answer: Response, upstream: Option<Value>) -> Result<Outcome> {
    // What the upstream describes of itself is compared as it saw it.
    let body = if upstream.is_some() { Value::Null } else { answer.json()? };
    Ok(Outcome { status: answer.status, body, headers: fields(&answer.headers, &["content-length"]), upstream })
}

/// The fields in an order of their own, names in lower case, without those that differ from one request to the next.
fn fields(headers: &Headers, without: &[&str]) -> Vec<(String, String)> {
    let named = headers.0.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let mut fields: Vec<_> = named.filter(|(name, _)| !without.contains(&name.as_str())).collect();
    fields.sort();
    fields
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_decide_alike_and_send_on_the_same() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let origin = &stack.origin;
    let plain = origin.create(json!({"capabilities": ["rag:search"]})).await?;
    let narrow =
        origin.create(json!({"allowed_endpoints": ["/a/**"], "blocked_endpoints": ["/a/secret"], "allowed_ips": ["192.0.2.0/24"]})).await?;
    let web = origin.create(json!({"allowed_domains": ["app.example.com"]})).await?;
    let suspended = origin.create(json!({})).await?;
    origin.suspend(&suspended.id).await?;
    let revoked = origin.create(json!({})).await?;
    origin.revoke(&revoked.id).await?;
    stack.all_answer("/v1/me", &plain.raw_key, 200).await?;
    stack.all_answer("/v1/me", &suspended.raw_key, 401).await?;
    stack.all_answer("/v1/me", &revoked.raw_key, 401).await?;

    let keys = [&plain, &narrow, &web, &suspended, &revoked].map(|key| key.raw_key.clone());
    let targets = ["/v1/me?a=b&c='d", "/v1/search", "/a/b", "/a/%73ecret", "/nowhere", "/a/b/?", "/files/%C3%A9"];
    type Given = [(&'static str, &'static str)];
    let given: [&Given; 4] = [
        &[],
        &[("cf-connecting-ip", "192.0.2.7"), ("Origin", "https://APP.example.com:8443")],
        &[
            ("X-Keyward-Tenant", "mine"),
            ("x_keyward_scope", "admin"),
            ("X-HTTP-Method-Override", "DELETE"),
            ("Accept", "a"),
            ("Accept", "b"),
        ],
        &[("constructor", "c"), ("123", "n"), ("Cookie", "a=1; b=2"), ("Cookie", "c=3"), ("X-Latin", "caf\u{e9}")],
    ];
    let (mut passed, mut refused) = (0, 0);
    for key in &keys {
        for target in targets {
            for given in given {
                let add = |request: Request| given.iter().fold(request, |request, (name, value)| request.header(name, value));
                for method in ["GET", "DELETE", "OPTIONS"] {
                    let request = |scheme: &str| add(Request::new(method, target)).header("authorization", &format!("{scheme} {key}"));
                    // Either warms the other's policy up.
                    send(&stack, &request("bearer")).await?;
                    let short = send_short(&stack, &request("Bearer")).await?;
                    let (long, was_short) = send(&stack, &request("bearer")).await?;
                    let what = format!("{method} {target} with {given:?}");
                    ensure!(!was_short && short == long, "{what}:\n{short:?}\n{long:?}");
                    *if short.upstream.is_some() { &mut passed } else { &mut refused } += 1;
                }
            }
        }
    }
    ensure!(passed > 50 && refused > 50, "{passed} passed, {refused} were refused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_out_of_the_ordinary_goes_the_long_way() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let key = stack.origin.create(json!({})).await?.raw_key;
    stack.all_answer("/v1/me", &key, 200).await?;
    let me = || Request::get("/v1/me").bearer(&key);
    send_short(&stack, &me()).await?;
    send_short(&stack, &Request::get("/v1/me").header("x-api-key", &key)).await?;
    let odd = [
        ("both headers", me().header("x-api-key", &key), 200),
        ("two different keys", me().header("x-api-key", "k"), 400),
        ("no key", Request::get("/v1/me"), 401),
        ("a key with too much around it", Request::get("/v1/me").bearer(&format!("{key},{key}")), 400),
        ("a body", Request { body: b"text".to_vec(), ..Request::new("POST", "/files/a").bearer(&key) }, 200),
        ("a name that objects have", me().header("__proto__", "x"), 200),
        (
            "facts that are too long",
            Request::get(format!("/v1/me?{}", "a".repeat(8_000))).bearer(&key).header("origin", &"o".repeat(9_000)),
            200,
        ),
        ("a path that can be read in two ways", Request::get("/v1/%2e%2e/me").bearer(&key), 400),
    ];
    for (what, request, status) in odd {
        let (outcome, short) = send(&stack, &request).await?;
        ensure!(outcome.status == status && !short, "{what}: {outcome:?}, short way: {short}");
    }
    // Junk that the short way would take for a key.
    let (outcome, _) = send(&stack, &Request::get("/v1/me").header("x-api-key", "")).await?;
    ensure!(outcome.body["code"] == "credential_missing", "an empty key: {outcome:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_for_the_short_way_is_charged_once() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    within(Period::Day).await;
    const LIMIT: u64 = 60;
    let types: Vec<String> = (0..40).map(|_| "t".repeat(480)).collect();
    let long = format!("/v1/me?{}", "'".repeat(7_000));
    for (what, constraints, target) in
        [("constraints", json!({"allowed_file_types": types}), "/v1/me"), ("a query that grows", json!({}), long.as_str())]
    {
        let members = json!({"daily_quota": LIMIT, "max_concurrent_requests": 3, "tenant_constraints": constraints});
        let key = stack.origin.create(members).await?;
        // Until the edge has heard of the key it refuses, which is charged to nobody.
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
        for nth in 1..LIMIT {
            let answer = stack.get(0, target, &key.raw_key).await?;
            ensure!(answer.status == 200, "{what}: {nth}: {}", answer.text());
        }
        let refused = stack.get(0, target, &key.raw_key).await?.expect(429)?;
        ensure!(refused.json()?["code"] == "daily_quota_exceeded", "{what}: {}", refused.text());
        let admitted = admitted(&stack, &key);
        ensure!(admitted == LIMIT, "{what}: {admitted} of {LIMIT}");
        let counted = async || {
            let report = stack.origin.api("GET", &format!("/{}/usage?days=2", key.id), None).await.ok()?.json().ok()?;
            (report["total_requests"].as_u64()? - report["total_refused"].as_u64()? == LIMIT).then_some(())
        };
        eventually(&format!("{what}: each is counted once"), SOON, counted).await?;
    }
    Ok(())
}
