//! What derives can't say about shapes.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

const SCHEMAS: &str = "#/components/schemas/";

/// Says of answers that what may be `null` is stated all the same; and of requests what isn't `null`.
pub fn tidy(document: &mut Value) {
    explain_choices(document);
    name_formats(document);
    let (mut asked, mut answered) = (BTreeSet::new(), BTreeSet::new());
    let schemas = document["components"]["schemas"].take();
    for_each_operation(document, |_, operation| {
        for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
            // What is left out of a query isn't `null`.
            not_null(&mut parameter["schema"]);
        }
        for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            for (name, header) in response.get_mut("headers").and_then(Value::as_object_mut).into_iter().flatten() {
                header["description"] = explained(name).into();
            }
        }
        for content in operation.pointer_mut("/requestBody/content").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            // A body that may be left out may not be `null` for that.
            not_null(&mut content["schema"]);
        }
        reach(&operation["requestBody"], &schemas, &mut asked);
        reach(&operation["responses"], &schemas, &mut answered);
    });
    document["components"]["schemas"] = schemas;
    for name in answered.difference(&asked) {
        require_nullable(&mut document["components"]["schemas"][name]);
    }
}

/// What a header says of an answer.
fn explained(header: &str) -> &'static str {
    match header {
        "ETag" => "The entity tag of this state, for `If-Match`.",
        "Set-Cookie" => "The session's cookie.",
        "Link" => "The next page, `rel=\"next\"` (RFC 8288). Without it this was the last.",
        _ => "",
    }
}

/// Calls with the path and each operation of it.
pub fn for_each_operation(document: &mut Value, mut each: impl FnMut(&str, &mut Value)) {
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            each(path, operation);
        }
    }
}

/// The names of all schemas that `value` leads to.
fn reach(value: &Value, schemas: &Value, reached: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(Value::as_str).and_then(|uri| uri.strip_prefix(SCHEMAS))
                && reached.insert(name.to_owned())
            {
                reach(&schemas[name], schemas, reached);
            }
            members.values().for_each(|member| reach(member, schemas, reached));
        }
        Value::Array(items) => items.iter().for_each(|item| reach(item, schemas, reached)),
        _ => {}
    }
}

/// The formats of unsigned numbers by the names that the registry of formats has for them.
fn name_formats(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(format) if name == "format" => *format = format.replace("u-int", "uint"),
                    other => name_formats(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(name_formats),
        _ => {}
    }
}

/// Lifts the description of what may be a thing or `null` from the thing to the choice: it is said of the member.
fn explain_choices(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some([null, thing]) = members.get_mut("oneOf").and_then(Value::as_array_mut).map(Vec::as_mut_slice)
                && is_null(null)
                && let Some(description) = thing.as_object_mut().and_then(|thing| thing.remove("description"))
            {
                members.insert("description".to_owned(), description);
            }
            members.values_mut().for_each(explain_choices);
        }
        Value::Array(items) => items.iter_mut().for_each(explain_choices),
        _ => {}
    }
}

fn is_null(schema: &Value) -> bool {
    schema["type"] == "null"
}

/// Whether `null` is among what a schema admits.
fn admits_null(schema: &Value) -> bool {
    let types = schema["type"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "null"));
    types || schema["oneOf"].as_array().is_some_and(|choices| choices.iter().any(is_null))
}

/// Takes `null` out of what a schema admits.
fn not_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_mut_slice() {
            schema["type"] = one.take();
        }
    }
    if let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) {
        choices.retain(|choice| !is_null(choice));
        if let [one] = choices.as_mut_slice() {
            *schema = one.take();
        }
    }
}

/// Members of an answer that may be `null` are there: those that may be missing say that they aren't `null`.
fn require_nullable(schema: &mut Value) {
    let Some(members) = schema["properties"].as_object() else { return };
    let nullable: Vec<_> = members.iter().filter(|(_, member)| admits_null(member)).map(|(name, _)| json!(name)).collect();
    if nullable.is_empty() {
        return;
    }
    let mut required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
    required.extend(nullable);
    schema["required"] = required.into();
}
