//! The hub: one Durable Object a region, which follows the origin's feed for all of the region's isolates and speaks
//! to them as the origin speaks to it (`docs/formats.md`).
//!
//! It hands on what the origin signed, unchanged: an isolate trusts the signatures and not the hub. What it keeps
//! itself is how far it has seen, so that a restart doesn't open the way back, and the policies, which never change.

pub mod publication;
pub mod shelf;

#[cfg(target_arch = "wasm32")]
mod desk;
#[cfg(target_arch = "wasm32")]
mod object;
#[cfg(target_arch = "wasm32")]
mod obtain;
#[cfg(target_arch = "wasm32")]
mod outbox;
#[cfg(target_arch = "wasm32")]
mod store;

#[cfg(target_arch = "wasm32")]
pub use object::Hub;
