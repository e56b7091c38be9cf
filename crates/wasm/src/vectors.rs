//! The test vectors, run inside the host that this is loaded into.

use wasm_bindgen::{JsValue, prelude::wasm_bindgen};

use crate::error::error;

/// Runs a file of vectors; the result is `{"passed":number,"failures":[string…]}` as JSON.
///
/// @throws {KeywardError} `argument` where it isn't a file of vectors
#[wasm_bindgen(js_name = runVectors)]
pub fn run_vectors(text: &str) -> Result<String, JsValue> {
    let report = keyward_vectors::run(text).map_err(|cause| error("argument", &cause))?;
    Ok(serde_json::json!({ "passed": report.passed, "failures": report.failures }).to_string())
}
