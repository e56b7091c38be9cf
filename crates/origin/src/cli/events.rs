//! `keyward events`: what happens to keys by time alone.

use clap::Args;
use keyward_api::events::Event;

use super::{
    connection::{CONNECTION_HELP, Connection, InTenant},
    failure::EXIT_CODES,
    list::{Listed, Paging},
    show::moment,
};

const EXAMPLES: &str = "\
Examples:
  keyward events
  keyward events --after 4711 --all --json      # a job that sends them on keeps the last id";

/// What happens by time alone: keys that expire, or have to be rotated. Oldest first, kept for 30 days.
#[derive(Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct Events {
    /// After this event.
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
    /// Events on a page.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// All pages; with --json an event a line.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    tenant: InTenant,
}

impl Events {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        let paging = Paging { limit: self.limit, cursor: self.after.map(|id| id.to_string()), all: self.all };
        let head = &["id", "when", "event", "key", "name", "owner", "due"];
        let listed = Listed { path: "/api/v1/events", query: self.tenant.query(), cursor: "after", head, row };
        listed.show(&self.connection.client()?, &paging)
    }
}

fn row(event: &Event) -> Vec<String> {
    vec![
        event.id.to_string(),
        moment(Some(&event.created_at)),
        event.kind.as_str().to_owned(),
        event.key_id.to_string(),
        event.key_name.clone(),
        event.owner_id.clone(),
        moment(Some(&event.due_at)),
    ]
}
