//! Which signatures have been found to hold, so that none is verified twice.
//!
//! A key is recognised by its whole text: by anything less, a forged signature would pass for a genuine one. What is
//! remembered is that the signature holds, and nothing else; environment, status, time and policy are decided anew on
//! every request. It is true for as long as the key set is the same one, so that any change of that empties the memory.

use crate::{AuthenticKey, ParsedKey, Refusal, Statuses, Timestamp, Verifier, bounds::MAX_KEY_LEN};
use alloc::{boxed::Box, vec::Vec};
use core::{cell::RefCell, fmt};

/// Sets, as a power of two.
const SETS_BITS: u32 = 11;
/// Keys in a set.
const WAYS: usize = 4;
/// Digits of the checksum, at the end of a key. They are as good as random, but anybody can choose them.
const CHECKSUM: usize = 6;

/// A memory with room for 8,192 keys (2,048 sets of 4), 250 bytes each, which it takes as they come.
///
/// Only genuine keys get in, and which set a key belongs to depends on its signature, which the issuer's randomness
/// decides: nobody can push others out without holding as many keys. For one thread.
pub struct WarmKeys(RefCell<Sets>);

struct Sets {
    sets: Vec<Option<Box<[Slot; WAYS]>>>,
    /// Counts uses: by it, the key of a set that was not used for longest is known.
    uses: u64,
    hits: u64,
}

#[derive(Clone, Copy)]
struct Slot {
    text: [u8; MAX_KEY_LEN],
    /// `None`: the slot is empty.
    key: Option<AuthenticKey>,
    used: u64,
}

impl Default for WarmKeys {
    fn default() -> Self {
        let sets = (0..1 << SETS_BITS).map(|_| None).collect();
        Self(RefCell::new(Sets { sets, uses: 0, hits: 0 }))
    }
}

impl WarmKeys {
    /// As [`ParsedKey::parse`] and [`Verifier::authenticate`], from memory where the key has been seen.
    ///
    /// # Errors
    /// Why the text is no key, why its signature doesn't hold, or that it can't be judged.
    pub fn authenticate<S: Statuses + ?Sized>(
        &self,
        verifier: &Verifier<'_, S>,
        text: &str,
        now: Timestamp,
    ) -> Result<AuthenticKey, Refusal> {
        let padded = padded(text);
        if let Some(padded) = &padded
            && let Some(authentic) = self.0.borrow_mut().recall(padded, set_of(text))
        {
            return Ok(authentic);
        }
        let authentic = verifier.authenticate(&ParsedKey::parse(text)?, now)?;
        if let Some(padded) = padded {
            self.0.borrow_mut().keep(padded, set_of(text), authentic);
        }
        Ok(authentic)
    }

    /// Forgets all: due with every other key set.
    pub fn clear(&mut self) {
        self.0.get_mut().sets.fill_with(|| None);
    }

    /// How often a key was recognised.
    pub fn hits(&self) -> u64 {
        self.0.borrow().hits
    }
}

impl Sets {
    fn recall(&mut self, text: &[u8; MAX_KEY_LEN], set: usize) -> Option<AuthenticKey> {
        let slot = self.sets[set].as_mut()?.iter_mut().find(|slot| slot.key.is_some() && is_same(&slot.text, text))?;
        self.uses += 1;
        self.hits += 1;
        slot.used = self.uses;
        slot.key
    }

    fn keep(&mut self, text: [u8; MAX_KEY_LEN], set: usize, key: AuthenticKey) {
        self.uses += 1;
        let slots = self.sets[set].get_or_insert_with(|| Box::new([Slot { text: [0; MAX_KEY_LEN], key: None, used: 0 }; WAYS]));
        if let Some(slot) = slots.iter_mut().min_by_key(|slot| slot.used) {
            *slot = Slot { text, key: Some(key), used: self.uses };
        }
    }
}

/// The text with zeros after it, so that all texts are of one length; `None` where it is longer than any key. No key
/// has a zero in it, so that different texts stay different.
fn padded(text: &str) -> Option<[u8; MAX_KEY_LEN]> {
    let mut padded = [0; MAX_KEY_LEN];
    padded.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(padded)
}

/// The set of a key: by the last digits of its signature.
fn set_of(text: &str) -> usize {
    let signed = &text.as_bytes()[..text.len().saturating_sub(CHECKSUM)];
    let digits = signed.last_chunk().map_or(0, |digits| u64::from_le_bytes(*digits));
    // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4): the high bits depend on all.
    (digits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SETS_BITS)) as usize
}

/// Without an early end, whose time would tell how much of a secret was guessed; and faster so, in vectors.
fn is_same(held: &[u8; MAX_KEY_LEN], given: &[u8; MAX_KEY_LEN]) -> bool {
    held.iter().zip(given).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

impl fmt::Debug for WarmKeys {
    /// The texts are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sets = self.0.borrow();
        let keys = sets.sets.iter().flatten().flat_map(|set| set.iter()).filter(|slot| slot.key.is_some()).count();
        write!(f, "WarmKeys({keys} keys)")
    }
}
