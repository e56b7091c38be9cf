//! A bounded memory of what was used lately.

use std::{collections::HashMap, hash::Hash, mem};

/// What was kept or recalled lately, in two generations: when the young one is full it becomes the old one, and what
/// was old and hasn't been used since is forgotten. Holds at most twice its generation.
pub struct Lately<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation: usize,
}

impl<K: Hash + Eq, V: Clone> Lately<K, V> {
    /// A memory of generations of this size (at least one).
    pub fn new(generation: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), generation: generation.max(1) }
    }

    /// What is remembered of a key.
    pub fn recall(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.keep(key, value.clone());
        Some(value)
    }

    /// Remembers it.
    pub fn keep(&mut self, key: K, value: V) {
        if self.young.len() >= self.generation && !self.young.contains_key(&key) {
            self.old = mem::take(&mut self.young);
        }
        // An older value must not come back once this one is forgotten.
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// Forgets one.
    pub fn forget(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Forgets all that don't fit.
    pub fn retain(&mut self, fits: impl Fn(&K, &V) -> bool) {
        self.young.retain(|key, value| fits(key, value));
        self.old.retain(|key, value| fits(key, value));
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_what_is_not_goes_and_nothing_comes_back_once_forgotten() {
        let mut lately = Lately::new(2);
        for key in 0..4 {
            lately.keep(key, key * 10);
        }
        // 0 and 1 are old, and what is used is young again.
        assert_eq!(lately.recall(&0), Some(0));
        lately.keep(4, 40);
        assert_eq!((lately.recall(&0), lately.recall(&1), lately.recall(&4)), (Some(0), None, Some(40)));

        let mut lately = Lately::new(1);
        lately.keep(1, "before");
        lately.keep(2, "other");
        lately.keep(1, "after");
        lately.forget(&1);
        assert_eq!(lately.recall(&1), None);
        lately.keep(3, "three");
        lately.retain(|key, _| *key != 3);
        assert_eq!(lately.recall(&3), None);
        lately.clear();
        assert_eq!(lately.recall(&2), None);
    }
}
