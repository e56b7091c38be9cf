//! The `keyward` command.

use std::process::ExitCode;

use keyward_origin::cli::{Cli, report};
use mimalloc::MiMalloc;

/// A request makes some hundred small allocations: a tenth of what it costs by the system's allocator (decision 0103).
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Cli::read().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}
