//! The signing keys, and the manifest that tells the world of them.
//!
//! The database holds the keys with their states ([`store`]); the newest manifest in it, signed by the root, says which
//! of them count ([`manifest`]). A server works with the manifest's word ([`keyring`]): where the root is kept elsewhere,
//! a change of a state is a proposal until somebody has brought a manifest that says so ([`elsewhere`]). Every change is a
//! [`turn`].

mod elsewhere;
mod keyring;
mod listing;
mod manifest;
mod rotation;
mod store;
mod turn;

pub use elsewhere::{adopt_root, proposal, publish_manifest};
pub use keyring::{Keyring, Keyrings, load};
pub use listing::list;
pub use manifest::{Edition, Issuer, MAX_MANIFEST_SECONDS, NotAccepted, accept, hold, propose, publish};
pub use rotation::{activate, create, freeze, retire};
pub use store::{end, generate};
