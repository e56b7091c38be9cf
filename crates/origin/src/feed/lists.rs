//! Status lists: built from the database, for snapshots and for anyone who asks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context;
use futures_util::TryStreamExt;
use keyward_api::Code;
use keyward_core::{
    Role, Status, StatusIndex, StatusList, Timestamp,
    bounds::{SHARD_BITS, SHARD_LEN},
};
use keyward_issuer::status_list_claims;
use sqlx::PgConnection;

use crate::{
    error::{Error, Result},
    spread::Spread,
    state::App,
};

/// For how long a public list is served from memory, and may be cached by others.
const TTL_SECONDS: u64 = 5;
/// For how long a public list counts at all.
const LIFETIME_SECONDS: u64 = 24 * 3600;
const CACHE: usize = 16;

/// For how long it is believed that a shard isn't open.
const CLOSED_MS: u64 = 1000;

/// The public lists that were asked for lately.
#[derive(Default)]
pub struct StatusLists {
    kept: Mutex<Kept>,
    /// Held by who makes one: anybody may ask, and the connections are the feed's.
    making: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    lists: HashMap<u32, (Timestamp, Arc<str>)>,
    /// Which shards there were, and when.
    open: Option<(Timestamp, Vec<i64>)>,
}

impl StatusLists {
    /// Forgets all.
    pub fn reset(&self) {
        *self.kept() = Kept::default();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The list of a shard as a `statuslist+jwt`.
    ///
    /// # Errors
    /// `not_found` where the shard isn't open.
    pub async fn public(&self, app: &App, shard: u32) -> Result<Arc<str>> {
        if let Some(known) = self.kept().recall(shard, app.clock.now()) {
            return known;
        }
        let _one = self.making.lock().await;
        let now = app.clock.now();
        if let Some(known) = self.kept().recall(shard, now) {
            return known;
        }
        let mut connection = app.db.system().acquire().await?;
        let open = sqlx::query_scalar!("SELECT shard FROM shards ORDER BY shard").fetch_all(&mut *connection).await?;
        let is_open = open.contains(&i64::from(shard));
        self.kept().open = Some((now, open));
        if !is_open {
            return Err(Code::NotFound.into());
        }
        let list = build(&mut connection, app.positions.spread(), shard).await?;
        drop(connection);
        let signer = Arc::clone(app.keyrings.current().signer(Role::Feed)?);
        let issuer = app.config.issuer.clone();
        let jws: Arc<str> = tokio::task::spawn_blocking(move || {
            let mut claims = status_list_claims(&issuer, shard, &list, now.secs(), Some(TTL_SECONDS));
            claims.exp = Some(now.secs() + LIFETIME_SECONDS);
            signer.sign(&claims)
        })
        .await
        .map_err(Error::internal)?
        .map_err(Error::internal)?
        .into();
        let mut kept = self.kept();
        if kept.lists.len() >= CACHE {
            kept.lists.clear();
        }
        kept.lists.insert(shard, (now, Arc::clone(&jws)));
        Ok(jws)
    }
}

impl Kept {
    /// What is known without asking the database.
    fn recall(&self, shard: u32, now: Timestamp) -> Option<Result<Arc<str>>> {
        if let Some((made, jws)) = self.lists.get(&shard)
            && now.since(*made) < TTL_SECONDS * 1000
        {
            return Some(Ok(Arc::clone(jws)));
        }
        let (seen, open) = self.open.as_ref()?;
        (now.since(*seen) < CLOSED_MS && !open.contains(&i64::from(shard))).then(|| Err(Code::NotFound.into()))
    }
}

/// The list of a shard as the connection's transaction sees it.
///
/// # Errors
/// As any read.
pub async fn build(connection: &mut PgConnection, spread: &Spread, shard: u32) -> Result<StatusList> {
    let mut list = StatusList::new(2, SHARD_LEN).map_err(Error::internal)?;
    let (first, last) = (i64::from(shard) << SHARD_BITS, ((i64::from(shard) + 1) << SHARD_BITS) - 1);
    let mut set = |index: StatusIndex, status: u8| list.set(index.offset(), status).then_some(()).context("a status outside of its shard");
    let ranges = sqlx::query!(
        r#"SELECT greatest(first_position, $1) AS "first!", least(last_position, $2) AS "last!"
           FROM invalid_ranges WHERE first_position <= $2 AND last_position >= $1"#,
        first,
        last
    )
    .fetch_all(&mut *connection)
    .await?;
    for range in ranges {
        for position in range.first..=range.last {
            set(spread.index(u32::try_from(position).map_err(Error::internal)?), Status::Invalid.value())?;
        }
    }
    let mut marked =
        sqlx::query!("SELECT index, status FROM credentials WHERE status <> 0 AND index BETWEEN $1 AND $2", first, last).fetch(connection);
    while let Some(row) = marked.try_next().await? {
        set(StatusIndex(u32::try_from(row.index).map_err(Error::internal)?), u8::try_from(row.status).map_err(Error::internal)?)?;
    }
    drop(marked);
    Ok(list)
}
