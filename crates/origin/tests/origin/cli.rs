//! The `keyward` command against a real origin: what operators and scripts do with it.

mod decisions;
mod groups;
mod keys;
mod shell;
mod ways;
