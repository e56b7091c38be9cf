//! The parts together: real origins, real Postgres, real workerd. What Keyward promises as a whole stands here, a
//! module for each kind of promise.
//!
//! Everything waits for conditions, never for a guessed time. Deadlines for waiting are generous; what is asserted
//! is exact. The tests named `soak_…` are the same promises at full length: `cargo xtask soak NAME`.

mod support;

mod claims;
mod concurrency;
mod costs;
mod debts;
mod decisions;
mod durability;
mod instances;
mod limit_outage;
mod limits;
mod onward;
mod outage;
mod outbox;
mod propagation;
mod recovery;
mod refusals;
mod signing;
mod sockets;
mod tamper;
mod tokens;
mod usage;
mod ways;
