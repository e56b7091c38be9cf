//! Binaryen's wasm-opt, from npm.

use std::{fs, path::Path};

use anyhow::{Result, ensure};

use super::Flavour;
use crate::shell::{npm_program, run_quietly};

/// What rustc and wasm-bindgen make use of; V8 has had them all for years. In a flavour with SIMD, `simd` too: where
/// a module has what isn't named, it is refused.
const FEATURES: [&str; 7] =
    ["bulk-memory", "exception-handling", "multivalue", "mutable-globals", "nontrapping-float-to-int", "reference-types", "sign-ext"];

/// Optimises every module of the folder in place.
pub(super) fn optimise(folder: &Path, flavour: Flavour) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let smaller = path.with_extension("wasm.opt");
            // -O3 rather than -Os: the difference in size is a few per cent, and verification is what we are here for.
            run_quietly(
                npm_program("binaryen/bin/wasm-opt")
                    .args(["-O3", "--strip-producers"])
                    .args(FEATURES.into_iter().chain(flavour.simd.then_some("simd")).map(|feature| format!("--enable-{feature}")))
                    .arg("-o")
                    .arg(&smaller)
                    .arg(&path),
            )?;
            ensure!(fs::metadata(&smaller)?.len() > 0, "wasm-opt wrote nothing");
            fs::rename(&smaller, &path)?;
        }
    }
    Ok(())
}
