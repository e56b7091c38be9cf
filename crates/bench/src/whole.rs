//! The whole way from a key's text to one that is found genuine: shape, checksum, decoding, signature.

use keyward_core::{
    Accelerator, AcceleratorSettings, Environment, KeySet, Manifest, ParsedKey, PublicKey, Replica, Timestamp, Verifier, Width,
};

use crate::Samples;

/// A host's verifier whose signing key has its tables.
pub struct Whole {
    keys: KeySet,
    /// Nothing is known of any status, and nothing asked.
    statuses: Replica,
    signatures: Accelerator,
}

impl Whole {
    /// One with tables of this width. A share of its verdicts is checked against the reference, as at the edge.
    ///
    /// # Panics
    /// When the samples' time is not `now`, unix seconds.
    #[must_use]
    pub fn new(samples: &Samples, width: Width, now: u64) -> Self {
        let root = PublicKey::parse(&samples.root).expect("a root");
        let signatures = Accelerator::new(AcceleratorSettings { width, ..AcceleratorSettings::default() });
        signatures.prepare(&PublicKey::from_bytes(&samples.public).expect("a signer's key"));
        Self {
            keys: Manifest::open(&samples.manifest, &[root], Timestamp::from_secs(now)).expect("a manifest of that time"),
            statuses: Replica::new(Vec::new()),
            signatures,
        }
    }

    /// Whether the text is that of a genuine key at this time, in milliseconds.
    #[must_use]
    pub fn authenticates(&self, text: &str, now_ms: u64) -> bool {
        let verifier = Verifier::new(&self.keys, &self.statuses, Environment::Live).with_signatures(&self.signatures);
        ParsedKey::parse(text).is_ok_and(|key| verifier.authenticate(&key, Timestamp::from_millis(now_ms)).is_ok())
    }
}
