//! One verification of a signature, by tables and by the reference.

use ed25519_dalek::{Signature, VerifyingKey};
use keyward_known_key::{PreparedKey, Width};

/// Bytes that the signature of a live key with the default prefix covers.
pub(crate) const MESSAGE_LEN: usize = 55;

/// What is verified.
pub type Message = [u8; MESSAGE_LEN];

/// One key, prepared for each of the ways.
pub struct Bare {
    w6: PreparedKey,
    w8: PreparedKey,
    dalek: VerifyingKey,
}

impl Bare {
    /// Prepares the public key.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn new(public: &[u8; 32]) -> Self {
        let prepared = |width| PreparedKey::new(public, width).expect("a signer's key");
        Self { w6: prepared(Width::W6), w8: prepared(Width::W8), dalek: VerifyingKey::from_bytes(public).expect("a signer's key") }
    }

    /// By tables of six bits.
    #[must_use]
    pub fn w6(&self, (message, signature): &(Message, [u8; 64])) -> bool {
        self.w6.verifies(message, signature)
    }

    /// By tables of eight bits.
    #[must_use]
    pub fn w8(&self, (message, signature): &(Message, [u8; 64])) -> bool {
        self.w8.verifies(message, signature)
    }

    /// By ed25519-dalek, with the same rule.
    #[must_use]
    pub fn dalek(&self, (message, signature): &(Message, [u8; 64])) -> bool {
        self.dalek.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}
