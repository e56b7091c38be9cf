//! What happens without changing anything, counted in memory and written now and again.
//!
//! A denied call must not cost a write: whoever has a genuine key could fill the database with them. Nor must a token, which is made
//! from memory, nor a reading of the trail beyond some an hour. Equal deeds of one caller become one record with a count, and of what
//! differs a bounded number is kept apart; the rest is one number for each tenant. Only those who proved to hold a genuine key are
//! here; all others are in the metrics alone.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keyward_core::{KeyId, TenantId, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::event::{Action, Actor, Event, Members, members};
use crate::{
    clock::{datetime, rfc3339},
    error::{Error, Result},
    state::App,
};

/// Different deeds of one caller that are kept apart until the next flush.
const PER_CALLER: usize = 8;
/// Different deeds in one tenant that are kept apart until the next flush.
const PER_TENANT: usize = 64;

/// A kind of denial.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Denial {
    /// Why.
    pub code: &'static str,
    /// What was called.
    pub method: &'static str,
    /// A pattern, and no path: what a client makes up stays out.
    pub route: String,
}

/// Tokens of a kind.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Issue {
    /// Whose they are.
    pub key: KeyId,
    /// By which way they were asked for.
    pub grant: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Deed {
    Denied(Denial),
    Issued(Issue),
    /// By this query.
    Read(Option<String>),
}

/// Equal deeds of one caller.
#[derive(Clone)]
struct Noted {
    /// As the first one came.
    actor: Arc<Actor>,
    count: u64,
    first: Timestamp,
    last: Timestamp,
    /// The last token.
    jti: Option<Uuid>,
}

#[derive(Clone, Default)]
struct Pending {
    kinds: HashMap<(Uuid, Deed), Noted>,
    /// Beyond what is kept apart: denials, tokens, and readings.
    others: [u64; 3],
    since: Timestamp,
}

/// What was noted and isn't written yet, by tenant.
#[derive(Default)]
pub struct Tally(Mutex<BTreeMap<TenantId, Pending>>);

impl Tally {
    /// Notes a denial.
    pub fn deny(&self, actor: &Arc<Actor>, denial: Denial, now: Timestamp) {
        self.note(actor.who.tenant, actor, Deed::Denied(denial), None, now);
    }

    /// Notes that a token was made.
    pub fn issue(&self, actor: &Arc<Actor>, issue: Issue, jti: Uuid, now: Timestamp) {
        self.note(actor.who.tenant, actor, Deed::Issued(issue), Some(jti), now);
    }

    /// Notes that a tenant's trail was read, by this query.
    pub fn read(&self, tenant: TenantId, actor: &Arc<Actor>, query: Option<&str>, now: Timestamp) {
        self.note(tenant, actor, Deed::Read(query.map(str::to_owned)), None, now);
    }

    fn note(&self, tenant: TenantId, actor: &Arc<Actor>, deed: Deed, jti: Option<Uuid>, now: Timestamp) {
        let noted = Noted { actor: Arc::clone(actor), count: 1, first: now, last: now, jti };
        self.lock().entry(tenant).or_default().add(deed, noted);
    }

    /// Writes all that was noted.
    pub async fn flush(&self, app: &App) {
        let tenants: Vec<_> = self.lock().keys().copied().collect();
        for tenant in tenants {
            if let Err(error) = self.write(app, tenant).await {
                tracing::warn!(%tenant, error = %anyhow::Error::from(error), "can't record denials and tokens, and will try again");
            }
        }
    }

    /// Writes what was noted in a tenant. For requests: also where nobody waits for it any more, it is written or stays noted.
    ///
    /// # Errors
    /// As any write; then it stays noted.
    pub async fn flush_tenant(app: &Arc<App>, tenant: TenantId) -> Result<()> {
        let app = Arc::clone(app);
        tokio::spawn(async move { app.audit.tally.write(&app, tenant).await }).await.map_err(Error::internal)?
    }

