//! Keys to measure with.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Origin,
    http::{Connection, Request},
};
use serde_json::json;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 32;

/// Issues so many keys, over several connections: the origin commits what comes at the same time together.
pub(super) async fn issue(origin: &Origin, count: usize) -> Result<Vec<String>> {
    let (address, admin) = (origin.address(), origin.admin_key()?);
    // What is measured sends more than a key may by default.
    let key = json!({"name": "bench", "rate_limit_per_hour": "unlimited", "daily_quota": "unlimited", "monthly_quota": "unlimited"});
    let request = Arc::new(Request::new("POST", "/api/v1/api-keys").bearer(&admin).json(&key));
    let mut workers = JoinSet::new();
    for worker in 0..CONNECTIONS {
        let (request, share) = (request.clone(), (count + worker) / CONNECTIONS);
        workers.spawn(async move {
            let (mut connection, mut keys) = (Connection::open(address).await?, Vec::with_capacity(share));
            for _ in 0..share {
                let answer = connection.send(&request).await?;
                ensure!(answer.status / 100 == 2, "{}: {}", answer.status, answer.text());
                keys.push(answer.json()?["raw_key"].as_str().context("no raw_key")?.to_owned());
            }
            anyhow::Ok(keys)
        });
    }
    let mut keys = Vec::with_capacity(count);
    while let Some(worker) = workers.join_next().await {
        keys.extend(worker??);
    }
    Ok(keys)
}
