//! Keys to measure with.

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Origin,
    http::{Connection, Request},
};
use serde_json::{Value, json};

/// Keys in one call.
const BATCH: usize = 500;
/// More than any bench uses up, so that limits are counted and nothing is refused.
const PLENTY: u64 = 1_000_000_000_000;

/// No limit.
const NONE: &str = "unlimited";

/// What every key is asked for with: limits by window.
pub(super) fn terms() -> Value {
    json!({
        "name": "bench",
        "rate_limit_per_hour": PLENTY,
        "daily_quota": PLENTY,
        "monthly_quota": PLENTY,
        "cost_limit_cents": PLENTY,
        "max_concurrent_requests": NONE,
    })
}

/// Where many are created in one call.
pub(super) const BULK: &str = "/api/v1/api-keys/bulk/create";

/// Issues so many keys.
pub(super) async fn issue(origin: &Origin, count: usize) -> Result<Vec<String>> {
    issue_of(&terms(), origin, count).await
}

/// The same without limits that are counted.
pub(super) async fn issue_unlimited(origin: &Origin, count: usize) -> Result<Vec<String>> {
    let terms = json!({
        "name": "bench",
        "rate_limit_per_hour": NONE,
        "daily_quota": NONE,
        "monthly_quota": NONE,
        "max_concurrent_requests": NONE,
    });
    issue_of(&terms, origin, count).await
}

/// A key with a limit on requests at one time, and no other.
pub(super) async fn issue_few_at_a_time(origin: &Origin) -> Result<String> {
    let terms = json!({
        "name": "bench",
        "rate_limit_per_hour": NONE,
        "daily_quota": NONE,
        "monthly_quota": NONE,
        "max_concurrent_requests": 1000,
    });
    issue_of(&terms, origin, 1).await?.pop().context("a key")
}

async fn issue_of(terms: &Value, origin: &Origin, count: usize) -> Result<Vec<String>> {
    let (admin, mut connection) = (origin.admin_key()?, Connection::open(origin.address()).await?);
    let mut keys = Vec::with_capacity(count);
    while keys.len() < count {
        let body = json!({ "keys": vec![terms; BATCH.min(count - keys.len())] });
        let answer = connection.send(&Request::new("POST", BULK).bearer(&admin).json(&body)).await?;
        ensure!(answer.status == 201, "{}: {}", answer.status, answer.text());
        for key in answer.json()?["keys"].as_array().context("no keys")? {
            keys.push(key["raw_key"].as_str().context("no raw_key")?.to_owned());
        }
    }
    Ok(keys)
}
