//! JavaScript bindings, by the library behind wasm-bindgen's command line: installing that takes ten times as long as
//! compiling the library, and its version has to be that of the `wasm-bindgen` crate to the letter, which Cargo sees to.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use wasm_bindgen_cli_support::Bindgen;

use super::Module;

/// The worker's entry; `cargo xtask` appends what it exports.
const ENTRY: &str = include_str!("../../../edge/js/entry.js");

/// What stands beside the entry.
const EDGE_GATE: &str = include_str!("../../../edge/js/gate.js");
const EDGE_HOLD: &str = include_str!("../../../edge/js/hold.js");

/// What stands beside the bindings of the package.
const BY_HAND: [(&str, &str); 3] = [
    ("gate.js", include_str!("../../../wasm/js/gate.js")),
    ("gate.d.ts", include_str!("../../../wasm/js/gate.d.ts")),
    ("shape.js", include_str!("../../../wasm/js/shape.js")),
];

/// The worker that runs the vectors that it is sent.
const VECTORS_ENTRY: &str = include_str!("vectors.js");

/// Writes the bindings of `compiled` into `folder`.
pub(super) fn generate(module: Module, compiled: &Path, folder: &Path) -> Result<()> {
    let mut bindgen = Bindgen::new();
    bindgen.input_path(compiled).out_name(module.name()).remove_producers_section(true);
    match module {
        Module::Edge => {
            // The abort handler and the reset function let the entry start over after a panic.
            bindgen.module(true)?.typescript(false).reset_state_function(true).force_enable_abort_handler(true);
            bindgen.generate(folder)?;
            edge_entry(folder)
        }
        Module::Browser => {
            bindgen.web(true)?.omit_default_module_path(false).typescript(true);
            bindgen.generate(folder)?;
            by_hand(folder)
        }
        Module::NodeVectors => {
            bindgen.nodejs_module(true)?.typescript(false);
            bindgen.generate(folder)?;
            by_hand(folder)
        }
        Module::WorkerdVectors => {
            bindgen.module(true)?.typescript(false);
            bindgen.generate(folder)?;
            plain_import(&folder.join("keyward.js"))?;
            by_hand(folder)?;
            Ok(fs::write(folder.join("index.js"), VECTORS_ENTRY)?)
        }
        Module::Bench => {
            // The one kind of bindings that takes a compiled module, which is how both runtimes have it.
            bindgen.web(true)?.omit_default_module_path(true).typescript(false);
            bindgen.out_name("keyward_bench").generate(folder)
        }
    }
}

/// Writes what of the package is written by hand.
fn by_hand(folder: &Path) -> Result<()> {
    for (name, text) in BY_HAND {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// In workerd a plain import of a .wasm is already the compiled module that a source phase import asks for.
fn plain_import(path: &Path) -> Result<String> {
    let glue = fs::read_to_string(path)?.replace("import source ", "import ");
    fs::write(path, &glue)?;
    Ok(glue)
}

/// Writes `index.js` beside the glue, exporting its handlers and its Durable Objects.
fn edge_entry(folder: &Path) -> Result<()> {
    let path = folder.join("glue.js");
    let glue = plain_import(&path)?;
    let mut entry = ENTRY.to_owned();
    for handler in ["fetch", "queue", "scheduled"] {
        if exports(&glue, "function", handler) || exports(&glue, "async function", handler) {
            entry.push_str(&format!("handler(\"{handler}\");\n"));
        }
    }
    ensure!(entry.contains("\nhandler(\"fetch\")"), "the worker exports no fetch handler");
    for name in durable_objects(&glue) {
        entry.push_str(&format!("export const {name} = durable(glue.{name});\n"));
    }
    fs::write(folder.join("gate.js"), EDGE_GATE)?;
    fs::write(folder.join("hold.js"), EDGE_HOLD)?;
    Ok(fs::write(folder.join("index.js"), entry)?)
}

/// The exported classes with a `fetch` method; the worker crate exports helpers too.
fn durable_objects(glue: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut class = None;
    for line in glue.lines() {
        if let Some(rest) = line.strip_prefix("export class ") {
            class = rest.split([' ', '{']).next();
        } else if line.starts_with('}') {
            class = None;
        } else if line.trim_start().starts_with("fetch(") {
            found.extend(class.take());
        }
    }
    found
}

fn exports(glue: &str, kind: &str, name: &str) -> bool {
    glue.contains(&format!("export {kind} {name}("))
        || glue.lines().any(|line| line.starts_with("export {") && line.contains(&format!(" as {name}")))
}
