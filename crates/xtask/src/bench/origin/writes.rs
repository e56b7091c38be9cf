//! What is committed before it is answered: keys made and revoked.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use keyward_core::ParsedKey;
use keyward_tests::Origin;
use serde_json::{Value, json};

use super::{BETTER_AUTH, CONNECTIONS, ONE_BY_ONE, PGBENCH, RUNTIME, TURN_SECONDS, WARM_UP_SECONDS, peers::BetterAuth, pgbench::PgBench};
use crate::bench::{
    figures::Figures,
    issue::{BULK, issue, terms},
    load::{Load, Requests, Sent},
    median,
    turns::order,
};

/// As many as it takes for each to come equally often after each of the others.
const ROUNDS: usize = 4;
/// Keys in one call of a batch.
const SHARE: usize = 100;
/// Keys that can be revoked in a turn, of ours and of theirs: more than will be.
const REVOCABLE: (usize, usize) = (90_000, 24_000);

pub(super) async fn run(figures: &mut Figures, load: &Load, origin: &Origin, peer: &BetterAuth) -> Result<()> {
    creates(figures, load, origin, peer).await?;
    revocations(figures, load, origin, peer).await
}

async fn creates(figures: &mut Figures, load: &Load, origin: &Origin, peer: &BetterAuth) -> Result<()> {
    let admin = origin.admin_key()?;
    let postgres = origin.postgres.as_ref().context("its database")?;
    postgres.query("CREATE TABLE bench_rows (id bigserial PRIMARY KEY, body text)")?;
    let commit = PgBench::new(postgres, "INSERT INTO bench_rows (body) VALUES (repeat('x', 300));\n")?;
    let mut create = load.requests("create", [post("/api/v1/api-keys", &admin, terms())].into_iter())?;
    let mut batch = load.requests("batch", [post(BULK, &admin, json!({ "keys": vec![terms(); SHARE] }))].into_iter())?;
    let mut their_create = load.requests("their create", [post("/create", "", json!({}))].into_iter())?;

    let mut rates: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS {
        for at in order(rates.len(), round) {
            rates[at].push(match at {
                0 => rate(load, origin.address(), &mut create).await?,
                1 => rate(load, origin.address(), &mut batch).await? * SHARE as f64,
                2 => rate(load, peer.address(), &mut their_create).await?,
                _ => commit.rate(CONNECTIONS)?,
            });
        }
    }
    let [created, batched, theirs, commits] = rates.map(median);
    figures.more(("create.rate", created), (BETTER_AUTH, theirs), "keys/s", RUNTIME);
    figures.more(("create.batch", batched), (ONE_BY_ONE, theirs), "keys/s", RUNTIME);
    figures.more(("create.rate", created), (PGBENCH, commits), "keys/s", RUNTIME);
    Ok(())
}

async fn revocations(figures: &mut Figures, load: &Load, origin: &Origin, peer: &BetterAuth) -> Result<()> {
    let mut rates: [Vec<f64>; 2] = Default::default();
    for round in 0..ROUNDS {
        for at in order(rates.len(), round) {
            rates[at].push(if at == 0 { revoked(load, origin).await? } else { disabled(load, peer).await? });
        }
    }
    let [revokes, disables] = rates.map(median);
    figures.more(("revoke.rate", revokes), (BETTER_AUTH, disables), "keys/s", RUNTIME);
    Ok(())
}

/// A turn of ours, with keys of its own.
async fn revoked(load: &Load, origin: &Origin) -> Result<f64> {
    let (admin, keys) = (origin.admin_key()?, issue(origin, REVOCABLE.0).await?);
    let paths = keys.iter().map(|raw| {
        let id = ParsedKey::parse(raw).map_err(|reason| anyhow::anyhow!("{reason}"))?.unverified_claims().id;
        Ok(format!("/api/v1/api-keys/{id}/revoke"))
    });
    let paths = paths.collect::<Result<Vec<_>>>()?;
    let revocation = |path| Sent { method: "DELETE", path, credential: &admin, body: String::new() };
    let mut requests = load.requests("revoke", paths.iter().map(|path| revocation(path)))?;
    let rate = rate(load, origin.address(), &mut requests).await?;
    ensure!(requests.sent() < REVOCABLE.0, "too few keys for a turn");
    Ok(rate)
}

/// A turn of theirs.
async fn disabled(load: &Load, peer: &BetterAuth) -> Result<f64> {
    let keys = peer.issue(REVOCABLE.1, "/create").await?;
    let mut requests = load.requests("disable", keys.iter().map(|(id, _)| post("/disable", "", json!({ "id": id }))))?;
    let rate = rate(load, peer.address(), &mut requests).await?;
    ensure!(requests.sent() < REVOCABLE.1, "too few keys for a turn");
    Ok(rate)
}

fn post<'a>(path: &'a str, credential: &'a str, body: Value) -> Sent<'a> {
    Sent { method: "POST", path, credential, body: body.to_string() }
}

/// A turn: how many of these requests succeed a second.
async fn rate(load: &Load, server: SocketAddr, requests: &mut Requests) -> Result<f64> {
    load.run(server, requests, CONNECTIONS, true, WARM_UP_SECONDS).await?;
    Ok(load.run(server, requests, CONNECTIONS, true, TURN_SECONDS).await?.per_second)
}
