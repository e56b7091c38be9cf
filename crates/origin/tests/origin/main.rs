//! The origin through its real listener, on a real Postgres, each test with a database of its own.

#![expect(unreachable_pub, reason = "a test: nothing is reachable from outside")]

mod bounds;
mod database;
mod edge;
mod feed;
mod grants;
mod harness;
mod idempotency;
mod lifecycle;
mod oauth;
mod process;
mod recovery;
mod tenants;
mod validate;
