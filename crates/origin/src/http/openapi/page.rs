//! The document as a page for people: made once, of text and links alone. There is no script, so that none can be let in.

use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

/// Makes the page.
pub fn render(document: &Value) -> Markup {
    let tags = document["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let schemas = document["components"]["schemas"].as_object();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Keyward · API reference" }
                // None: a browser would ask for one.
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/docs/style.css";
            }
            body {
                nav aria-label="Sections" {
                    ul {
                        @for tag in tags { li { a href={ "#" (anchor(text(&tag["name"]))) } { (text(&tag["name"])) } } }
                        li { a href="#schemas" { "Schemas" } }
                    }
                }
                main {
                    header {
                        h1 { "Keyward API" }
                        (words(text(&document["info"]["description"])))
                        p {
                            "Version " (text(&document["info"]["version"])) ". For programs: "
                            a href="/openapi.json" { "openapi.json" } " (OpenAPI " (text(&document["openapi"])) ")."
                        }
                        (words(text(&document["components"]["securitySchemes"]["key"]["description"])))
                    }
                    @for tag in tags {
                        section aria-labelledby=(anchor(text(&tag["name"]))) {
                            h2 id=(anchor(text(&tag["name"]))) { (text(&tag["name"])) }
                            (words(text(&tag["description"])))
                            @for (path, method, operation) in tagged(document, &tag["name"]) { (described(document, path, method, operation)) }
                        }
                    }
                    section aria-labelledby="schemas" {
                        h2 id="schemas" { "Schemas" }
                        @for (name, schema) in schemas.into_iter().flatten() {
                            details {
                                summary { code { (name) } }
                                div id={ "schema-" (name) } {
                                    (words(text(&schema["description"])))
                                    (shape(schema))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The operations under a heading.
fn tagged<'a>(document: &'a Value, tag: &'a Value) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    operations.filter(move |(_, _, operation)| operation["tags"][0] == *tag)
}

fn described(document: &Value, path: &str, method: &str, operation: &Value) -> Markup {
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    let contents = operation["requestBody"]["content"].as_object();
    html! {
        details.operation {
            summary {
                span.method data-method=(method) { (method.to_uppercase()) }
                code.path { (breakable(path)) }
                span.what { (inline(text(&operation["summary"]))) }
            }
            div id=(text(&operation["operationId"])) {
                (words(text(&operation["description"])))
                (who(operation))
                @if !parameters.is_empty() {
                    h3 { "Parameters" }
                    dl {
                        @for parameter in parameters {
                            (member(text(&parameter["name"]), &parameter["schema"], text(&parameter["description"]), html! {
                                (text(&parameter["in"])) @if parameter["required"] == true { ", required" }
                            }))
                        }
                    }
                }
                @for (kind, content) in contents.into_iter().flatten() {
                    h3 { "Body" }
                    p { (kind_of(&content["schema"])) " as " code { (kind) } @if operation["requestBody"]["required"] != true { "; may be left out" } }
                }
                h3 { "Answers" }
                dl {
                    @for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                        (answer(status, response["$ref"].as_str().and_then(|uri| document.pointer(uri.trim_start_matches('#'))).unwrap_or(response)))
                    }
                }
            }
        }
    }
}

/// Who may call an operation.
fn who(operation: &Value) -> Markup {
    let ways = operation["security"].as_array().map(Vec::as_slice).unwrap_or_default();
    let needed = ways.iter().find_map(|way| way["key"][0].as_str());
    html! {
        p.who {
            @match needed {
                Some(capability) => { "Needs a key with " code { (capability) } "." },
                None if ways.is_empty() => { "Needs no key." },
                None if ways.iter().all(|way| way.get("session").is_some()) => { "Needs a session." },
                None if ways.len() == 1 => { "Needs a key." },
                None => { "With a key, or without: what is presented in the body may be enough." },
            }
        }
    }
}

fn answer(status: &str, response: &Value) -> Markup {
    let is_problem = !status.starts_with('2');
    html! {
        dt data-problem[is_problem] { (status) }
        dd {
            p { (inline(text(&response["description"]))) }
            @if !is_problem {
                @for (kind, content) in response["content"].as_object().into_iter().flatten() {
                    p { (kind_of(&content["schema"])) " as " code { (kind) } }
                }
                @for (name, header) in response["headers"].as_object().into_iter().flatten() {
                    p { code { (name) } ": " (inline(text(&header["description"]))) }
                }
            }
        }
    }
}

/// All that a schema says: its members, or what it is.
fn shape(schema: &Value) -> Markup {
    let Some(members) = schema["properties"].as_object() else { return html! { p { (kind_of(schema)) } } };
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (first, rest): (Vec<_>, Vec<_>) = members.iter().partition(|(name, _)| required.contains(&name.as_str()));
    html! {
        dl {
            @for (name, of) in first { (member(name, of, text(&of["description"]), html! { "required" })) }
            @for (name, of) in rest { (member(name, of, text(&of["description"]), html! {})) }
        }
        @if schema["additionalProperties"] == false { p.note { "Other members are refused." } }
    }
}

fn member(name: &str, schema: &Value, description: &str, note: Markup) -> Markup {
    html! {
        dt { code { (breakable(name)) } }
        dd {
            p.kind { (kind_of(schema)) " " span.note { (note) } }
            (words(description))
        }
    }
}

/// What a value is, in a line, with links to what is described elsewhere.
fn kind_of(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|uri| uri.rsplit('/').next()) {
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            // What may be nothing is first of all something.
            let (null, things): (Vec<_>, Vec<_>) = choices.iter().partition(|choice| choice["type"] == "null");
            return html! { @for (at, choice) in things.into_iter().chain(null).enumerate() { @if at > 0 { " or " } (kind_of(choice)) } };
        }
    }
    if let Some(words) = schema["enum"].as_array() {
        return html! { @for (at, word) in words.iter().enumerate() { @if at > 0 { ", " } code { (text(word)) } } };
    }
    let kinds: Vec<_> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    html! {
        @for (at, kind) in kinds.iter().enumerate() {
            @if at > 0 { " or " }
            @match *kind {
                "array" => { "list of " (kind_of(&schema["items"])) },
                "object" if schema["additionalProperties"].is_object() => { "map to " (kind_of(&schema["additionalProperties"])) },
                kind => (kind),
            }
        }
        @if kinds.is_empty() { "anything" }
        (bounds(schema))
    }
}

/// How much a value may be.
fn bounds(schema: &Value) -> Markup {
    let range = |least: &str, most: &str, of: &str| match (&schema[least], &schema[most]) {
        (Value::Null, Value::Null) => None,
        (least, Value::Null) if least == 0 => None,
        (least, Value::Null) => Some(format!("at least {least}{of}")),
        (Value::Null, most) => Some(format!("at most {most}{of}")),
        (least, most) if least == most => Some(format!("{most}{of}")),
        (least, most) => Some(format!("{least} to {most}{of}")),
    };
    let all = [
        schema["format"].as_str().filter(|format| !format.contains("int") && *format != "double").map(str::to_owned),
        range("minimum", "maximum", ""),
        range("minLength", "maxLength", " characters"),
        range("minItems", "maxItems", " entries"),
    ];
    let pattern = schema["pattern"].as_str();
    html! {
        @for bound in all.into_iter().flatten() { ", " (bound) }
        @if let Some(pattern) = pattern { ", " code { (pattern) } }
    }
}

/// Paragraphs.
fn words(text: &str) -> Markup {
    html! { @for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.is_empty()) { p { (inline(paragraph)) } } }
}

/// Words with code between backticks.
fn inline(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 0 { (part) } @else { code { (part) } }
        }
    }
}

/// A name that a narrow screen may break after its parts.
fn breakable(name: &str) -> Markup {
    html! { @for (at, part) in name.split_inclusive(['/', '_']).enumerate() { @if at > 0 { wbr; } (part) } }
}

fn anchor(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_description_says_is_text_and_never_markup() {
        let schema = json!({"type": "object", "properties": {"<b>": {"type": "string", "description": "`<i>` <script>"}}});
        let page = shape(&schema).into_string();
        assert!(!["<b>", "<i>", "<script>"].iter().any(|tag| page.contains(tag)), "{page}");
    }
}
