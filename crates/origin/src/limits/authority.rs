//! Giving permits and taking them back, many keys' in one transaction.
//!
//! Each account is locked, and then all else is read: the limits that are committed, and what was answered before. A permit
//! is deducted by the time anybody hears of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keyward_api::limits::{PermitsFault, PermitsGranted, PermitsReply, PermitsRequest, PermitsReturned, PermitsTaken, PermitsWanted};
use keyward_core::{
    KeyId, Limits, Timestamp,
    limits::{Account, Granted, ID_AGE_MS, Meter, Window, is_fresh},
};
use sqlx::types::Uuid;

use super::store::{self, Line};
use crate::{
    db::{Db, again},
    error::Result,
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

/// What an id was answered.
pub type Answers = HashMap<(Uuid, Line), Granted>;

/// Does these; answers each. All of it or nothing is done.
///
/// # Errors
/// As any write; then nothing was done, or the connection broke while it was.
pub async fn serve(db: &Db, now: Timestamp, errands: Vec<Errand>) -> Result<Vec<PermitsReply>> {
    let mut tx =
        again!(db.system().begin_with("BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off"))?;
    let (wanted, returned) =
        (errands.iter().flat_map(|errand| &errand.request.wanted), errands.iter().flat_map(|errand| &errand.request.returned));
    let lines: BTreeSet<Line> =
        wanted.clone().map(|entry| line(entry.key, entry.meter)).chain(returned.map(|entry| line(entry.key, entry.meter))).collect();
    let accounts = store::lock(&mut tx, &lines).await?;
    let keys: BTreeSet<Uuid> = wanted.map(|entry| entry.key.0).collect();
    let limits = store::limits(&mut tx, &keys.into_iter().collect::<Vec<_>>()).await?;
    let ids: Vec<Uuid> = errands.iter().filter(|errand| errand.remember).flat_map(|errand| ids(&errand.request)).collect();
    let answers = if ids.is_empty() { Answers::new() } else { store::answers(&mut tx, &ids).await? };

    let mut desk = Desk { now, limits, accounts, changed: BTreeSet::new(), answers, fresh: BTreeMap::new() };
    // What comes back can be given again at once.
    let taken: Vec<Vec<_>> = errands.iter().map(|errand| desk.take_back(errand)).collect();
    let replies =
        errands.iter().zip(taken).map(|(errand, taken)| PermitsReply { now_ms: now.millis(), granted: desk.grant(errand), taken });
    let replies = replies.collect();
    store::write(&mut tx, desk.changed.iter().filter_map(|line| Some((*line, *desk.accounts.get(line)?)))).await?;
    if !desk.fresh.is_empty() {
        store::remember(&mut tx, &desk.fresh).await?;
    }
    tx.commit().await?;
    Ok(replies)
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

fn line(key: KeyId, meter: Meter) -> Line {
    (key.0, meter as i16)
}

fn ids(request: &PermitsRequest) -> impl Iterator<Item = Uuid> {
    request.wanted.iter().map(|entry| entry.id).chain(request.returned.iter().map(|entry| entry.id))
}

/// All that a transaction has read and changed.
struct Desk {
    now: Timestamp,
    limits: HashMap<Uuid, Limits>,
    accounts: BTreeMap<Line, Account>,
    changed: BTreeSet<Line>,
    answers: Answers,
    /// To be remembered.
    fresh: BTreeMap<(Uuid, Line), Granted>,
}

impl Desk {
    fn take_back(&mut self, errand: &Errand) -> Vec<PermitsTaken> {
        let mut take = |entry: &PermitsReturned| {
            let line = line(entry.key, entry.meter);
            let now = self.now;
            let over = |window: Window| window.end() <= now || window.begin().millis() > now.millis() + AROUND_MS;
            let fault = self.fault(errand, entry.id, line, Window::new(entry.meter.period(), entry.window), over);
            if fault.is_none() && self.once(errand.remember, entry.id, line).is_none() {
                if let Some(account) = self.accounts.get_mut(&line) {
                    account.take_back(entry.window, entry.amount);
                    self.changed.insert(line);
                }
                self.keep(errand.remember, entry.id, line, Granted::default());
            }
            PermitsTaken { id: entry.id, fault }
        };
        errand.request.returned.iter().map(&mut take).collect()
    }

    fn grant(&mut self, errand: &Errand) -> Vec<PermitsGranted> {
        let mut grant = |entry: &PermitsWanted| {
            let line = line(entry.key, entry.meter);
            let now = self.now.millis();
            let over = |window: Window| window.end().millis() + AROUND_MS <= now || window.begin().millis() > now + AROUND_MS;
            let refused = |fault| PermitsGranted { id: entry.id, amount: 0, left: Some(0), fault: Some(fault) };
            if let Some(fault) = self.fault(errand, entry.id, line, Window::new(entry.meter.period(), entry.window), over) {
                return refused(fault);
            }
            let Granted { amount, left } = match self.once(errand.remember, entry.id, line) {
                Some(answered) => answered,
                None => {
                    let (Some(limits), Some(account)) = (self.limits.get(&entry.key.0), self.accounts.get_mut(&line)) else {
                        return refused(PermitsFault::UnknownKey);
                    };
                    let Some(granted) = account.grant(entry.window, entry.meter.limit(limits), entry.least, entry.wanted) else {
                        return refused(PermitsFault::WindowRefused);
                    };
                    self.changed.insert(line);
                    self.keep(errand.remember, entry.id, line, granted);
                    granted
                }
            };
            PermitsGranted { id: entry.id, amount, left, fault: None }
        };
        errand.request.wanted.iter().map(&mut grant).collect()
    }

    /// Why an entry can't be taken.
    fn fault(&self, errand: &Errand, id: Uuid, line: Line, window: Window, over: impl Fn(Window) -> bool) -> Option<PermitsFault> {
        if errand.remember && !is_fresh(id, self.now) {
            Some(PermitsFault::IdRefused)
        } else if !self.accounts.contains_key(&line) {
            Some(PermitsFault::UnknownKey)
        } else {
            over(window).then_some(PermitsFault::WindowRefused)
        }
    }

    fn once(&self, remembered: bool, id: Uuid, line: Line) -> Option<Granted> {
        let found = || self.answers.get(&(id, line)).or_else(|| self.fresh.get(&(id, line))).copied();
        remembered.then(found).flatten()
    }

    fn keep(&mut self, remember: bool, id: Uuid, line: Line, granted: Granted) {
        if remember {
            self.fresh.insert((id, line), granted);
        }
    }
}
