//! The inspector's simulation, held against an edge.

use anyhow::{Context, Result};
use keyward_tests::{Edge, EdgeConfig, Origin, Upstream, eventually, http::Request};
use serde_json::{Value, json};

use crate::support::{SOON, host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_inspector_says_of_a_request_is_what_the_edge_answers_and_it_names_the_rule_that_decides() -> Result<()> {
    let origin = Origin::start().await?;
    let upstream = Upstream::start().await?;
    let routes = "POST /v1/chat/** -> llm:gpt-4\nGET /v1/** -> authenticated\nPOST /v1/images -> image:dall-e";
    let config = EdgeConfig::new(&origin, &upstream)?.var("KEYWARD_ASSUME_TLS", "1").var("KEYWARD_ROUTES", routes);
    let edge = Edge::start(config).await?;
    let key = origin.create(json!({"name": "a customer's", "capabilities": ["llm:gpt-4"]})).await?;
    let terms = json!({
        "allowed_endpoints": ["/v1/chat/**", "GET /v1/me", "POST /v1/images"], "blocked_endpoints": ["/v1/chat/private/**"],
    });
    origin.api("PATCH", &format!("/{}", key.id), Some(&terms)).await?.expect(200)?;
    let expected = [
        ("GET", "/v1/me", Some("authenticated"), "passed", None, None),
        ("POST", "/v1/chat/completions", Some("llm:gpt-4"), "passed", None, None),
        ("POST", "/v1/chat/private/x", Some("llm:gpt-4"), "endpoint_blocked", Some("blocked"), Some("/v1/chat/private/**")),
        ("GET", "/v1/models", Some("authenticated"), "endpoint_not_allowed", Some("endpoint"), None),
        ("POST", "/v1/images", Some("image:dall-e"), "capability_missing", Some("capability"), None),
        ("DELETE", "/v1/me", None, "no_route", Some("route"), None),
        ("GET", "/v1//me", Some("authenticated"), "path_refused", Some("path"), None),
    ];
    let cases: Vec<Value> = expected
        .iter()
        .map(|(method, path, requirement, ..)| json!({"method": method, "path": path, "requirement": requirement}))
        .collect();
    let said = visit(host("denied.mjs", &origin)?.env("RAW", &key.raw_key).env("CASES", json!(cases).to_string()))?;
    assert_eq!(said["leaked"], json!([]), "the key left the page");

    let first = Request::get("/v1/me").bearer(&key.raw_key);
    eventually("the edge has the new terms", SOON, async || (edge.send(0, &first).await.ok()?.status == 200).then_some(())).await?;
    for (found, (method, path, _, code, rule, by)) in said["decisions"].as_array().context("decisions")?.iter().zip(expected) {
        assert_eq!(found, &json!({"code": code, "rule": rule, "by": by}), "{method} {path}");
        let answer = edge.send(0, &Request::new(method, path).bearer(&key.raw_key)).await?;
        let decided = if answer.status == 200 { json!("passed") } else { answer.json()?["code"].take() };
        assert_eq!(decided, code, "{method} {path} at the edge");
    }
    Ok(())
}
