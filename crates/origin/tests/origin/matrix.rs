//! Who may call what: every route as every role, against a table that is checked in.
//!
//! The routes are read from the router's own source, so that a new one without a line in the table fails the test. To
//! see the table as it is, run the test and copy what it prints.

use std::{collections::BTreeSet, fmt::Write};

use keyward_origin::clock::Clock;
use serde_json::{Value, json};

use crate::harness::{Client, KEYS, Origin};

const ROUTER: &str = include_str!("../../src/http/mod.rs");
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const API_KEY: &str = "urn:keyward:token-type:api-key";
const EXPECTED: &str = include_str!("authorization.txt");

/// Method and path of every route, as the router names them.
pub fn routes() -> BTreeSet<(String, &'static str)> {
    let mut found = BTreeSet::new();
    // From one `.route(` to the next: the path in quotes, then what each method is answered by.
    for route in ROUTER.split(".route(").skip(1) {
        let (path, methods) = route.split_once('"').and_then(|(_, rest)| rest.split_once('"')).expect("a path in quotes");
        let methods = methods.split(".layer(").next().and_then(|rest| rest.split(".route_layer(").next()).unwrap_or_default();
        for method in ["get", "post", "put", "patch", "delete"] {
            let call = format!("{method}(");
            let named = methods
                .match_indices(&call)
                .any(|(at, _)| !methods[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_'));
            if named {
                found.insert((method.to_uppercase(), path));
            }
        }
    }
    found
}

/// What fills the placeholders of a path for a call: things of the first tenant, the key one of another owner's.
async fn filled(path: &str, admin: &Client) -> String {
    let mut path = path.to_owned();
    if path.starts_with("/api/v1/tenants/") {
        let tenants = admin.get("/api/v1/tenants").await.ok();
        path = path.replace("{id}", tenants[0]["id"].as_str().unwrap());
    }
    if path.starts_with("/api/v1/owners/") {
        path = path.replace("{id}", "bob");
    }
    // One that isn't there: a turn of a real one would be felt by every call after it.
    let path = path.replace("{kid}", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let mut path = path;
    if path.contains("{id}") {
        // A new one for each call: some of them end it.
        let key = admin.create(json!({"owner_id": "bob", "capabilities": ["llm:gpt-4"], "expires_in_days": 1})).await;
        path = path.replace("{id}", &key.id);
    }
    let path = path.replace("{number}", "1").replace("{index}", "0").replace("{digest}", "x").replace("{shard}", "0");
    match path.as_str() {
        "/edge/v1/feed" => format!("{path}?epoch=1&after=0&manifest=1&wait_ms=0"),
        _ => path.split('{').next().unwrap_or_default().to_owned(),
    }
}

/// A body that says as little as may be.
fn body(method: &str, path: &str) -> Option<Value> {
    match (method, path) {
        ("GET" | "DELETE", _) => None,
        ("POST", KEYS) => Some(json!({"name": "x"})),
        ("POST", "/api/v1/api-keys/validate") => Some(json!({"api_key": "x"})),
        ("POST", "/edge/v1/permits") => Some(json!({})),
        ("POST", "/edge/v1/decisions") => Some(json!({"id": crate::usage::batch_id(Clock::system().now()), "decisions": []})),
        ("POST", "/edge/v1/usage") => Some(json!({"id": crate::usage::batch_id(Clock::system().now()), "entries": []})),
        ("POST", "/api/v1/tenants") => Some(json!({"slug": "new", "name": "New"})),
        ("POST", "/api/v1/policies/replay") => Some(json!({"terms": {}})),
        ("POST", "/api/v1/owners") => Some(json!({"id": "carol"})),
        ("POST", "/api/v1/api-keys/catalog/capabilities") => Some(json!({"value": "x:y", "label": "X", "category": "X"})),
        ("POST", "/api/v1/signing-keys") => Some(json!({"role": "token"})),
        ("POST", "/api/v1/manifest") => Some(json!({"manifest": "x"})),
        ("POST", "/api/v1/api-keys/{id}/renew") => Some(json!({"expires_in_days": 1})),
        ("POST", "/api/v1/api-keys/bulk/create") => Some(json!({"keys": [{"name": "x"}]})),
        ("POST", "/api/v1/api-keys/bulk/reassign") => Some(json!({"filter": {"owner_id": "dave"}, "owner_id": "bob"})),
        ("POST", bulk) if bulk.starts_with("/api/v1/api-keys/bulk/") => Some(json!({"filter": {"owner_id": "dave"}})),
        _ => Some(json!({})),
    }
}

/// The answer in a word: the status, and the code of a problem.
async fn outcome(client: &Client, method: &str, path: &str, body: Option<&Value>, subject: &str) -> String {
    let answer = match path {
        "/oauth/token" => client.form(path, &[("grant_type", EXCHANGE), ("subject_token_type", API_KEY), ("subject_token", subject)]).await,
        "/oauth/introspect" | "/oauth/revoke" => client.form(path, &[("token", subject)]).await,
        _ => client.send(method, path, body, &[]).await,
    };
    if answer.status < 400 {
        return answer.status.to_string();
    }
    let problem: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    format!("{} {}", answer.status, problem["code"].as_str().or(problem["error"].as_str()).unwrap_or("?"))
}

#[tokio::test]
async fn every_route_answers_every_role_as_the_table_says() {
    let origin = Origin::start().await;
    let roles = roles(&origin).await;
    let table = table(&origin.admin(), &roles, |_| true).await;
    for (found, expected) in table.lines().zip(EXPECTED.lines()) {
        assert_eq!(found, expected, "the table as it is:\n{table}");
    }
    assert_eq!(table.lines().count(), EXPECTED.lines().count(), "the table as it is:\n{table}");
}

#[tokio::test]
async fn every_route_for_people_answers_a_session_as_its_key_and_edges_have_none() {
    let origin = Origin::start().await;
    let mut signed_in = Vec::new();
    for (role, client) in roles(&origin).await {
        // What is no key starts no session; what was revoked has started its own before.
        if role != "junk" && role != "revoked" {
            signed_in.push((role, client.sign_in().await));
        }
    }
    let for_people = |route: &str| ["/api/", "/oauth/"].iter().any(|start| route.starts_with(start));
    let table = table(&origin.admin(), &signed_in, for_people).await;
    let mut expected = String::new();
    let mut wanted = false;
    for line in EXPECTED.lines() {
        match line.strip_prefix("  ") {
            None => wanted = for_people(line.split_once(' ').unwrap().1),
            Some(role) if role.starts_with("junk ") || role.starts_with("revoked ") => continue,
            Some(_) => {}
        }
        if wanted {
            writeln!(expected, "{line}").unwrap();
        }
    }
    assert_eq!(table, expected);
    let admin = origin.admin().sign_in().await;
    for (method, route) in routes().into_iter().filter(|(_, route)| route.starts_with("/edge/")) {
        let path = filled(route, &origin.admin()).await;
        admin.send(&method, &path, body(&method, route).as_ref(), &[]).await.refused(401, "credential_missing");
    }
}

/// Callers by what the table calls them.
async fn roles(origin: &Origin) -> Vec<(&'static str, Client)> {
    let admin = origin.admin();
    let all = ["keys:*", "tenants:*", "audit:*", "signing:*", "llm:*"];
    let user = origin.caller(json!({"capabilities": all, "owner_id": "ann"})).await;
    let tenant = origin.caller(json!({"capabilities": all, "scope": "tenant"})).await;
    let weak = origin.caller(json!({"capabilities": ["llm:*"], "scope": "tenant"})).await;
    let other = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other", "first_key": true})).await.ok();
    let foreign = origin.client(other["first_key"]["raw_key"].as_str().unwrap());
    let revoked = admin.create(json!({"capabilities": all, "scope": "admin"})).await;
    admin.act(&revoked.id, "revoke", None).await.ok();
    vec![
        ("junk", origin.client("junk")),
        ("revoked", origin.client(&revoked.raw)),
        ("weak", weak),
        ("edge", origin.edge()),
        ("foreign", foreign),
        ("user", user),
        ("tenant", tenant),
        ("admin", admin),
    ]
}

/// What these routes answer these callers.
async fn table(admin: &Client, roles: &[(&str, Client)], wanted: impl Fn(&str) -> bool) -> String {
    let mut table = String::new();
    for (method, route) in routes().into_iter().filter(|(_, route)| wanted(route)) {
        writeln!(table, "{method} {route}").unwrap();
        for (role, client) in roles {
            let path = filled(route, admin).await;
            // Another's key, for what is asked about keys: a new one, since some calls end it.
            let subject = if route.starts_with("/oauth") { admin.create(json!({"owner_id": "bob"})).await.raw } else { String::new() };
            let outcome = outcome(client, &method, &path, body(&method, route).as_ref(), &subject).await;
            writeln!(table, "  {role:<8} {outcome}").unwrap();
        }
    }
    table
}

#[tokio::test]
async fn a_call_without_any_credential_is_refused_wherever_a_key_is_asked_for() {
    let origin = Origin::start().await;
    let http = reqwest::Client::new();
    let admin = origin.admin();
    for (method, route) in routes() {
        let path = filled(route, &admin).await;
        let request = http.request(method.parse().unwrap(), format!("http://{}{path}", origin.address));
        let status = request.send().await.unwrap().status().as_u16();
        // To `/oauth` what is in the body may be credential enough; but not to ask about it.
        let open = !["/api", "/edge", "/session", "/oauth/introspect"].iter().any(|closed| route.starts_with(closed));
        assert_eq!(status == 401, !open, "{method} {route}: {status}");
    }
}
