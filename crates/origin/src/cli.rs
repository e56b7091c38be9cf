//! The command line.

mod audit;
mod bulk;
mod catalog;
mod client;
mod completion;
mod confirm;
mod connection;
mod decisions;
mod edges;
mod events;
mod failure;
mod filter;
mod key_terms;
mod keys;
mod list;
mod master_key;
mod owners;
mod parse;
mod policies;
mod profile;
mod replay;
mod root;
mod rotate;
mod secret;
mod show;
mod signing;
mod tenants;
#[cfg(test)]
mod tests;
mod tokens;
mod trail;
mod usage;

use std::{
    io::{Read, Write},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use keyward_core::{Network, ParsedKey, bounds::MAX_KEY_LEN};
use keyward_postgres::{AlreadyRunning, Options, PrivatePostgres};
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

pub use failure::report;

use crate::{
    bootstrap::{self, Foundation},
    clock::Clock,
    config::{Config, Connections, DEFAULT_DECISION_HOURS, DEFAULT_FAILURES, DEFAULT_TOKEN_REUSE, DEFAULT_USAGE_DAYS},
    db::Db,
    journal::Memory,
    recover::{DEFAULT_GAP, recover},
    sealing::{SealingKey, master_key},
    server::Server,
};

/// Issues API keys and decides on them at the edge.
///
/// `keyward serve` is the origin: it stores keys in Postgres (its own, unless DATABASE_URL names one), and tells edges of
/// every change within milliseconds. The first start writes an admin key to DATA_DIR/admin.key; with it:
///
///   export KEYWARD_KEY=$(cat .keyward/data/admin.key)
///   keyward keys create 'my first key' --capability llm:gpt-4
///   keyward keys list
///
/// `keyward keys --help` says how to name another origin, and has more examples.
#[derive(Parser)]
#[command(name = "keyward", version, verbatim_doc_comment)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the origin until interrupted; standard output says `keyward ready URL` when it listens.
    #[command(after_help = MASTER_KEY_HELP)]
    Serve(Serve),
    /// Bring a database up to this version, as its owner; `keyward serve` can then do with a login that owns nothing.
    ///
    /// `keyward serve` does this by itself where its login owns the database. In production it shouldn't: see
    /// docs/operating.md.
    Migrate(Migrate),
    /// Put a database that went back in time (a restored backup, a failover that lost commits) into use again.
    ///
    /// The server stands still (503 `recovery_required`) when it notices. This raises the epoch, never gives a number of
    /// the lost time a second meaning, invalidates the keys that were made in it, and revokes again what the journal in
    /// the data directory knows to have been revoked. The server may be running or not; edges follow by themselves.
    #[command(after_help = MASTER_KEY_HELP)]
    Recover(Recover),
    Keys(keys::Keys),
    Tokens(tokens::Tokens),
    Usage(usage::Usage),
    Decisions(decisions::Decisions),
    Tenants(tenants::Tenants),
    Owners(owners::Owners),
    #[command(visible_alias = "policy")]
    Policies(policies::Policies),
    Catalog(catalog::Catalog),
    Events(events::Events),
    Edges(edges::ListEdges),
    Audit(audit::Audit),
    Signing(signing::Signing),
    /// The profiles that there are: which origin each is for.
    Profiles,
    /// The root that signs manifests, where it is kept apart from the server.
    #[command(subcommand)]
    Root(root::RootCommand),
    /// The key that seals all secrets in the database.
    #[command(subcommand)]
    MasterKey(master_key::MasterKeyCommand),
    /// Show what a key says. Offline, and unproved: anyone can compute a checksum.
    Inspect {
        /// The key, or `-` to read it from standard input (an argument shows in the list of processes).
        key: String,
    },
    Completion(completion::Completion),
}

