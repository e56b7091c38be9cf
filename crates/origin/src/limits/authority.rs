//! Giving permits and taking them back, many keys' in one transaction.
//!
//! Each account is locked, and then all else is read: the limits that are committed, and what was answered before. A permit
//! is deducted by the time anybody hears of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::anyhow;
use keyward_api::limits::{
    MAX_AMOUNT, PermitsFault, PermitsGranted, PermitsReply, PermitsRequest, PermitsReturned, PermitsTaken, PermitsWanted, SlotsGranted,
    SlotsWanted,
};
use keyward_core::{
    KeyId, Timestamp,
    limits::{Account, Granted, ID_AGE_MS, Leased, Leases, Meter, OBJECT_LEASE_MS, Window, is_fresh},
};
use sqlx::types::Uuid;

use super::store::{self, Accounts, Known};
use crate::{
    db::{Db, again},
    error::{Error, Result},
};

/// How long before a window begins and after it ends permits are given, milliseconds: by clocks that are off.
const AROUND_MS: u64 = 60_000;

/// What somebody wants of the authority.
pub struct Errand {
    /// Passed by [`super::check`], or our own.
    pub request: PermitsRequest,
    /// Whether it may come again.
    pub remember: bool,
}

/// What was answered, by id, key and meter.
pub type Answers = BTreeMap<(Uuid, Uuid, Meter), Granted>;

/// Does these; answers each. All of it or nothing is done.
///
/// # Errors
/// As any write; then nothing was done, or the connection broke while it was.
pub async fn serve(db: &Db, now: Timestamp, errands: Vec<Errand>) -> Result<Vec<PermitsReply>> {
    // Anew where another transaction has made an account at the same moment: then it is there.
    for _ in 0..3 {
        if let Some(replies) = attempt(db, now, &errands).await? {
            return Ok(replies);
        }
    }
    Err(Error::internal(anyhow!("accounts are made faster than they can be read")))
}

async fn attempt(db: &Db, now: Timestamp, errands: &[Errand]) -> Result<Option<Vec<PermitsReply>>> {
    let mut tx =
        again!(db.system().begin_with("BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off"))?;
    let wanted = errands.iter().flat_map(|errand| &errand.request.wanted);
    let returned = errands.iter().flat_map(|errand| &errand.request.returned);
    let slots = errands.iter().flat_map(|errand| &errand.request.slots);
    let asking: BTreeSet<Uuid> = wanted.map(|entry| entry.key.0).chain(slots.map(|entry| entry.key.0)).collect();
    let keys: BTreeSet<Uuid> = returned.map(|entry| entry.key.0).chain(asking.iter().copied()).collect();
    let (accounts, leases) = store::lock(&mut tx, &keys).await?;
    let known = if asking.is_empty() { HashMap::new() } else { store::known(&mut tx, &asking).await? };
    let ids: Vec<Uuid> = errands.iter().filter(|errand| errand.remember).flat_map(|errand| ids(&errand.request)).collect();
    let answers = if ids.is_empty() { Answers::new() } else { store::answers(&mut tx, &ids).await? };

    let mut desk = Desk {
        now,
        known,
        accounts,
        fresh: BTreeMap::new(),
        changed: BTreeSet::new(),
        answers,
        remembered: Answers::new(),
        leases,
        leased: BTreeSet::new(),
    };
    // What comes back can be given again at once.
    let taken: Vec<Vec<_>> = errands.iter().map(|errand| desk.take_back(errand)).collect();
    let replies = errands.iter().zip(taken).map(|(errand, taken)| PermitsReply {
        now_ms: now.millis(),
        granted: desk.grant(errand),
        taken,
        slots: desk.lease(errand),
    });
    let replies = replies.collect();
    store::update(&mut tx, desk.accounts.iter().filter(|(key, _)| desk.changed.contains(key))).await?;
    store::remember(&mut tx, &desk.remembered).await?;
    if !store::insert(&mut tx, &desk.fresh, &desk.known).await? {
        tx.rollback().await?;
        return Ok(None);
    }
    store::lease(&mut tx, desk.leases.iter().filter(|(key, _)| desk.leased.contains(key))).await?;
    tx.commit().await?;
    Ok(Some(replies))
}

/// Forgets answers that nobody can ask for again.
///
/// # Errors
/// As any write.
pub async fn forget(db: &Db, now: Timestamp) -> Result<()> {
    // Ids are in the order of time; twice the time, since servers' clocks differ.
    let oldest = now.millis().saturating_sub(2 * ID_AGE_MS);
    sqlx::query!("DELETE FROM limit_answers WHERE id < $1", Uuid::from_u128(u128::from(oldest) << 80)).execute(db.system()).await?;
    Ok(())
}

