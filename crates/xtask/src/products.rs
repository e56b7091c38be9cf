//! What is built: the `keyward` binary, the edge's modules, the browser package and the pages.

use anyhow::Result;
use clap::ValueEnum;

use crate::{
    shell::{cargo, npm_program, root, run, run_quietly, step},
    wasm::{self, Flavour, Module},
};

/// Something to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Product {
    /// The `keyward` binary
    Keyward,
    /// The edge's modules, for workerd and for Cloudflare
    Edge,
    /// The pages, with the browser package in them
    Www,
    /// The runners of the test vectors, for Node and for workerd
    Vectors,
}

/// All that `up` runs.
pub(crate) const RUN: [Product; 3] = [Product::Keyward, Product::Edge, Product::Www];

/// All that the tests run.
pub(crate) const ALL: [Product; 4] = [Product::Keyward, Product::Edge, Product::Www, Product::Vectors];

/// How the native binary is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Cargo's dev profile, in which cryptography is optimised: quick to build, quick enough to run.
    Dev,
    /// Cargo's release profile: for benchmarks and soaks.
    Release,
}

/// Builds them in order.
pub(crate) fn build(products: &[Product], profile: Profile) -> Result<()> {
    for product in products {
        match product {
            Product::Keyward => step("keyward: compiled", || keyward(profile))?,
            Product::Edge => wasm::build(Module::Edge, Flavour::SHIPPED)?,
            Product::Www => www()?,
            Product::Vectors => {
                wasm::build(Module::NodeVectors, Flavour::SHIPPED)?;
                wasm::build(Module::WorkerdVectors, Flavour::SHIPPED)?;
            }
        }
    }
    Ok(())
}

fn keyward(profile: Profile) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--quiet", "-p", "keyward-origin", "--bin", "keyward"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    run(&mut command)
}

fn www() -> Result<()> {
    wasm::package()?;
    step("pages: type-checked and bundled", || {
        run_quietly(npm_program("typescript/bin/tsc").args(["--noEmit", "--project", "www"]))?;
        run_quietly(npm_program("vite/bin/vite.js").args(["build", "--logLevel", "warn"]).arg(root().join("www"))).map(drop)
    })
}
