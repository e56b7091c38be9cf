//! Running other programs, and saying what takes how long.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};

/// Runs a step and prints one line with its time when it is through.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f64();
    match &result {
        Ok(_) => eprintln!("{seconds:8.1} s  {name}"),
        Err(_) => eprintln!("{seconds:8.1} s  {name}: FAILED"),
    }
    result.with_context(|| name.to_owned())
}

/// Runs a command to its end, its output going where ours goes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.stdin(Stdio::null()).status().with_context(|| described(command))?;
    ensure!(status.success(), "{} failed ({status})", described(command));
    Ok(())
}

/// Runs a command to its end; shows its output only when it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| described(command))?;
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let lines: Vec<&str> = out.lines().chain(err.lines()).collect();
        // The end says why; what comes before is often a list of what went well.
        let lines = &lines[lines.len().saturating_sub(80)..];
        bail!("{} failed ({}):\n{}", described(command), output.status, lines.join("\n"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn described(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| format!(" {}", argument.to_string_lossy()));
    std::iter::once(program).chain(arguments).collect()
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    keyward_tests::workspace_root()
}

/// The cargo that runs us, in the root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // The queries are checked against what `.sqlx` says, and not against whatever database the developer works with.
    command.env_remove("DATABASE_URL");
    // Set by `cargo run` for us; another package's build would take them for its own and build again.
    for (name, _) in std::env::vars_os() {
        let stale = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(stale) {
            command.env_remove(name);
        }
    }
    command
}

/// A program of an npm package, run by node.
pub(crate) fn npm_program(path: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(root().join("node_modules").join(path)).current_dir(root());
    command
}

/// Where a program of this name stands in the path.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}
