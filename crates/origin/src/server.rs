//! A server from its parts: started, kept running, ended in order.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, anyhow};
use tokio::{net::TcpListener, task::JoinSet, time::interval};

pub use crate::http::Door;
use crate::{
    audit::{self, Audit},
    auth,
    batch::Batch,
    bootstrap::{bootstrap, write_root},
    clock::Clock,
    config::Config,
    connections,
    db::Db,
    decisions::{self, Decisions},
    failures::Failures,
    feed::{self, Feed, Followers},
    journal::Journal,
    keys::{idempotency, issue::store_keys, release::release, revoke::revoke_keys, sweep},
    limits::{self, Escrow},
    metrics::Metrics,
    policies::Policies,
    positions::Positions,
    recovery::Recovery,
    sealing::SealingKey,
    sessions::{self, Sessions},
    signing::{Issuer, Keyrings},
    state::App,
    tenants::{Tenants, ceilings::recount_all},
    tokens::{self, Tokens},
    usage::{self, Usage},
};

/// How often the manifest's age and old idempotency records are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(15 * 60);
/// How often the sweeper looks whether a key's time has come: a read of one index entry where none has.
const SWEEPING: Duration = Duration::from_secs(1);

/// A server that is ready but for its listener.
pub struct Server {
    app: Arc<App>,
    door: Arc<Door>,
    tasks: JoinSet<()>,
}

impl Server {
    /// Prepares the database and memory, and starts what runs beside the requests.
    ///
    /// # Errors
    /// Where the database can't be reached, the master key is wrong, or the data directory is another deployment's.
    pub async fn start(config: Config, database_url: &str, master: &SealingKey, clock: Clock) -> anyhow::Result<Server> {
        config.check()?;
        std::fs::create_dir_all(&config.data_dir).with_context(|| format!("can't make {}", config.data_dir.display()))?;
        let db = Db::open(database_url)?;
        db.migrate().await?;
        let foundation = bootstrap(&db, &config, master, &clock).await?;
        let mut journal = Journal::open(&config.data_dir, foundation.deployment, config.durable)?;
        let issuer = Issuer { ours: &config.issuer, instead_of: config.change_issuer_from.as_deref() };
        let keyrings = Keyrings::load(&db, Arc::clone(&foundation.data_key), issuer, &clock).await?;
        journal.append(keyrings.current().entry())?;
        write_root(&config.data_dir, &keyrings.current().root)?;
        let mut tasks = JoinSet::new();
        let (readers, writers, revokers) = (db.clone(), db.clone(), db.clone());
        let app = Arc::new(App {
            rows: Batch::one_by_one("rows of keys", &mut tasks, move |wanted| {
                let db = readers.clone();
                async move { auth::find(&db, &wanted).await }
            }),
            new_keys: Batch::one_by_one("new keys", &mut tasks, move |keys| {
                let db = writers.clone();
                async move { store_keys(&db, keys).await }
            }),
            revocations: Batch::one_by_one("revocations", &mut tasks, move |revocations| {
                let db = revokers.clone();
                async move { Ok(revoke_keys(&db, revocations).await) }
            }),
            positions: Positions::new(foundation.spread()),
            data_key: foundation.data_key,
            keyrings,
            tenants: Tenants::default(),
            policies: Policies::default(),
            tokens: Tokens::default(),
            sessions: Sessions::default(),
            feed: Feed::load(&db).await?,
            followers: Followers::default(),
            recovery: Recovery::default(),
            audit: Audit::default(),
            usage: Usage::new(&mut tasks, &db, &clock, config.usage_days),
            decisions: Decisions::new(&mut tasks, &db, &clock, config.decision_hours),
            limits: Escrow::new(&mut tasks, &db, &clock),
            failures: Failures::new(config.failures_per_minute),
            metrics: Metrics::default(),
            journal: Arc::new(Mutex::new(journal)),
            config,
            clock,
            db,
        });
        // Before anybody is served: a recovery while no server ran may have been made without this one's journal.
        match app.recovery.check_ended(&app).await {
            Err(error) if !app.recovery.is_required() => return Err(error.into()),
            _ => {}
        }
        tasks.spawn(feed::run(Arc::clone(&app)));
        tasks.spawn(feed::listen(Arc::clone(&app)));
        // What the database says has been held against the journal before anybody is served.
        if let Err(error) = app.feed.check(&app).await {
            tracing::warn!(error = %anyhow::Error::from(error), "starting all the same");
        }
        tasks.spawn(feed::keep_snapshots(Arc::clone(&app)));
        tasks.spawn(keep_house(Arc::clone(&app)));
        tasks.spawn(keep_sweeping(Arc::clone(&app)));
        tasks.spawn(audit::run(Arc::clone(&app)));
        tasks.spawn(usage::run(Arc::clone(&app)));
        tasks.spawn(limits::run(Arc::clone(&app)));
        Ok(Server { door: Arc::new(Door::new(Arc::clone(&app))), app, tasks })
    }

