//! WebAssembly, from the crate to the modules that run.

mod bindgen;
mod optimise;
mod package;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

pub(crate) use package::package;

use crate::shell::{cargo, root, run, step};

/// What turns a crate into modules: when any of it changes, they are made anew.
const RECIPE: [&str; 11] = [
    include_str!("mod.rs"),
    include_str!("bindgen.rs"),
    include_str!("optimise.rs"),
    include_str!("vectors.js"),
    include_str!("../../../edge/js/entry.js"),
    include_str!("../../../edge/js/gate.js"),
    include_str!("../../../edge/js/hold.js"),
    include_str!("../../../edge/js/socket.js"),
    include_str!("../../../wasm/js/gate.js"),
    include_str!("../../../wasm/js/gate.d.ts"),
    include_str!("../../../wasm/js/shape.js"),
];

/// How a module is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flavour {
    /// With 128-bit SIMD: V8 has had it since 2021, workerd and browsers with it, and verification by tables is twice as
    /// fast with it.
    pub(crate) simd: bool,
    /// With tables for known keys; without, signatures are verified by dalek alone.
    pub(crate) tables: bool,
}

impl Flavour {
    /// What is shipped, and put where everything looks for it. Every other flavour has a folder of its own.
    pub(crate) const SHIPPED: Self = Self { simd: true, tables: true };

    /// What its folder's name has in addition.
    fn suffix(self) -> String {
        format!("{}{}", if self.tables { "" } else { "-dalek" }, if self.simd { "" } else { "-plain" })
    }
}

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

    /// What its files are called: `name.js` and `name_bg.wasm`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Edge => "glue",
            Self::Browser | Self::NodeVectors | Self::WorkerdVectors => "keyward",
            Self::Bench => "keyward_bench",
        }
    }

    /// Where it is put.
    pub(crate) fn folder(self, flavour: Flavour) -> Result<PathBuf> {
        let name = match self {
            Self::Edge => "edge",
            Self::Browser if flavour == Flavour::SHIPPED => return Ok(root().join("www/src/pkg")),
            Self::Browser => "browser",
            Self::NodeVectors => "vectors-node",
            Self::WorkerdVectors => "vectors-workerd",
            Self::Bench => "bench",
        };
        Ok(keyward_tests::target_dir()?.join("wasm").join(format!("{name}{}", flavour.suffix())))
    }
}

/// Compiles the crate, makes its bindings and optimises it; does the last two only when something has changed.
pub(crate) fn build(module: Module, flavour: Flavour) -> Result<()> {
    let what = format!("{}{}", module.package(), flavour.suffix());
    let compiled = step(&format!("{what}: compiled"), || compile(module, flavour))?;
    let folder = module.folder(flavour)?;
    let stamp = folder.join(".stamp");
    let digest = digest(&compiled)?;
    if fs::read_to_string(&stamp).is_ok_and(|done| done == digest) {
        return Ok(());
    }
    step(&format!("{what}: bindings and optimisation ({module:?})"), || {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        bindgen::generate(module, &compiled, &folder)?;
        // Between the two runners of the vectors, the code is run both as it was compiled and as it is shipped.
        if module != Module::NodeVectors {
            optimise::optimise(&folder, flavour)?;
        }
        Ok(fs::write(&stamp, &digest)?)
    })
}

/// The crate as a `.wasm` without bindings.
fn compile(module: Module, flavour: Flavour) -> Result<PathBuf> {
    let package = module.package();
    let mut target = keyward_tests::target_dir()?;
    if flavour != Flavour::SHIPPED {
        // Apart: Cargo writes all flavours of a module to the same place, and takes a new one for the old one there.
        target.push(format!("flavour{}", flavour.suffix()));
    }
    // What verifies by dalek alone has dalek's tables: the comparison is with dalek at its best.
    let features = module.features().iter().copied().chain([if flavour.tables { "known-key" } else { "dalek-tables" }]);
    run(cargo()
        .args(["build", "--quiet", "--lib", "--profile", "wasm", "--target", "wasm32-unknown-unknown", "-p", package])
        .args(["--no-default-features", "--features", &features.collect::<Vec<_>>().join(",")])
        .arg("--target-dir")
        .arg(&target)
        // Flags for the developer's own machine would change what is deployed.
        .env_remove("RUSTFLAGS")
        .env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
            format!("-C target-feature={}simd128", if flavour.simd { '+' } else { '-' }),
        ))?;
    let name = package.replace('-', "_");
    Ok(target.join("wasm32-unknown-unknown").join("wasm").join(name).with_extension("wasm"))
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
