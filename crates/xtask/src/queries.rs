//! The descriptions of the origin's queries in `.sqlx`, with which it compiles where there is no database.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Process, eventually, target_dir};

use crate::shell::{cargo, root, run, step};

/// A fresh cluster with all migrations applied.
const DATABASE_WITHIN: Duration = Duration::from_secs(60);

/// Writes them; with `check`, fails where they differ from what it would write.
pub(crate) fn describe(check: bool) -> Result<()> {
    let home = tempfile::Builder::new().prefix("keyward-sqlx-").tempdir()?;
    let (server, url) = step("a database with the migrations applied", || database(home.path()))?;
    let fresh = home.path().join("queries");
    fs::create_dir(&fresh)?;
    step("queries described", || {
        // The macros write as they are expanded, and Cargo expands what has changed.
        for source in ["lib.rs", "main.rs"] {
            let path = root().join("crates/origin/src").join(source);
            if path.exists() {
                File::options().append(true).open(path)?.set_modified(SystemTime::now())?;
            }
        }
        let mut command = cargo();
        command.args(["check", "--quiet", "--all-targets", "-p", "keyward-origin"]);
        run(command.env("DATABASE_URL", &url).env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", &fresh))
    })?;
    drop(server);
    let (fresh, ours) = (read(&fresh)?, root().join(".sqlx"));
    ensure!(!fresh.is_empty(), "no query was described");
    if check {
        ensure!(fresh == read(&ours)?, ".sqlx doesn't describe the queries as they are: run `cargo xtask sqlx`");
        return Ok(());
    }
    let _ = fs::remove_dir_all(&ours);
    fs::create_dir(&ours)?;
    for (name, text) in fresh {
        fs::write(ours.join(name), text)?;
    }
    Ok(())
}

/// Starts one in that directory; ends with the process.
fn database(home: &Path) -> Result<(Process, String)> {
    run(cargo().args(["build", "--quiet", "-p", "keyward-postgres", "--example", "dev_database"]))?;
    let mut command = Command::new(target_dir()?.join("debug/examples/dev_database"));
    command.current_dir(root()).arg("--dir").arg(home.join("cluster"));
    let mut server = Process::start("dev_database", command, &home.join("log"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let url = runtime.block_on(eventually("the database is there", DATABASE_WITHIN, || {
        let ended = server.must_be_running().err();
        let output = server.output();
        let url = output.lines().find(|line| line.starts_with("postgres")).map(|line| Ok(line.to_owned()));
        std::future::ready(url.or(ended.map(Err)))
    }));
    let url = url.with_context(|| server.last_words())??;
    Ok((server, url))
}

fn read(folder: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, fs::read_to_string(&path)?);
        }
    }
    Ok(files)
}
