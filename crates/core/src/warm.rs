//! Which keys have been found authentic, so that no signature is verified twice.
//!
//! A key is recognised by its whole text: by anything less, a forged signature would pass for a genuine one. What is
//! remembered is that the signature holds (and of a frozen signing key, that the key was issued), and nothing else;
//! environment, status, time and policy are decided anew on every request. It is true for as long as the key set is the
//! same one, so that any change of that empties the memory.

use crate::{AuthenticKey, ParsedKey, Refusal, Statuses, Timestamp, VerifiedKey, Verifier, bounds::MAX_KEY_LEN};
use alloc::vec::Vec;
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
    sets: Vec<Vec<Slot>>,
    /// Counts uses: by it, the key of a set that was not used for longest is known.
    uses: u64,
    hits: u64,
}

struct Slot {
    text: [u8; MAX_KEY_LEN],
    len: usize,
    key: AuthenticKey,
    used: u64,
}

impl Default for WarmKeys {
    fn default() -> Self {
        let sets = (0..1 << SETS_BITS).map(|_| Vec::new()).collect();
        Self(RefCell::new(Sets { sets, uses: 0, hits: 0 }))
    }
}

impl WarmKeys {
    /// As [`ParsedKey::parse`] and [`Verifier::verify`]; the signature of a key that has been seen holds, from memory.
    ///
    /// # Errors
    /// Why the text is no key, why the key doesn't hold, or what is missing to tell.
    pub fn verify<S: Statuses + ?Sized>(&self, verifier: &Verifier<'_, S>, text: &str, now: Timestamp) -> Result<VerifiedKey, Refusal> {
        if let Some(slot) = self.0.borrow_mut().recall(text.as_bytes()) {
            return verifier.admit(&slot.key, now);
        }
        let authentic = verifier.authenticate(&ParsedKey::parse(text)?, now)?;
        self.0.borrow_mut().keep(text.as_bytes(), authentic);
        verifier.admit(&authentic, now)
    }

    /// Forgets all: due with every other key set.
    pub fn clear(&mut self) {
        self.0.get_mut().sets.fill_with(Vec::new);
    }

    /// How often a key was recognised.
    pub fn hits(&self) -> u64 {
        self.0.borrow().hits
    }
}

impl Sets {
    fn recall(&mut self, text: &[u8]) -> Option<&Slot> {
        let slot = self.sets[set_of(text)].iter_mut().find(|slot| slot.holds(text))?;
        self.uses += 1;
        self.hits += 1;
        slot.used = self.uses;
        Some(slot)
    }

    fn keep(&mut self, text: &[u8], key: AuthenticKey) {
        self.uses += 1;
        let mut slot = Slot { text: [0; MAX_KEY_LEN], len: text.len(), key, used: self.uses };
        // No key is longer; if one were, it would be verified each time.
        let Some(own) = slot.text.get_mut(..text.len()) else { return };
        own.copy_from_slice(text);
        let slots = &mut self.sets[set_of(text)];
        if slots.len() < WAYS {
            slots.push(slot);
        } else if let Some(oldest) = slots.iter_mut().min_by_key(|slot| slot.used) {
            *oldest = slot;
        }
    }
}

impl Slot {
    /// Without an early end, whose time would tell how much of a secret was guessed.
    fn holds(&self, text: &[u8]) -> bool {
        let held = &self.text[..self.len];
        if held.len() != text.len() {
            return false;
        }
        // Words first: an eighth of the work.
        let ((own_words, own_rest), (words, rest)) = (held.as_chunks(), text.as_chunks());
        let difference = own_words.iter().zip(words).fold(0, |all, (a, b)| all | (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)));
        own_rest.iter().zip(rest).fold(difference, |all, (a, b)| all | u64::from(a ^ b)) == 0
    }
}

/// The set of a key: by the last digits of its signature.
fn set_of(text: &[u8]) -> usize {
    let signed = &text[..text.len().saturating_sub(CHECKSUM)];
    let digits = signed.last_chunk().map_or(0, |digits| u64::from_le_bytes(*digits));
    // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4): the high bits depend on all.
    (digits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SETS_BITS)) as usize
}

impl fmt::Debug for WarmKeys {
    /// The texts are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sets = self.0.borrow();
        let keys: usize = sets.sets.iter().map(Vec::len).sum();
        write!(f, "WarmKeys({keys} keys)")
    }
}
