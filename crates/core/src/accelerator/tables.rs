//! By tables (`keyward-known-key`), for the keys that are used most.

use super::{AcceleratorCounters, AcceleratorSettings};
use crate::{PublicKey, Signature, VerifySignature};
use alloc::{boxed::Box, vec::Vec};
use core::cell::RefCell;
use keyward_known_key::{Base, Builder, PreparedKey};

/// A fast verifier for the keys that are used most, with the verdicts of [`PublicKey::verifies`]. For one thread.
///
/// It begins with the reference. A key that has signed enough gets tables, built a little with each verification. A
/// share of what the tables decide is decided by the reference too, for as long as it runs: arithmetic of one's own
/// deserves distrust. Where the two differ, the signature does not hold, and the tables are never used again.
#[derive(Debug)]
pub struct Accelerator {
    settings: AcceleratorSettings,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The most recently used first.
    keys: Vec<Known>,
    base: Option<Base>,
    counters: AcceleratorCounters,
    fast_since_guard: u32,
}

#[derive(Debug)]
struct Known {
    key: PublicKey,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// How many sound signatures there were.
    Seen(u32),
    Building(Box<Builder>),
    Ready(PreparedKey),
}

impl Default for Accelerator {
    fn default() -> Self {
        Self::new(AcceleratorSettings::default())
    }
}

impl VerifySignature for Accelerator {
    fn verifies(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let mut state = self.state.borrow_mut();
        match state.fast(&self.settings, key, message, signature) {
            Some(holds) => holds,
            None => {
                state.counters.reference += 1;
                let holds = key.verifies(message, signature);
                // Only what a key has really signed counts, so that nobody else can have tables built or thrown away.
                if holds && !state.is_off() && state.touch(&self.settings, key) {
                    state.advance(&self.settings);
                }
                holds
            }
        }
    }
}

impl Accelerator {
    /// One without any tables.
    pub fn new(settings: AcceleratorSettings) -> Self {
        Self { settings, state: RefCell::default() }
    }

    /// Builds a key's tables now and in one go, for a host that has the time.
    pub fn prepare(&self, key: &PublicKey) {
        let mut state = self.state.borrow_mut();
        if state.is_off() || state.is_ready(key) || !state.touch(&self.settings, key) {
            return;
        }
        if let Some(builder) = state.builder(&self.settings, key) {
            state.install(builder);
        }
    }

    /// What it has done so far.
    pub fn counters(&self) -> AcceleratorCounters {
        self.state.borrow().counters
    }
}

impl State {
    /// Whether the tables have ever been wrong.
    const fn is_off(&self) -> bool {
        self.counters.disagreements > 0
    }

    /// The verdict by tables; `None` where the key has none.
    fn fast(&mut self, settings: &AcceleratorSettings, key: &PublicKey, message: &[u8], signature: &Signature) -> Option<bool> {
        let at = self.keys.iter().position(|known| known.key == *key)?;
        let Progress::Ready(prepared) = &self.keys[at].progress else { return None };
        let holds = prepared.verifies(message, signature);
        if holds {
            self.keys[..=at].rotate_right(1);
        }
        self.fast_since_guard += 1;
        if self.fast_since_guard < settings.guard.get() {
            self.counters.fast += 1;
            return Some(holds);
        }
        self.fast_since_guard = 0;
        self.counters.guarded += 1;
        if key.verifies(message, signature) != holds {
            self.counters.disagreements += 1;
            (self.keys, self.base) = (Vec::new(), None);
            return Some(false);
        }
        Some(holds)
    }

    /// Makes a key the most recently used one, and room for it. `false` where no key may have tables.
    fn touch(&mut self, settings: &AcceleratorSettings, key: &PublicKey) -> bool {
        let Some(others) = settings.keys.checked_sub(1) else { return false };
        let at = self.keys.iter().position(|known| known.key == *key).unwrap_or_else(|| {
            self.keys.truncate(others);
            self.keys.push(Known { key: key.clone(), progress: Progress::Seen(0) });
            self.keys.len() - 1
        });
        self.keys[..=at].rotate_right(1);
        true
    }

    /// Counts a sound signature by the most recently used key, or takes the next step of building its tables.
    fn advance(&mut self, settings: &AcceleratorSettings) {
        // One at a time, since the first also builds the base point's table for all of them.
        let may_begin = !self.keys.iter().any(|known| matches!(known.progress, Progress::Building(_)));
        let Known { key, progress } = &mut self.keys[0];
        match progress {
            Progress::Seen(count) if *count < settings.after || !may_begin => *count = count.saturating_add(1),
            Progress::Seen(count) => {
                *count = 0;
                let key = key.clone();
                if let Some(builder) = self.builder(settings, &key) {
                    self.keys[0].progress = Progress::Building(Box::new(builder));
                }
            }
            Progress::Building(builder) => {
                if builder.step(settings.step)
                    && let Progress::Building(builder) = core::mem::replace(progress, Progress::Seen(0))
                {
                    self.install(*builder);
                }
            }
            Progress::Ready(_) => {}
        }
    }

    /// Begins a key's tables. `None` can't happen with a key that Keyward admits; if it does, there is no fast way.
    fn builder(&self, settings: &AcceleratorSettings, key: &PublicKey) -> Option<Builder> {
        match &self.base {
            Some(base) => Builder::sharing(key.as_bytes(), settings.width, base),
            None => Builder::new(key.as_bytes(), settings.width),
        }
        .ok()
    }

