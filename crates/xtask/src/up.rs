//! The whole of Keyward on this machine: an origin, an edge, and an upstream for it to guard.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Artefacts, Edge, EdgeConfig, Origin, OriginConfig, Upstream, eventually};
use tokio::signal::unix::{SignalKind, signal};

use crate::{shell::root, story};

/// Where the origin listens unless told otherwise.
pub(crate) const PORT: u16 = 8080;

/// On the loopback, where each listens.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) origin: u16,
    pub(crate) edge: u16,
}

impl Ports {
    /// Two ports, each for one of them.
    pub(crate) fn apart(origin: u16, edge: u16) -> Result<Self> {
        ensure!(origin != edge, "origin and edge can't both listen on port {edge}: name another by --port or --edge-port");
        Ok(Self { origin, edge })
    }
}

/// What runs; dropping it ends it.
pub(crate) struct Stack {
    pub(crate) origin: Origin,
    pub(crate) edge: Edge,
    pub(crate) upstream: Upstream,
}

impl Stack {
    /// Starts everything: on these ports with data that stay, or on free ones with data that don't.
    pub(crate) async fn start(ports: Option<Ports>) -> Result<Self> {
        let upstream = Upstream::start().await?;
        let mut config = OriginConfig { own_database: true, ..OriginConfig::default() };
        let mut edge_home = None;
        if let Some(ports) = ports {
            // The issuer is where the origin listens, and stands in what is signed: another one is another deployment.
            let home = root().join(".keyward");
            let home = if ports.origin == PORT { home } else { home.join(ports.origin.to_string()) };
            fs::create_dir_all(&home)?;
            config.data = Some(home.join("data"));
            // What the last edge there has left, where it was killed.
            let folder = home.join("edge");
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir(&folder)?;
            edge_home = Some(folder);
            config.listen = Some(loopback(ports.origin));
            config.fsync = true;
        }
        let origin = Origin::start_with(config).await.context("starting the origin")?;
        // There is no TLS on the loopback, and keys ask for it unless told otherwise.
        let config = EdgeConfig::new(&origin, &upstream)?.var("KEYWARD_ASSUME_TLS", "1");
        let mut config = config.var("KEYWARD_ROUTES", story::ROUTES);
        config.home = edge_home;
        if let Some(ports) = ports {
            config.listen = vec![loopback(ports.edge)];
        }
        let edge = Edge::start(config).await.context("starting the edge")?;
        Ok(Self { origin, edge, upstream })
    }
}

/// Starts everything, tells the story on it, and ends it.
pub(crate) async fn check() -> Result<()> {
    let start = std::time::Instant::now();
    let stack = Stack::start(None).await?;
    eprintln!("{:8} ms  origin, edge and upstream are up", start.elapsed().as_millis());
    let told = story::tell(&stack).await;
    if told.is_err() {
        eprintln!("--- origin\n{}\n--- edge\n{}", tail(&stack.origin.log()), tail(&stack.edge.log()));
    }
    told
}

/// Starts everything and stays until Ctrl-C.
pub(crate) async fn stay(ports: Ports) -> Result<()> {
    for (port, option) in [(ports.origin, "--port"), (ports.edge, "--edge-port")] {
        let address = loopback(port);
        ensure!(TcpListener::bind(address).is_ok(), "something already listens on {address}: name another port by {option}");
    }
    // Before anything is started, so that an early Ctrl-C ends us in order too.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut stack = tokio::select! {
        stack = Stack::start(Some(ports)) => stack?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    println!("{}", greeting(&stack)?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        ended = watch(&mut stack.origin, &mut stack.edge) => ended?,
    }
    eprintln!("ending");
    drop(stack.edge);
    stack.origin.end().await.map(drop)
}

/// Comes back, with what it said last, when one of them has ended.
async fn watch(origin: &mut Origin, edge: &mut Edge) -> Result<()> {
    let day = std::time::Duration::from_secs(86_400);
    loop {
        let ended = eventually("something ends", day, || {
            let running = origin.must_be_running().and_then(|()| edge.must_be_running());
            std::future::ready(running.err())
        });
        if let Ok(error) = ended.await {
            return Err(error);
        }
    }
}

fn greeting(stack: &Stack) -> Result<String> {
    let program = Artefacts::locate()?.keyward;
    let program = program.strip_prefix(root()).unwrap_or(&program).display();
    let (origin, edge) = (stack.origin.url(), stack.edge.addresses()[0]);
    let key = stack.origin.data().join("admin.key");
    let key = key.strip_prefix(root()).unwrap_or(&key).display().to_string();
    Ok(format!(
        r#"
Keyward is up.
  origin    {origin}
  edge      http://{edge}, in front of an echo service on {upstream}
  pages     {origin}/ (sign in with the admin key); {origin}/inspect says what any key is
  admin     its key is in {key}

Create a key at the origin:

  alias keyward={program}
  export KEYWARD_URL={origin}
  export KEYWARD_KEY=$(cat {key})
  KEY=$(keyward keys create '{name}' --capability llm:gpt-4)

Use it at the edge, then spoil it:

  curl -i http://{edge}/echo -H "Authorization: Bearer $KEY"
  curl -i http://{edge}/echo -H "Authorization: Bearer ${{KEY%?}}"

Revoke it, and use it again:

  keyward keys bulk revoke --search '{name}' --yes
  curl -i http://{edge}/echo -H "Authorization: Bearer $KEY"

Ctrl-C ends everything; the data stay in .keyward."#,
        upstream = stack.upstream.address(),
        name = story::first_key()["name"].as_str().unwrap_or_default(),
    ))
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
