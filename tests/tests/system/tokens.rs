//! Capability tokens at the edge: they permit what both they and their key's policy permit, and end with the key.

use anyhow::{Context, Result, ensure};
use keyward_core::codec::base64url;
use keyward_tests::{eventually, http::Request};
use serde_json::{Value, json};

use crate::support::{SOON, Stack, together};

/// What the first edge answers to a request with a token: the status, and the problem's code.
async fn ask(stack: &Stack, method: &str, path: &str, token: &str) -> Result<(u16, String)> {
    let answer = stack.send(0, &Request::new(method, path).bearer(token)).await?;
    ensure!(!answer.text().contains(token), "the answer repeats the token");
    let code = if answer.status == 200 { String::new() } else { answer.json()?["code"].as_str().context("a code")?.to_owned() };
    Ok((answer.status, code))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_passes_as_its_key_and_permits_no_more_than_either() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let origin = &stack.origin;
    let key = origin.create(json!({"capabilities": ["llm:gpt-4", "rag:search"], "blocked_endpoints": ["/files/secret"]})).await?;
    let whole = origin.exchange(&key.raw_key, &[]).await?;
    stack.all_answer("/v1/me", &whole, 200).await?;

    // The upstream is told as whom, and by what; the token itself stays behind.
    let _ = stack.upstream.take();
    ensure!(ask(&stack, "POST", "/v1/chat/completions", &whole).await?.0 == 200);
    let seen = stack.upstream.take().pop().context("a request")?;
    ensure!(seen.headers.first("x-keyward-key-id") == Some(key.id.as_str()), "{:?}", seen.headers);
    ensure!(seen.headers.first("x-keyward-token-scope") == Some("llm:gpt-4 rag:search"), "{:?}", seen.headers);
    ensure!(seen.headers.first("x-keyward-token").is_some_and(|id| id.len() == 36), "{:?}", seen.headers);
    ensure!(!format!("{:?}", seen.headers).contains(&whole), "the token went upstream");
    // With a key there is none, whatever a client says.
    stack.send(0, &Request::get("/v1/me").bearer(&key.raw_key).header("x-keyward-token", "mine")).await?.expect(200)?;
    let seen = stack.upstream.take().pop().context("a request")?;
    ensure!(seen.headers.first("x-keyward-token").is_none(), "{:?}", seen.headers);

    let narrowed = async |parameters: &[(&str, &str)]| origin.exchange(&key.raw_key, parameters).await;
    let searching = narrowed(&[("scope", "rag:search")]).await?;
    let there = narrowed(&[("endpoint", "GET /files/**")]).await?;
    let elsewhere = narrowed(&[("ip", "192.0.2.1")]).await?;
    let foreign = narrowed(&[("audience", "https://another.example")]).await?;
    let test = origin.create(json!({"environment": "test"})).await?;
    let test = origin.exchange(&test.raw_key, &[]).await?;
    let cases = [
        ("POST", "/v1/search", &searching, 200, ""),
        ("POST", "/v1/chat/completions", &searching, 403, "capability_missing"),
        ("GET", "/files/a", &there, 200, ""),
        ("POST", "/files/a", &there, 403, "endpoint_not_allowed"),
        ("GET", "/v1/me", &there, 403, "endpoint_not_allowed"),
        ("GET", "/files/secret", &there, 403, "endpoint_blocked"),
        ("GET", "/v1/me", &elsewhere, 403, "address_not_allowed"),
        ("GET", "/v1/me", &foreign, 401, "wrong_audience"),
        ("GET", "/v1/me", &test, 401, "wrong_environment"),
        ("GET", "/nowhere", &whole, 403, "no_route"),
    ];
    for (method, path, token, status, code) in cases {
        let found = ask(&stack, method, path, token).await?;
        ensure!(found == (status, code.to_owned()), "{method} {path}: {found:?}, expected {status} {code}");
    }

    // What nobody signed is one answer, and nobody's affair.
    let passed = stack.upstream.count();
    let (head, signature) = whole.rsplit_once('.').context("a signature")?;
    let header = head.split('.').next().context("a header")?;
    let claims: Value =
        serde_json::from_slice(&keyward_core::codec::decode_base64url(head.split('.').nth(1).context("a payload")?).context("base64url")?)?;
    let mut wider = claims.clone();
    wider["exp"] = json!(claims["exp"].as_u64().context("exp")? + 3600);
    let forged = [
        format!("{head}.{}", signature.chars().rev().collect::<String>()),
        format!("{header}.{}.{signature}", base64url(wider.to_string().as_bytes())),
        format!("{}.{}.", base64url(br#"{"alg":"none","typ":"at+jwt","kid":"x"}"#), base64url(wider.to_string().as_bytes())),
        "a.b.c".to_owned(),
        format!("{whole}.x"),
        format!("a.{}.c", "b".repeat(9000)),
    ];
    for token in &forged {
        let found = ask(&stack, "GET", "/v1/me", token).await?;
        ensure!(found == (401, "invalid_token".to_owned()), "{found:?}");
    }
    let both = Request::get("/v1/me").bearer(&whole).header("x-api-key", &key.raw_key);
    ensure!(stack.send(0, &both).await?.status == 400, "two credentials");
    ensure!(stack.upstream.count() == passed, "the upstream was asked");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_narrowed_suspended_and_ended_together_with_its_key() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let origin = &stack.origin;
    let key = origin.create(json!({"capabilities": ["llm:gpt-4", "rag:search"]})).await?;
    let token = origin.exchange(&key.raw_key, &[]).await?;
    let becomes = async |path: &str, status: u16, code: &str| {
        eventually(&format!("{path} is {status} {code}"), SOON, async || {
            let found = ask(&stack, if path == "/v1/me" { "GET" } else { "POST" }, path, &token).await.ok()?;
            (found == (status, code.to_owned())).then_some(())
        })
        .await
    };
    becomes("/v1/search", 200, "").await?;
    origin.amend(&key.id, &json!({"capabilities": ["llm:gpt-4"]})).await?;
    becomes("/v1/search", 403, "capability_missing").await?;
    becomes("/v1/me", 200, "").await?;
    origin.suspend(&key.id).await?;
    becomes("/v1/me", 401, "key_suspended").await?;
    origin.resume(&key.id).await?;
    becomes("/v1/me", 200, "").await?;
    // A token of the old credential ends when that does.
    origin.rotate(&key.id, Some(&json!({"overlap_seconds": 1}))).await?;
    becomes("/v1/me", 401, "key_expired").await?;
    let next = origin.create(json!({})).await?;
    let last = origin.exchange(&next.raw_key, &[]).await?;
    stack.all_answer("/v1/me", &last, 200).await?;
    origin.revoke(&next.id).await?;
    stack.all_answer("/v1/me", &last, 401).await
}
