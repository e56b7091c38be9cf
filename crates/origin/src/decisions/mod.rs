//! Recent decisions of edges: samples that they send ([`check`], [`ingest`]), of each tenant no more than it has room for
//! ([`thin`]), kept for hours ([`partitions`]); listed ([`read`]) and explained ([`explain`]), told as they come ([`live`]), and held against another policy
//! ([`replay`]). Nobody who decides ever reads any of it. `docs/recent-decisions.md` says what is kept, and what isn't.

pub mod check;
pub mod explain;
pub mod ingest;
pub mod live;
pub mod partitions;
pub mod read;
pub mod replay;

mod thin;

use std::sync::Arc;

use keyward_api::decisions::{DecisionBatch, DecisionsReceived};
use tokio::task::JoinSet;

use crate::{batch::Batch, clock::Clock, db::Db, error::Result, state::App};
use ingest::add;
use live::Streams;

/// What a running server holds of recent decisions.
pub struct Decisions {
    /// Adds batches.
    pub writer: Batch<DecisionBatch, DecisionsReceived>,
    /// Who is told of them as they come.
    pub streams: Arc<Streams>,
}

impl Decisions {
    /// With a writer among the server's tasks.
    pub fn new(tasks: &mut JoinSet<()>, db: &Db, clock: &Clock, hours: u32) -> Self {
        let made = Arc::new(partitions::Made::default());
        let (db, clock) = (db.clone(), clock.clone());
        let writer = Batch::one_by_one("batches of decisions", tasks, move |batches| {
            let (db, clock, made) = (db.clone(), clock.clone(), Arc::clone(&made));
            async move { add(&db, clock.now(), &made, hours, batches).await }
        });
        Self { writer, streams: Arc::default() }
    }
}

/// Makes the tables of the hours to come, and forgets what is older than it is kept.
///
/// # Errors
/// As any write.
pub async fn keep(app: &App) -> Result<()> {
    let (now, hours) = (app.clock.now(), app.config.decision_hours);
    partitions::keep(&app.db, now, hours).await?;
    ingest::sweep(&app.db, now).await
}
