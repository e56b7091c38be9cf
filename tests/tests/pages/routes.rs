//! The page of route tables, held against an edge that has the same one.

use anyhow::{Context, Result};
use keyward_tests::{Edge, EdgeConfig, Origin, Upstream, eventually, http::Request};
use serde_json::json;

use crate::support::{SOON, host, visit};

const TABLE: &str =
    "# the order counts\nGET /v1/me -> authenticated\nPOST /v1/chat/** -> llm:gpt-4 costs 25\n/v1/** -> rag:search\n/v2/* -> invoices:read";
const REQUESTS: [&str; 8] = [
    "GET /v1/me",
    "POST /v1/me",
    "POST /v1/chat/completions",
    "DELETE /v1/chat/completions",
    "GET /v2/invoices",
    "GET /v2/invoices/1",
    "GET /v3",
    "GET /v1/a%2Fb",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_route_table_is_tried_out_as_the_edge_has_it_and_goes_nowhere() -> Result<()> {
    let origin = Origin::start().await?;
    let mut command = host("routes.mjs", &origin)?;
    let said = visit(command.env("TABLE", TABLE).env("REQUESTS", json!(REQUESTS).to_string()))?;
    assert_eq!((&said["strange"], &said["sent"]), (&json!(1), &json!(0)));

    let upstream = Upstream::start().await?;
    let config = EdgeConfig::new(&origin, &upstream)?.var("KEYWARD_ASSUME_TLS", "1").var("KEYWARD_ROUTES", TABLE);
    let edge = Edge::start(config).await?;
    // It may do nothing that is asked for by name: so the edge tells what each request asks for.
    let key = origin.create(json!({"name": "weak"})).await?;
    let me = Request::get("/v1/me").bearer(&key.raw_key);
    let passes = async || edge.send(0, &me).await.ok().filter(|answer| answer.status == 200).map(drop);
    eventually("the key passes at the edge", SOON, passes).await?;
    for request in REQUESTS {
        let (method, path) = request.split_once(' ').context("a request")?;
        let answer = edge.send(0, &Request::new(method, path).bearer(&key.raw_key)).await?;
        let code = if answer.status == 200 { json!("passed") } else { answer.json()?["code"].clone() };
        let expected = match said["verdicts"][request].as_str().context("a verdict")? {
            "1" => "passed",
            "2" | "3" | "4" => "capability_missing",
            refused => refused,
        };
        assert_eq!(code, expected, "{request}: {}", said["verdicts"][request]);
    }
    Ok(())
}
