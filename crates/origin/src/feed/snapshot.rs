//! Snapshots: the whole state at one sequence number, as digests of parts, stored so that every server gives the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use keyward_api::Code;
use keyward_core::{
    Amendment, Digest, PageRef, PolicyNumber, Position, Role, ShardRef, Snapshot, SnapshotReply, StatusIndex, bounds::MAX_AMENDMENT_PAGE,
};
use keyward_issuer::{SigningKey, amendment_page, status_list_claims};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};
use tokio::{sync::Notify, time::timeout};

use super::{Change, lists, position};
use crate::{
    clock::{datetime, expiry_seconds},
    db::{again, begin},
    error::{Error, Result},
    policies::policy_number,
    signing::Keyring,
    state::App,
};

/// A snapshot with this many changes after it gives way to a new one.
const MAX_BEHIND: u64 = 1_000;
/// How often it is looked at apart from changes.
const IDLE: Duration = Duration::from_secs(60);

/// The newest snapshot, and the word that there may have to be another.
#[derive(Default)]
pub struct Snapshots {
    newest: Mutex<Option<Newest>>,
    changed: Notify,
    building: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Newest {
    position: Position,
    maker: Maker,
    jws: Arc<str>,
}

/// Who has signed a snapshot and its parts, and for whom: an edge refuses those of another.
#[derive(Clone, PartialEq)]
struct Maker {
    kid: String,
    issuer: String,
}

impl Maker {
    /// As the manifest in force has it. The configuration's issuer is the same, but for a server that a manifest signed
    /// elsewhere has left behind.
    fn of(keyring: &Keyring) -> Result<Self> {
        Ok(Self { kid: keyring.signer(Role::Feed)?.kid().to_string(), issuer: keyring.keys.manifest().iss.clone() })
    }
}

/// What a stored snapshot consists of, to build the next one on.
#[derive(Debug, Serialize, Deserialize)]
struct Parts {
    /// Absent in what was stored by versions before it: then they are made again.
    #[serde(default)]
    issuer: String,
    shards: Vec<ShardRef>,
    amendments: Vec<PageRef>,
}

impl Snapshots {
    /// Forgets what is in memory.
    pub fn reset(&self) {
        *self.newest() = None;
        self.changed();
    }

    /// Says that there are changes.
    pub fn changed(&self) {
        self.changed.notify_one();
    }

    /// The newest snapshot with what goes with it.
    ///
    /// # Errors
    /// As any read.
    pub async fn reply(&self, app: &App) -> Result<SnapshotReply> {
        let epoch = app.feed.position().epoch;
        let maker = Maker::of(&app.keyrings.current())?;
        let known = self
            .newest()
            .as_ref()
            .filter(|newest| newest.position.epoch == epoch && newest.maker == maker)
            .map(|newest| Arc::clone(&newest.jws));
        let snapshot = match known {
            Some(jws) => jws,
            None => build(app).await?.jws,
        };
        Ok(SnapshotReply {
            snapshot: snapshot.to_string(),
            heartbeat: app.feed.heartbeat(app).await?,
            manifest: app.keyrings.current().manifest.to_string(),
        })
    }

