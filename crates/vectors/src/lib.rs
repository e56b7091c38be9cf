//! Runs a file of test vectors against the core. Compiled natively, to wasm for Node and to wasm for workerd, it makes
//! one set of files the specification of all three. The shape of the files stands in `vectors/README.md`.

mod replica;
mod signed;
mod syntax;

use serde::Deserialize;
use serde_json::{Value, json};

/// A file of vectors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    operation: String,
    #[serde(rename = "about")]
    _about: String,
    #[serde(default)]
    given: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    expected: Value,
    #[serde(flatten)]
    input: Value,
}

/// What came of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many cases gave exactly what was expected.
    pub passed: usize,
    /// The others, a sentence each.
    pub failures: Vec<String>,
}

/// Runs all cases of a file, given as its text. An error where it can't be run at all: a typing error in a file must not
/// look like a success.
///
/// ```
/// let file = r#"{"operation":"path","about":"","cases":[{"name":"dot","raw":"/a/..","expected":{"error":"DotSegment"}}]}"#;
/// assert_eq!(keyward_vectors::run(file).unwrap().passed, 1);
/// ```
pub fn run(text: &str) -> Result<Report, String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if file.cases.is_empty() {
        return Err("a file without cases".into());
    }
    let operation = operation(&file.operation).ok_or_else(|| format!("no operation {}", file.operation))?;
    let mut report = Report::default();
    for case in file.cases {
        let found = operation(&file.given, case.input).map_err(|error| format!("{}: {error}", case.name))?;
        if found == case.expected {
            report.passed += 1;
        } else {
            report.failures.push(format!("{}: expected {}, found {found}", case.name, case.expected));
        }
    }
    Ok(report)
}

/// Takes what is given to all cases and the case's input, and answers in the shape of `expected`.
type Operation = fn(&Value, Value) -> Result<Value, String>;

fn operation(name: &str) -> Option<Operation> {
    Some(match name {
        "path" => syntax::path,
        "pattern" => syntax::pattern,
        "network" => syntax::network,
        "capability" => syntax::capability,
        "domain" => syntax::domain,
        "status-list" => syntax::status_list,
        "key" => signed::key,
        "manifest" => signed::manifest,
        "policy" => signed::policy,
        "token" => signed::token,
        "decision" => signed::decision,
        "token-decision" => signed::token_decision,
        "replica" => replica::steps,
        _ => return None,
    })
}

/// The input of a case as the type that its operation takes.
fn input<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// An outcome in the shape of `expected`: errors by the names of their variants, from the outside in.
fn outcome<T: Into<Value>, E: core::fmt::Debug>(result: Result<T, E>) -> Value {
    match result {
        Ok(value) => json!({ "ok": value.into() }),
        Err(error) => json!({ "error": format!("{error:?}") }),
    }
}
