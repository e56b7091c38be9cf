//! The command line.

mod audit;
mod bulk;
mod catalog;
mod client;
mod completion;
mod confirm;
mod connection;
mod database;
mod decisions;
mod edges;
mod events;
mod failure;
mod filter;
mod key_terms;
mod keys;
mod list;
mod log;
mod master_key;
mod owners;
mod parse;
mod policies;
mod profile;
mod recover;
mod replay;
mod root;
mod rotate;
mod secret;
mod serve;
mod show;
mod signing;
mod tenants;
#[cfg(test)]
mod tests;
mod tokens;
mod trail;
mod usage;

use std::io::Read;

use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, builder::Resettable};
use keyward_core::{ParsedKey, bounds::MAX_KEY_LEN};
use serde_json::json;

use self::database::MASTER_KEY_HELP;
use self::failure::Failure;
pub use self::failure::report;
use crate::db::Db;

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
    Serve(serve::Serve),
    /// Bring a database up to this version, as its owner; `keyward serve` can then do with a login that owns nothing.
    ///
    /// `keyward serve` does this by itself where its login owns the database. In production it shouldn't: see
    /// docs/operating.md.
    Migrate(Migrate),
    /// Put a database that went back in time (a restored backup, a failover that lost commits) into use again.
    ///
    /// The server stands still (503 `recovery_required`) when it notices. This raises the epoch, never gives a number of
    /// the lost time a second meaning, invalidates the keys that were made in it, and revokes again what the journals of
    /// the servers know to have been revoked. The server may be running or not; edges follow by themselves.
    #[command(after_help = MASTER_KEY_HELP)]
    Recover(recover::Recover),
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
    Profiles {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
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

#[derive(Args)]
struct Migrate {
    /// The database, as its owner.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// A login for `keyward serve`, which becomes a member of the roles that it needs.
    #[arg(long)]
    server_login: Option<String>,
}

impl Cli {
    /// The command line of this process, with its environment. A variable that is empty counts as one that isn't set, but for the master
    /// key's: there it is more likely a secret that went missing than none that was meant.
    pub fn read() -> Self {
        let matches = without_empty(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

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
            Command::Profiles { json } => profile::list(json),
            Command::Completion(completion) => completion.run(),
            Command::Root(command) => command.run(),
            Command::MasterKey(command) => command.run(),
            Command::Inspect { key } => inspect(&key),
            Command::Serve(arguments) => runtime()?.block_on(serve::serve(arguments)),
            Command::Migrate(arguments) => runtime()?.block_on(migrate(arguments)),
            Command::Recover(arguments) => runtime()?.block_on(recover::run(arguments)),
        }
    }
}

fn without_empty(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &Arg| arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    command.mut_args(|arg| if is_empty(&arg) { arg.env(Resettable::Reset) } else { arg }).mut_subcommands(without_empty)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    log::begin()?;
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

async fn migrate(arguments: Migrate) -> anyhow::Result<()> {
    let db = Db::open(&arguments.database_url)?;
    db.migrate().await?;
    db.admit_roles().await?;
    if let Some(login) = &arguments.server_login {
        db.admit_login(login).await?;
    }
    db.close().await;
    Ok(())
}

fn inspect(argument: &str) -> anyhow::Result<()> {
    let mut text = argument.to_owned();
    if argument == "-" {
        text.clear();
        std::io::stdin().take(MAX_KEY_LEN as u64 + 2).read_to_string(&mut text)?;
    }
    // The key itself is in no message.
    let parsed = ParsedKey::parse(text.trim()).map_err(|reason| Failure::Usage(format!("not a key: {reason}")))?;
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
