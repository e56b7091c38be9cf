//! `keyward edges`: who follows the feed, and how far each has got.

use clap::Args;
use keyward_api::deployment::{EdgeHeard, Edges};

use super::{
    client::Call,
    connection::{CONNECTION_HELP, Connection},
    failure::EXIT_CODES,
    show::{moment, note, table},
};

/// The edges that follow, and how far each has got. For keys of tenant or admin scope.
#[derive(Args)]
#[command(after_help = CONNECTION_HELP, after_long_help = format!("{CONNECTION_HELP}\n\n{EXIT_CODES}"))]
pub struct ListEdges {
    #[command(flatten)]
    connection: Connection,
}

impl ListEdges {
    /// Does it.
    ///
    /// # Errors
    /// With what came in between.
    pub fn run(self) -> anyhow::Result<()> {
        self.connection.client()?.show(Call::get("/api/v1/edges"), shown)
    }
}

fn shown(edges: Edges) -> anyhow::Result<()> {
    let Edges { epoch, seq, manifest, edges, .. } = edges;
    note(&format!("the origin: epoch {epoch}, change {seq}, manifest {manifest}"));
    let row = |edge: EdgeHeard| {
        let behind = if edge.epoch == epoch { seq.saturating_sub(edge.seq).to_string() } else { format!("epoch {}", edge.epoch) };
        let address = edge.address.unwrap_or_else(|| "-".to_owned());
        vec![edge.key.to_string(), edge.owner, address, behind, edge.manifest.to_string(), moment(Some(&edge.heard))]
    };
    table(&["key", "owner", "address", "behind", "manifest", "heard"], edges.into_iter().map(row))
}
