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
/// More requests than any bench makes.
const MANY: u64 = 1_000_000_000_000;

/// What limits the keys have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limits {
    /// Some that are counted, and not reached.
    Counted,
    /// None.
    Lifted,
}

/// Issues so many keys, over several connections: the origin commits what comes at the same time together.
pub(super) async fn issue(origin: &Origin, count: usize, limits: Limits) -> Result<Vec<String>> {
    let (address, admin) = (origin.address(), origin.admin_key()?);
    let limit = match limits {
        Limits::Counted => json!(MANY),
        Limits::Lifted => json!("unlimited"),
    };
    let members = json!({"name": "bench", "rate_limit_per_hour": limit, "daily_quota": limit, "monthly_quota": limit});
    let request = Arc::new(Request::new("POST", "/api/v1/api-keys").bearer(&admin).json(&members));
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
