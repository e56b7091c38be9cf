//! Keyward's core for JavaScript: the same code that decides at the edge, in a browser, in Node or in any other host.
//!
//! ```js
//! const key = ApiKey.parse(text);                              // shape and checksum; nothing is proved yet
//! const keys = KeySet.open(manifest, [root], Date.now());      // whose signatures count
//! const verified = keys.verify(key, "live", statuses, Date.now());
//! const decision = policy.decide(verified, { method: "GET", path: "/v1/me", tls: true, requirement: "authenticated" });
//! ```
//!
//! A host that decides on every request lets `Gate` of `gate.js` do the first half, which remembers what it has verified.
//!
//! Every class is a thin shell around a type of `keyward-core`. What fails throws an `Error` whose `code` is stable and
//! whose message is for people; neither holds any part of a key. Times are milliseconds, as `Date.now()` gives them,
//! except for expiries, which are unix seconds as signed.

mod audit;
mod error;
mod explain;
mod gate;
mod key;
mod keys;
mod policy;
mod routes;
mod statuses;
mod token;
#[cfg(feature = "vectors")]
mod vectors;

pub use audit::AuditChain;
pub use explain::{ExaminedKey, ExaminedToken};
pub use gate::{KeyGate, malformed, memory, reason_code};
pub use key::{ApiKey, VerifiedKey};
pub use keys::KeySet;
pub use policy::{Decision, Policy};
pub use routes::RouteTable;
pub use statuses::StatusLists;
pub use token::VerifiedToken;
#[cfg(feature = "vectors")]
pub use vectors::run_vectors;