    /// Finishes the tables of the most recently used key.
    fn install(&mut self, builder: Builder) {
        let prepared = builder.finish();
        self.base.get_or_insert_with(|| prepared.base().clone());
        self.keys[0].progress = Progress::Ready(prepared);
    }

    /// Whether a key has tables.
    fn is_ready(&self, key: &PublicKey) -> bool {
        self.keys.iter().any(|known| known.key == *key && matches!(known.progress, Progress::Ready(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::num::NonZeroU32;
    use ed25519_dalek::{Signer, SigningKey};

    /// The nth signer: its key, and a sound and a forged signature.
    fn signer(n: u8) -> (PublicKey, Signature, Signature) {
        let signer = SigningKey::from_bytes(&[n; 32]);
        let sound = signer.sign(b"message").to_bytes();
        let mut forged = sound;
        forged[40] ^= 1;
        (PublicKey::from_bytes(signer.verifying_key().as_bytes()).unwrap(), sound, forged)
    }

    fn accelerator(keys: usize, guard: u32) -> Accelerator {
        let guard = NonZeroU32::new(guard).unwrap();
        Accelerator::new(AcceleratorSettings { keys, guard, after: 3, step: 1200, ..Default::default() })
    }

    /// Verifies a sound and a forged signature, so many times.
    fn check(accelerator: &Accelerator, n: u8, times: usize) {
        let (key, sound, forged) = signer(n);
        for _ in 0..times {
            assert!(accelerator.verifies(&key, b"message", &sound));
            assert!(!accelerator.verifies(&key, b"message", &forged));
        }
    }

    fn ready(accelerator: &Accelerator) -> usize {
        accelerator.state.borrow().keys.iter().filter(|known| matches!(known.progress, Progress::Ready(_))).count()
    }

    #[test]
    fn a_key_that_signs_enough_gets_tables_a_little_at_a_time() {
        let accelerator = accelerator(2, 1000);
        check(&accelerator, 1, 4);
        assert_eq!(ready(&accelerator), 0);
        // 5362 multiples, the base point's among them, some 1200 with each sound signature.
        check(&accelerator, 1, 5);
        assert_eq!(ready(&accelerator), 1);
        let before = accelerator.counters();
        check(&accelerator, 1, 10);
        assert_eq!(accelerator.counters(), AcceleratorCounters { fast: before.fast + 20, ..before });
    }

    #[test]
    fn forged_signatures_never_bring_tables_about() {
        let accelerator = accelerator(2, 1000);
        let (key, _, forged) = signer(1);
        for _ in 0..100 {
            assert!(!accelerator.verifies(&key, b"message", &forged));
        }
        assert!(accelerator.state.borrow().keys.is_empty());
    }

    #[test]
    fn no_more_keys_have_tables_than_were_asked_for() {
        let accelerator = accelerator(2, 1000);
        for n in 1..=4 {
            check(&accelerator, n, 20);
            assert_eq!(ready(&accelerator), usize::from(n.min(2)));
        }
        // The two last ones, that is; and one in use stays.
        check(&accelerator, 3, 1);
        check(&accelerator, 5, 20);
        let before = accelerator.counters().reference;
        check(&accelerator, 3, 1);
        assert_eq!(accelerator.counters().reference, before);
    }

    #[test]
    fn none_at_all_is_the_reference() {
        let accelerator = accelerator(0, 1);
        accelerator.prepare(&signer(1).0);
        check(&accelerator, 1, 20);
        assert_eq!(accelerator.counters(), AcceleratorCounters { reference: 40, ..Default::default() });
    }

    #[test]
    fn a_host_can_have_tables_at_once() {
        let accelerator = accelerator(2, 1000);
        accelerator.prepare(&signer(1).0);
        check(&accelerator, 1, 1);
        assert_eq!(accelerator.counters(), AcceleratorCounters { fast: 2, ..Default::default() });
    }

    #[test]
    fn a_share_is_checked_against_the_reference() {
        let accelerator = accelerator(1, 4);
        accelerator.prepare(&signer(1).0);
        check(&accelerator, 1, 20);
        assert_eq!(accelerator.counters(), AcceleratorCounters { fast: 30, guarded: 10, ..Default::default() });
    }

    #[test]
    fn where_the_two_disagree_nothing_holds_and_tables_are_given_up() {
        let accelerator = accelerator(2, 1);
        let (key, sound, forged) = signer(1);
        // Broken tables: those of another key.
        let wrong = PreparedKey::new(signer(2).0.as_bytes(), keyward_known_key::Width::W6).unwrap();
        let known = Known { key: key.clone(), progress: Progress::Ready(wrong) };
        accelerator.state.borrow_mut().keys.push(known);

        assert!(!accelerator.verifies(&key, b"message", &forged), "both refuse it");
        assert!(!accelerator.verifies(&key, b"message", &sound), "sound, but by one of them alone");
        assert_eq!(accelerator.counters(), AcceleratorCounters { guarded: 2, disagreements: 1, ..Default::default() });

        accelerator.prepare(&key);
        check(&accelerator, 1, 20);
        assert_eq!((accelerator.counters().reference, accelerator.counters().fast), (40, 0), "the reference from now on");
    }
}
