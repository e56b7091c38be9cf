//! What limits cost: a busy key that has some, against one without, and against a worker that asks a Durable Object on each
//! request, which is the usual way.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use keyward_tests::{Edge, EdgeConfig, OriginConfig, eventually, http::Request};

use super::{EACH_TIME, UNLIMITED, requests::PASS_THROUGH};
use crate::{
    bench::{
        cpu,
        figures::Figures,
        issue::{issue, issue_few_at_a_time, issue_unlimited},
        load::{Load, Requests, Sent},
        median,
        servers::{self, Hello},
        turns::order,
    },
    products::{self, Product, Profile},
    story,
};

/// One object a key counts, and every request asks it.
const USUAL: &str = r#"
import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  left = 1e12;
  fetch() { return new Response(this.left-- > 0 ? "1" : "0"); }
}
export default {
  async fetch(request, env) {
    const { pathname, search } = new URL(request.url);
    const headers = new Headers(request.headers);
    const key = headers.get("authorization");
    headers.delete("authorization");
    const counter = env.COUNTER.get(env.COUNTER.idFromName(key));
    if (await (await counter.fetch("http://counter/")).text() !== "1") return new Response("", { status: 429 });
    return fetch(env.UPSTREAM + pathname + search, { method: request.method, headers, redirect: "manual" });
  },
};
"#;

const CONNECTIONS: usize = 16;
/// Twice what it takes for each to come equally often after each of the others.
const ROUNDS: usize = 20;
const SECONDS: u32 = 1;
const WARM_UP_SECONDS: u32 = 3;
const LOADED_WITHIN: Duration = Duration::from_secs(10);
const METRICS_TOKEN: &str = "a-token-for-this-bench-alone";
/// The share of requests that may wait for more than the isolate, in hundredths.
const MAY_WAIT: f64 = 1.0;

/// A worker, a key, and what came of its rounds.
struct Contender<'a> {
    edge: &'a Edge,
    requests: Requests,
    costs: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    per_second: Vec<f64>,
}

/// What a contender's rounds come to: us of CPU a request, milliseconds, and requests a second.
struct Medians {
    cost: f64,
    p50: f64,
    p99: f64,
    per_second: f64,
}

impl<'a> Contender<'a> {
    fn new(load: &Load, name: &str, edge: &'a Edge, key: &str) -> Result<Self> {
        let sent = || Sent { method: "GET", path: "/echo", credential: key, body: String::new() };
        // One for each of the threads that send.
        let requests = load.requests(name, [sent(), sent()].into_iter())?;
        Ok(Self { edge, requests, costs: Vec::new(), p50: Vec::new(), p99: Vec::new(), per_second: Vec::new() })
    }

    async fn run(&mut self, load: &Load, seconds: u32) -> Result<()> {
        let process = self.edge.process_id()?;
        let before = cpu::used(process)?;
        let answered = load.run(self.edge.addresses()[0], &mut self.requests, CONNECTIONS, true, seconds).await?;
        self.costs.push((cpu::used(process)? - before) / answered.count);
        self.p50.push(answered.p50);
        self.p99.push(answered.p99);
        self.per_second.push(answered.per_second);
        Ok(())
    }

    fn forget(&mut self) {
        self.costs.clear();
        self.p50.clear();
        self.p99.clear();
        self.per_second.clear();
    }
}

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
    fs::write(folder.path().join("index.js"), USUAL)?;
    let plain = tempfile::tempdir()?;
    fs::write(plain.path().join("index.js"), PASS_THROUGH)?;
    let through = Edge::start(EdgeConfig::plain(plain.path().to_owned()).var("UPSTREAM", &upstream_url)).await?;
    let usual = EdgeConfig::plain(folder.path().to_owned()).var("UPSTREAM", &upstream_url).object("COUNTER", "Counter");
    let usual = Edge::start(usual).await?;

    let limited = issue(&origin, 1).await?.pop().context("a key")?;
    let unlimited = issue_unlimited(&origin, 1).await?.pop().context("a key")?;
    let few = issue_few_at_a_time(&origin).await?;
    for key in [&limited, &unlimited, &few] {
        eventually("the edge has its state", LOADED_WITHIN, || async {
            let answer = ours.send(0, &Request::get("/echo").bearer(key)).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await?;
    }
    let mut contenders = [
        Contender::new(&load, "limited", &ours, &limited)?,
        Contender::new(&load, "unlimited", &ours, &unlimited)?,
        Contender::new(&load, "usual", &usual, &limited)?,
        Contender::new(&load, "few", &ours, &few)?,
        Contender::new(&load, "through", &through, &unlimited)?,
    ];
    for contender in &mut contenders {
        contender.run(&load, WARM_UP_SECONDS).await?;
        contender.forget();
    }
    let (before, mut counted) = (waits(&ours).await?, 0.0);
    for round in 0..ROUNDS {
        for at in order(contenders.len(), round) {
            contenders[at].run(&load, SECONDS).await?;
        }
        counted += contenders[0].per_second.last().copied().unwrap_or(0.0) * f64::from(SECONDS);
    }
    let waited = 100.0 * (waits(&ours).await? - before) / counted;
    let [limited, unlimited, usual, few, through] = contenders.map(|contender| Medians {
        cost: median(contender.costs),
        p50: median(contender.p50),
        p99: median(contender.p99),
        per_second: median(contender.per_second),
    });
    figures.less(("limits.cpu", limited.cost), (UNLIMITED, unlimited.cost), "us CPU/request", "workerd");
    figures.less(("limits.p50", limited.p50), (UNLIMITED, unlimited.p50), "ms", "workerd");
    figures.less(("limits.p99", limited.p99), (UNLIMITED, unlimited.p99), "ms", "workerd");
    figures.less(("limits.cpu", limited.cost), (EACH_TIME, usual.cost), "us CPU/request", "workerd");
    figures.less(("limits.at_a_time.cpu", few.cost), (EACH_TIME, usual.cost), "us CPU/request", "workerd");
    figures.less(("limits.at_a_time.p50", few.p50), (EACH_TIME, usual.p50), "ms", "workerd");
    figures.more(("limits.throughput", limited.per_second), (EACH_TIME, usual.per_second), "requests/s", "workerd");
    // What a worker reaches that decides nothing: no edge can have more.
    figures.more(("limits.throughput.most", through.per_second), (EACH_TIME, usual.per_second), "requests/s", "workerd");
    // Each round is as long as it takes to give back everything: its first requests wait, and they are counted.
    figures.less(("limits.waits", waited.max(1e-4)), ("1 % of requests", MAY_WAIT), "%", "workerd");
    Ok(())
}

/// How many requests have waited for permits.
async fn waits(edge: &Edge) -> Result<f64> {
    let text = edge.send(0, &Request::get("/.keyward/metrics").bearer(METRICS_TOKEN)).await?.expect(200)?.text();
    let line = text.lines().find_map(|line| line.strip_prefix("keyward_limit_waits_total ")).context("no waits")?;
    Ok(line.parse()?)
}
