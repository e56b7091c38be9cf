//! The origin through its real listener, on a real Postgres, each test with a database of its own.

#![expect(unreachable_pub, reason = "a test: nothing is reachable from outside")]
#![expect(clippy::disallowed_methods, reason = "a test's own connections go back to no pool")]

mod audit;
mod bounds;
mod bulk;
mod ceilings;
mod ceremony;
mod cli;
mod client;
mod connections;
mod contention;
mod contract;
mod crowd;
mod database;
mod debts;
mod decisions;
mod deployment;
mod described;
mod door;
mod edge;
mod events;
mod feed;
mod grants;
mod hangups;
mod harness;
mod held_back;
mod holes;
mod idempotency;
mod key_holes;
mod lifecycle;
mod limits;
mod lists;
mod lost_reply;
mod matrix;
mod oauth;
mod openapi;
mod operating;
mod owners;
mod process;
mod recovery;
mod replay;
mod revocations;
mod rotation;
mod sessions;
mod signing;
mod slots;
mod starts;
mod tenants;
mod usage;
mod usage_sums;
mod usage_waiting;
mod validate;
