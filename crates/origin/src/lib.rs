//! The origin: issues API keys, keeps their status, and tells edges of every change.
//!
//! A request goes through `http` (routes, extractors), to what can be done to keys (`keys`) and tokens (`oauth`), to
//! Postgres (`db`).
//! What edges follow is `feed`; what outlives a restored database is `journal`, and what happens then `recovery` and
//! `recover`. [`server`] puts it together; the `keyward` command is a thin shell around it.

#![expect(unreachable_pub, reason = "an application: `pub` says what a module offers to the others, not to the world")]

pub mod bootstrap;
pub mod cli;
pub mod clock;
pub mod config;
pub mod sealing;
pub mod server;

mod audit;
mod auth;
mod batch;
mod connections;
mod data_dir;
mod db;
mod decisions;
mod error;
mod failures;
mod feed;
mod http;
mod ids;
mod journal;
mod keys;
mod lately;
mod limits;
mod metrics;
mod oauth;
mod pace;
mod policies;
mod positions;
mod recover;
mod recovery;
mod sessions;
mod signing;
mod spread;
mod state;
mod tenants;
mod tokens;
mod turns;
mod usage;
