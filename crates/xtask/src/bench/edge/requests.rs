//! Whole requests: the edge's CPU for each, against a worker that passes every request through.

use std::{fs, time::Duration};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Edge, EdgeConfig, OriginConfig, eventually, http::Request};

use super::PASS_THROUGH as PEER;
use crate::{
    bench::{
        cpu,
        figures::Figures,
        issue::issue_unlimited,
        load::{Load, Requests, Sent},
        median,
        servers::{self, Hello},
        turns::order,
    },
    products::{self, Product, Profile},
    story,
};

/// What a peer without any decision does.
pub(super) const PASS_THROUGH: &str = r#"
export default {
  fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    headers.delete("authorization");
    return fetch(env.UPSTREAM + pathname + search, { method: request.method, headers, redirect: "manual" });
  },
};
"#;

const CONNECTIONS: usize = 16;
/// Short ones, that take turns; as many times as it takes for each to come equally often after each of the others.
const ROUNDS: usize = 16;
const SECONDS: u32 = 1;
/// V8 compiles in steps, on threads of its own; a deployed edge is past that after its first seconds.
const WARM_UP_SECONDS: u32 = 3;
/// Keys that the edge comes to know.
const KNOWN: usize = 256;
/// Keys that it has forgotten whenever they come round again: it remembers some 8000.
const NEW: usize = 24_000;
/// Of the signatures of new keys, how many may have been recognised after all.
const RECOGNISED: f64 = 0.01;
const LOADED_WITHIN: Duration = Duration::from_secs(10);
const METRICS_TOKEN: &str = "a-token-for-this-bench-alone";

pub(super) async fn run(figures: &mut Figures) -> Result<()> {
    servers::build()?;
    products::build(&[Product::Edge], Profile::Release)?;
    let load = Load::new()?;
    let origin = servers::origin(OriginConfig::default()).await?;
    let upstream = Hello::start().await?;
    let upstream_url = upstream.url();
    let config =
        EdgeConfig::between(&origin.url(), &upstream_url, &origin)?.var("KEYWARD_ASSUME_TLS", "1").var("KEYWARD_ROUTES", story::ROUTES);
    let ours = Edge::start(config.var("KEYWARD_METRICS_TOKEN", METRICS_TOKEN)).await?;
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("index.js"), PASS_THROUGH)?;
    let through = Edge::start(EdgeConfig::plain(folder.path().to_owned()).var("UPSTREAM", &upstream_url)).await?;

    let issued = issue_unlimited(&origin, KNOWN + NEW).await?;
    eventually("the edge has its state", LOADED_WITHIN, || async {
        let answer = ours.send(0, &Request::get("/echo").bearer(&issued[0])).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await?;
    let (known, new) = issued.split_at(KNOWN);
    let junk: Vec<String> = known.iter().map(|key| format!("{key}x")).collect();
    let contender = |name, edge, keys: &[String], permitted| {
        anyhow::Ok(Contender {
            name,
            edge,
            requests: load.requests(name, keys.iter().map(|key| shown(key)))?,
            permitted,
            costs: Vec::new(),
        })
    };
    let mut contenders = [
        contender("edge.known-key", &ours, known, true)?,
        contender("edge.new-key", &ours, new, true)?,
        contender("edge.refused", &ours, &junk, false)?,
        contender(PEER, &through, known, true)?,
    ];
    for contender in &mut contenders {
        contender.cost(&load, WARM_UP_SECONDS).await?;
    }
    for round in 0..ROUNDS {
        for at in order(contenders.len(), round) {
            let contender = &mut contenders[at];
            let before = Recognised::read(&ours).await?;
            let cost = contender.cost(&load, SECONDS).await?;
            contender.costs.push(cost);
            if contender.name == "edge.new-key" {
                Recognised::read(&ours).await?.must_be_few_since(&before)?;
            }
        }
    }
    let cost = |contender: &Contender| median(contender.costs.clone());
    let peer = contenders.iter().find(|contender| contender.name == PEER).map(cost).context("the peer")?;
    for contender in contenders.iter().filter(|contender| contender.name != PEER) {
        figures.less((contender.name, cost(contender)), (PEER, peer), "us CPU/request", "workerd");
    }
    Ok(())
}

/// A request with this key.
fn shown(key: &str) -> Sent<'_> {
    Sent { method: "GET", path: "/echo", credential: key, body: String::new() }
}

/// A worker, and what is sent to it.
struct Contender<'a> {
    name: &'static str,
    edge: &'a Edge,
    requests: Requests,
    permitted: bool,
    /// Microseconds of CPU a request, one for each round.
    costs: Vec<f64>,
}

impl Contender<'_> {
    /// Microseconds of CPU that each request costs that is answered within these seconds.
    async fn cost(&mut self, load: &Load, seconds: u32) -> Result<f64> {
        let process = self.edge.process_id()?;
        let before = cpu::used(process)?;
        let server = self.edge.addresses()[0];
        let answered = load.run(server, &mut self.requests, CONNECTIONS, self.permitted, seconds).await.context(self.name)?;
        Ok((cpu::used(process)? - before) / answered.count)
    }
}

/// How the edge has judged signatures so far.
struct Recognised {
    from_memory: f64,
    verified: f64,
}

impl Recognised {
    async fn read(edge: &Edge) -> Result<Self> {
        let text = edge.send(0, &Request::get("/.keyward/metrics").bearer(METRICS_TOKEN)).await?.expect(200)?.text();
        let by = |name: &str| -> Result<f64> {
            let start = format!("keyward_signatures_total{{by=\"{name}\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&start)).with_context(|| start.clone())?;
            Ok(value.parse()?)
        };
        Ok(Self { from_memory: by("memory")?, verified: by("tables")? + by("reference")? + by("both")? })
    }

    /// New keys are new only where their signatures have been verified.
    fn must_be_few_since(&self, before: &Self) -> Result<()> {
        let (memory, verified) = (self.from_memory - before.from_memory, self.verified - before.verified);
        ensure!(verified > 0.0 && memory <= verified * RECOGNISED, "{memory} of the new keys were known, {verified} were not");
        Ok(())
    }
}
