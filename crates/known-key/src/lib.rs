//! Ed25519 verification (RFC 8032 section 5.1.7) against public keys that are known beforehand.
//!
//! A verifier that meets a key for the first time decompresses points and doubles some 250 times. Who verifies many
//! signatures by few keys can do that work once for each key: with tables of multiples of the base point B and of the
//! negated key -A, the equation's right side `R = sB - kA` is a sum of table entries. No doubling is left, and R is
//! never decompressed: the sum is encoded and compared with R's bytes.
//!
//! The verdict is that of `ed25519-dalek`'s `verify_strict` on every input: s below the group order, A and R canonical
//! and not of small order, no cofactor.
//!
//! **No secret ever enters this crate.** It can't sign. Every run time depends on the inputs, which is right for
//! verification, where all inputs are public, and fatal for anything else: do not build signing on it.
//!
//! ```
//! use keyward_known_key::{Builder, PreparedKey, Width};
//! # fn main() -> Result<(), keyward_known_key::KeyError> {
//! # let (bytes, signature) = ([
//! #     0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
//! #     0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
//! # ], [0; 64]);
//! let mut builder: Builder = Builder::new(&bytes, Width::W6)?;
//! while !builder.step(128) { /* serve a request in between */ }
//! let key: PreparedKey = builder.finish();
//! assert!(!key.verifies(b"a message", &signature));
//!
//! // The next key shares the table of the base point.
//! let other: Builder = Builder::sharing(&bytes, Width::W6, key.base())?;
//! # Ok(())
//! # }
//! ```
//!
//! Where to read on, from the outside in: `key` (the equation), `table` (the multiples), `backend` (how the sum is
//! taken on a given machine), `point` (the curve), `field` (numbers modulo 2^255 - 19).

#![no_std]
#![allow(clippy::needless_range_loop, reason = "limbs are numbered, as in the formulas")]

extern crate alloc;

mod backend;
mod encoding;
mod field;
mod key;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod pair;
mod point;
mod scalar;
mod table;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use backend::Simd128;
pub use backend::{Backend, Fastest, Native64, Portable};
pub use encoding::KeyError;
pub use key::{Base, Builder, PreparedKey};
pub use scalar::Width;
