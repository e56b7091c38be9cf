//! The sweeper: writes down what time has done to keys, and tells of it.
//!
//! No decision waits for it, since those are made by the time itself. It brings indexes up to date (which keys have
//! lapsed), so that lists stay fast and what is over can be cleared away; and it writes events. One server at a time
//! sweeps, by a lock of the transaction's; whatever is swept twice is as after once.

use keyward_api::events::EventKind;
use keyward_core::Timestamp;
use sqlx::types::{Uuid, time::OffsetDateTime};
use time::Duration;

use crate::{clock::datetime, db::begin, error::Result, state::App};

/// Keys in one transaction.
const CHUNK: i64 = 500;
/// How long before its expiry a key is announced to be expiring.
const LEAD: Duration = Duration::days(7);
/// How long events are kept.
const KEPT: Duration = Duration::days(30);

/// A key that is to be looked at.
struct Waiting {
    id: Uuid,
    tenant: Uuid,
    owner: String,
    name: String,
    state: String,
    expires_at: Option<OffsetDateTime>,
    rotation_due: Option<OffsetDateTime>,
}

impl Waiting {
    /// The moments at which something is to be told of it. Nothing happens to a revoked key any more.
    fn moments(&self) -> Vec<(OffsetDateTime, EventKind, OffsetDateTime)> {
        if self.state == "revoked" { Vec::new() } else { moments(self.expires_at, self.rotation_due) }
    }

    /// What is to be told by now. Of what has expired it is too late to say that it will.
    fn told(&self, now: OffsetDateTime) -> impl Iterator<Item = (EventKind, OffsetDateTime)> {
        let due = self.moments().into_iter().filter(move |(when, kind, at)| *when <= now && !(*kind == EventKind::Expiring && *at <= now));
        due.map(|(_, kind, at)| (kind, at))
    }

    /// When to look at it again.
    fn wake(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.moments().into_iter().map(|(when, ..)| when).filter(|when| *when > now).min()
    }

    fn lapsed(&self, now: OffsetDateTime) -> bool {
        self.state == "active" && self.expires_at.is_some_and(|at| at <= now)
    }
}

/// The moments at which something is to be told of a live key: when, what, and about which moment.
fn moments(expires_at: Option<OffsetDateTime>, rotation_due: Option<OffsetDateTime>) -> Vec<(OffsetDateTime, EventKind, OffsetDateTime)> {
    let expiry = expires_at.into_iter().flat_map(|at| [(at - LEAD, EventKind::Expiring, at), (at, EventKind::Expired, at)]);
    expiry.chain(rotation_due.map(|at| (at, EventKind::RotationDue, at))).collect()
}

/// When to look at a new key first; `None`: never.
pub fn first_look(
    created: OffsetDateTime,
    expires_at: Option<OffsetDateTime>,
    rotation_period_days: Option<i32>,
) -> Option<OffsetDateTime> {
    let rotation_due = rotation_period_days.map(|days| created + Duration::days(days.into()));
    moments(expires_at, rotation_due).into_iter().map(|(when, ..)| when).min()
}

/// Sweeps what is due, a chunk at a time; at once done where another server is at it.
///
/// # Errors
/// As any write.
pub async fn sweep(app: &App) -> Result<()> {
    while chunk(app, app.clock.now()).await? == usize::try_from(CHUNK).unwrap_or(usize::MAX) {}
    Ok(())
}

