//! The first requests of a fresh isolate: ours against the same edge with dalek alone, each many times in a process of
//! its own, in turn.
//!
//! `cold-start.load` is the CPU until workerd listens, the WebAssembly compiled; `cold-start.first-request` the CPU and
//! `cold-start.first-request.wall` the time of the first answer, all state fetched. After it, each request shows a key
//! that is new to the isolate, whose WebAssembly isn't optimised yet; somewhere among them the tables are built.
//! `cold-start.longest-step` is the most that building them adds to one of these requests: what its main thread computes,
//! less what a request of the edge without tables takes.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Edge, EdgeConfig, Origin, OriginConfig,
    http::{Connection, Request},
};

use crate::{
    bench::{
        cpu,
        figures::Figures,
        issue::issue_unlimited,
        median,
        servers::{self, Hello},
    },
    products::{self, Product, Profile},
    story,
    wasm::{self, Flavour, Module},
};

/// Fresh processes of each.
const ROUNDS: usize = 15;
/// More than it takes until a key has its tables.
const REQUESTS: usize = 120;
/// So many of the first are slow for other reasons.
const SETTLED: usize = 20;
/// No request should wait for tables any longer, in microseconds.
const LONGEST: f64 = 2000.0;

pub(super) async fn run(figures: &mut Figures) -> Result<()> {
    servers::build()?;
    products::build(&[Product::Edge], Profile::Release)?;
    let reference = Flavour { tables: false, ..Flavour::SHIPPED };
    wasm::build(Module::Edge, reference)?;
    let (origin, upstream) = (servers::origin(OriginConfig::default()).await?, Hello::start().await?);
    let keys = issue_unlimited(&origin, REQUESTS).await?;
    let mut edges = [Starts::new(None), Starts::new(Some(Module::Edge.folder(reference)?))];
    for _ in 0..ROUNDS {
        for edge in &mut edges {
            edge.start(&origin, &upstream, &keys).await?;
        }
    }
    let [ours, dalek] = &edges;
    for (name, times, unit) in [
        ("cold-start.load", (&ours.load, &dalek.load), "us CPU"),
        ("cold-start.first-request", (&ours.first, &dalek.first), "us CPU"),
        ("cold-start.first-request.wall", (&ours.wall, &dalek.wall), "us"),
    ] {
        figures.less((name, median(times.0.clone())), ("dalek", median(times.1.clone())), unit, "workerd");
    }
    let without = median(dalek.later.iter().skip(SETTLED).flatten().copied().collect());
    let longest = ours.later.iter().skip(SETTLED).map(|times| median(times.clone()) - without).fold(0.0, f64::max);
    figures.less(("cold-start.longest-step", longest), ("2 ms", LONGEST), "us CPU", "workerd");
    Ok(())
}

/// What the starts of one build took, in microseconds; each list has a number for each of them.
struct Starts {
    build: Option<PathBuf>,
    load: Vec<f64>,
    first: Vec<f64>,
    wall: Vec<f64>,
    /// The requests after the first.
    later: Vec<Vec<f64>>,
}

impl Starts {
    fn new(build: Option<PathBuf>) -> Self {
        Self { build, load: Vec::new(), first: Vec::new(), wall: Vec::new(), later: vec![Vec::new(); REQUESTS - 1] }
    }

    /// Starts one, shows it each key once, and ends it.
    async fn start(&mut self, origin: &Origin, upstream: &Hello, keys: &[String]) -> Result<()> {
        let config = EdgeConfig::between(&origin.url(), &upstream.url(), origin)?
            .var("KEYWARD_ASSUME_TLS", "1")
            .var("KEYWARD_ROUTES", story::ROUTES);
        let edge = Edge::start(EdgeConfig { build: self.build.clone(), ..config }).await?;
        let process = edge.process_id()?;
        let mut connection = Connection::open(edge.addresses()[0]).await?;
        let (first, later) = keys.split_first().context("a key")?;

        let loaded = cpu::used(process)?;
        let start = Instant::now();
        ask(&mut connection, first).await?;
        self.wall.push(start.elapsed().as_secs_f64() * 1e6);
        self.first.push(cpu::used(process)? - loaded);
        self.load.push(loaded);

        for (key, times) in later.iter().zip(&mut self.later) {
            let before = cpu::used_by_main(process)?;
            ask(&mut connection, key).await?;
            times.push(cpu::used_by_main(process)? - before);
        }
        Ok(())
    }
}

/// Shows a key, which has to be permitted.
async fn ask(connection: &mut Connection, key: &str) -> Result<()> {
    let answer = connection.send(&Request::get("/echo").bearer(key)).await?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.text());
    Ok(())
}
