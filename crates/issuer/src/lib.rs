//! What needs a private key: minting API keys, and signing manifests, policies, the feed, status lists and tokens.
//!
//! Everything that this crate writes, [`keyward_core`] reads; the edge can't reach this crate, and a test proves it.
//! Nothing here draws randomness or reads a clock: seeds, entropy and times are arguments.
//!
//! ```
//! use keyward_core::{Manifest, Timestamp};
//! use keyward_issuer::SigningKey;
//!
//! let root = SigningKey::from_seed([7; 32]);
//! let manifest = Manifest {
//!     iss: "https://keys.example.com".into(),
//!     version: 1, epoch: 1, first_policy: 1, first_index: 0,
//!     iat: 1_790_000_000, exp: 1_800_000_000, keys: vec![],
//! };
//! let text = root.sign(&manifest).unwrap();
//! let keys = Manifest::open(&text, &[root.public_key()], Timestamp::from_secs(1_790_000_001)).unwrap();
//! assert_eq!(keys.manifest().version, 1);
//! ```

mod api_key;
mod signing_key;
mod status_list;

pub use api_key::{ENTROPY_LEN, SecretKeyText, mint_api_key};
pub use signing_key::{SignError, SigningKey};
pub use status_list::{amendment_page, encode_status_list, status_list_claims, status_list_uri};
