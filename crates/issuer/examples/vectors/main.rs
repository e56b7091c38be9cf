//! Writes the test vectors: `cargo run -p keyward-issuer --example vectors -- DIR`.
//!
//! Everything is derived from fixed seeds, so that the same source gives the same files to the byte. What a case expects
//! stands here as it was thought out, and is never computed by the code that it tests.

mod decisions;
mod keys;
mod mangle;
mod manifests;
mod policies;
mod replicas;
mod syntax;
mod tokens;
mod world;

use serde_json::{Value, json};
use std::{error::Error, fs, path::Path};

/// One file: which operation its cases go through, what is given to them all, and the cases.
struct File {
    name: &'static str,
    about: &'static str,
    operation: &'static str,
    given: Value,
    cases: Vec<Case>,
}

/// What is changed in an input that was right.
type Change<'a> = &'a dyn Fn(&mut Value);

/// What goes in, and what has to come out: `{"ok":…}` or `{"error":…}`.
struct Case {
    name: String,
    input: Value,
    expected: Value,
}

fn ok(name: impl Into<String>, input: Value, value: impl Into<Value>) -> Case {
    Case { name: name.into(), input, expected: json!({ "ok": value.into() }) }
}

fn error(name: impl Into<String>, input: Value, code: impl Into<String>) -> Case {
    Case { name: name.into(), input, expected: json!({ "error": code.into() }) }
}

impl File {
    fn write(self, directory: &Path) -> Result<(), Box<dyn Error>> {
        let mut names = std::collections::BTreeSet::new();
        if let Some(twice) = self.cases.iter().find(|case| !names.insert(&case.name)) {
            return Err(format!("two cases of {} are called {}", self.name, twice.name).into());
        }
        let cases: Vec<Value> = self
            .cases
            .into_iter()
            .map(|Case { name, input, expected }| {
                let mut case = input;
                case["name"] = name.into();
                case["expected"] = expected;
                case
            })
            .collect();
        let file = json!({ "about": self.about, "operation": self.operation, "given": self.given, "cases": cases });
        fs::write(directory.join(self.name), serde_json::to_string_pretty(&file)? + "\n")?;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("which directory are the vectors to be written to?")?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    let files = [
        syntax::paths(),
        syntax::patterns(),
        syntax::networks(),
        syntax::capabilities(),
        syntax::domains(),
        syntax::status_lists(),
        manifests::file(),
        keys::file(),
        policies::file(),
        tokens::file(),
        tokens::decisions(),
        decisions::file(),
        replicas::deltas(),
        replicas::heartbeats(),
        replicas::snapshots(),
        replicas::shards(),
        replicas::epochs(),
    ];
    for file in files {
        file.write(directory)?;
    }
    Ok(())
}
