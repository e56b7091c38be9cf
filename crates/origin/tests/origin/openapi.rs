//! The description of the API is a sound one, and of all of the API. (That answers are as described, the harness sees to:
//! `described.rs`.)

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use crate::{
    described::{Description, Exchange, followed, operations},
    harness::{Client, KEYS, Origin},
    matrix::routes,
};

/// What the specification publishes for this, from npm.
const OFFICIAL: &str = "node_modules/@seriousme/openapi-schema-validator/schemas/v3.1/schema.json";

async fn document(origin: &Origin) -> Value {
    origin.anyone().get("/openapi.json").await.ok()
}

#[tokio::test]
async fn every_route_is_described_and_nothing_else_is() {
    let document = document(&Origin::start().await).await;
    let described: BTreeSet<_> = operations(&document).map(|(method, path, _)| (method.to_uppercase(), path.to_owned())).collect();
    let routes: BTreeSet<_> = routes().into_iter().map(|(method, path)| (method, path.to_owned())).collect();
    assert_eq!(described, routes);
}

#[tokio::test]
async fn the_document_is_valid_openapi_and_its_schemas_are_valid_schemas() {
    let document = document(&Origin::start().await).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let official = std::fs::read_to_string(root.join(OFFICIAL)).expect("`cargo xtask setup` installs it");
    let official = jsonschema::validator_for(&serde_json::from_str(&official).unwrap()).unwrap();
    let faults: Vec<_> = official.iter_errors(&document).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}: {schema}");
    }
    references_lead_somewhere(&document, &document);

    let ids: Vec<_> = operations(&document).map(|(_, _, operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    let tags: Vec<_> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    for (method, path, operation) in operations(&document) {
        let [tag] = operation["tags"].as_array().unwrap().as_slice() else { panic!("{method} {path}: one tag") };
        assert!(tags.contains(&tag), "{method} {path}: {tag}");
        // The path's parameters are those that it has places for.
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let named: BTreeSet<_> = parameters.filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap()).collect();
        let places: BTreeSet<_> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(named, places, "{method} {path}");
        // A code that is none of ours would have stayed there.
        assert!(operation["responses"].get("default").is_none(), "{method} {path}: {operation}");
    }
}

fn references_lead_somewhere(document: &Value, value: &Value) {
    followed(document, value);
    match value {
        Value::Object(members) => members.values().for_each(|member| references_lead_somewhere(document, member)),
        Value::Array(items) => items.iter().for_each(|item| references_lead_somewhere(document, item)),
        _ => {}
    }
}

#[tokio::test]
async fn everything_is_explained_in_words_that_are_no_code() {
    let document = document(&Origin::start().await).await;
    for (method, path, operation) in operations(&document) {
        assert!(operation["summary"].as_str().is_some_and(|words| words.ends_with('.')), "{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{method} {path}: {parameter}");
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (name, header) in followed(&document, response)["headers"].as_object().into_iter().flatten() {
                assert!(header["description"].as_str().is_some_and(|words| !words.is_empty()), "{method} {path}: {status}: {name}");
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].is_string(), "{name}");
        for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string() || schema["$ref"].is_string(), "{name}.{member}: {schema}");
        }
    }
    // Links of rustdoc, its paths, and names of constants.
    let is_code = |words: &&str| {
        ["[`", "::", "See `"].iter().any(|code| words.contains(code))
            || words.split('`').any(|name| name.contains('_') && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'))
    };
    let mut words = Vec::new();
    descriptions(&document, &mut words);
    assert_eq!(words.into_iter().filter(is_code).collect::<Vec<_>>(), Vec::<&str>::new());
}

