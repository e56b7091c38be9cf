//! `keyward serve`: the origin, from its arguments to its end.

use std::{future::pending, io::Write, net::SocketAddr, path::PathBuf, pin::pin};

use anyhow::{Context, bail};
use clap::Args;
use keyward_core::Network;
use tokio::{
    net::TcpSocket,
    signal::unix::{SignalKind, signal},
};

use super::{
    database::{Database, end},
    failure::Failure,
};
use crate::{
    clock::Clock,
    config::{Config, Connections, DEFAULT_DECISION_HOURS, DEFAULT_FAILURES, DEFAULT_TOKEN_REUSE, DEFAULT_USAGE_DAYS},
    data_dir::DataDir,
    server::Server,
};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// What it is told.
#[derive(Args)]
pub struct Serve {
    /// Where to listen.
    #[arg(long, env = "KEYWARD_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The URL by which the world knows this origin, without a trailing slash; unset: http://LISTEN.
    #[arg(long, env = "KEYWARD_ISSUER")]
    issuer: Option<String>,
    /// The deployment's issuer so far, which gives way to this server's: for good, and on all servers.
    #[arg(long, env = "KEYWARD_CHANGE_ISSUER_FROM", value_name = "URL")]
    change_issuer_from: Option<String>,
    /// A directory of static pages to serve.
    #[arg(long, env = "KEYWARD_WWW")]
    www: Option<PathBuf>,
    /// Addresses or CIDR blocks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
    #[arg(long, env = "KEYWARD_TRUSTED_PROXIES", value_delimiter = ',', value_parser = parse_network)]
    trusted_proxies: Vec<Network>,
    /// How many credentials from one address may be no good in a minute, before only those that were recognised earlier
    /// are looked at; 0: any number.
    #[arg(long, env = "KEYWARD_FAILURES_PER_MINUTE", default_value_t = DEFAULT_FAILURES)]
    failures_per_minute: u32,
    /// For how long `validate` gives the same token again for the same key, 0 to 240; 0: a new one each time.
    #[arg(long, env = "KEYWARD_TOKEN_REUSE_SECONDS", default_value_t = DEFAULT_TOKEN_REUSE)]
    token_reuse_seconds: u64,
    /// For how many days the sums of usage are kept, 31 to 3660; whole months go at a time.
    #[arg(long, env = "KEYWARD_USAGE_DAYS", default_value_t = DEFAULT_USAGE_DAYS)]
    usage_days: u32,
    /// For how many hours samples of edges' decisions are kept, up to 168; 0: none is.
    #[arg(long, env = "KEYWARD_DECISION_HOURS", default_value_t = DEFAULT_DECISION_HOURS)]
    decision_hours: u32,
    #[command(flatten)]
    database: Database,
}

/// Serves until a signal.
///
/// # Errors
/// With what hindered a start, or forced an end.
pub async fn serve(arguments: Serve) -> anyhow::Result<()> {
    // Before anything is started: a signal that comes early must not leave a Postgres behind.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut told = pin!(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    let database = arguments.database;
    let config = Config {
        listen: arguments.listen,
        issuer: arguments.issuer.unwrap_or_else(|| format!("http://{}", arguments.listen)),
        change_issuer_from: arguments.change_issuer_from,
        data_dir: database.data_dir.clone(),
        durable: !database.no_fsync,
        www: arguments.www,
        trusted_proxies: arguments.trusted_proxies,
        failures_per_minute: arguments.failures_per_minute,
        token_reuse_seconds: arguments.token_reuse_seconds,
        usage_days: arguments.usage_days,
        decision_hours: arguments.decision_hours,
        connections: Connections::default(),
    };
    config.check().map_err(|error| Failure::Usage(format!("{error:#}")))?;
    // First what another server may have. Nobody is let in before all is ready.
    let socket = bind(config.listen)?;
    let address = socket.local_addr()?;
    let held = DataDir::take(&config.data_dir)?;
    let started = async {
        let (url, postgres) = database.host().await?;
        let master = database.master_key_or_first(&url).await?;
        anyhow::Ok((Server::start(config, &url, &master, Clock::system()).await?, postgres))
    };
    let (server, postgres) = tokio::select! {
        // What was begun ends as it is dropped.
        () = &mut told => return Ok(()),
        started = started => started?,
    };
    let listener = socket.listen(BACKLOG).with_context(|| format!("can't listen on {address}"))?;
    tracing::info!(%address, "listening");
    let mut out = std::io::stdout();
    if let Err(error) = writeln!(out, "keyward ready http://{address}").and_then(|()| out.flush()) {
        tracing::warn!(%error, "nobody reads on standard output that the server is ready");
    }
    let abandoned = async {
        match &postgres {
            Some(postgres) => postgres.abandoned().await,
            None => pending().await,
        }
    };
    let stop = async {
        tokio::select! {
            () = told => Ok(()),
            () = abandoned => bail!("nothing keeps the private Postgres running any more"),
        }
    };
    let served = server.serve(listener, stop).await;
    end(postgres).await?;
    // Whoever is next in this directory finds no Postgres that is about to end.
    drop(held);
    served
}

fn bind(address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that was just ended leaves connections that the kernel still remembers.
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| format!("can't listen on {address}"))?;
    Ok(socket)
}

fn parse_network(text: &str) -> Result<Network, String> {
    Network::parse(text).map_err(|error| error.to_string())
}
