//! Limits that hold everywhere (`docs/limits.md`): the authority that gives permits ([`authority`]), and this server's own
//! holder of them, from which `validate` spends without a statement ([`pools`], [`spend`]).

pub mod authority;
pub mod check;
pub mod debt;
pub mod spend;

mod desk;
mod pools;
mod presumed;
mod store;

use std::{sync::Arc, time::Duration};

use keyward_api::limits::{MAX_PERMITS, PermitsReply, PermitsRequest, PermitsReturned, PermitsWanted};
use keyward_core::{
    KeyId,
    limits::{Ask, GiveBack},
};
use tokio::{task::JoinSet, time::interval};

use crate::{batch::Batch, clock::Clock, db::Db, error::Result, state::App};
use authority::{Errand, serve};
use pools::Pools;
use store::Known;
pub use store::Seen;

/// Batches of questions under way at a time: they are of different keys, so that their commits share writes to the disk.
const WORKERS: usize = 4;

/// How often it is looked what goes back.
const SETTLING: Duration = Duration::from_secs(1);
/// How often old answers are forgotten.
const FORGETTING: Duration = Duration::from_secs(60);
/// How long the end of a server waits until its permits are back.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What a running server holds of keys' limits.
pub struct Escrow {
    authority: Batch<Errand, PermitsReply>,
    /// The same for this server's own holder, for one key each.
    own: Batch<Errand, PermitsReply>,
    pools: Pools,
    clock: Clock,
}

impl Escrow {
    /// Of nothing yet, with the authority among the server's tasks.
    pub fn new(tasks: &mut JoinSet<()>, db: &Db, clock: &Clock) -> Arc<Self> {
        let (theirs, now) = (db.clone(), clock.clone());
        let authority = Batch::with("permits for edges", tasks, WORKERS, move |errands| {
            let (db, now) = (theirs.clone(), now.clone());
            async move { serve(&db, now.now(), errands).await }
        });
        let (ours, now) = (db.clone(), clock.clone());
        let own = Batch::one_by_one("permits", tasks, move |errands| {
            let (db, now) = (ours.clone(), now.clone());
            async move { presumed::serve(&db, now.now(), errands).await }
        });
        Arc::new(Self { authority, own, pools: Pools::default(), clock: clock.clone() })
    }

    /// What the authority answers to an edge, which may send the same again.
    ///
    /// # Errors
    /// As any write; then nothing is known of what was done.
    pub async fn answer(&self, request: PermitsRequest) -> Result<PermitsReply> {
        self.authority.ask(Errand { request, remember: true, seen: None }).await
    }

    /// Does for this server's holder what it wants of the authority. Never twice: what fails is lost until its window ends, and
    /// so no answer has to be remembered.
    async fn run(&self, key: KeyId, asks: Vec<Ask>, backs: Vec<GiveBack>, seen: Option<(Known, Seen)>) {
        let request = PermitsRequest {
            wanted: asks.iter().map(|ask| wanted(key, ask)).collect(),
            returned: returned(key, &backs).collect(),
            slots: Vec::new(),
        };
        let reply = self.own.ask(Errand { request, remember: false, seen }).await;
        if let Err(error) = &reply {
            tracing::debug!(%error, "no permits");
        }
        self.pools.returned(key, &backs);
        self.pools.answered(key, &asks, reply.ok().as_ref(), self.clock.now());
    }

    /// Gives back what isn't used, or all.
    async fn settle(&self, all: bool) -> Result<()> {
        let backs = self.pools.settle(self.clock.now(), all);
        for chunk in backs.chunks(MAX_PERMITS) {
            let returned = chunk.iter().flat_map(|(key, back)| returned(*key, std::slice::from_ref(back))).collect();
            let request = PermitsRequest { returned, ..PermitsRequest::default() };
            let done = self.authority.ask(Errand { request, remember: false, seen: None }).await;
            chunk.iter().for_each(|(key, back)| self.pools.returned(*key, std::slice::from_ref(back)));
            done?;
        }
        Ok(())
    }
}

fn wanted(key: KeyId, ask: &Ask) -> PermitsWanted {
    let Ask { id, meter, window, least, wanted } = *ask;
    PermitsWanted { id, key, meter, window, least, wanted }
}

fn returned(key: KeyId, backs: &[GiveBack]) -> impl Iterator<Item = PermitsReturned> {
    backs.iter().map(move |&GiveBack { id, meter, window, amount }| PermitsReturned { id, key, meter, window, amount })
}

/// Gives back what isn't used, and forgets old answers. Runs for ever.
pub async fn run(app: Arc<App>) {
    let mut ticks = interval(SETTLING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut forgotten = tokio::time::Instant::now();
    loop {
        ticks.tick().await;
        if app.recovery.is_required() {
            continue;
        }
        if let Err(error) = app.limits.settle(false).await {
            tracing::warn!(%error, "permits could not be given back, and are lost until their windows end");
        }
        if forgotten.elapsed() >= FORGETTING {
            forgotten = tokio::time::Instant::now();
            if let Err(error) = authority::forget(&app.db, app.clock.now()).await {
                tracing::warn!(%error, "can't forget what edges were answered");
            }
        }
    }
}

/// Gives back all that a server which ends still has.
pub async fn close(app: &App) {
    if app.recovery.is_required() {
        return;
    }
    if !matches!(tokio::time::timeout(LAST_WORDS, app.limits.settle(true)).await, Ok(Ok(()))) {
        tracing::warn!("permits were not given back, and are lost until their windows end");
    }
}
