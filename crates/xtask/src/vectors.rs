//! The test vectors in `vectors/`, which the issuer's example `vectors` writes.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Result, ensure};

use crate::shell::{cargo, root, run};

/// Writes them; with `check`, fails where they differ from what it would write.
pub(crate) fn generate(check: bool) -> Result<()> {
    let ours = root().join("vectors");
    if !check {
        return write(&ours);
    }
    let fresh = tempfile::tempdir()?;
    write(fresh.path())?;
    let (fresh, ours) = (read(fresh.path())?, read(&ours)?);
    let names = fresh.keys().chain(ours.keys());
    let mut different: Vec<&String> = names.filter(|name| fresh.get(*name) != ours.get(*name)).collect();
    different.dedup();
    ensure!(different.is_empty(), "{different:?} in vectors/ are not what the generator writes: run `cargo xtask vectors`");
    Ok(())
}

fn write(folder: &Path) -> Result<()> {
    run(cargo().args(["run", "--quiet", "-p", "keyward-issuer", "--example", "vectors", "--"]).arg(folder))
}

/// The vectors of a folder by their names.
fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, fs::read(&path)?);
        }
    }
    Ok(files)
}