fn descriptions<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("description").and_then(Value::as_str));
            members.values().for_each(|member| descriptions(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| descriptions(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_capability_that_an_operation_names_is_the_one_that_it_asks_for() {
    let origin = Origin::start().await;
    let document = document(&origin).await;
    let capability = |operation: &Value| operation["security"][0]["key"][0].as_str().map(str::to_owned);
    let capabilities: BTreeSet<_> = operations(&document).filter_map(|(_, _, operation)| capability(operation)).collect();
    for allowed in &capabilities {
        let one = origin.caller(json!({"scope": "admin", "capabilities": [allowed]})).await;
        for (method, path, operation) in operations(&document).filter(|(_, path, _)| *path != "/edge/v1/feed") {
            let Some(needed) = capability(operation) else { continue };
            let refused = code(&one, method, path).await == "capability_missing";
            assert_eq!(refused, needed != *allowed, "{method} {path} with {allowed}");
        }
    }
}

#[tokio::test]
async fn a_body_that_its_schema_refuses_is_refused_and_one_that_it_admits_is_taken() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let description = Description::get(&format!("http://{}", origin.address)).await;
    let id = origin.key(json!({})).await.id;
    let (key, rotate, renew) = (format!("{KEYS}/{id}"), format!("{KEYS}/{id}/rotate"), format!("{KEYS}/{id}/renew"));
    let with = |member: &str, values: Value| -> Vec<Value> {
        values.as_array().unwrap().iter().map(|value| json!({"name": "x", member: value})).collect()
    };
    let limits = json!([0, 1u64 << 53, (1u64 << 53) + 1, -1, 1.5, "unlimited", "none", null, [1]]);
    let lists = json!(["any", "all", [], null, {}, vec!["192.0.2.1"; 256], vec!["192.0.2.1"; 257]]);
    let days = json!([null, 0, 1, 3650, 3651, "1"]);
    let texts = |most: usize| json!(["", "x", "é".repeat(most), "é".repeat(most + 1), null, 1]);
    let cases = [
        ("POST", KEYS, with("rate_limit_per_hour", limits.clone())),
        ("POST", KEYS, with("expires_in_days", days.clone())),
        ("POST", KEYS, with("rotation_period_days", days.clone())),
        ("POST", KEYS, with("description", texts(1024))),
        ("POST", KEYS, with("owner_id", texts(128))),
        ("POST", KEYS, with("allowed_ips", lists.clone())),
        ("POST", KEYS, with("environment", json!(["live", "test", "Live", null]))),
        ("POST", KEYS, with("a_misspelt_member", json!([1]))),
        ("POST", KEYS, vec![json!({}), json!([]), json!({"name": "x".repeat(129)}), json!({"name": ""})]),
        ("PATCH", &key, with("cost_limit_cents", limits)),
        ("PATCH", &key, with("allowed_ips", lists)),
        ("PATCH", &key, with("rotation_period_days", days.clone())),
        ("PATCH", &key, with("description", texts(1024))),
        ("POST", &rotate, [0, 30 * 24 * 3600, 30 * 24 * 3600 + 1].map(|seconds| json!({"overlap_seconds": seconds})).to_vec()),
        ("POST", &renew, days.as_array().unwrap().iter().map(|days| json!({"expires_in_days": days})).collect()),
        ("POST", &renew, ["2027-06-30T00:00:00Z", "2027-06-30", "soon"].map(|moment| json!({"expires_at": moment})).to_vec()),
        ("POST", "/api/v1/tenants", ["a", "a-1", "A", "-a", ""].map(|slug| json!({"slug": slug, "name": "x"})).to_vec()),
        ("POST", "/api/v1/tenants", ["kwd", "k", "1kwd"].map(|prefix| json!({"slug": "p", "name": "x", "key_prefix": prefix})).to_vec()),
        ("POST", "/api/v1/owners", ["o", "", &"x".repeat(128), &"x".repeat(129)].map(|id| json!({"id": id})).to_vec()),
        (
            "POST",
            "/api/v1/api-keys/bulk/suspend",
            [0, 1, 500, 501].map(|limit| json!({"filter": {"owner_id": "x"}, "limit": limit})).to_vec(),
        ),
    ];
    for (method, path, bodies) in cases {
        for body in bodies {
            let answer = admin.send(method, path, Some(&body), &[]).await;
            assert!(answer.status < 300 || answer.status == 422, "{method} {path}: {body}: {answer:?}");
            assert_eq!(description.admits(method, path, &body), answer.status < 300, "{method} {path}: {body}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn the_reference_shows_every_operation_and_loads_nothing_but_its_own_style() {
    let origin = Origin::start().await;
    let document = document(&origin).await;
    let page = origin.anyone().get("/docs").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self';") && !policy.contains("script"), "{policy}");
    let links: BTreeSet<_> =
        ["href=\"", "src=\""].iter().flat_map(|name| page.text.split(name).skip(1)).map(|rest| rest.split('"').next().unwrap()).collect();
    let (within, beyond): (Vec<_>, Vec<_>) = links.into_iter().partition(|link| link.starts_with('#'));
    assert_eq!(beyond, ["/docs/style.css", "/openapi.json", "data:,"]);
    for link in within {
        assert!(page.text.contains(&format!("id=\"{}\"", &link[1..])), "{link} leads nowhere");
    }
    for (_, _, operation) in operations(&document) {
        assert!(page.text.contains(&format!("id={}", operation["operationId"])), "{operation}");
    }
    assert!(!["<script", "<style", " style=", " onclick="].iter().any(|inline| page.text.contains(inline)));
    let style = origin.anyone().get("/docs/style.css").await;
    assert_eq!((style.status, style.headers["content-type"].to_str().unwrap()), (200, "text/css; charset=utf-8"));
    assert!(!style.text.contains("url(") && !style.text.contains("@import"));
}

/// The code of the answer to a call that says nothing.
async fn code(client: &Client, method: &str, path: &str) -> String {
    let answer = client.send(&method.to_uppercase(), path, None, &[]).await;
    let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let code = body["code"].as_str().or(body["error_description"].as_str());
    code.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_harness_would_notice_an_answer_that_is_not_as_described() {
    let origin = Origin::start().await;
    origin.admin().get("/api/v1/api-keys").await.ok();
    let description = Description::get(&format!("http://{}", origin.address)).await;
    let holds = |status: u16, kind: &'static str, text: &str| {
        let headers = [(reqwest::header::CONTENT_TYPE, kind.parse().unwrap())].into_iter().collect();
        let path = "/api/v1/api-keys/catalog/scopes";
        description.check(&Exchange { method: "GET", path, asked: None, status, headers: &headers, text }).is_ok()
    };
    assert!(holds(200, "application/json", r#"{"scopes":[]}"#));
    assert!(!holds(200, "application/json", r#"{"scopes":[],"more":1}"#));
    assert!(!holds(200, "application/json", "{}"));
    assert!(!holds(200, "text/plain", r#"{"scopes":[]}"#));
    assert!(!holds(418, "application/json", r#"{"scopes":[]}"#));
}
