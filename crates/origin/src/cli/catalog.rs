//! `keyward catalog`: what keys can be given.

use clap::{Args, Subcommand};
use keyward_api::{
    catalogue::{DefaultLimits, OwnCapability},
    tenants::AddCapability,
};
use serde::{Deserialize, Serialize};

use super::{
    client::Call,
    connection::{CONNECTION_HELP, Connection, InTenant},
    failure::EXIT_CODES,
    keys::KEYS,
    parse::request,
    show::table,
};

const EXAMPLES: &str = "\
Examples:
  keyward catalog capabilities
  keyward catalog add billing:export --label 'Export invoices' --category Billing";

/// The capabilities and scopes that keys can be given.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Catalog {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
    #[command(subcommand)]
    command: CatalogCommand,
}

#[derive(Subcommand)]
enum CatalogCommand {
    /// What ships with Keyward, and what the tenant has added.
    Capabilities,
    /// How far keys can reach, and their limits where none are named.
    Scopes,
    /// Another capability of the tenant's.
    Add {
        #[command(flatten)]
        new: New,
    },
}

#[derive(Args, Serialize)]
struct New {
    /// `resource:name`.
    value: String,
    /// For people.
    #[arg(long)]
    label: String,
    /// The heading that it stands under.
    #[arg(long)]
    category: String,
}

#[derive(Deserialize)]
struct Capabilities {
    capabilities: Vec<OwnCapability>,
}

#[derive(Deserialize)]
struct Scopes {
    scopes: Vec<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    value: String,
    description: String,
    default_limits: DefaultLimits,
}

impl Catalog {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let tenant = self.tenant.query();
        let path = format!("{KEYS}/catalog/capabilities");
        match self.command {
            CatalogCommand::Capabilities => {
                client.show(Call::get(path).query(tenant), |found: Capabilities| capabilities(found.capabilities))
            }
            CatalogCommand::Scopes => client.show(Call::get(format!("{KEYS}/catalog/scopes")), |found: Scopes| {
                let row = |scope: Scope| {
                    let limits = scope.default_limits;
                    let (hour, day, month) = (limits.rate_limit_per_hour, limits.daily_quota, limits.monthly_quota);
                    vec![scope.value, scope.description, hour.to_string(), day.to_string(), month.to_string()]
                };
                table(&["scope", "reaches", "an hour", "a day", "a month"], found.scopes.into_iter().map(row))
            }),
            CatalogCommand::Add { new } => {
                let call = Call::post(path).query(tenant).json(&request::<AddCapability>(&new)?).unrepeatable();
                client.show(call, |added| capabilities(vec![added]))
            }
        }
    }
}

fn capabilities(list: Vec<OwnCapability>) -> anyhow::Result<()> {
    table(&["capability", "label", "category"], list.into_iter().map(|one| vec![one.value, one.label, one.category]))
}
