//! A key's life, told on a running stack, with the time that each turn of it took to reach the edge.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use keyward_tests::{eventually, http::Request};
use serde_json::{Value, json};

use crate::up::Stack;

/// The routes of the upstream, for `up` and for the story.
pub(crate) const ROUTES: &str = "\
/echo -> authenticated
/echo/** -> authenticated
POST /v1/chat/** -> llm:gpt-4
/v1/search/** -> rag:search";

/// From the origin's answer to the edge's doing what it says. Usually it is some milliseconds.
const REACHES_THE_EDGE_WITHIN: Duration = Duration::from_secs(1);
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The checksum at a key's end.
const CHECKSUM: usize = 6;

/// What to create a first key with.
pub(crate) fn first_key() -> Value {
    json!({"name": "my first key", "capabilities": ["llm:gpt-4"], "rate_limit_per_hour": 1000})
}

/// Tells it.
pub(crate) async fn tell(stack: &Stack) -> Result<()> {
    let origin = &stack.origin;

    let start = Instant::now();
    let key = origin.create(first_key()).await?;
    report("create", start, "the origin signed a key");
    let (id, raw) = (key.id.as_str(), key.raw_key.as_str());

    let start = Instant::now();
    becomes(stack, raw, 200, "").await.context("pass")?;
    report("pass", start, "the edge took it at once and forwarded the request");

    let start = Instant::now();
    let before = stack.upstream.count();
    for bad in [forged(raw)?, format!("{raw}x"), raw.replace("live", "test")] {
        let answer = ask(stack, &bad).await?;
        ensure!(answer == (401, "invalid_token".to_owned()), "tamper: the edge answered {answer:?}");
    }
    ensure!(stack.upstream.count() == before, "tamper: a refused request reached the upstream");
    report("tamper", start, "a forged signature, a longer key and another environment were refused");

    let start = Instant::now();
    origin.suspend(id).await?;
    becomes(stack, raw, 401, "key_suspended").await.context("suspend")?;
    report("suspend", start, "refused");

    let start = Instant::now();
    origin.resume(id).await?;
    becomes(stack, raw, 200, "").await.context("resume")?;
    report("resume", start, "taken again");

    let start = Instant::now();
    origin.amend(id, &json!({"allowed_endpoints": ["POST /v1/chat/**"]})).await?;
    becomes(stack, raw, 403, "endpoint_not_allowed").await.context("amend")?;
    origin.amend(id, &json!({"allowed_endpoints": "any"})).await?;
    becomes(stack, raw, 200, "").await.context("amend back")?;
    report("amend", start, "narrowed to another endpoint, refused; widened, taken again");

    let start = Instant::now();
    let rotated = origin.rotate(id, None).await?;
    ensure!(rotated.id == id, "rotate: the id changed");
    becomes(stack, &rotated.raw_key, 200, "").await.context("rotate: the new key")?;
    becomes(stack, raw, 200, "").await.context("rotate: the old key in the overlap")?;
    report("rotate", start, "both the new key and, during the overlap, the old one pass");

    let start = Instant::now();
    origin.revoke(id).await?;
    becomes(stack, &rotated.raw_key, 401, "key_revoked").await.context("revoke: the new key")?;
    becomes(stack, raw, 401, "key_revoked").await.context("revoke: the old key")?;
    report("revoke", start, "both are refused");
    Ok(())
}

fn report(turn: &str, start: Instant, what: &str) {
    eprintln!("{:8.1} ms  {turn}: {what}", start.elapsed().as_secs_f64() * 1000.0);
}

/// Waits until the edge answers to `key` with this status and, where one is named, this problem code.
async fn becomes(stack: &Stack, key: &str, status: u16, code: &str) -> Result<()> {
    let reached = eventually("the edge answers so", REACHES_THE_EDGE_WITHIN, || async {
        let answer = ask(stack, key).await.ok()?;
        (answer.0 == status && answer.1 == code).then_some(())
    })
    .await;
    if reached.is_err() {
        bail!("expected {status} {code} within {REACHES_THE_EDGE_WITHIN:?}; the edge answers {:?}", ask(stack, key).await);
    }
    Ok(())
}

/// The status and the problem code (empty without a problem) of a request with this key.
async fn ask(stack: &Stack, key: &str) -> Result<(u16, String)> {
    let answer = stack.edge.send(0, &Request::get("/echo").bearer(key)).await?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok((answer.status, body["code"].as_str().unwrap_or_default().to_owned()))
}

/// The same key with another signature under a right checksum: only the cryptography can tell.
fn forged(key: &str) -> Result<String> {
    let mut bytes = key.as_bytes().get(..key.len().saturating_sub(CHECKSUM)).context("a key")?.to_vec();
    let last = bytes.last_mut().context("a key")?;
    *last = if *last == b'0' { b'1' } else { b'0' };
    let mut crc = crc32fast::hash(&bytes);
    let mut checksum = [b'0'; CHECKSUM];
    for digit in checksum.iter_mut().rev() {
        *digit = DIGITS[(crc % 62) as usize];
        crc /= 62;
    }
    bytes.extend(checksum);
    Ok(String::from_utf8(bytes)?)
}
