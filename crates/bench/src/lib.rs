//! What `cargo xtask bench edge` measures of ours, apart from the edge itself: one bare verification of what an API
//! key's signature covers (as those are measured against which verify bare signatures), and the whole way from a key's
//! text (as those are that read a token). The harness is `crates/xtask/src/bench/edge`; other implementations stand
//! beside ours in `main.rs` (native) and `js/peers.js`.

mod bare;
mod bindings;
mod samples;
mod whole;

pub use bare::{Bare, Message};
pub use bindings::Ours;
pub use samples::Samples;
pub use whole::Whole;
