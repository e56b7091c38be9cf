//! `keyward owners`: whose keys there are.

use clap::{Args, Subcommand};
use keyward_api::tenants::{CreateOwner, Owner, UpdateOwner};
use keyward_core::codec::base64url;
use serde::Serialize;

use super::{
    client::Call,
    confirm::Confirm,
    connection::{CONNECTION_HELP, Connection, InTenant},
    failure::EXIT_CODES,
    key_terms::empty_is_none,
    list::{Listed, Paging},
    parse::request,
    show::{moment, record},
};

const OWNERS: &str = "/api/v1/owners";

const EXAMPLES: &str = "\
Examples:
  keyward owners create ann --name 'Ann Example' --email ann@example.com
  keyward owners disable ann          # suspends all of her keys, and none can be made
  keyward owners list --search example.com --json";

/// Owners of API keys.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Owners {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
    #[command(subcommand)]
    command: OwnersCommand,
}

#[derive(Subcommand)]
enum OwnersCommand {
    /// All owners of the tenant, or those that are looked for.
    List {
        /// With this in id, name or address; up to 128 characters, in any case of ASCII's letters.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One owner.
    Get {
        /// Its id.
        id: String,
    },
    /// A new owner.
    Create {
        #[command(flatten)]
        new: New,
    },
    /// Another name, kind or address. What isn't named stays.
    Update {
        /// Its id.
        id: String,
        #[command(flatten)]
        change: Change,
    },
    /// Suspends all keys of the owner; none can be made for it or resumed.
    Disable {
        /// Its id.
        id: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Lets keys be made and resumed again; those that were suspended stay so.
    Enable {
        /// Its id.
        id: String,
    },
}

#[derive(Args, Serialize)]
struct New {
    /// What keys name as their owner.
    id: String,
    /// Unset: `person`.
    #[arg(long, value_parser = ["person", "service"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// For people; unset: the id.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Where to reach them.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[derive(Args, Default, Serialize)]
struct Change {
    /// Whether it is somebody or something.
    #[arg(long, value_parser = ["person", "service"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// For people.
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Where to reach them; an empty one takes it away.
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "empty_is_none")]
    email: Option<String>,
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
}

impl Owners {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let client = self.connection.client()?;
        let tenant = self.tenant.query();
        let (id, change) = match self.command {
            OwnersCommand::List { search, paging } => {
                let head = &["id", "kind", "name", "email", "disabled", "created"];
                let query = tenant.into_iter().chain(search.map(|search| ("search", search))).collect();
                return Listed { path: OWNERS, query, cursor: "cursor", head, row }.show(&client, &paging);
            }
            OwnersCommand::Get { id } => return client.show(Call::get(path(&id)).query(tenant), |owner| shown(&owner)),
            OwnersCommand::Create { new } => {
                let call = Call::post(OWNERS).query(tenant).json(&request::<CreateOwner>(&new)?).unrepeatable();
                return client.show(call, |owner| shown(&owner));
            }
            OwnersCommand::Update { id, change } => (id, change),
            OwnersCommand::Disable { id, confirm } => {
                confirm.ask(|| Ok((format!("This suspends all keys of {id}."), id.clone())))?;
                (id, Change { disabled: Some(true), ..Change::default() })
            }
            OwnersCommand::Enable { id } => (id, Change { disabled: Some(false), ..Change::default() }),
        };
        let call = Call::patch(path(&id)).query(tenant).json(&request::<UpdateOwner>(&change)?);
        client.show(call, |owner| shown(&owner))
    }
}

/// An owner's id may be any text, and a path may not: one that doesn't fit is written as `=` and its base64url.
fn path(id: &str) -> String {
    let fits = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_~.".contains(&byte)) && !matches!(id, "" | "." | "..");
    if fits { format!("{OWNERS}/{id}") } else { format!("{OWNERS}/={}", base64url(id.as_bytes())) }
}

fn row(owner: &Owner) -> Vec<String> {
    vec![
        owner.id.clone(),
        owner.kind.as_str().to_owned(),
        owner.name.clone(),
        owner.email.clone().unwrap_or_default(),
        if owner.disabled { "yes" } else { "no" }.to_owned(),
        moment(Some(&owner.created_at)),
    ]
}

fn shown(owner: &Owner) -> anyhow::Result<()> {
    record([
        ("id", owner.id.clone()),
        ("kind", owner.kind.as_str().to_owned()),
        ("name", owner.name.clone()),
        ("email", owner.email.clone().unwrap_or_default()),
        ("disabled", if owner.disabled { "yes" } else { "no" }.to_owned()),
        ("created", moment(Some(&owner.created_at))),
        ("updated", moment(Some(&owner.updated_at))),
    ])
}
