//! The harness: what starts, drives, breaks and watches the real systems that the tests are about.
//!
//! Nothing here stands in for a part of Keyward. [`Origin`] is the built `keyward` binary on a private [`Postgres`],
//! [`Edge`] is the built worker in a bare workerd, [`Upstream`] is the service that the edge guards, and [`Relay`]
//! stands between two of them when a test has to count, delay or falsify what they say to each other.
//!
//! Everything that is started listens on 127.0.0.1 alone, keeps its files in a directory of its own that goes away
//! with it, and dies with the test even when the test is killed. Build what is run with `cargo xtask build`.

mod artefacts;
mod edge;
mod fault;
pub mod http;
mod origin;
mod ports;
mod postgres;
mod process;
mod relay;
mod upstream;
mod wait;

pub use artefacts::{Artefacts, target_dir, workspace_root};
pub use edge::{Edge, EdgeConfig};
pub use fault::Signal;
pub use origin::{Created, Origin, OriginConfig};
pub use postgres::Postgres;
pub use process::Process;
pub use relay::{Relay, Verdict};
pub use upstream::Upstream;
pub use wait::{eventually, holds_for};
