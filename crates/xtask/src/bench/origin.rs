//! Keys created a second, against rows that the same Postgres commits one by one. Both write through to the disk.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Origin, OriginConfig,
    http::{Connection, Request},
};
use serde_json::json;

use super::{Line, median};
use crate::{
    products::{self, Product, Profile},
    shell::run_quietly,
};

/// Connections at a time, for both.
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(4);

pub(super) async fn run() -> Result<()> {
    products::build(&[Product::Keyward], Profile::Release)?;
    let keyward = keyward_tests::target_dir()?.join("release/keyward");
    let origin = Origin::start_with(OriginConfig { fsync: true, program: Some(keyward), ..OriginConfig::default() }).await?;
    let postgres = origin.postgres.as_ref().context("its database")?;
    postgres.query("create table bench_rows (id bigserial primary key, body text)")?;
    let script = tempfile::NamedTempFile::new()?;
    fs::write(script.path(), "insert into bench_rows (body) values (repeat('x', 300));\n")?;

    let (mut creates, mut commits) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        creates.push(create(&origin).await?);
        let mut pgbench = Command::new(postgres.binaries().join("pgbench"));
        pgbench.args(["-n", "-M", "prepared", "-j", "2", "-c"]).arg(CONNECTIONS.to_string());
        pgbench.arg("-T").arg(ROUND.as_secs().to_string()).arg("-f").arg(script.path()).arg(postgres.url());
        commits.push(tps(&run_quietly(&mut pgbench)?).context("what pgbench says")?);
    }
    let (value, peer) = (median(creates), median(commits));
    let against = "single-row commits of the same Postgres";
    Line { name: "origin.creates", against, ratio: value / peer, value, peer, unit: "keys/s", runtime: "native" }.print();
    Ok(())
}

/// Keys created a second, over all connections.
async fn create(origin: &Origin) -> Result<f64> {
    let (address, admin) = (origin.address(), origin.admin_key()?);
    let start = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let request = Request::new("POST", "/api/v1/api-keys").bearer(&admin).json(&json!({"name": "bench"}));
        workers.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut made = 0u32;
            while start.elapsed() < ROUND {
                let answer = connection.send(&request).await?;
                ensure!(answer.status / 100 == 2, "{}: {}", answer.status, answer.text());
                made += 1;
            }
            Ok(made)
        });
    }
    let mut made = 0;
    while let Some(worker) = workers.join_next().await {
        made += worker??;
    }
    Ok(f64::from(made) / start.elapsed().as_secs_f64())
}

/// `tps = 1234.5 (without initial connection time)`
fn tps(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}
