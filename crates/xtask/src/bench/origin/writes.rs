//! What is committed before it is answered: keys made and revoked.

use std::{
    fs,
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use keyward_core::ParsedKey;
use keyward_tests::{
    Origin,
    http::{Connection, Request},
};
use serde_json::json;
use tokio::task::JoinSet;

use super::{BETTER_AUTH, CONNECTIONS, PGBENCH, RUNTIME, peers::BetterAuth};
use crate::{
    bench::{
        figures::Figures,
        issue::{bulk, issue, terms},
        median,
    },
    shell::run_quietly,
};

const ROUNDS: usize = 3;
pub(super) const ROUND: Duration = Duration::from_secs(4);
/// Keys in one call of a batch.
const SHARE: usize = 100;
/// Keys that can be revoked in a round, of ours and of theirs: more than will be.
const REVOCABLE: (usize, usize) = (40_000, 8_000);

pub(super) async fn run(figures: &mut Figures, origin: &Origin, peer: &BetterAuth) -> Result<()> {
    let admin = origin.admin_key()?;
    let postgres = origin.postgres.as_ref().context("its database")?;
    postgres.query("CREATE TABLE bench_rows (id bigserial PRIMARY KEY, body text)")?;
    let script = tempfile::NamedTempFile::new()?;
    fs::write(script.path(), "INSERT INTO bench_rows (body) VALUES (repeat('x', 300));\n")?;

    let create = Request::new("POST", "/api/v1/api-keys").bearer(&admin).json(&terms());
    let batch = bulk(&admin, SHARE);
    let their_create = Request::new("POST", "/create").json(&json!({}));
    let (mut creates, mut batches, mut their_creates, mut commits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        creates.push(repeat(origin.address(), &create).await?);
        batches.push(repeat(origin.address(), &batch).await? * SHARE as f64);
        their_creates.push(repeat(peer.address(), &their_create).await?);
        let mut pgbench = Command::new(postgres.binaries().join("pgbench"));
        pgbench.args(["-n", "-M", "prepared", "-j", "2", "-c"]).arg(CONNECTIONS.to_string());
        pgbench.arg("-T").arg(ROUND.as_secs().to_string()).arg("-f").arg(script.path()).arg(postgres.url());
        commits.push(tps(&run_quietly(&mut pgbench)?).context("what pgbench says")?);
    }
    let (created, theirs) = (("create.rate", median(creates)), median(their_creates));
    figures.more(created, (BETTER_AUTH, theirs), "keys/s", RUNTIME);
    figures.more(("create.batch", median(batches)), (BETTER_AUTH, theirs), "keys/s", RUNTIME);
    figures.more(created, (PGBENCH, median(commits)), "keys/s", RUNTIME);

    let (mut revokes, mut disables) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let keys = issue(origin, REVOCABLE.0).await?;
        let revocations = keys.iter().map(|raw| {
            let id = ParsedKey::parse(raw).map_err(|reason| anyhow::anyhow!("{reason}"))?.unverified_claims().id;
            Ok(Request::new("DELETE", format!("/api/v1/api-keys/{id}/revoke")).bearer(&admin))
        });
        revokes.push(each(origin.address(), revocations.collect::<Result<_>>()?).await?);
        let disabled = peer.issue(REVOCABLE.1, "/create").await?.into_iter();
        let disabled = disabled.map(|(id, _)| Request::new("POST", "/disable").json(&json!({ "id": id })));
        disables.push(each(peer.address(), disabled.collect()).await?);
    }
    figures.more(("revoke.rate", median(revokes)), (BETTER_AUTH, median(disables)), "keys/s", RUNTIME);
    Ok(())
}

/// How often the same request succeeds a second, over all connections.
async fn repeat(server: SocketAddr, request: &Request) -> Result<f64> {
    let (start, mut workers) = (Instant::now(), JoinSet::new());
    for _ in 0..CONNECTIONS {
        let request = request.clone();
        workers.spawn(async move {
            let (mut connection, mut done) = (Connection::open(server).await?, 0u32);
            while start.elapsed() < ROUND {
                succeed(&mut connection, &request).await?;
                done += 1;
            }
            Ok(done)
        });
    }
    rate(workers, start).await
}

/// How many of these requests succeed a second, each sent once.
pub(super) async fn each(server: SocketAddr, requests: Vec<Request>) -> Result<f64> {
    let share = requests.len().div_ceil(CONNECTIONS);
    let (start, mut workers) = (Instant::now(), JoinSet::new());
    for requests in requests.chunks(share) {
        let requests = requests.to_vec();
        workers.spawn(async move {
            let (mut connection, mut done) = (Connection::open(server).await?, 0u32);
            for request in requests.iter().take_while(|_| start.elapsed() < ROUND) {
                succeed(&mut connection, request).await?;
                done += 1;
            }
            Ok(done)
        });
    }
    rate(workers, start).await
}

async fn succeed(connection: &mut Connection, request: &Request) -> Result<()> {
    let answer = connection.send(request).await?;
    ensure!(answer.status / 100 == 2, "{}: {}", answer.status, answer.text());
    Ok(())
}

async fn rate(mut workers: JoinSet<Result<u32>>, start: Instant) -> Result<f64> {
    let mut done = 0;
    while let Some(worker) = workers.join_next().await {
        done += worker??;
    }
    Ok(f64::from(done) / start.elapsed().as_secs_f64())
}

/// `tps = 1234.5 (without initial connection time)`
pub(super) fn tps(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}
