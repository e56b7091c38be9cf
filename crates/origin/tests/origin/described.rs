//! What the origin answers, held against its own description: by the harness, for every answer of every test.

use jsonschema::ValidatorMap;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

/// The description, as the first server that was asked gave it: all tests run one program.
static DESCRIPTION: OnceCell<Description> = OnceCell::const_new();

/// Headers that mean something where they stand, so that they have to be described.
const HEADERS: [&str; 6] = ["etag", "link", "location", "retry-after", "set-cookie", "www-authenticate"];

/// A request and its answer.
pub struct Exchange<'a> {
    pub method: &'a str,
    /// With the query.
    pub path: &'a str,
    /// Where it was JSON.
    pub asked: Option<&'a Value>,
    pub status: u16,
    pub headers: &'a HeaderMap,
    pub text: &'a str,
}

/// The document, and what it says compiled.
pub struct Description {
    pub document: Value,
    schemas: ValidatorMap,
}

impl Description {
    /// That of the server at `base`.
    pub async fn get(base: &str) -> &'static Self {
        let read = async || {
            let response = reqwest::get(format!("{base}/openapi.json")).await.expect("an answer");
            Self::new(response.json().await.expect("a document"))
        };
        DESCRIPTION.get_or_init(read).await
    }

    fn new(document: Value) -> Self {
        let mut schemas = Map::new();
        for (_, _, operation) in operations(&document) {
            let id = operation["operationId"].as_str().expect("an id");
            if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") {
                schemas.insert(format!("{id}-request"), schema.clone());
            }
            for (status, response) in operation["responses"].as_object().expect("responses") {
                for (kind, content) in followed(&document, response)["content"].as_object().into_iter().flatten() {
                    if kind.ends_with("json") {
                        schemas.insert(format!("{id}-{status}"), content["schema"].clone());
                    }
                }
            }
        }
        let mut root = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": schemas, "components": {
            "schemas": document["components"]["schemas"],
        }});
        close(&mut root);
        let schemas = jsonschema::options().should_validate_formats(true).build_map(&root).expect("schemas");
        Self { document, schemas }
    }

    /// The operation, where the path is one of the API's.
    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let path: Vec<_> = path.split('/').collect();
        let matches = |template: &str| {
            let template: Vec<_> = template.split('/').collect();
            template.len() == path.len() && template.iter().zip(&path).all(|(one, other)| one.starts_with('{') || one == other)
        };
        let found = operations(&self.document).filter(|(of, template, _)| of.eq_ignore_ascii_case(method) && matches(template));
        // A word is meant before a placeholder is.
        found.min_by_key(|(_, template, _)| template.matches('{').count()).map(|(_, _, operation)| operation)
    }

    /// What of the answer, or of a request that was accepted, is not as described.
    pub fn check(&self, exchange: &Exchange<'_>) -> Result<(), String> {
        let Exchange { method, path, asked, status, headers, text } = *exchange;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let Some(operation) = self.operation(method, path) else { return Ok(()) };
        let id = operation["operationId"].as_str().expect("an id");
        let response = operation["responses"].get(status.to_string()).ok_or("the status is not described")?;
        let response = followed(&self.document, response);
        let kind = headers.get("content-type").map_or("", |kind| kind.to_str().expect("a text").split(';').next().unwrap_or_default());
        let as_described = response["content"].as_object().map_or(text.is_empty(), |content| content.contains_key(kind));
        if !as_described {
            return Err(format!("a body of {kind:?} is not described"));
        }
        for header in HEADERS.into_iter().filter(|name| headers.contains_key(*name)) {
            let described = response["headers"].as_object().is_some_and(|all| all.keys().any(|name| name.eq_ignore_ascii_case(header)));
            if !described {
                return Err(format!("the header {header} is not described"));
            }
        }
        let values: Vec<&str> = match kind {
            "application/x-ndjson" => text.lines().collect(),
            kind if kind.ends_with("json") => vec![text],
            _ => vec![],
        };
        for value in values {
            self.holds(&format!("{id}-{status}"), &serde_json::from_str(value).map_err(|error| error.to_string())?)?;
        }
        if status < 300 {
            let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().map(|one| one["name"].as_str()).collect();
            let mut named = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split('=').next());
            if let Some(name) = named.find(|name| !parameters.contains(name)) {
                return Err(format!("the parameter {name:?} is not described"));
            }
            if let Some(asked) = asked.filter(|_| operation.get("requestBody").is_some()) {
                self.holds(&format!("{id}-request"), asked)?;
            }
        }
        Ok(())
    }

    /// Whether a body is one that the operation takes.
    pub fn admits(&self, method: &str, path: &str, body: &Value) -> bool {
        let operation = self.operation(method, path).expect("an operation");
        self.holds(&format!("{}-request", operation["operationId"].as_str().expect("an id")), body).is_ok()
    }

    fn holds(&self, name: &str, body: &Value) -> Result<(), String> {
        let schema = self.schemas.get(&format!("#/$defs/{name}")).ok_or_else(|| format!("no schema {name}"))?;
        let faults: Vec<_> = schema.iter_errors(body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        if faults.is_empty() { Ok(()) } else { Err(format!("{name}: {faults:#?}")) }
    }
}

/// Method, path and operation of each.
pub fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        item.as_object().into_iter().flatten().map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

/// What a reference within the document leads to; anything else as it is.
pub fn followed<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(uri) => document.pointer(uri.trim_start_matches('#')).unwrap_or_else(|| panic!("{uri} leads nowhere")),
        None => value,
    }
}

/// Closes all schemas of objects: clients have to pass over members that they don't know, and we have to describe them.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            let is_object = match members.get("type") {
                Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
                kind => kind.is_some_and(|kind| kind == "object"),
            };
            if is_object && members.contains_key("properties") && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
            members.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
