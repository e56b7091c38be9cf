//! What `cargo xtask bench` measures beside the edge and the origin themselves.
//!
//! For `bench edge`, of ours: one bare verification of what an API key's signature covers (as those are measured against which
//! verify bare signatures), and the whole way from a key's text (as those are that read a token). Other implementations stand
//! beside ours in `main.rs` (native) and `js/peers.js`.
//!
//! Servers are programs of their own: `bin/hello.rs`, which does nothing, stands behind edges and against the origin, and
//! `origin/better-auth.js`, somebody else's API keys, against the origin.
//!
//! The harness is `crates/xtask/src/bench`.

mod bare;
mod bindings;
mod samples;
mod whole;

pub use bare::{Bare, Message};
pub use bindings::Ours;
pub use samples::Samples;
pub use whole::Whole;
