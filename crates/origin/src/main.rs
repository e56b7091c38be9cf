//! The `keyward` command.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    keyward_origin::cli::Cli::parse().run()
}