    /// What its parts share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// What answers its requests.
    pub fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Serves until `stop`, or until something ends that should run for as long as it serves; then ends in order.
    ///
    /// # Errors
    /// With what it had to end for: what `stop` says, or the task that ended.
    pub async fn serve(mut self, listener: TcpListener, stop: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
        let (app, mut why) = (Arc::clone(&self.app), Ok(()));
        let stop = async {
            why = first_end(&mut self.tasks, stop).await;
            match &why {
                Ok(()) => tracing::info!("ending"),
                // Half a server would go on answering, and publish nothing or write nothing down. Who watches over it starts it anew.
                Err(error) => tracing::error!(error = format!("{error:#}"), "ending"),
            }
            // Those who wait for news are told that there is none.
            app.feed.close();
        };
        if !connections::serve(listener, Arc::clone(&self.door), self.app.config.connections, stop).await {
            tracing::warn!("some requests were cut off");
        }
        // Nothing is added any more: what is signed now is the end of every trail.
        tokio::join!(audit::close(&self.app), usage::close(&self.app), limits::close(&self.app));
        self.tasks.shutdown().await;
        self.app.db.close().await;
        why
    }
}

/// What comes first: `stop`, or the end of a task, of which none should ever end.
async fn first_end(tasks: &mut JoinSet<()>, stop: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::select! {
        why = stop => why,
        Some(ended) = tasks.join_next() => Err(match ended {
            Ok(()) => anyhow!("a task of the server has ended"),
            Err(error) => anyhow!(error).context("a task of the server has ended"),
        }),
    }
}

async fn keep_house(app: Arc<App>) {
    let mut ticks = interval(HOUSEKEEPING);
    loop {
        ticks.tick().await;
        if app.recovery.is_required() {
            continue;
        }
        if let Err(error) = app.keyrings.renew(&app.db, app.clock.now()).await {
            tracing::error!(error = format!("{error:#}"), "can't renew the manifest");
        }
        if let Err(error) = recount_all(&app).await {
            tracing::warn!(error = %anyhow::Error::from(error), "can't count live keys anew");
        }
        if let Err(error) = idempotency::sweep(&app).await {
            tracing::warn!(error = %anyhow::Error::from(error), "can't forget old idempotency records");
        }
        if let Err(error) = tokens::sweep(&app).await {
            tracing::warn!(error = %anyhow::Error::from(error), "can't forget tokens that were taken back and have expired");
        }
        if let Err(error) = sessions::sweep(&app).await {
            tracing::warn!(error = %anyhow::Error::from(error), "can't forget sessions that have ended");
        }
        if let Err(error) = sweep::forget_events(&app).await {
            tracing::warn!(error = %anyhow::Error::from(error), "can't forget old events");
        }
        if let Err(error) = release(&app).await {
            tracing::warn!(error = %anyhow::Error::from(error), "can't release superseded policies");
        }
        if let Err(error) = usage::keep(&app).await {
            tracing::warn!(error = %anyhow::Error::from(error), "can't make or drop tables of usage");
        }
        if let Err(error) = decisions::keep(&app).await {
            tracing::warn!(error = %anyhow::Error::from(error), "can't make or drop tables of decisions");
        }
    }
}

async fn keep_sweeping(app: Arc<App>) {
    let mut ticks = interval(SWEEPING);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut healthy = true;
    loop {
        ticks.tick().await;
        if app.recovery.is_required() {
            continue;
        }
        let swept = sweep::sweep(&app).await;
        if let Err(error) = &swept
            && healthy
        {
            tracing::warn!(%error, "can't sweep; will try again");
        }
        healthy = swept.is_ok();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_ends_the_server_with_its_words() {
        let mut tasks = JoinSet::new();
        tasks.spawn(pending());
        first_end(&mut tasks, async { Ok(()) }).await.unwrap();
        tasks.spawn(async { panic!("a defect in the feed") });
        let why = first_end(&mut tasks, pending()).await.unwrap_err();
        assert!(format!("{why:#}").contains("a defect in the feed"), "{why:#}");
        tasks.spawn(async {});
        first_end(&mut tasks, pending()).await.unwrap_err();
    }
}
