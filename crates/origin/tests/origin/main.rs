//! The origin through its real listener, on a real Postgres, each test with a database of its own.

#![expect(unreachable_pub, reason = "a test: nothing is reachable from outside")]

mod audit;
mod bounds;
mod bulk;
mod contention;
mod database;
mod edge;
mod events;
mod feed;
mod grants;
mod harness;
mod holes;
mod idempotency;
mod lifecycle;
mod lists;
mod process;
mod recovery;
mod rotation;
mod tenants;
