//! Where Postgres is installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The directory with `postgres` and `initdb`: as told, else Debian's newest version, else the first on the path.
///
/// # Errors
/// When the programs aren't where they are told to be, or nowhere.
pub fn find(told: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = told {
        return complete(dir).then(|| dir.to_owned()).with_context(|| format!("no postgres and initdb in {}", dir.display()));
    }
    let mut versions: Vec<u32> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    let installed = versions.iter().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    let path = env::var_os("PATH").unwrap_or_default();
    installed
        .chain(env::split_paths(&path))
        .find(|dir| complete(dir))
        .context("found no Postgres: install it (15 or newer), name its bin directory (KEYWARD_PG_BIN), or give a DATABASE_URL")
}

fn complete(dir: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|name| dir.join(name).is_file())
}