    /// What it holds meanwhile is nowhere else: not to be dropped before its end.
    async fn write(&self, app: &App, tenant: TenantId) -> Result<()> {
        let Some(pending) = self.lock().remove(&tenant) else { return Ok(()) };
        let written = write(app, tenant, &pending).await;
        if written.is_err() {
            let mut all = self.lock();
            let again = all.entry(tenant).or_default();
            for ((_, deed), noted) in pending.kinds {
                again.add(deed, noted);
            }
            for (others, more) in again.others.iter_mut().zip(pending.others) {
                *others += more;
            }
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantId, Pending>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn add(&mut self, deed: Deed, noted: Noted) {
        let caller = noted.actor.who.key.0;
        if self.kinds.is_empty() && self.others == [0; 3] {
            self.since = noted.first;
        }
        let other = match deed {
            Deed::Denied(_) => 0,
            Deed::Issued(_) => 1,
            Deed::Read(_) => 2,
        };
        let kind = (caller, deed);
        if let Some(known) = self.kinds.get_mut(&kind) {
            known.count += noted.count;
            known.last = known.last.max(noted.last);
            known.jti = noted.jti.or(known.jti);
        } else if self.kinds.len() < PER_TENANT && self.kinds.keys().filter(|(other, _)| *other == caller).count() < PER_CALLER {
            self.kinds.insert(kind, noted);
        } else {
            self.others[other] += noted.count;
        }
    }
}

async fn write(app: &App, tenant: TenantId, pending: &Pending) -> Result<()> {
    let now = app.clock.now();
    let mut tx = app.db.on_behalf_of(tenant).await?;
    let mut kinds: Vec<_> = pending.kinds.iter().collect();
    kinds.sort_by_key(|(_, noted)| noted.first);
    for ((_, deed), noted) in kinds {
        let (first, last) = (rfc3339(datetime(noted.first)), rfc3339(datetime(noted.last)));
        let counted = json!({"count": noted.count, "first": first, "last": last});
        let with = |more: serde_json::Value| members(more).into_iter().chain(members(counted)).flatten().collect::<Members>();
        tx.record(match deed {
            Deed::Denied(Denial { code, method, route }) => Event::by(&noted.actor, Action::ManagementDenied, now)
                .details(with(json!({"code": code, "method": method, "route": route}))),
            Deed::Issued(Issue { key, grant }) => {
                let details = with(json!({"grant": grant, "last_jti": noted.jti}));
                Event::by(&noted.actor, Action::TokenIssued, now).on_key(*key).details(details)
            }
            Deed::Read(query) => Event::by(&noted.actor, Action::AuditRead, now).details(with(json!({"query": query}))),
        });
    }
    for (others, action) in pending.others.into_iter().zip([Action::ManagementDenied, Action::TokenIssued, Action::AuditRead]) {
        if others > 0 {
            let details = json!({"code": "others", "count": others, "first": rfc3339(datetime(pending.since))});
            tx.record(Event::by_itself(action, now).details(members(details)));
        }
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use keyward_core::AuditActor;

    use super::*;

    #[test]
    fn denials_are_counted_by_kind_and_nobody_makes_more_kinds_than_are_kept_apart() {
        let tally = Tally::default();
        let tenant = TenantId(Uuid::from_u128(1));
        let deny = |key: u128, route: usize| {
            let who = AuditActor { tenant, key: KeyId(Uuid::from_u128(key)), owner: "ann".into() };
            let actor = Arc::new(Actor { who, address: None, user_agent: None, request: Uuid::nil() });
            let denial = Denial { code: "capability_missing", method: "GET", route: format!("/{route}") };
            tally.deny(&actor, denial, Timestamp::from_secs(1));
        };
        (0..1000).for_each(|_| deny(1, 0));
        (0..1000).for_each(|route| deny(1, route));
        (2..1000).for_each(|key| deny(key, 0));
        let all = tally.lock();
        let pending = &all[&tenant];
        assert_eq!(pending.kinds.len(), PER_TENANT);
        assert_eq!(pending.kinds.keys().filter(|(key, _)| *key == Uuid::from_u128(1)).count(), PER_CALLER);
        assert_eq!(pending.kinds.values().map(|noted| noted.count).sum::<u64>() + pending.others[0], 1000 + 1000 + 998);
    }
}