fn ids(request: &PermitsRequest) -> impl Iterator<Item = Uuid> {
    request.wanted.iter().map(|entry| entry.id).chain(request.returned.iter().map(|entry| entry.id))
}

/// What an entry is about.
#[derive(Clone, Copy)]
struct About {
    id: Uuid,
    key: KeyId,
    meter: Meter,
    window: u32,
    /// Whether it may come again.
    remember: bool,
}

/// All that a transaction has read and changed.
struct Desk {
    now: Timestamp,
    known: HashMap<Uuid, Known>,
    /// Those that there were, and those that there will be.
    accounts: BTreeMap<Uuid, Accounts>,
    fresh: BTreeMap<Uuid, Accounts>,
    changed: BTreeSet<Uuid>,
    answers: Answers,
    remembered: Answers,
    /// Who has slots of keys, and of which keys that has changed.
    leases: BTreeMap<Uuid, Leases>,
    leased: BTreeSet<Uuid>,
}

impl Desk {
    fn take_back(&mut self, errand: &Errand) -> Vec<PermitsTaken> {
        let mut take = |entry: &PermitsReturned| {
            let PermitsReturned { id, key, meter, window, amount } = *entry;
            let about = About { id, key, meter, window, remember: errand.remember };
            let give = |account: &mut Account| {
                account.take_back(window, amount);
                Some(Granted::default())
            };
            PermitsTaken { id, fault: self.once(about, 0, give).err() }
        };
        errand.request.returned.iter().map(&mut take).collect()
    }

    fn grant(&mut self, errand: &Errand) -> Vec<PermitsGranted> {
        let mut grant = |entry: &PermitsWanted| {
            let PermitsWanted { id, key, meter, window, least, wanted } = *entry;
            let about = About { id, key, meter, window, remember: errand.remember };
            self.open(key);
            let limit = self.known.get(&key.0).and_then(|known| meter.limit(&known.limits));
            let granted = self.once(about, AROUND_MS, |account| account.grant(window, limit, least, wanted));
            let Granted { amount, left } = granted.unwrap_or(Granted { amount: 0, left: Some(0) });
            PermitsGranted { id, amount, left, fault: granted.err() }
        };
        errand.request.wanted.iter().map(&mut grant).collect()
    }

    /// Sees to it that there is an account of a key that there is.
    fn open(&mut self, key: KeyId) {
        if self.known.contains_key(&key.0) && !self.accounts.contains_key(&key.0) {
            self.fresh.entry(key.0).or_default();
        }
    }

    /// Leases slots, as far as the limit goes that is committed.
    fn lease(&mut self, errand: &Errand) -> Vec<SlotsGranted> {
        let refused = |entry: &SlotsWanted, fault| SlotsGranted::of(entry, Leased::default(), Some(fault));
        let mut lease = |entry: &SlotsWanted| {
            self.open(entry.key);
            let Some(known) = self.known.get(&entry.key.0) else { return refused(entry, PermitsFault::UnknownKey) };
            let limit = known.limits.concurrent.unwrap_or(MAX_AMOUNT);
            let leased = self.leases.entry(entry.key.0).or_default().renew(limit, &entry.renewal(), OBJECT_LEASE_MS, self.now);
            self.leased.insert(entry.key.0);
            leased.map_or_else(|| refused(entry, PermitsFault::HolderRefused), |leased| SlotsGranted::of(entry, leased, None))
        };
        errand.request.slots.iter().map(&mut lease).collect()
    }

    /// The answer that was given before, or that of `act` on the account; for so long after the window's end.
    fn once(&mut self, about: About, after: u64, act: impl FnOnce(&mut Account) -> Option<Granted>) -> Result<Granted, PermitsFault> {
        let About { id, key: KeyId(key), meter, window, remember } = about;
        if remember && !is_fresh(id, self.now) {
            return Err(PermitsFault::IdRefused);
        }
        let account = self.accounts.get_mut(&key).or_else(|| self.fresh.get_mut(&key));
        let account = account.and_then(|accounts| accounts.get_mut(meter as usize)).ok_or(PermitsFault::UnknownKey)?;
        let (window, now) = (Window::new(meter.period(), window), self.now.millis());
        if window.end().millis() + after <= now || window.begin().millis() > now + AROUND_MS {
            return Err(PermitsFault::WindowRefused);
        }
        let name = (id, key, meter);
        if remember && let Some(answered) = self.answers.get(&name).or_else(|| self.remembered.get(&name)) {
            return Ok(*answered);
        }
        let granted = act(account).ok_or(PermitsFault::WindowRefused)?;
        self.changed.insert(key);
        if remember {
            self.remembered.insert(name, granted);
        }
        Ok(granted)
    }
}
