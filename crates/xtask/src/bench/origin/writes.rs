//! What is committed before it is answered: keys made and revoked.

use std::{fs, net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use keyward_core::ParsedKey;
use keyward_tests::Origin;
use serde_json::{Value, json};

use super::{BETTER_AUTH, CONNECTIONS, PGBENCH, RUNTIME, peers::BetterAuth};
use crate::{
    bench::{
        figures::Figures,
        issue::{BULK, issue, terms},
        load::{Load, Requests, Sent},
        median,
    },
    shell::run_quietly,
};

const ROUNDS: usize = 3;
pub(super) const ROUND: Duration = Duration::from_secs(4);
/// Keys in one call of a batch.
const SHARE: usize = 100;
/// Keys that can be revoked in a round, of ours and of theirs: more than will be.
const REVOCABLE: (usize, usize) = (60_000, 24_000);

pub(super) async fn run(figures: &mut Figures, load: &Load, origin: &Origin, peer: &BetterAuth) -> Result<()> {
    let admin = origin.admin_key()?;
    let postgres = origin.postgres.as_ref().context("its database")?;
    postgres.query("CREATE TABLE bench_rows (id bigserial PRIMARY KEY, body text)")?;
    let script = tempfile::NamedTempFile::new()?;
    fs::write(script.path(), "INSERT INTO bench_rows (body) VALUES (repeat('x', 300));\n")?;

    let post = |path: &'static str, body: Value| Sent { method: "POST", path, credential: &admin, body: body.to_string() };
    let mut create = load.requests("create", [post("/api/v1/api-keys", terms())].into_iter())?;
    let mut batch = load.requests("batch", [post(BULK, json!({ "keys": vec![terms(); SHARE] }))].into_iter())?;
    let mut their_create = load.requests("their create", [post("/create", json!({}))].into_iter())?;
    let (mut creates, mut batches, mut their_creates, mut commits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        creates.push(rate(load, origin.address(), &mut create).await?);
        batches.push(rate(load, origin.address(), &mut batch).await? * SHARE as f64);
        their_creates.push(rate(load, peer.address(), &mut their_create).await?);
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
        let paths = keys.iter().map(|raw| {
            let id = ParsedKey::parse(raw).map_err(|reason| anyhow::anyhow!("{reason}"))?.unverified_claims().id;
            Ok(format!("/api/v1/api-keys/{id}/revoke"))
        });
        let paths = paths.collect::<Result<Vec<_>>>()?;
        let revocation = |path| Sent { method: "DELETE", path, credential: &admin, body: String::new() };
        let mut revocations = load.requests("revoke", paths.iter().map(|path| revocation(path)))?;
        revokes.push(rate(load, origin.address(), &mut revocations).await?);
        let disabled = peer.issue(REVOCABLE.1, "/create").await?;
        let mut disabled = load.requests("disable", disabled.iter().map(|(id, _)| post("/disable", json!({ "id": id }))))?;
        disables.push(rate(load, peer.address(), &mut disabled).await?);
        ensure!(revocations.sent() < REVOCABLE.0 && disabled.sent() < REVOCABLE.1, "too few keys for a round");
    }
    figures.more(("revoke.rate", median(revokes)), (BETTER_AUTH, median(disables)), "keys/s", RUNTIME);
    Ok(())
}

/// How many of these requests succeed a second.
async fn rate(load: &Load, server: SocketAddr, requests: &mut Requests) -> Result<f64> {
    Ok(load.run(server, requests, CONNECTIONS, true, ROUND.as_secs() as u32).await?.per_second)
}

/// `tps = 1234.5 (without initial connection time)`
pub(super) fn tps(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}
