//! The reference alone, for a build without tables.

use super::{AcceleratorCounters, AcceleratorSettings};
use crate::{PublicKey, Signature, VerifySignature};
use core::cell::Cell;

/// How wide tables are, where there are any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 6 bits a look-up.
    W6,
    /// 8 bits a look-up.
    W8,
}

/// [`PublicKey::verifies`], counted. This build has no tables, so that no setting makes a difference.
#[derive(Debug)]
pub struct Accelerator {
    reference: Cell<u64>,
}

impl Default for Accelerator {
    fn default() -> Self {
        Self::new(AcceleratorSettings::default())
    }
}

impl VerifySignature for Accelerator {
    fn verifies(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        self.reference.set(self.reference.get() + 1);
        key.verifies(message, signature)
    }
}

impl Accelerator {
    /// One that counts from nothing.
    pub fn new(_: AcceleratorSettings) -> Self {
        Self { reference: Cell::new(0) }
    }

    /// Builds no tables.
    pub fn prepare(&self, _: &PublicKey) {}

    /// What it has done so far.
    pub fn counters(&self) -> AcceleratorCounters {
        AcceleratorCounters { reference: self.reference.get(), ..Default::default() }
    }
}
