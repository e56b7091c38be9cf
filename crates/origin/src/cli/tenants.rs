//! `keyward tenants`: tenants and what they may use up.

use clap::{Args, Subcommand};
use keyward_api::tenants::{CreateTenant, Tenant, TenantCreated, UpdateTenant};
use keyward_core::TenantId;
use serde::Serialize;

use super::{
    client::Call,
    connection::{CONNECTION_HELP, Connection},
    failure::EXIT_CODES,
    keys::Once,
    list::{Listed, Paging},
    parse::{self, request},
    show::{line, moment, note, record},
};

const TENANTS: &str = "/api/v1/tenants";

const EXAMPLES: &str = "\
Examples:
  keyward tenants create acme 'Acme Inc.' --key-prefix acme --first-key > acme.key
  keyward tenants list
  keyward tenants update 0197… --live-keys 10000";

/// Tenants, for keys of admin scope.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Tenants {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: TenantsCommand,
}

#[derive(Subcommand)]
enum TenantsCommand {
    /// All tenants.
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// One tenant.
    Get {
        /// Its id.
        #[arg(value_parser = parse::tenant_id)]
        id: TenantId,
    },
    /// A new tenant. With --first-key, its first raw key is alone on standard output.
    Create {
        #[command(flatten)]
        new: New,
        #[command(flatten)]
        once: Once,
    },
    /// Another name, prefix or ceilings. What isn't named stays.
    Update {
        /// Its id.
        #[arg(value_parser = parse::tenant_id)]
        id: TenantId,
        #[command(flatten)]
        change: Change,
    },
}

#[derive(Args, Serialize)]
struct New {
    /// Names it in URLs and configurations: `[a-z0-9][a-z0-9-]{0,62}`.
    slug: String,
    /// For people.
    name: String,
    /// With what its keys begin; unset: `kwd`.
    #[arg(long, value_name = "PREFIX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    key_prefix: Option<String>,
    /// Make a first management key of tenant scope, too.
    #[arg(long)]
    first_key: bool,
    #[command(flatten)]
    ceilings: Ceilings,
}

#[derive(Args, Serialize)]
struct Change {
    /// For people.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// With what its new keys begin.
    #[arg(long, value_name = "PREFIX")]
    #[serde(skip_serializing_if = "Option::is_none")]
    key_prefix: Option<String>,
    #[command(flatten)]
    ceilings: Ceilings,
}

#[derive(Args, Serialize)]
struct Ceilings {
    /// Keys that are neither revoked nor expired.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    live_keys: Option<u64>,
    /// Keys created in each UTC hour.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    creates_per_hour: Option<u64>,
    /// Policies.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    policies: Option<u64>,
    /// Changes in each UTC hour.
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    changes_per_hour: Option<u64>,
}

impl Tenants {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        match self.command {
            TenantsCommand::List { paging } => {
                let head = &["id", "slug", "name", "prefix", "live keys", "created"];
                Listed { path: TENANTS, query: vec![], cursor: "cursor", head, row }.show(&client, &paging)
            }
            TenantsCommand::Get { id } => client.show(Call::get(format!("{TENANTS}/{id}")), |tenant| shown(&tenant)),
            TenantsCommand::Create { new, once } => {
                let call = Call::post(TENANTS).json(&request::<CreateTenant>(&new)?).once(once.idempotency_key.as_deref())?;
                client.show(call, |created: TenantCreated| match created.first_key {
                    None => shown(&created.tenant),
                    Some(key) => {
                        note(&format!("Tenant {} (`{}`). Its first key: {}", created.tenant.id, created.tenant.slug, key.warning));
                        line(&key.raw_key)
                    }
                })
            }
            TenantsCommand::Update { id, change } => {
                let call = Call::patch(format!("{TENANTS}/{id}")).json(&request::<UpdateTenant>(&change)?);
                client.show(call, |tenant| shown(&tenant))
            }
        }
    }
}

fn row(tenant: &Tenant) -> Vec<String> {
    vec![
        tenant.id.to_string(),
        tenant.slug.clone(),
        tenant.name.clone(),
        tenant.key_prefix.clone(),
        tenant.ceilings.live_keys.to_string(),
        moment(Some(&tenant.created_at)),
    ]
}

fn shown(tenant: &Tenant) -> anyhow::Result<()> {
    record([
        ("id", tenant.id.to_string()),
        ("slug", tenant.slug.clone()),
        ("name", tenant.name.clone()),
        ("key prefix", tenant.key_prefix.clone()),
        ("live keys", ceiling(tenant, |of| of.live_keys)),
        ("creates an hour", ceiling(tenant, |of| of.creates_per_hour)),
        ("policies", ceiling(tenant, |of| of.policies)),
        ("changes an hour", ceiling(tenant, |of| of.changes_per_hour)),
        ("created", moment(Some(&tenant.created_at))),
        ("updated", moment(Some(&tenant.updated_at))),
    ])
}

/// What may be used up, after what is where that is known: `12 of 1000`.
fn ceiling(tenant: &Tenant, of: fn(&keyward_api::tenants::Ceilings) -> u64) -> String {
    let most = of(&tenant.ceilings);
    tenant.used.as_ref().map_or_else(|| most.to_string(), |used| format!("{} of {most}", of(used)))
}
