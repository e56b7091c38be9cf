//! Where a session is taken in place of a key.

use serde_json::{Value, json};

use super::shapes::for_each_operation;

/// Says so of every operation that takes a key there.
pub fn admit(document: &mut Value) {
    for_each_operation(document, |path, operation| {
        let Some(ways) = operation.get_mut("security").and_then(Value::as_array_mut) else { return };
        if !["/api/v1/", "/oauth/"].iter().any(|start| path.starts_with(start)) {
            return;
        }
        let with_key: Vec<Value> = ways.iter().filter_map(|way| way.get("key").cloned()).collect();
        ways.extend(with_key.into_iter().map(|capabilities| json!({"session": capabilities})));
    });
}