    /// The part of some snapshot with that digest.
    ///
    /// # Errors
    /// `not_found` where there is none (any more).
    pub async fn part(&self, app: &App, digest: &Digest) -> Result<String> {
        again!(
            sqlx::query_scalar!("SELECT body FROM snapshot_parts WHERE digest = $1", &digest.as_bytes()[..])
                .fetch_optional(app.db.system())
        )?
        .ok_or(Code::NotFound.into())
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, Option<Newest>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Builds a snapshot whenever the last one has fallen behind. Runs for ever.
pub async fn keep_snapshots(app: Arc<App>) {
    loop {
        if !app.recovery.is_required()
            && let Err(error) = refresh(&app).await
        {
            tracing::warn!(error = %anyhow::Error::from(error), "can't build a snapshot; will try again");
        }
        // The timeout is the idle interval passing, not an error.
        let _ = timeout(IDLE, app.feed.snapshots.changed.notified()).await;
    }
}

async fn refresh(app: &App) -> Result<()> {
    let position = app.feed.position();
    let maker = Maker::of(&app.keyrings.current())?;
    let current = app.feed.snapshots.newest().as_ref().is_some_and(|newest| {
        newest.maker == maker && newest.position.epoch == position.epoch && position.seq.saturating_sub(newest.position.seq) < MAX_BEHIND
    });
    if !current {
        build(app).await?;
    }
    Ok(())
}

/// The newest snapshot that is fit for use, built if there is none.
async fn build(app: &App) -> Result<Newest> {
    let _one = app.feed.snapshots.building.lock().await;
    let (signer, maker) = {
        let keyring = app.keyrings.current();
        (Arc::clone(keyring.signer(Role::Feed)?), Maker::of(&keyring)?)
    };
    let mut tx = begin(app.db.system(), "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let state = sqlx::query!("SELECT epoch, seq FROM feed_state").fetch_one(&mut *tx).await?;
    let now = position(state.epoch, state.seq);
    let old = stored(&mut tx, now.epoch, &maker).await?;
    if let Some((newest, _)) = &old
        && now.seq.saturating_sub(newest.position.seq) < MAX_BEHIND
    {
        let newest = newest.clone();
        *app.feed.snapshots.newest() = Some(newest.clone());
        return Ok(newest);
    }
    let mut bodies = BTreeMap::new();
    let shards = build_shards(app, &mut tx, (&signer, &maker.issuer), now, old.as_ref(), &mut bodies).await?;
    let amendments = build_pages(&mut tx, &mut bodies).await?;
    let supersessions = supersessions(&mut tx).await?;
    tx.commit().await?;

    let iat_ms = app.clock.now().millis();
    let parts = Parts { issuer: maker.issuer.clone(), shards: shards.clone(), amendments: amendments.clone() };
    let snapshot = Snapshot { epoch: now.epoch, seq: now.seq, iat_ms, shards, amendments, supersessions };
    let jws = signer.sign(&snapshot).map_err(Error::internal)?;
    app.metrics.signed.count("snapshot");
    let newest = Newest { position: now, maker, jws: jws.into() };
    store(app, &newest, &parts, bodies).await?;
    *app.feed.snapshots.newest() = Some(newest.clone());
    tracing::info!(epoch = now.epoch, seq = now.seq, shards = parts.shards.len(), pages = parts.amendments.len(), "built a snapshot");
    Ok(newest)
}

async fn stored(tx: &mut PgConnection, epoch: u32, maker: &Maker) -> Result<Option<(Newest, Parts)>> {
    let row = sqlx::query!(
        r#"SELECT epoch, seq, jws, parts AS "parts: Json<Parts>" FROM snapshots
           WHERE epoch = $1 AND kid = $2 AND parts->>'issuer' = $3 ORDER BY seq DESC LIMIT 1"#,
        i64::from(epoch),
        maker.kid,
        maker.issuer,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| (Newest { position: position(row.epoch, row.seq), maker: maker.clone(), jws: row.jws.into() }, row.parts.0)))
}

/// Builds the shards that changed since the last snapshot; the others keep their digests.
async fn build_shards(
    app: &App,
    tx: &mut PgConnection,
    (signer, issuer): (&Arc<SigningKey>, &str),
    now: Position,
    old: Option<&(Newest, Parts)>,
    bodies: &mut BTreeMap<Digest, String>,
) -> Result<Vec<ShardRef>> {
    let mut digests: BTreeMap<u32, Digest> = BTreeMap::new();
    let mut touched = BTreeSet::new();
    if let Some((newest, parts)) = old {
        digests.extend(parts.shards.iter().copied());
        let changes = sqlx::query_scalar!(
            r#"SELECT change AS "change: Json<Change>" FROM feed_log WHERE epoch = $1 AND seq > $2 AND seq <= $3"#,
            i64::from(now.epoch),
            i64::try_from(newest.position.seq).map_err(Error::internal)?,
            i64::try_from(now.seq).map_err(Error::internal)?,
        )
        .fetch_all(&mut *tx)
        .await?;
        touched.extend(changes.iter().flat_map(|change| &change.0.changes).map(|(index, _)| index.shard()));
    }
    let open = sqlx::query_scalar!("SELECT shard FROM shards ORDER BY shard").fetch_all(&mut *tx).await?;
    for shard in open {
        let shard = u32::try_from(shard).map_err(Error::internal)?;
        if digests.contains_key(&shard) && !touched.contains(&shard) {
            continue;
        }
        let list = lists::build(tx, app.positions.spread(), shard).await?;
        let (issuer, signer, iat) = (issuer.to_owned(), Arc::clone(signer), app.clock.now().secs());
        // Compressing takes milliseconds: not on a thread that serves.
        let jws = tokio::task::spawn_blocking(move || signer.sign(&status_list_claims(&issuer, shard, &list, iat, None)))
            .await
            .map_err(Error::internal)?
            .map_err(Error::internal)?;
        let digest = Digest::of(&jws);
        bodies.insert(digest, jws);
        digests.insert(shard, digest);
    }
    Ok(digests.into_iter().collect())
}

/// All amendments that could count again: also those that a suspension hides, not those of revoked keys.
async fn build_pages(tx: &mut PgConnection, bodies: &mut BTreeMap<Digest, String>) -> Result<Vec<PageRef>> {
    let mut pages = Vec::new();
    let mut after = -1;
    loop {
        let rows = sqlx::query!(
            r#"SELECT index, amended_policy AS "policy!", amended_expires FROM credentials
               WHERE status IN (2, 3) AND amended_policy IS NOT NULL AND index > $1 ORDER BY index LIMIT $2"#,
            after,
            i64::try_from(MAX_AMENDMENT_PAGE).map_err(Error::internal)?,
        )
        .fetch_all(&mut *tx)
        .await?;
        let Some(last) = rows.last() else { return Ok(pages) };
        after = last.index;
        let mut amendments = Vec::with_capacity(rows.len());
        for row in rows {
            let index = StatusIndex(u32::try_from(row.index).map_err(Error::internal)?);
            amendments.push(Amendment { index, policy: policy_number(row.policy), expires: expiry_seconds(row.amended_expires) });
        }
        let Some(first) = amendments.first().map(|amendment| amendment.index) else { return Ok(pages) };
        let body = amendment_page(amendments);
        let digest = Digest::of(&body);
        bodies.insert(digest, body);
        pages.push((first, digest));
    }
}

async fn supersessions(tx: &mut PgConnection) -> Result<Vec<(PolicyNumber, PolicyNumber)>> {
    let rows = sqlx::query!(
        r#"SELECT number, superseded_by AS "by!" FROM policies WHERE superseded_by IS NOT NULL AND released_at IS NULL ORDER BY number"#
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (policy_number(row.number), policy_number(row.by))).collect())
}

/// Stores a snapshot, and drops what only older ones than the last two needed.
async fn store(app: &App, newest: &Newest, parts: &Parts, bodies: BTreeMap<Digest, String>) -> Result<()> {
    let now = datetime(app.clock.now());
    let mut tx = begin(app.db.system(), "BEGIN").await?;
    for (digest, body) in bodies {
        // A part that is there already is as good as new: it mustn't be dropped as old.
        sqlx::query!(
            "INSERT INTO snapshot_parts (digest, body, created_at) VALUES ($1, $2, $3) ON CONFLICT (digest) DO UPDATE SET created_at = $3",
            &digest.as_bytes()[..],
            body,
            now,
        )
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query!(
        "INSERT INTO snapshots (epoch, seq, jws, kid, parts, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (epoch, seq) DO UPDATE SET jws = $3, kid = $4, parts = $5",
        i64::from(newest.position.epoch),
        i64::try_from(newest.position.seq).map_err(Error::internal)?,
        &*newest.jws,
        newest.maker.kid,
        Json(parts) as _,
        now,
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "DELETE FROM snapshots WHERE (epoch, seq) NOT IN (SELECT epoch, seq FROM snapshots ORDER BY epoch DESC, seq DESC LIMIT 2)"
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!("DELETE FROM feed_log WHERE (epoch, seq) <= (SELECT epoch, seq FROM snapshots ORDER BY epoch, seq LIMIT 1)")
        .execute(&mut *tx)
        .await?;
    let kept = sqlx::query_scalar!(r#"SELECT parts AS "parts: Json<Parts>" FROM snapshots"#).fetch_all(&mut *tx).await?;
    let kept: Vec<Vec<u8>> = kept
        .iter()
        .flat_map(|parts| parts.0.shards.iter().map(|(_, digest)| digest).chain(parts.0.amendments.iter().map(|(_, digest)| digest)))
        .map(|digest| digest.as_bytes().to_vec())
        .collect();
    sqlx::query!("DELETE FROM snapshot_parts WHERE NOT digest = ANY($1)", &kept).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(())
}
