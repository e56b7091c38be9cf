//! What errands come to: pure, but for what was read before and is written after.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keyward_api::limits::{
    MAX_AMOUNT, PermitsFault, PermitsGranted, PermitsReply, PermitsReturned, PermitsTaken, PermitsWanted, SlotsGranted, SlotsWanted,
};
use keyward_core::{
    KeyId, Timestamp,
    limits::{Account, Granted, Leased, Leases, Meter, OBJECT_LEASE_MS, Window, is_fresh},
};
use sqlx::types::Uuid;

use super::{
    authority::{Answers, Errand},
    store::{Accounts, Known},
};

/// How long before a window begins and after it ends permits are given, milliseconds: by clocks that are off.
const AROUND_MS: u64 = 60_000;

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

/// What was read of the database, and what of it is changed.
pub struct Desk {
    now: Timestamp,
    pub known: HashMap<Uuid, Known>,
    /// Those that there were, and those that there will be.
    accounts: BTreeMap<Uuid, Accounts>,
    pub fresh: BTreeMap<Uuid, Accounts>,
    changed: BTreeSet<Uuid>,
    /// What was answered before, and what is to be remembered.
    pub answers: Answers,
    pub remembered: Answers,
    /// Who has slots of keys, and of which keys that has changed.
    pub leases: BTreeMap<Uuid, Leases>,
    pub leased: BTreeSet<Uuid>,
}

impl Desk {
    /// With these keys' limits and the accounts that there are.
    pub fn new(now: Timestamp, known: HashMap<Uuid, Known>, accounts: BTreeMap<Uuid, Accounts>) -> Self {
        Self {
            now,
            known,
            accounts,
            fresh: BTreeMap::new(),
            changed: BTreeSet::new(),
            answers: Answers::new(),
            remembered: Answers::new(),
            leases: BTreeMap::new(),
            leased: BTreeSet::new(),
        }
    }

    /// Answers errands.
    pub fn serve(&mut self, errands: &[Errand]) -> Vec<PermitsReply> {
        // What comes back can be given again at once.
        let taken: Vec<Vec<_>> = errands.iter().map(|errand| self.take_back(errand)).collect();
        let reply =
            |(errand, taken)| PermitsReply { now_ms: self.now.millis(), granted: self.grant(errand), taken, slots: self.lease(errand) };
        errands.iter().zip(taken).map(reply).collect()
    }

    /// The accounts that there were and that have changed, in the order of their keys.
    pub fn changed_accounts(&self) -> impl Iterator<Item = (&Uuid, &Accounts)> {
        self.accounts.iter().filter(|(key, _)| self.has_changed(key))
    }

    /// Whether anything was given of a key's permits, or taken back.
    pub fn has_changed(&self, key: &Uuid) -> bool {
        self.changed.contains(key)
    }

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
