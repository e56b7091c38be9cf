//! The task that reads the log and publishes it.

use std::{sync::Arc, time::Duration};

use keyward_api::Code;
use keyward_core::{Position, Status, StatusIndex, Timestamp};
use sqlx::{postgres::PgListener, types::Json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{CHANNEL, Change, Reading, position};
use crate::{
    bootstrap::write_root,
    db::again,
    error::{Error, Result},
    journal::Entry,
    state::App,
    tokens,
};

/// At most ten publications a second; the first after a pause goes out at once.
const INTERVAL: Duration = Duration::from_millis(100);
/// The log is read this often without being asked to: a notification may be lost with its connection.
const IDLE: Duration = Duration::from_secs(1);
/// A reading that takes longer is given up, with its connection: the database may have fallen silent.
const LONGEST_READ: Duration = Duration::from_secs(10);
/// Changes read at a time.
const PAGE: i64 = 5_000;
const RECONNECT: Duration = Duration::from_millis(250);

/// Wakes the feed whenever any server on the database commits a change, and forgets tokens that another has taken back.
/// Runs for ever.
pub async fn listen(app: Arc<App>) {
    loop {
        let heard = async {
            let mut listener = PgListener::connect_with(app.db.system()).await?;
            listener.listen_all([CHANNEL, tokens::CHANNEL]).await?;
            loop {
                // `None` is a connection that was lost and made anew: something may have been missed.
                match listener.try_recv().await? {
                    Some(heard) if heard.channel() == tokens::CHANNEL => {
                        if let Ok(index) = heard.payload().parse() {
                            app.tokens.forget(StatusIndex(index));
                        }
                    }
                    _ => app.feed.wake(),
                }
            }
        };
        let ended: sqlx::Result<()> = heard.await;
        if let Err(error) = ended {
            tracing::debug!(%error, "the listener lost its connection");
        }
        app.feed.wake();
        sleep(RECONNECT).await;
    }
}

/// Reads and publishes. Runs for ever.
pub async fn run(app: Arc<App>) {
    let mut healthy = true;
    let mut earliest = Instant::now();
    loop {
        // The timeout is the idle interval passing, not an error.
        let _ = timeout(IDLE, app.feed.wake.notified()).await;
        sleep_until(earliest).await;
        let began = Instant::now();
        let read = timeout(LONGEST_READ, read(&app)).await.unwrap_or_else(|_| Err(Code::DatabaseUnavailable.into()));
        match read {
            Ok(published) => {
                if published {
                    earliest = began + INTERVAL;
                }
                if !healthy {
                    tracing::info!("the feed can read the database again");
                }
                healthy = true;
            }
            Err(error) => {
                if healthy {
                    tracing::error!(error = %anyhow::Error::from(error), "the feed can't read the database");
                }
                healthy = false;
                app.feed.reading.send_modify(|reading| {
                    reading.success = false;
                    reading.count += 1;
                });
            }
        }
    }
}

/// Brings memory up to what the database says; whether there was something new.
async fn read(app: &App) -> Result<bool> {
    let (at, began) = (app.clock.now(), std::time::Instant::now());
    let state = again!(
        sqlx::query!(r#"SELECT epoch, seq, recovery, (SELECT max(version) FROM manifests) AS "manifest!" FROM feed_state"#)
            .fetch_one(app.db.system())
    )?;
    let ours = position(state.epoch, state.seq);
    let manifest = u64::try_from(state.manifest).map_err(Error::internal)?;
    if let Some(reason) = &state.recovery {
        app.recovery.stop(reason);
    } else {
        notice_recovery(app, ours).await?;
        notice_going_back(app, ours, manifest).await?;
    }
    if app.recovery.is_required() {
        app.feed.known.clear();
        app.feed.reading.send_modify(|reading| *reading = Reading { at, success: true, count: reading.count + 1, ..*reading });
        return Ok(false);
    }
    let known = app.feed.position();
    if manifest != app.keyrings.current().keys.manifest().version {
        take_over_keys(app, at).await?;
    }
    let changes = read_changes(app, known, ours).await?;
    let published = !changes.is_empty();
    // Also without changes where the journal is behind: after a recovery by another server.
    if published || app.remembered(|memory| memory.feed) != ours {
        app.journal(entry(ours, &changes)).await?;
    }
    let end = {
        let mut log = app.feed.log();
        if changes.first().is_some_and(|(seq, _)| *seq != known.seq + 1) || changes.is_empty() && ours.seq > known.seq {
            // The log was trimmed past where we stood: whoever follows takes a snapshot.
            log.reset(ours);
            app.feed.known.clear();
        } else {
            changes.iter().for_each(|(_, change)| app.feed.known.forget(change));
            log.push(changes);
        }
        log.position()
    };
    app.feed.known.confirm(began);
    app.feed.reading.send_modify(|reading| *reading = Reading { at, success: true, count: reading.count + 1, position: end, manifest });
    if published {
        app.feed.snapshots.changed();
    }
    Ok(published)
}

/// Takes over another manifest. What was signed under the last one may be by a key that counts no more.
async fn take_over_keys(app: &App, at: Timestamp) -> Result<()> {
    let root = app.keyrings.current().root.clone();
    let keyring = app.keyrings.read(&app.db, at).await?;
    app.journal(keyring.entry()).await?;
    app.keyrings.install(keyring);
    let keyring = app.keyrings.current();
    if keyring.root != root
        && let Err(error) = write_root(&app.config.data_dir, &keyring.root)
    {
        tracing::warn!(%error, "can't write the new root's public key");
    }
    app.policies.reset();
    app.feed.lists.reset();
    app.feed.log().forget_signatures();
    app.feed.snapshots.reset();
    Ok(())
}

/// Takes over a new epoch: somebody has run `keyward recover`.
async fn notice_recovery(app: &App, ours: Position) -> Result<()> {
    if ours.epoch <= app.feed.position().epoch {
        return Ok(());
    }
    // Somebody, and perhaps without what this server's journal knows.
    app.recovery.check_ended(app).await?;
    let now = app.clock.now();
    let keyring = app.keyrings.read(&app.db, now).await?;
    app.journal(Entry { feed: Some((ours.epoch, ours.seq)), ..keyring.entry() }).await?;
    app.keyrings.install(keyring);
    app.positions.reset();
    app.policies.reset();
    app.audit.signed.reset();
    app.feed.known.clear();
    app.feed.lists.reset();
    app.feed.snapshots.reset();
    app.feed.log().reset(ours);
    app.recovery.resume();
    tracing::info!(epoch = ours.epoch, seq = ours.seq, "a new epoch begins");
    Ok(())
}

async fn notice_going_back(app: &App, ours: Position, manifest: u64) -> Result<()> {
    let (feed, version) = app.remembered(|memory| (memory.feed, memory.manifest));
    let feed = feed.max(app.feed.position());
    let stopped = match app.recovery.check_seen(app, feed, ours).await {
        Ok(()) => app.recovery.check_manifest(app, version, manifest).await,
        Err(error) => Err(error),
    };
    // Standing still is not a failure to read.
    match stopped {
        Err(error) if !app.recovery.is_required() => Err(error),
        _ => Ok(()),
    }
}

/// The changes after `known` up to `ours`, all of them committed: sequence numbers are in the order of commits.
async fn read_changes(app: &App, known: Position, ours: Position) -> Result<Vec<(u64, Change)>> {
    let mut changes: Vec<(u64, Change)> = Vec::new();
    let mut after = known.seq;
    while after < ours.seq {
        let page = sqlx::query!(
            r#"SELECT seq, change AS "change: Json<Change>" FROM feed_log
               WHERE epoch = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"#,
            i64::from(ours.epoch),
            i64::try_from(after).map_err(Error::internal)?,
            i64::try_from(ours.seq).map_err(Error::internal)?,
            PAGE,
        )
        .fetch_all(app.db.system())
        .await?;
        let Some(last) = page.last() else { break };
        after = u64::try_from(last.seq).map_err(Error::internal)?;
        changes.extend(page.into_iter().map(|row| (row.seq.try_into().unwrap_or(0), row.change.0)));
    }
    Ok(changes)
}

/// What must be on the disk before these changes are published.
fn entry(ours: Position, changes: &[(u64, Change)]) -> Entry {
    let statuses = changes.iter().flat_map(|(_, change)| &change.changes);
    let invalid = statuses.filter(|(_, status)| *status == Status::Invalid).map(|(StatusIndex(index), _)| *index);
    Entry {
        feed: Some((ours.epoch, ours.seq)),
        policy: changes.iter().flat_map(|(_, change)| &change.policies).map(|policy| policy.0).max(),
        invalid: invalid.collect(),
        ..Entry::default()
    }
}
