//! The files in `vectors/`, which every runtime has to pass, run natively.

use std::{fs, path::Path};

#[test]
fn every_vector_gives_exactly_what_it_expects() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors");
    let mut failures = Vec::new();
    let mut passed = 0;
    for entry in fs::read_dir(directory).expect("the vectors are there") {
        let path = entry.expect("a directory's entry").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let report = keyward_vectors::run(&fs::read_to_string(&path).expect("a file")).unwrap_or_else(|error| panic!("{name}: {error}"));
        passed += report.passed;
        failures.extend(report.failures.into_iter().map(|failure| format!("{name}: {failure}")));
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), failures.len() + passed, failures.join("\n"));
    assert!(passed > 500, "only {passed} vectors: some file is missing");
}
