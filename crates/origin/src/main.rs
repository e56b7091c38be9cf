//! The `keyward` command.

use std::process::ExitCode;

use clap::Parser;
use keyward_origin::cli::{Cli, report};

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}
