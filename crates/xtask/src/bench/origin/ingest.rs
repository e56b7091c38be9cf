//! Usage as edges report it, against the same sums fed straight to Postgres.

use std::{
    fs,
    net::SocketAddr,
    process::Command,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use keyward_core::ParsedKey;
use keyward_tests::{
    Origin,
    http::{Connection, Request},
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{
    CONNECTIONS, RUNTIME, SQL,
    writes::{ROUND, tps},
};
use crate::{
    bench::{figures::Figures, issue::issue, median},
    shell::run_quietly,
};

const ROUNDS: usize = 3;
/// Keys that are used.
const KEYS: usize = 10_000;
/// Lines of a batch, each of a key of its own: what an edge's isolate has counted of so many keys.
const LINES: usize = 500;
/// Batches of a round: more than will be sent.
const BATCHES: usize = 4000;

/// The statement of the origin's writer, for tables that are like its own; the keys as `usage_keys` numbers them.
const STATEMENT: &str = "\\set first random(0, 9500)
BEGIN;
INSERT INTO sql_hours AS old SELECT tenant, api_key, date_trunc('hour', now()), '/v1/chat', 'passed', 2, 3, 100, 2000, 0, 0, 0, 3, 0, 0, 0, 0, 0
FROM usage_keys WHERE number >= :first AND number < :first + 500
ON CONFLICT (tenant, api_key, hour, endpoint, outcome, status) DO UPDATE SET requests = old.requests + excluded.requests,
bytes_in = old.bytes_in + excluded.bytes_in, bytes_out = old.bytes_out + excluded.bytes_out, cost = old.cost + excluded.cost,
latency_1 = old.latency_1 + excluded.latency_1, latency_2 = old.latency_2 + excluded.latency_2,
latency_3 = old.latency_3 + excluded.latency_3, latency_4 = old.latency_4 + excluded.latency_4,
latency_5 = old.latency_5 + excluded.latency_5, latency_6 = old.latency_6 + excluded.latency_6,
latency_7 = old.latency_7 + excluded.latency_7, latency_8 = old.latency_8 + excluded.latency_8;
INSERT INTO sql_days AS old SELECT tenant, api_key, current_date, '/v1/chat', 'passed', 2, 3, 100, 2000, 0, 0, 0, 3, 0, 0, 0, 0, 0
FROM usage_keys WHERE number >= :first AND number < :first + 500
ON CONFLICT (tenant, api_key, day, endpoint, outcome, status) DO UPDATE SET requests = old.requests + excluded.requests,
bytes_in = old.bytes_in + excluded.bytes_in, bytes_out = old.bytes_out + excluded.bytes_out, cost = old.cost + excluded.cost,
latency_1 = old.latency_1 + excluded.latency_1, latency_2 = old.latency_2 + excluded.latency_2,
latency_3 = old.latency_3 + excluded.latency_3, latency_4 = old.latency_4 + excluded.latency_4,
latency_5 = old.latency_5 + excluded.latency_5, latency_6 = old.latency_6 + excluded.latency_6,
latency_7 = old.latency_7 + excluded.latency_7, latency_8 = old.latency_8 + excluded.latency_8;
INSERT INTO sql_keys AS old SELECT tenant, api_key, 3, 2100, 0, 0, now(), current_date
FROM usage_keys WHERE number >= :first AND number < :first + 500
ON CONFLICT (tenant, api_key) DO UPDATE SET requests = old.requests + excluded.requests, bytes = old.bytes + excluded.bytes,
last_used = greatest(old.last_used, excluded.last_used), last_day = greatest(old.last_day, excluded.last_day);
COMMIT;
";

pub(super) async fn run(figures: &mut Figures, origin: &Origin) -> Result<()> {
    let postgres = origin.postgres.as_ref().context("its database")?;
    let edge = origin.edge_key()?;
    let keys = issue(origin, KEYS).await?;
    let ids = keys.iter().map(|raw| ParsedKey::parse(raw).map(|key| key.unverified_claims().id));
    let ids = ids.collect::<Result<Vec<_>, _>>().map_err(|reason| anyhow::anyhow!("{reason}"))?;
    for table in ["hours", "days"] {
        postgres.query(&format!("CREATE TABLE sql_{table} (LIKE usage_{table} INCLUDING ALL)"))?;
    }
    postgres.query("CREATE TABLE sql_keys (LIKE key_usage INCLUDING ALL)")?;
    postgres.query(
        "CREATE TABLE usage_keys AS SELECT row_number() OVER () - 1 AS number, tenant, id AS api_key FROM (SELECT tenant, id FROM api_keys ORDER BY id DESC LIMIT 10000) AS last",
    )?;
    postgres.query("CREATE INDEX ON usage_keys (number)")?;
    postgres.query("ANALYZE usage_keys")?;
    let script = tempfile::NamedTempFile::new()?;
    fs::write(script.path(), STATEMENT)?;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let batches = (0..BATCHES).map(|batch| {
            let first = (round * BATCHES + batch) * 7919 % (KEYS - LINES);
            let entries = ids[first..first + LINES].iter().map(|id| {
                json!({"key": id, "hour": now / 3_600_000, "endpoint": "/v1/chat", "outcome": "passed", "status": 2, "requests": 3,
                       "bytes_in": 100, "bytes_out": 2000, "latency": [0, 0, 3, 0, 0, 0, 0, 0], "last_ms": now})
            });
            let id = uuid::Builder::from_unix_timestamp_millis(now, &tail(round * BATCHES + batch)).into_uuid();
            Request::new("POST", "/edge/v1/usage").bearer(&edge).json(&json!({"id": id, "entries": entries.collect::<Vec<_>>()}))
        });
        ours.push(each(origin.address(), batches.collect()).await? * LINES as f64);
        let mut pgbench = Command::new(postgres.binaries().join("pgbench"));
        pgbench.args(["-n", "-M", "prepared", "-c", "1", "-T"]).arg(ROUND.as_secs().to_string()).arg("-f").arg(script.path());
        let output = run_quietly(pgbench.arg(postgres.url()))?;
        theirs.push(tps(&output).context("what pgbench says")? * LINES as f64);
    }
    figures.more(("ingest.rate", median(ours)), (SQL, median(theirs)), "lines/s", RUNTIME);
    Ok(())
}

/// How many of these requests succeed a second, each sent once.
async fn each(server: SocketAddr, requests: Vec<Request>) -> Result<f64> {
    let share = requests.len().div_ceil(CONNECTIONS);
    let (start, mut workers) = (Instant::now(), JoinSet::new());
    for requests in requests.chunks(share) {
        let requests = requests.to_vec();
        workers.spawn(async move {
            let (mut connection, mut done) = (Connection::open(server).await?, 0u32);
            for request in requests.iter().take_while(|_| start.elapsed() < ROUND) {
                let answer = connection.send(request).await?;
                ensure!(answer.status / 100 == 2, "{}: {}", answer.status, answer.text());
                done += 1;
            }
            Ok(done)
        });
    }
    let mut done = 0;
    while let Some(worker) = workers.join_next().await {
        done += worker??;
    }
    Ok(f64::from(done) / start.elapsed().as_secs_f64())
}

/// What makes ids of the same moment differ.
fn tail(number: usize) -> [u8; 10] {
    let mut tail = [0; 10];
    tail[2..].copy_from_slice(&(number as u64).to_be_bytes());
    tail
}