// From the environment alone: arguments show in the list of processes.
const MASTER_KEY: &str = "KEYWARD_MASTER_KEY";
const MASTER_KEY_HELP: &str = "KEYWARD_MASTER_KEY (32 bytes of base64url, in the environment) seals all secrets in the database. \
    Without it the first start makes a file DATA_DIR.master.key: keep a copy of it apart from the database's backups.\n\
    KEYWARD_LOG sets what is logged to standard error, as in `info,keyward_origin=debug`.";

#[derive(Args)]
struct Database {
    /// A Postgres 15 or newer; unset: a private one in the data directory.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Where files stay: the first keys, the journal, the private Postgres.
    #[arg(long, env = "KEYWARD_DATA_DIR", default_value = ".keyward/data")]
    data_dir: PathBuf,
    /// Where `postgres` and `initdb` are; unset: the newest of /usr/lib/postgresql, then PATH.
    #[arg(long, env = "KEYWARD_PG_BIN")]
    pg_bin: Option<PathBuf>,
    /// Force nothing to the disk. For tests: a machine that stops loses data.
    #[arg(long)]
    no_fsync: bool,
}

#[derive(Args)]
struct Serve {
    /// Where to listen.
    #[arg(long, env = "KEYWARD_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The URL by which the world knows this origin, without a trailing slash; unset: http://LISTEN.
    #[arg(long, env = "KEYWARD_ISSUER")]
    issuer: Option<String>,
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

#[derive(Args)]
struct Migrate {
    /// The database, as its owner.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// A login for `keyward serve`, which becomes a member of the roles that it needs.
    #[arg(long)]
    server_login: Option<String>,
}

#[derive(Args)]
struct Recover {
    /// How many status positions and policy numbers to pass over: more than can have been used in the lost time.
    #[arg(long, default_value_t = DEFAULT_GAP)]
    gap: u32,
    /// The root's file, where the root is kept apart from the server: the new epoch stands in a manifest.
    #[arg(long)]
    root_key: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
}

impl Cli {
    /// Does what the command line says.
    ///
    /// # Errors
    /// With what hindered, for the person at the terminal.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Keys(keys) => keys.run(),
            Command::Tokens(tokens) => tokens.run(),
            Command::Usage(usage) => usage.run(),
            Command::Decisions(decisions) => decisions.run(),
            Command::Tenants(tenants) => tenants.run(),
            Command::Owners(owners) => owners.run(),
            Command::Policies(policies) => policies.run(),
            Command::Catalog(catalog) => catalog.run(),
            Command::Events(events) => events.run(),
            Command::Edges(edges) => edges.run(),
            Command::Audit(audit) => audit.run(),
            Command::Signing(signing) => signing.run(),
            Command::Profiles => profile::list(),
            Command::Completion(completion) => completion.run(),
            Command::Root(command) => command.run(),
            Command::MasterKey(command) => command.run(),
            Command::Inspect { key } => inspect(&key),
            Command::Serve(arguments) => runtime()?.block_on(serve(arguments)),
            Command::Migrate(arguments) => runtime()?.block_on(migrate(arguments)),
            Command::Recover(arguments) => runtime()?.block_on(run_recover(arguments)),
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let filter = EnvFilter::try_from_env("KEYWARD_LOG").unwrap_or_else(|_| EnvFilter::new("info,sqlx=warn"));
    // Standard output is for what the command was asked for.
    tracing_subscriber::fmt().json().flatten_event(true).with_span_list(false).with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn serve(arguments: Serve) -> anyhow::Result<()> {
    // Before anything is started: a signal that comes early must not leave a Postgres behind.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let stop = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let database = arguments.database;
    let config = Config {
        listen: arguments.listen,
        issuer: arguments.issuer.unwrap_or_else(|| format!("http://{}", arguments.listen)),
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
    config.check()?;
    std::fs::create_dir_all(&config.data_dir).with_context(|| format!("can't make {}", config.data_dir.display()))?;
    let master = database.master_key()?;
    let (url, postgres) = database.find().await?;
    let listen = config.listen;
    let server = Server::start(config, &url, &master, Clock::system()).await?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("can't listen on {listen}"))?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let mut out = std::io::stdout();
    writeln!(out, "keyward ready http://{address}")?;
    out.flush()?;
    server.serve(listener, stop).await?;
    // Its end blocks.
    Ok(tokio::task::spawn_blocking(move || drop(postgres)).await?)
}

async fn migrate(arguments: Migrate) -> anyhow::Result<()> {
    let db = Db::open(&arguments.database_url)?;
    db.migrate().await?;
    if let Some(login) = &arguments.server_login {
        db.admit_login(login).await?;
    }
    db.close().await;
    Ok(())
}

async fn run_recover(arguments: Recover) -> anyhow::Result<()> {
    let database = arguments.database;
    let root = arguments.root_key.as_deref().map(root::read_root).transpose()?;
    let (db, foundation, postgres) = opened(&database).await?;
    let memory = Memory::read(&database.data_dir)?;
    let done = recover(&db, &foundation, &memory, arguments.gap, root.as_ref(), Clock::system().now()).await?;
    db.close().await;
    let told =
        json!({"epoch": done.epoch, "first_policy": done.first_policy, "first_index": done.first_index, "revoked_again": done.revoked});
    show::line(&told.to_string())?;
    Ok(tokio::task::spawn_blocking(move || drop(postgres)).await?)
}

/// The deployment in a database, for a command that works on it beside the server.
async fn opened(database: &Database) -> anyhow::Result<(Db, Foundation, Option<Arc<PrivatePostgres>>)> {
    let master = database.master_key()?;
    let (url, postgres) = database.find().await?;
    let db = Db::open(&url)?;
    db.migrate().await?;
    let foundation = bootstrap::open(&mut *db.system().acquire().await?, &master).await?;
    Ok((db, foundation.context("the database holds no deployment: restore it first")?, postgres))
}

impl Database {
    fn master_key(&self) -> anyhow::Result<SealingKey> {
        let told = std::env::var(MASTER_KEY).ok().map(Zeroizing::new);
        master_key(told.as_ref().map(|text| text.as_str()), &self.data_dir)
    }

