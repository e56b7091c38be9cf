//! Limits at the edge (`docs/limits.md`). An isolate spends a key's permits from memory ([`permits`]), and has them from
//! the key's Durable Object (`object.rs`), which has them from the origin. Both are holders with an authority above
//! them; [`teller`] is what they share, and [`wire`] what an isolate says to the object.

pub mod answer;
pub mod demand;
mod errands;
pub mod fields;
pub mod hold;
pub mod outage;
pub mod permits;
pub mod shift;
pub mod teller;
pub mod under_way;
pub mod wire;

#[cfg(target_arch = "wasm32")]
pub(crate) mod charge;
#[cfg(target_arch = "wasm32")]
mod ledger;
#[cfg(target_arch = "wasm32")]
mod object;

#[cfg(target_arch = "wasm32")]
pub use object::Limiter;
