//! Usage as edges report it, against the same sums fed straight to Postgres.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use keyward_core::{KeyId, ParsedKey};
use keyward_tests::{
    Origin, Postgres,
    http::{Connection, Request},
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{CONNECTIONS, RUNTIME, SQL, TURN_SECONDS, WARM_UP_SECONDS, pgbench::PgBench};
use crate::bench::{figures::Figures, issue::issue, median, turns::order};

/// As many as it takes for each to come equally often after each of the others.
const ROUNDS: usize = 4;
/// Keys that are used.
const KEYS: usize = 10_000;
/// Lines of a batch, each of a key of its own: what an edge's isolate has counted of so many keys.
const LINES: usize = 500;
/// Batches of a turn: more than will be sent.
const BATCHES: usize = 4000;
/// Over how many connections Postgres is fed. Who adds to the same sums waits for one another, so more needn't be better;
/// what it does best counts.
const FEEDERS: [usize; 3] = [1, 4, CONNECTIONS];

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
    let keys = issue(origin, KEYS).await?;
    let ids = keys.iter().map(|raw| ParsedKey::parse(raw).map(|key| key.unverified_claims().id));
    let ids = ids.collect::<Result<Vec<_>, _>>().map_err(|reason| anyhow::anyhow!("{reason}"))?;
    tables(postgres)?;
    let sql = PgBench::new(postgres, STATEMENT)?;

    let mut rates: [Vec<f64>; 1 + FEEDERS.len()] = Default::default();
    for round in 0..ROUNDS {
        for at in order(rates.len(), round) {
            let batches = if at == 0 { turn(origin, &ids, round).await? } else { sql.rate(FEEDERS[at - 1])? };
            rates[at].push(batches * LINES as f64);
        }
    }
    let [ours, theirs @ ..] = rates.map(median);
    for (feeders, rate) in FEEDERS.iter().zip(theirs) {
        eprintln!("ingest.rate: Postgres alone, over {feeders} connections: {rate:.0} lines/s");
    }
    figures.more(("ingest.rate", ours), (SQL, theirs.into_iter().fold(0.0, f64::max)), "lines/s", RUNTIME);
    Ok(())
}

/// Makes the tables that Postgres is fed. Pages are as full as those of the origin's own, which LIKE doesn't take over.
fn tables(postgres: &Postgres) -> Result<()> {
    for (table, like, fill) in [("sql_hours", "usage_hours", 70), ("sql_days", "usage_days", 70), ("sql_keys", "key_usage", 50)] {
        postgres.query(&format!("CREATE TABLE {table} (LIKE {like} INCLUDING ALL) WITH (fillfactor = {fill})"))?;
    }
    postgres.query(
        "CREATE TABLE usage_keys AS SELECT row_number() OVER () - 1 AS number, tenant, id AS api_key FROM (SELECT tenant, id FROM api_keys ORDER BY id DESC LIMIT 10000) AS last",
    )?;
    postgres.query("CREATE INDEX ON usage_keys (number)")?;
    postgres.query("ANALYZE usage_keys").map(drop)
}

/// A turn of ours: how many batches are taken in a second.
async fn turn(origin: &Origin, ids: &[KeyId], round: usize) -> Result<f64> {
    let (edge, now) = (origin.edge_key()?, u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?);
    let batches = (round * BATCHES..(round + 1) * BATCHES).map(|batch| {
        let first = batch * 7919 % (KEYS - LINES);
        let entries = ids[first..first + LINES].iter().map(|id| {
            json!({"key": id, "hour": now / 3_600_000, "endpoint": "/v1/chat", "outcome": "passed", "status": 2, "requests": 3,
                   "bytes_in": 100, "bytes_out": 2000, "latency": [0, 0, 3, 0, 0, 0, 0, 0], "last_ms": now})
        });
        let id = uuid::Builder::from_unix_timestamp_millis(now, &tail(batch)).into_uuid();
        Request::new("POST", "/edge/v1/usage").bearer(&edge).json(&json!({"id": id, "entries": entries.collect::<Vec<_>>()}))
    });
    let batches = Arc::new(Batches { all: batches.collect(), next: AtomicUsize::new(0) });
    batches.send(origin.address(), WARM_UP_SECONDS).await?;
    batches.send(origin.address(), TURN_SECONDS).await
}

/// Batches, each of which is sent once.
struct Batches {
    all: Vec<Request>,
    /// The one to be sent next.
    next: AtomicUsize,
}

impl Batches {
    /// How many of them are taken in a second.
    async fn send(self: &Arc<Self>, server: SocketAddr, seconds: u32) -> Result<f64> {
        let (start, mut workers) = (Instant::now(), JoinSet::new());
        for _ in 0..CONNECTIONS {
            let batches = Arc::clone(self);
            workers.spawn(async move {
                let (mut connection, mut done) = (Connection::open(server).await?, 0u32);
                while start.elapsed() < Duration::from_secs(seconds.into()) {
                    let batch = batches.all.get(batches.next.fetch_add(1, Ordering::Relaxed)).context("too few batches for a turn")?;
                    let answer = connection.send(batch).await?;
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
}

/// What makes ids of the same moment differ.
fn tail(number: usize) -> [u8; 10] {
    let mut tail = [0; 10];
    tail[2..].copy_from_slice(&(number as u64).to_be_bytes());
    tail
}
