use super::{Policy, PolicyError};
use crate::{KeySet, Missing, PolicyNumber, Timestamp};
use alloc::{collections::BTreeMap, rc::Rc};
use core::cell::Cell;

/// Compiled policies, the least recently used of which make room for new ones.
#[derive(Debug)]
pub struct PolicyCache {
    entries: BTreeMap<PolicyNumber, Entry>,
    budget: usize,
    uses: Cell<u64>,
}

#[derive(Debug)]
struct Entry {
    policy: Rc<Policy>,
    used: Cell<u64>,
}

impl PolicyCache {
    /// A cache for at most `budget` policies (at least one).
    pub fn new(budget: usize) -> Self {
        Self { entries: BTreeMap::new(), budget: budget.max(1), uses: Cell::new(0) }
    }

    /// The policy of that number, if it is here.
    pub fn lookup(&self, number: PolicyNumber) -> Result<Rc<Policy>, Missing> {
        let entry = self.entries.get(&number).ok_or(Missing::Policy(number))?;
        entry.used.set(self.tick());
        Ok(entry.policy.clone())
    }

    /// Reads a signed policy and keeps it.
    pub fn install(&mut self, text: &str, number: PolicyNumber, keys: &KeySet, now: Timestamp) -> Result<(), PolicyError> {
        let policy = Rc::new(Policy::open(text, number, keys, now)?);
        if !self.entries.contains_key(&number) && self.entries.len() >= self.budget {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used.get()).map(|(number, _)| *number);
            oldest.map(|number| self.entries.remove(&number));
        }
        self.entries.insert(number, Entry { policy, used: Cell::new(self.tick()) });
        Ok(())
    }

    /// Forgets all: due whenever the key set changes, since a policy counts by the key that signed it.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many policies are here.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is here.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn tick(&self) -> u64 {
        self.uses.set(self.uses.get() + 1);
        self.uses.get()
    }
}
