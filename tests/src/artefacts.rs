//! Where `cargo xtask build` puts what the tests run.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The root of the workspace.
#[must_use]
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// Cargo's target directory, found from the running program: so it is right for `CARGO_TARGET_DIR`, for settings in
/// files, and for a test binary alike.
///
/// # Errors
/// When the running program doesn't stand in a target directory.
pub fn target_dir() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let found = program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").exists());
    found.map(Path::to_owned).with_context(|| format!("{} is in no target directory", program.display()))
}

/// The built programs and modules.
#[derive(Clone, Debug)]
pub struct Artefacts {
    /// The `keyward` binary, of the same profile as the running program.
    pub keyward: PathBuf,
    /// The folder with the edge's modules; `index.js` is the entry.
    pub edge: PathBuf,
    /// The built admin pages.
    pub www: PathBuf,
    /// The workerd binary.
    pub workerd: PathBuf,
}

impl Artefacts {
    /// Finds them without asking whether they exist. `KEYWARD_BIN` overrides the binary.
    ///
    /// # Errors
    /// As [`target_dir`].
    pub fn locate() -> Result<Self> {
        let target = target_dir()?;
        let program = std::env::current_exe()?;
        let profile = program.strip_prefix(&target)?.iter().next().context("a profile's folder")?.to_owned();
        let root = workspace_root();
        let platform = match (std::env::consts::OS, std::env::consts::ARCH) {
            ("macos", "aarch64") => "darwin-arm64",
            ("macos", _) => "darwin-64",
            (_, "aarch64") => "linux-arm64",
            _ => "linux-64",
        };
        Ok(Self {
            keyward: std::env::var_os("KEYWARD_BIN").map_or_else(|| target.join(profile).join("keyward"), PathBuf::from),
            edge: target.join("wasm/edge"),
            www: root.join("www/dist"),
            workerd: root.join(format!("node_modules/@cloudflare/workerd-{platform}/bin/workerd")),
        })
    }
}

/// Fails with advice where `path` is missing.
pub(crate) fn must_exist(path: &Path) -> Result<&Path> {
    ensure!(path.exists(), "{} is missing: run `cargo xtask build`", path.display());
    Ok(path)
}
