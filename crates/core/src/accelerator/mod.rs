//! Verification that gets faster with use: issuer keys sign most of what a host sees, and known keys verify several
//! times faster by tables.
//!
//! Built without the feature `known-key`, an [`Accelerator`] has no tables and is the reference alone.

#[cfg(not(feature = "known-key"))]
mod alone;
#[cfg(feature = "known-key")]
mod tables;

use core::num::NonZeroU32;

#[cfg(not(feature = "known-key"))]
pub use alone::{Accelerator, Width};
#[cfg(feature = "known-key")]
pub use {keyward_known_key::Width, tables::Accelerator};

/// How an [`Accelerator`] trades memory for time.
#[derive(Clone, Copy, Debug)]
pub struct AcceleratorSettings {
    /// How wide tables are: [`Width::W6`] takes some 170 KB for each key, [`Width::W8`] three times that, and a seventh less
    /// time. (Some 500 KB more are for all of them together.)
    pub width: Width,
    /// How many keys may have tables. The least recently used one makes room.
    pub keys: usize,
    /// After how many sound signatures a key gets its tables. Building them costs as much as some 15 verifications by
    /// the reference, and pays off after some 50.
    pub after: u32,
    /// How many additions of points one verification does for tables. 128 take some 60 microseconds, and ten times as much
    /// in wasm that is not optimised yet.
    pub step: usize,
    /// One in so many fast verifications is checked against the reference.
    pub guard: NonZeroU32,
}

impl Default for AcceleratorSettings {
    fn default() -> Self {
        Self { width: Width::W6, keys: 4, after: 32, step: 128, guard: NonZeroU32::new(1024).expect("not zero") }
    }
}

/// What an [`Accelerator`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceleratorCounters {
    /// Signatures decided by tables.
    pub fast: u64,
    /// Signatures decided by the reference alone.
    pub reference: u64,
    /// Signatures decided by tables and checked against the reference.
    pub guarded: u64,
    /// Of those, the ones on which the two did not agree. More than zero is a defect, to be reported.
    pub disagreements: u64,
}
