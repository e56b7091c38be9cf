//! WebAssembly, from the crate to the modules that run.

mod bindgen;
mod optimise;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::shell::{cargo, root, run, step};

/// What turns a crate into modules: when any of it changes, they are made anew.
const RECIPE: [&str; 5] =
    [include_str!("mod.rs"), include_str!("bindgen.rs"), include_str!("optimise.rs"), include_str!("entry.js"), include_str!("vectors.js")];

/// V8 has had 128-bit vectors since 2021, workerd and browsers with it; verification by tables is twice as fast with them.
const VECTORS: &str = "-C target-feature=+simd128";

/// A module's crate and what it is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    /// The worker: modules for workerd, with `index.js` as their entry.
    Edge,
    /// The package for browsers, among the sources of the pages.
    Browser,
    /// The runner of the test vectors, for Node.
    NodeVectors,
    /// The same for workerd.
    WorkerdVectors,
    /// What `bench edge` measures of ours, for Node and workerd alike.
    Bench,
}

impl Module {
    fn package(self) -> &'static str {
        match self {
            Self::Edge => "keyward-edge",
            Self::Browser | Self::NodeVectors | Self::WorkerdVectors => "keyward-wasm",
            Self::Bench => "keyward-bench",
        }
    }

    fn features(self) -> &'static [&'static str] {
        match self {
            Self::Edge | Self::Browser | Self::Bench => &[],
            Self::NodeVectors | Self::WorkerdVectors => &["vectors"],
        }
    }

    /// Where it is put.
    pub(crate) fn folder(self) -> Result<PathBuf> {
        Ok(match self {
            Self::Edge => keyward_tests::target_dir()?.join("wasm/edge"),
            Self::Browser => root().join("www/src/pkg"),
            Self::NodeVectors => keyward_tests::target_dir()?.join("wasm/vectors-node"),
            Self::WorkerdVectors => keyward_tests::target_dir()?.join("wasm/vectors-workerd"),
            Self::Bench => keyward_tests::target_dir()?.join("wasm/bench"),
        })
    }
}

/// Compiles the crate, makes its bindings and optimises it; does the last two only when something has changed.
pub(crate) fn build(module: Module) -> Result<()> {
    let compiled = step(&format!("{}: compiled", module.package()), || compile(module))?;
    let folder = module.folder()?;
    let stamp = folder.join(".stamp");
    let digest = digest(&compiled)?;
    if fs::read_to_string(&stamp).is_ok_and(|done| done == digest) {
        return Ok(());
    }
    step(&format!("{}: bindings and optimisation ({module:?})", module.package()), || {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        bindgen::generate(module, &compiled, &folder)?;
        // Between the two runners of the vectors, the code is run both as it was compiled and as it is shipped.
        if module != Module::NodeVectors {
            optimise::optimise(&folder)?;
        }
        Ok(fs::write(&stamp, &digest)?)
    })
}

/// The crate as a `.wasm` without bindings.
fn compile(module: Module) -> Result<PathBuf> {
    let package = module.package();
    run(cargo()
        .args(["build", "--quiet", "--lib", "--profile", "wasm", "--target", "wasm32-unknown-unknown", "-p", package])
        .args(module.features().iter().flat_map(|feature| ["--features", feature]))
        // Flags for the developer's own machine would change what is deployed.
        .env_remove("RUSTFLAGS")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", VECTORS))?;
    let name = package.replace('-', "_");
    Ok(keyward_tests::target_dir()?.join("wasm32-unknown-unknown/wasm").join(name).with_extension("wasm"))
}

/// Of everything that the result depends on.
fn digest(compiled: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(fs::read(compiled).with_context(|| compiled.display().to_string())?);
    for source in RECIPE {
        hash.update(source);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
