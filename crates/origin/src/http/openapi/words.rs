//! From the words of code to those of a reference: links of rustdoc mean nothing to who reads it.

use serde_json::Value;

/// Rewrites every description.
pub fn tidy(document: &mut Value) {
    // Descriptions lead to others, and some of these to others still; two steps are the longest way there is.
    for _ in 0..2 {
        let schemas = document["components"]["schemas"].clone();
        rewrite(document, &schemas);
    }
}

fn rewrite(value: &mut Value, schemas: &Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" || name == "summary" => *text = resolved(text, schemas),
                    other => rewrite(other, schemas),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, schemas)),
        _ => {}
    }
}

/// With the description of what it refers to in the place of ``See [`Type::member`].``, and other links as code.
fn resolved(text: &str, schemas: &Value) -> String {
    // Between fences there is an example in Rust.
    let text: String = text.split("```").step_by(2).collect();
    let text = text.trim().replace('\n', " ").replace("  ", "\n\n");
    let referred = text.strip_prefix("See [`").and_then(|rest| rest.split_once("`]"));
    let text = match referred {
        Some((target, rest)) if lookup(target, schemas).is_some() => {
            let found = lookup(target, schemas).unwrap_or_default();
            match rest.strip_prefix('.') {
                Some(rest) => format!("{found}{rest}"),
                None => format!("{}{rest}", found.trim_end_matches('.')),
            }
        }
        _ => text,
    };
    text.replace("[`", "`").replace("`]", "`")
}

/// The description of `Type` or `Type::member`.
fn lookup<'a>(target: &str, schemas: &'a Value) -> Option<&'a str> {
    let (name, member) = target.split_once("::").map_or((target, None), |(name, member)| (name, Some(member)));
    let schema = schemas.get(name)?;
    let found = match member {
        Some(member) => &schema["properties"][member],
        None => schema,
    };
    found["description"].as_str()
}
