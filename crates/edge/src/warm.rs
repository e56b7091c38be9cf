//! Keys whose signatures have been found to hold, so that none is verified twice.
//!
//! A key is recognised by its whole text: by anything less, a forged signature would pass for a genuine one. What is
//! remembered is that the signature holds, and nothing else; environment, status, time and policy are decided anew on
//! every request. It is true for as long as the key set is the same one, so that any change of that empties the memory.

use keyward_core::{AuthenticKey, ParsedKey, Refusal, Statuses, Timestamp, Verifier};
use std::{cell::RefCell, collections::HashMap, mem};

/// Keys of one generation; two are held, some 300 bytes a key.
const GENERATION: usize = 4096;

/// The memory. Only genuine keys get in, so that nobody can push others out without holding as many.
#[derive(Default)]
pub struct Warm(RefCell<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, AuthenticKey>,
    /// What was young before; whoever is used again becomes young again, and the others are forgotten with the next.
    old: HashMap<Box<str>, AuthenticKey>,
    hits: u64,
}

impl Warm {
    /// As [`Verifier::authenticate`], from memory where the key has been seen.
    ///
    /// # Errors
    /// Why the signature doesn't hold, or can't be judged.
    pub fn authenticate<S: Statuses>(
        &self,
        verifier: &Verifier<'_, S>,
        key: &ParsedKey<'_>,
        now: Timestamp,
    ) -> Result<AuthenticKey, Refusal> {
        if let Some(authentic) = self.0.borrow_mut().recall(key.expose()) {
            return Ok(authentic);
        }
        let authentic = verifier.authenticate(key, now)?;
        self.0.borrow_mut().keep(key.expose().into(), authentic);
        Ok(authentic)
    }

    /// Forgets all: due with every other key set.
    pub fn clear(&mut self) {
        let generations = self.0.get_mut();
        generations.young.clear();
        generations.old.clear();
    }

    /// How often a key was recognised.
    pub fn hits(&self) -> u64 {
        self.0.borrow().hits
    }
}

impl Generations {
    fn recall(&mut self, text: &str) -> Option<AuthenticKey> {
        let found = self.young.get(text).copied().or_else(|| {
            let (text, authentic) = self.old.remove_entry(text)?;
            self.keep(text, authentic);
            Some(authentic)
        });
        self.hits += u64::from(found.is_some());
        found
    }

    fn keep(&mut self, text: Box<str>, authentic: AuthenticKey) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(text, authentic);
    }
}

impl std::fmt::Debug for Warm {
    /// The texts are secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let generations = self.0.borrow();
        write!(f, "Warm({} keys)", generations.young.len() + generations.old.len())
    }
}
