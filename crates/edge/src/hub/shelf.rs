//! Texts in memory by name, so many and so many bytes of them: those used least recently make room. Plain data.

use std::{collections::BTreeMap, rc::Rc};

/// Texts by name.
#[derive(Debug)]
pub struct Shelf<K> {
    texts: BTreeMap<K, (Rc<str>, u64)>,
    most: usize,
    most_bytes: usize,
    /// Of all of them.
    bytes: usize,
    uses: u64,
}

impl<K: Ord + Copy> Shelf<K> {
    /// Holds at most so many, of at most so many bytes together. The one that came last is kept however long it is.
    pub const fn new(most: usize, most_bytes: usize) -> Self {
        Self { texts: BTreeMap::new(), most, most_bytes, bytes: 0, uses: 0 }
    }

    /// The text of that name.
    pub fn find(&mut self, name: K) -> Option<Rc<str>> {
        let (text, used) = self.texts.get_mut(&name)?;
        self.uses += 1;
        *used = self.uses;
        Some(text.clone())
    }

    /// Keeps a text.
    pub fn keep(&mut self, name: K, text: Rc<str>) {
        self.remove(name);
        while !self.texts.is_empty() && (self.texts.len() >= self.most || self.bytes + text.len() > self.most_bytes) {
            let oldest = self.texts.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| *name);
            oldest.into_iter().for_each(|name| self.remove(name));
        }
        self.bytes += text.len();
        self.uses += 1;
        self.texts.insert(name, (text, self.uses));
    }

    fn remove(&mut self, name: K) {
        if let Some((text, _)) = self.texts.remove(&name) {
            self.bytes -= text.len();
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_last_is_there_whatever_its_name_and_what_was_used_longest_ago_is_not() {
        let mut shelf = Shelf::new(3, 10);
        let held = |shelf: &Shelf<u32>| shelf.texts.keys().copied().collect::<Vec<_>>();
        for name in [7, 8, 9] {
            shelf.keep(name, "abc".into());
        }
        assert!(shelf.find(7).is_some());
        shelf.keep(1, "abc".into());
        assert_eq!(held(&shelf), [1, 7, 9], "no more than three, the lowest name among them");
        shelf.keep(1, "abcdefg".into());
        assert_eq!(held(&shelf), [1, 7], "no more than ten bytes");
        shelf.keep(0, "abcdefghijkl".into());
        assert_eq!((held(&shelf), shelf.bytes), (vec![0], 12));
        shelf.keep(2, "".into());
        assert_eq!((held(&shelf), shelf.bytes), (vec![2], 0));
    }
}
