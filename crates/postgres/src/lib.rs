//! A private Postgres for a process that would otherwise need one set up for it.
//!
//! [`PrivatePostgres::start`] finds the binaries, initialises a cluster in a directory of its own, starts it on a Unix
//! socket there (no TCP at all), and keeps it running: a Postgres that dies is started anew, and one whose owner dies
//! goes with it. Who wants to run the server otherwise, and kill it, has its [`Cluster`]. Nothing here speaks SQL.
//!
//! Looked at and not taken: `postgresql_embedded` (switches fsync off, can't leave root), `pg-embed` and
//! `testcontainers` (downloads, Docker), `pgtemp` (sudo).

mod account;
mod binaries;
mod cluster;
mod supervisor;

use std::path::PathBuf;

pub use binaries::find as find_binaries;
pub use cluster::{Cluster, exists, url};
pub use supervisor::{AlreadyRunning, PrivatePostgres};

/// How to run a private Postgres.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory that the cluster has to itself: data, socket, log, lock. Made if missing.
    pub dir: PathBuf,
    /// `true`: every commit reaches the disk. `false` loses data when the machine stops: for tests alone.
    pub durable: bool,
    /// Where `postgres` and `initdb` are; unset: `/usr/lib/postgresql/*/bin` (newest), then `PATH`.
    pub binaries: Option<PathBuf>,
}
