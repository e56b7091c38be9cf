//! What each operation can be refused with: what its annotation names, and what follows from its form.
//!
//! An annotation names codes (`status = "default"`), and a code has its status. `/oauth` speaks OAuth's language.

use std::collections::{BTreeMap, BTreeSet};

use keyward_api::{Code, MEDIA_TYPE};
use keyward_core::Reason;
use serde_json::{Map, Value, json};

use super::shapes::for_each_operation;

/// By status.
type Codes = BTreeMap<u16, BTreeSet<&'static str>>;

/// The errors of `/oauth`, by status (RFC 6749 section 5.2, RFC 6750 section 3.1, RFC 8693 section 2.2.2).
const OAUTH: [(u16, &[&str]); 9] = [
    (400, &["invalid_request", "invalid_scope", "invalid_target", "unauthorized_client", "unsupported_grant_type"]),
    (401, &["invalid_client"]),
    (403, &["insufficient_scope"]),
    (404, &["invalid_request"]),
    (413, &["invalid_request"]),
    (422, &["invalid_request"]),
    (429, &["invalid_request"]),
    (500, &["server_error"]),
    (503, &["temporarily_unavailable"]),
];

/// Adds them to every operation, with what many have in common as components.
pub fn describe(document: &mut Value) {
    let mut shared = Map::new();
    for_each_operation(document, |path, operation| {
        if path.starts_with("/oauth/") {
            for (status, errors) in OAUTH {
                let name = format!("Oauth{}", name(status));
                operation["responses"][status.to_string()] = share(&mut shared, &name, oauth(status, errors));
            }
            return;
        }
        let common = common(path, operation);
        let mut codes = common.clone();
        add(&mut codes, named(operation));
        if takes(operation, "header", "Idempotency-Key") {
            add(&mut codes, [Code::IdempotencyMismatch, Code::IdempotencyConflict]);
        }
        for (status, codes) in codes {
            let response = problem(status, &codes);
            // Who shows no key can't be refused for it.
            let of = if operation["security"].is_null() { "Public" } else { "" };
            operation["responses"][status.to_string()] = match common.get(&status) {
                Some(common) if *common == codes => share(&mut shared, &format!("{of}{}", name(status)), response),
                _ => response,
            };
        }
    });
    document["components"]["responses"] = shared.into();
}

fn share(shared: &mut Map<String, Value>, name: &str, response: Value) -> Value {
    debug_assert!(shared.get(name).is_none_or(|other| *other == response), "{name} means two things");
    shared.insert(name.to_owned(), response);
    json!({"$ref": format!("#/components/responses/{name}")})
}

fn add(codes: &mut Codes, more: impl IntoIterator<Item = Code>) {
    for code in more {
        codes.entry(code.status()).or_default().insert(code.as_str());
    }
}

/// The codes that an annotation names. Where one is none they stay as they are, for the tests to find.
fn named(operation: &mut Value) -> Vec<Code> {
    let Some(responses) = operation["responses"].as_object_mut() else { return Vec::new() };
    let Some(names) = responses.get("default").and_then(|named| named["description"].as_str()) else { return Vec::new() };
    let Some(codes) = names.split(", ").map(Code::parse).collect::<Option<Vec<_>>>() else { return Vec::new() };
    responses.remove("default");
    codes
}

/// Whether an operation has a parameter of that name; any, where none is named.
fn takes(operation: &Value, place: &str, name: &str) -> bool {
    let mut parameters = operation["parameters"].as_array().into_iter().flatten();
    parameters.any(|parameter| parameter["in"] == place && (name.is_empty() || parameter["name"] == name))
}

/// What follows from an operation's form. For any two operations, what they have for a status is the same.
fn common(path: &str, operation: &Value) -> Codes {
    let mut codes = Codes::new();
    if !operation["security"].is_null() {
        // Management has one environment and no audience of its own.
        let reasons = Reason::ALL.into_iter().filter(|reason| !matches!(reason, Reason::WrongAudience | Reason::NoRoute));
        add(&mut codes, reasons.map(Code::Refused));
        add(&mut codes, [Code::MalformedRequest, Code::ScopeInsufficient, Code::SessionInvalid, Code::CsrfRefused, Code::RateLimited]);
    }
    if !operation["requestBody"].is_null() {
        add(&mut codes, [Code::BodyTooLarge, Code::RequestTimeout, Code::UnsupportedMediaType, Code::ValidationFailed]);
    }
    if takes(operation, "query", "") || takes(operation, "header", "") {
        add(&mut codes, [Code::ValidationFailed]);
    }
    // A tenant that is named has to be there, too.
    if takes(operation, "path", "") || takes(operation, "query", "tenant") {
        add(&mut codes, [Code::NotFound]);
    }
    if takes(operation, "header", "If-Match") {
        add(&mut codes, [Code::PreconditionFailed]);
    }
    if ["/api/", "/edge/", "/session", "/.well-known/", "/status-lists/"].iter().any(|start| path.starts_with(start)) {
        add(&mut codes, [Code::Internal, Code::DatabaseUnavailable, Code::RecoveryRequired]);
    }
    codes
}

fn problem(status: u16, codes: &BTreeSet<&str>) -> Value {
    let schema = json!({"allOf": [
        {"$ref": "#/components/schemas/Problem"},
        {"properties": {"status": {"const": status}, "code": {"enum": codes}}},
    ]});
    response(status, MEDIA_TYPE, schema, codes.iter().copied())
}

fn oauth(status: u16, errors: &[&str]) -> Value {
    let schema = json!({"allOf": [
        {"$ref": "#/components/schemas/OauthProblem"},
        {"properties": {"error": {"enum": errors}}},
    ]});
    response(status, "application/json", schema, errors.iter().copied())
}

fn response<'a>(status: u16, media_type: &str, schema: Value, codes: impl Iterator<Item = &'a str>) -> Value {
    let codes: Vec<_> = codes.map(|code| format!("`{code}`")).collect();
    let mut response = json!({
        "description": format!("{}: {}.", words(status), codes.join(", ")),
        "content": {media_type: {"schema": schema}},
    });
    let header = match status {
        401 | 403 => Some(("WWW-Authenticate", "The challenge (RFC 6750).", "string")),
        429 | 503 => Some(("Retry-After", "Seconds after which another try makes sense.", "integer")),
        _ => None,
    };
    if let Some((name, what, kind)) = header {
        response["headers"] = json!({name: {"description": what, "schema": {"type": kind}}});
    }
    response
}

/// The name of what is common to all answers with a status.
fn name(status: u16) -> &'static str {
    match status {
        400 => "BadRequest",
        401 => "Unauthenticated",
        403 => "Forbidden",
        404 => "NotFound",
        408 => "Late",
        409 => "Conflict",
        412 => "PreconditionFailed",
        413 => "TooLarge",
        415 => "UnsupportedMediaType",
        422 => "Invalid",
        429 => "TooMany",
        503 => "Unavailable",
        _ => "Internal",
    }
}

fn words(status: u16) -> &'static str {
    match status {
        400 => "The request can't be read",
        401 => "The credential doesn't hold",
        403 => "The credential doesn't permit this",
        404 => "No such thing, or none that the caller may know of",
        408 => "The body didn't come in time",
        409 => "Not in this state",
        412 => "It has changed since",
        413 => "The body is too large",
        415 => "The body isn't declared as what it has to be",
        422 => "The request isn't valid",
        429 => "More than is served now",
        503 => "It can't be done now",
        _ => "A fault of the server",
    }
}
