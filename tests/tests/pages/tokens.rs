//! The page of tokens, and what the edge makes of the token.

use anyhow::{Context, Result};
use keyward_tests::{Edge, EdgeConfig, Origin, Upstream, eventually, http::Request};
use serde_json::json;

use crate::support::{SOON, host, visit};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_exchanged_for_less_which_is_seen_beside_what_it_permits_and_the_edge_agrees() -> Result<()> {
    let origin = Origin::start().await?;
    let upstream = Upstream::start().await?;
    let routes = "/v1/chat/** -> llm:gpt-4\n/v1/me -> authenticated";
    let config = EdgeConfig::new(&origin, &upstream)?.var("KEYWARD_ASSUME_TLS", "1").var("KEYWARD_ROUTES", routes);
    let edge = Edge::start(config).await?;
    let terms = json!({"name": "a partner's", "token_exchange": true, "capabilities": ["llm:gpt-4", "rag:search"], "allowed_endpoints": ["/v1/chat/**", "GET /v1/me"]});
    let key = origin.create(terms).await?;
    let said = visit(host("tokens.mjs", &origin)?.env("RAW", &key.raw_key))?;
    assert_eq!(said["whole"][3], "the same");
    assert_eq!(said["reads"][3], "less");
    let left = said["held"]["endpoints"][2].as_str().context("endpoints")?;
    assert!(["GET /v1/chat/**", "HEAD /v1/chat/**", "GET /v1/me"].iter().all(|pattern| left.contains(pattern)), "{said}");
    assert!(said["held"]["can"][2].as_str().is_some_and(|can| can.contains("llm:gpt-4") && !can.contains("rag:search")), "{said}");
    assert_eq!((&said["beyond"], &said["copied"]), (&json!(true), &json!(true)));
    let line = said["line"].as_str().context("line")?;
    assert!(line.contains("/oauth/token") && line.contains("$KEYWARD_KEY") && !line.contains(&key.raw_key), "{line}");
    assert_eq!(said["leaked"], json!([]), "looking at a token sent it somewhere");

    let token = said["token"].as_str().context("token")?;
    let answers =
        async |method: &str, path: &str| edge.send(0, &Request::new(method, path).bearer(token)).await.map(|answer| answer.status);
    eventually("the edge takes the token", SOON, async || (answers("GET", "/v1/chat/x").await.ok()? == 200).then_some(())).await?;
    assert_eq!(answers("POST", "/v1/chat/x").await?, 403);
    Ok(())
}