/// How many keys there were, [`CHUNK`] at most.
async fn chunk(app: &App, now: Timestamp) -> Result<usize> {
    let now = datetime(now);
    let mut tx = begin(app.db.system(), "BEGIN").await?;
    let alone = sqlx::query_scalar!(r#"SELECT pg_try_advisory_xact_lock(hashtext('keyward sweeper')) AS "alone!""#);
    if !alone.fetch_one(&mut *tx).await? {
        return Ok(0);
    }
    // What somebody is changing just now is left for the next time.
    let waiting = sqlx::query_as!(
        Waiting,
        "SELECT id, tenant, owner, name, state, expires_at,
                CASE WHEN last_rotated IS NULL THEN created_at ELSE last_rotated END + make_interval(days => rotation_period_days)
                    AS rotation_due
         FROM api_keys WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        now,
        CHUNK,
    )
    .fetch_all(&mut *tx)
    .await?;
    if waiting.is_empty() {
        return Ok(0);
    }
    sqlx::query!(
        "UPDATE api_keys k SET lapsed = swept.lapsed, wake_at = swept.wake_at
         FROM unnest($1::uuid[], $2::bool[], $3::timestamptz[]) AS swept (id, lapsed, wake_at) WHERE k.id = swept.id",
        &waiting.iter().map(|key| key.id).collect::<Vec<_>>(),
        &waiting.iter().map(|key| key.lapsed(now)).collect::<Vec<_>>(),
        &waiting.iter().map(|key| key.wake(now)).collect::<Vec<_>>() as _,
    )
    .execute(&mut *tx)
    .await?;
    let mut told: Vec<_> = waiting.iter().flat_map(|key| key.told(now).map(move |(kind, at)| (key, kind, at))).collect();
    told.sort_by_key(|(key, _, at)| (*at, key.id));
    sqlx::query!(
        "INSERT INTO events (tenant, api_key, owner, name, kind, due_at, created_at)
         SELECT tenant, api_key, owner, name, kind, due_at, $7
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
              WITH ORDINALITY AS told (tenant, api_key, owner, name, kind, due_at, nth)
         ORDER BY nth
         ON CONFLICT ON CONSTRAINT events_once DO NOTHING",
        &told.iter().map(|(key, ..)| key.tenant).collect::<Vec<_>>(),
        &told.iter().map(|(key, ..)| key.id).collect::<Vec<_>>(),
        &told.iter().map(|(key, ..)| key.owner.clone()).collect::<Vec<_>>(),
        &told.iter().map(|(key, ..)| key.name.clone()).collect::<Vec<_>>(),
        &told.iter().map(|(_, kind, _)| kind.as_str().to_owned()).collect::<Vec<_>>(),
        &told.iter().map(|(_, _, at)| *at).collect::<Vec<_>>(),
        now,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(waiting.len())
}

/// Forgets events that are older than they are kept.
///
/// # Errors
/// As any write.
pub async fn forget_events(app: &App) -> Result<()> {
    let before = datetime(app.clock.now()) - KEPT;
    sqlx::query!("DELETE FROM events WHERE created_at < $1", before).execute(app.db.system()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_looked_at_when_something_is_to_be_told_and_never_again_after_the_last() {
        let at = |days: i64| OffsetDateTime::UNIX_EPOCH + Duration::days(days);
        let key = |state: &str, expires: Option<i64>, rotation: Option<i64>| Waiting {
            id: Uuid::nil(),
            tenant: Uuid::nil(),
            owner: String::new(),
            name: String::new(),
            state: state.to_owned(),
            expires_at: expires.map(at),
            rotation_due: rotation.map(at),
        };
        let told = |key: &Waiting, day: i64| key.told(at(day)).map(|(kind, _)| kind).collect::<Vec<_>>();
        let both = key("active", Some(100), Some(95));
        assert_eq!((told(&both, 92), both.wake(at(92))), (vec![], Some(at(93))));
        assert_eq!((told(&both, 93), both.wake(at(93))), (vec![EventKind::Expiring], Some(at(95))));
        assert_eq!((told(&both, 100), both.wake(at(100))), (vec![EventKind::Expired, EventKind::RotationDue], None));
        assert!(!both.lapsed(at(99)) && both.lapsed(at(100)));
        assert_eq!((told(&key("revoked", Some(1), Some(1)), 9), key("active", None, None).wake(at(0))), (vec![], None));
    }
}
