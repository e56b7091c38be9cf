//! The core's vectors pass as WebAssembly too: under Node as it was compiled, in workerd as it is shipped. (Natively they
//! are run by the core's own tests.)

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Edge, EdgeConfig,
    http::{Connection, Request},
    target_dir, workspace_root,
};
use serde_json::Value;

#[test]
fn the_vectors_pass_in_wasm_under_node() -> Result<()> {
    reports("vectors.mjs", &files()?)
}

/// Has a program of `tests/hosts` take each of the files to the package that Node loads.
fn reports(host: &str, files: &[PathBuf]) -> Result<()> {
    let output = Command::new("node")
        .arg(workspace_root().join("tests/hosts").join(host))
        .arg(target_dir()?.join("wasm/vectors-node/keyward.js"))
        .args(files)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reports = String::from_utf8(output.stdout)?;
    assert_eq!(reports.lines().count(), files.len());
    for (file, report) in files.iter().zip(reports.lines()) {
        check(file, report)?;
    }
    Ok(())
}

#[test]
fn what_the_inspector_says_of_every_key_token_and_request_of_the_vectors_is_what_the_edge_decides() -> Result<()> {
    let vectors = ["keys", "tokens", "decisions", "token_decisions"].map(|name| workspace_root().join(format!("vectors/{name}.json")));
    reports("explain.mjs", &vectors)
}

#[tokio::test]
async fn the_vectors_pass_in_workerd() -> Result<()> {
    let edge = Edge::start(EdgeConfig::plain(target_dir()?.join("wasm/vectors-workerd"))).await?;
    let mut connection = Connection::open(edge.addresses()[0]).await?;
    for file in files()? {
        let mut request = Request::new("POST", "/");
        request.body = fs::read(&file)?;
        check(&file, &connection.send(&request).await?.expect(200)?.text())?;
    }
    Ok(())
}

fn check(file: &Path, report: &str) -> Result<()> {
    let report: Value = serde_json::from_str(report)?;
    let failures = report["failures"].as_array().context("failures")?;
    let passed = report["passed"].as_u64().context("passed")?;
    ensure!(passed > 0 && failures.is_empty(), "{}: {failures:?}", file.display());
    Ok(())
}

/// All of `vectors/`.
fn files() -> Result<Vec<PathBuf>> {
    let entries: Result<Vec<_>, _> = fs::read_dir(workspace_root().join("vectors"))?.collect();
    let paths = entries?.into_iter().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    ensure!(!files.is_empty(), "no vectors");
    Ok(files)
}
