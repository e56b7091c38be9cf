use super::{Policy, PolicyError};
use crate::{KeySet, Missing, PolicyNumber, Timestamp};
use alloc::{collections::BTreeMap, rc::Rc};
use core::cell::Cell;

/// Compiled policies, the least recently used of which make room for new ones.
#[derive(Debug)]
pub struct PolicyCache {
    entries: BTreeMap<PolicyNumber, Entry>,
    most: usize,
    most_bytes: usize,
    /// What all of them take together.
    bytes: usize,
    uses: Cell<u64>,
}

#[derive(Debug)]
struct Entry {
    policy: Rc<Policy>,
    bytes: usize,
    used: Cell<u64>,
}

impl PolicyCache {
    /// A cache for at most `most` policies that take at most `most_bytes` of memory together ([`Policy::footprint`]). The one that came
    /// last is kept whatever it takes.
    pub fn new(most: usize, most_bytes: usize) -> Self {
        Self { entries: BTreeMap::new(), most, most_bytes, bytes: 0, uses: Cell::new(0) }
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
        let bytes = policy.footprint();
        self.remove(number);
        while !self.is_empty() && (self.len() >= self.most || self.bytes + bytes > self.most_bytes) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.used.get()).map(|(number, _)| *number);
            oldest.into_iter().for_each(|number| self.remove(number));
        }
        self.bytes += bytes;
        self.entries.insert(number, Entry { policy, bytes, used: Cell::new(self.tick()) });
        Ok(())
    }

    fn remove(&mut self, number: PolicyNumber) {
        if let Some(entry) = self.entries.remove(&number) {
            self.bytes -= entry.bytes;
        }
    }

    /// Forgets all: due whenever the key set changes, since a policy counts by the key that signed it.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// How many policies are here.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is here.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What they take of memory, bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn tick(&self) -> u64 {
        self.uses.set(self.uses.get() + 1);
        self.uses.get()
    }
}
