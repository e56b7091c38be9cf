//! What deciding costs at the edge: CPU of workerd a request, against a worker that passes every request through.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Edge, EdgeConfig, Origin, Upstream, eventually,
    http::{Connection, Request},
};
use serde_json::json;

use super::{Line, ROUNDS, cpu, median};
use crate::{
    products::{self, Product, Profile},
    story,
};

/// What a peer without any decision does.
const PASS_THROUGH: &str = r#"
export default {
  fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.delete("authorization");
    return fetch(env.UPSTREAM + pathname + search, { method: request.method, headers, redirect: "manual" });
  },
};
"#;

/// Requests a round: enough for some hundred milliseconds of CPU.
const REQUESTS: usize = 1000;
/// Keys a round that are each shown once, so that each has to be verified.
const FRESH: usize = 150;
const WARM_UP: usize = 6000;
const LOADED_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn run() -> Result<()> {
    products::build(&[Product::Keyward, Product::Edge], Profile::Dev)?;
    let (origin, upstream) = (Origin::start().await?, Upstream::start().await?);
    let config = EdgeConfig::new(&origin, &upstream)?.var("KEYWARD_ASSUME_TLS", "1").var("KEYWARD_ROUTES", story::ROUTES);
    let ours = Edge::start(config).await?;
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("index.js"), PASS_THROUGH)?;
    let through = Edge::start(EdgeConfig::plain(folder.path().to_owned()).var("UPSTREAM", &upstream.url())).await?;

    let known = vec![origin.create(json!({"name": "bench"})).await?.raw_key];
    let mut fresh = Vec::new();
    for _ in 0..ROUNDS * FRESH {
        fresh.push(origin.create(json!({"name": "bench"})).await?.raw_key);
    }
    let junk = vec![format!("{}x", known[0])];
    eventually("the edge has its state", LOADED_WITHIN, || async {
        let answer = ours.send(0, &Request::get("/echo").bearer(&known[0])).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await?;
    // V8 compiles in steps, on threads of its own; a deployed edge is past that after its first seconds.
    for edge in [&ours, &through] {
        cost(edge, &known, 200, WARM_UP).await?;
    }

    let (mut warm, mut cold, mut refused, mut peer) = (vec![], vec![], vec![], vec![]);
    for fresh in fresh.chunks(FRESH) {
        cold.push(cost(&ours, fresh, 200, FRESH).await?);
        peer.push(cost(&through, &known, 200, REQUESTS).await?);
        warm.push(cost(&ours, &known, 200, REQUESTS).await?);
        peer.push(cost(&through, &known, 200, REQUESTS).await?);
        refused.push(cost(&ours, &junk, 401, REQUESTS).await?);
    }
    let (warm, cold, refused) = (median(warm), median(cold), median(refused));
    let peer = median(peer);
    let line = |name, value| {
        let against = "a worker that passes through";
        Line { name, against, ratio: peer / value, value, unit: "us CPU/request", runtime: "workerd" }.print();
    };
    line("edge.known-key", warm);
    line("edge.new-key", cold);
    line("edge.refused", refused);
    Ok(())
}

/// Microseconds of CPU that each of so many requests costs, the keys taking turns.
async fn cost(edge: &Edge, keys: &[String], status: u16, requests: usize) -> Result<f64> {
    let process = edge.process_id()?;
    let mut connection = Connection::open(edge.addresses()[0]).await?;
    let before = cpu::used(process)?;
    for key in keys.iter().cycle().take(requests) {
        let answer = connection.send(&Request::get("/echo").bearer(key)).await?;
        ensure!(answer.status == status, "expected {status}: {} {}", answer.status, answer.text());
    }
    let used = cpu::used(process)? - before;
    (used > 0.0).then_some(used / requests as f64).context("no CPU time was counted")
}
