//! The package for browsers: one glue, and a module with SIMD and one without behind it.

use std::fs;

use anyhow::{Result, ensure};

use super::{Flavour, Module, build};

/// Chooses between the modules when they are loaded.
const LOADER: [(&str, &str); 2] =
    [("load.js", include_str!("../../../wasm/js/load.js")), ("load.d.ts", include_str!("../../../wasm/js/load.d.ts"))];

/// Builds it among the sources of the pages.
pub(crate) fn package() -> Result<()> {
    let plain = Flavour { simd: false, ..Flavour::SHIPPED };
    build(Module::Browser, Flavour::SHIPPED)?;
    build(Module::Browser, plain)?;
    let (folder, plain) = (Module::Browser.folder(Flavour::SHIPPED)?, Module::Browser.folder(plain)?);
    let same = fs::read(folder.join("keyward.js"))? == fs::read(plain.join("keyward.js"))?;
    ensure!(same, "the modules with and without SIMD have different glue: they can't share a package any more");
    fs::copy(plain.join("keyward_bg.wasm"), folder.join("keyward_plain_bg.wasm"))?;
    for (name, text) in LOADER {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