    /// The database's URL, and the private Postgres behind it where this process has started one.
    async fn find(&self) -> anyhow::Result<(String, Option<Arc<PrivatePostgres>>)> {
        if let Some(url) = &self.database_url {
            return Ok((url.clone(), None));
        }
        let dir = self.data_dir.join("postgres");
        let options = Options { dir: dir.clone(), durable: !self.no_fsync, binaries: self.pg_bin.clone() };
        match tokio::task::spawn_blocking(move || PrivatePostgres::start(&options)).await? {
            Ok(postgres) => Ok((postgres.url().to_owned(), Some(Arc::new(postgres)))),
            // The server that runs it can be helped while it runs.
            Err(error) if error.is::<AlreadyRunning>() => Ok((keyward_postgres::url(&dir), None)),
            Err(error) => Err(error),
        }
    }
}

fn inspect(argument: &str) -> anyhow::Result<()> {
    let mut text = argument.to_owned();
    if argument == "-" {
        text.clear();
        std::io::stdin().take(MAX_KEY_LEN as u64 + 2).read_to_string(&mut text)?;
    }
    // The key itself is in no message.
    let parsed = ParsedKey::parse(text.trim()).map_err(|reason| anyhow::anyhow!("not a key: {reason}"))?;
    let claims = parsed.unverified_claims();
    let shown = json!({
        "proved": false,
        "prefix": parsed.prefix().as_str(),
        "environment": parsed.environment(),
        "id": claims.id,
        "scope": claims.scope,
        "token_exchange": claims.exchange,
        "signing_key": keyward_core::codec::base64url(&claims.signing_key),
        "expires": claims.expires,
        "status_list": claims.index.shard(),
        "status_offset": claims.index.offset(),
        "policy": claims.policy,
    });
    show::line(&serde_json::to_string_pretty(&shown)?)
}

fn parse_network(text: &str) -> Result<Network, String> {
    Network::parse(text).map_err(|error| error.to_string())
}
