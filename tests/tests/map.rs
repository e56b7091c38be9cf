//! The code map of ARCHITECTURE.md names what there is: who looks for a thing finds it there, or it is in no crate.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, ensure};

#[test]
fn the_code_map_names_each_file_and_folder_at_the_top_of_each_crate() -> Result<()> {
    let root = keyward_tests::workspace_root();
    let text = fs::read_to_string(root.join("ARCHITECTURE.md"))?;
    let (_, map) = text.split_once("\n## Code map\n").context("a code map")?;
    let (map, _) = map.split_once("\n## ").context("its end")?;
    let mut missing = Vec::new();
    let mut crates = 0;
    for folder in fs::read_dir(root.join("crates"))? {
        let folder = folder?.path();
        let name = folder.file_name().and_then(|name| name.to_str()).context("a name")?.to_owned();
        let about = part(map, &name);
        for module in modules(&folder.join("src"))? {
            // A module may be named by its file or by the folder with what is below it.
            if !about.contains(&format!("`{module}.rs`")) && !about.contains(&format!("`{module}/`")) {
                missing.push(format!("{name}: {module}"));
            }
        }
        crates += 1;
    }
    missing.sort_unstable();
    ensure!(crates > 0 && missing.is_empty(), "not in the code map of ARCHITECTURE.md: {missing:?}");
    Ok(())
}

/// What the map says within a crate: from a line that begins with its name until one that begins with another's.
fn part(map: &str, name: &str) -> String {
    let ours = [format!("Within `crates/{name}`"), format!("- `crates/{name}`")];
    let begins = |line: &str| ["Within `", "In the smaller crates", "- `crates/"].iter().any(|start| line.starts_with(start));
    let mut within = false;
    let mut about = String::new();
    for line in map.lines() {
        if begins(line) {
            within = ours.iter().any(|start| line.starts_with(start));
        }
        if within {
            about.push_str(line);
            about.push('\n');
        }
    }
    about
}

/// The modules at the top of a crate, but for its root and its programs.
fn modules(source: &Path) -> Result<BTreeSet<String>> {
    let mut modules = BTreeSet::new();
    for entry in fs::read_dir(source).with_context(|| source.display().to_string())? {
        let path = entry?.path();
        // Git leaves folders behind, empty ones.
        let folder = path.is_dir() && fs::read_dir(&path)?.next().is_some();
        if folder || path.extension().is_some_and(|extension| extension == "rs") {
            modules.insert(path.file_stem().and_then(|name| name.to_str()).context("a name")?.to_owned());
        }
    }
    for root in ["lib", "main", "bin"] {
        modules.remove(root);
    }
    Ok(modules)
}
