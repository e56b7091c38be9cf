//! The origin through its real listener, on a real Postgres, each test with a database of its own.

#![expect(unreachable_pub, reason = "a test: nothing is reachable from outside")]

mod audit;
mod bounds;
mod ceilings;
mod database;
mod edge;
mod feed;
mod grants;
mod harness;
mod holes;
mod idempotency;
mod lifecycle;
mod matrix;
mod oauth;
mod owners;
mod process;
mod recovery;
mod tenants;
mod validate;
