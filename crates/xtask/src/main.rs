//! The project's own commands: `cargo xtask --help`.

mod bench;
mod checks;
mod products;
mod queries;
mod screenshots;
mod setup;
mod shell;
mod story;
mod up;
mod vectors;
mod wasm;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use bench::{Bench, Part};
use clap::{Parser, Subcommand};
use products::{Product, Profile};
use up::Ports;
use wasm::{Flavour, Module};

/// Keyward's own commands: build it, run it, test it, measure it
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = "A first look: cargo xtask up")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install what the build and the tests need beside Cargo (done by the others when needed)
    Setup,
    /// Build the keyward binary, the edge and the pages, or those named
    Build {
        /// What to build; everything when none is named
        products: Vec<Product>,
        /// Build the binary as it is released
        #[arg(long)]
        release: bool,
        /// Build the edge without SIMD instructions, into a folder of its own
        #[arg(long)]
        plain: bool,
        /// Build the edge with dalek alone, without tables for known keys, into a folder of its own
        #[arg(long)]
        dalek: bool,
    },
    /// Run everything here, on the loopback: origin, edge, and an echo service behind it
    Up {
        /// Where the origin listens; by another port it is another deployment, with data of its own
        #[arg(long, default_value_t = up::PORT)]
        port: u16,
        /// Where the edge listens
        #[arg(long, default_value_t = 8787)]
        edge_port: u16,
        /// Instead: run on free ports with passing data, tell a key's whole life, and end
        #[arg(long, conflicts_with_all = ["port", "edge_port"])]
        check: bool,
    },
    /// Check everything that has to hold before a change goes in
    Test {
        /// Leave out what needs the edge built, a browser or the edge's runtime
        #[arg(long)]
        fast: bool,
    },
    /// Write the test vectors anew
    Vectors {
        /// Instead: fail where they differ from what would be written
        #[arg(long)]
        check: bool,
    },
    /// Measure, and print how we compare: a JSON object a line
    ///
    /// A line names what was measured (`name`), the peer (`against`), and how many times better we are (`ratio`); `value`
    /// is ours and `peer` theirs, in `unit`. The benches of the edge and of the origin end with a table of their goals, on
    /// standard error. They build the servers as they are released, which takes minutes the first time.
    #[command(
        after_help = "Examples:\n  cargo xtask bench edge --only verify    signatures, against other implementations\n  cargo xtask bench origin --only validate,memory\n  cargo xtask bench size status"
    )]
    Bench {
        /// What to measure; everything when nothing is named
        benches: Vec<Bench>,
        /// Of the edge and the origin, only these parts
        #[arg(long, value_delimiter = ',')]
        only: Vec<Part>,
    },
    /// Describe the origin's queries anew, in .sqlx
    Sqlx {
        /// Instead: fail where they differ from what would be written
        #[arg(long)]
        check: bool,
    },
    /// Take pictures of every page in both themes, at a desk and on a phone, into docs/screenshots
    Screenshots,
    /// Run the long tests in release: those that are marked #[ignore], `sameness`, ten million signatures verified by
    /// tables and by the reference, and `properties`, the core's on a hundred times as many inputs
    Soak {
        /// `sameness`, `properties`, or those whose names contain this
        name: Option<String>,
    },
}

fn main() -> ExitCode {
    match perform(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Setup => setup::all(),
        Task::Build { products, release, plain, dalek } => {
            setup::to_run()?;
            if plain || dalek {
                ensure!(products == [Product::Edge], "--plain and --dalek are for the edge alone: cargo xtask build edge --plain");
                let flavour = Flavour { simd: !plain, tables: !dalek };
                wasm::build(Module::Edge, flavour)?;
                println!("{}", Module::Edge.folder(flavour)?.display());
                return Ok(());
            }
            let products = if products.is_empty() { &products::ALL[..] } else { &products };
            products::build(products, if release { Profile::Release } else { Profile::Dev })
        }
        Task::Up { port, edge_port, check } => {
            let ports = Ports::apart(port, edge_port)?;
            setup::to_run()?;
            products::build(&products::RUN, Profile::Dev)?;
            let runtime = tokio::runtime::Runtime::new()?;
            if check { runtime.block_on(up::check()) } else { runtime.block_on(up::stay(ports)) }
        }
        Task::Test { fast } => checks::all(fast),
        Task::Vectors { check } => vectors::generate(check),
        Task::Bench { benches, only } => {
            setup::to_run()?;
            bench::run(&benches, &only)
        }
        Task::Sqlx { check } => queries::describe(check),
        Task::Screenshots => {
            setup::to_run()?;
            products::build(&products::RUN, Profile::Dev)?;
            tokio::runtime::Runtime::new()?.block_on(screenshots::take())
        }
        Task::Soak { name } => checks::soak(name.as_deref()),
    }
}
