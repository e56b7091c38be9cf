//! Builds what does the slots: `crates/bench`, natively and as WebAssembly, and the npm packages that it is compared
//! with, bundled once for both JavaScript runtimes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use keyward_tests::target_dir;

use crate::{
    setup,
    shell::{cargo, npm_program, run, run_quietly, step},
    wasm::{self, Flavour, Module},
};

/// What was built.
pub(super) struct Slots {
    /// The native program.
    pub(super) native: PathBuf,
    /// The modules: `index.js` is the worker, `node.mjs` the same for Node.
    pub(super) modules: PathBuf,
}

const PACKAGE: &str = "keyward-bench";
const BISCUIT: &str = "node_modules/@biscuit-auth/biscuit-wasm/module/biscuit_bg.wasm";

/// Builds all of it.
pub(super) fn build() -> Result<Slots> {
    step("keyward-bench: compiled", || {
        run(cargo().args(["build", "--quiet", "--release", "-p", PACKAGE, "--bin", PACKAGE, "--features", "peers"]))
    })?;
    wasm::build(Module::Bench, Flavour::SHIPPED)?;
    // As browsers get it: the bindings take a compiled module.
    wasm::build(Module::Browser, Flavour::SHIPPED)?;
    let scripts = setup::peers()?;
    let modules = target_dir()?.join("bench/slots");
    step("peers: bundled", || {
        let _ = fs::remove_dir_all(&modules);
        fs::create_dir_all(&modules)?;
        run_quietly(npm_program("vite/bin/vite.js").arg("build").arg(&scripts).arg("--outDir").arg(&modules))?;
        run_quietly(Command::new("node").arg(scripts.join("extract.mjs")).arg(modules.join("sodium.wasm")))?;
        copy(&scripts.join(BISCUIT), &modules.join("biscuit.wasm"))?;
        copy(&scripts.join("worker.js"), &modules.join("index.js"))?;
        for name in ["slots.js", "sodium.js", "warm.js", "node.mjs"] {
            copy(&scripts.join(name), &modules.join(name))?;
        }
        modules_of(&Module::Bench.folder(Flavour::SHIPPED)?, &modules)?;
        modules_of(&Module::Browser.folder(Flavour::SHIPPED)?, &modules.join("keyward"))?;
        // For Node, to which a .js is no module otherwise.
        Ok(fs::write(modules.join("package.json"), r#"{"type":"module"}"#)?)
    })?;
    Ok(Slots { native: target_dir()?.join("release").join(PACKAGE), modules })
}

/// Copies the scripts and the WebAssembly of a folder.
fn modules_of(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let (Some(name), Some("js" | "wasm")) = (path.file_name(), path.extension().and_then(|extension| extension.to_str())) {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| from.display().to_string()).map(drop)
}
