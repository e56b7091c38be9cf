//! The overview, beside an edge that decides while somebody looks.

use anyhow::{Context, Result};
use keyward_tests::{Edge, EdgeConfig, Origin, Upstream, eventually, http::Request};
use serde_json::json;

use crate::support::{SOON, host, visit};

const ROUTES: &str = "GET /v1/me -> authenticated\n/v1/search -> rag:search";

#[tokio::test(flavor = "multi_thread")]
async fn what_an_edge_decides_is_seen_as_it_happens_with_the_rule_that_decided() -> Result<()> {
    let origin = Origin::start().await?;
    let upstream = Upstream::start().await?;
    let config = EdgeConfig::new(&origin, &upstream)?.var("KEYWARD_ASSUME_TLS", "1").var("KEYWARD_ROUTES", ROUTES);
    let edge = Edge::start(config).await?;
    let key = origin.create(json!({"name": "shop", "capabilities": ["llm:gpt-4"]})).await?;
    origin.create(json!({"name": "ends soon", "expires_in_days": 7})).await?;
    let passes =
        async || edge.send(0, &Request::get("/v1/me").bearer(&key.raw_key)).await.ok().filter(|answer| answer.status == 200).map(drop);
    eventually("the key passes at the edge", SOON, passes).await?;
    for _ in 0..3 {
        edge.send(0, &Request::get("/v1/search").bearer(&key.raw_key)).await?.expect(403)?;
    }
    let counted = async || {
        let report = origin.api("GET", "/analytics/summary?days=1", None).await.ok()?.json().ok()?;
        let recent = origin.send(&Request::get("/api/v1/decisions").bearer(&origin.admin_key().ok()?)).await.ok()?.json().ok()?;
        (report["total_refused"] == 3 && recent.as_array()?.len() > 3).then_some(())
    };
    eventually("all is counted", SOON, counted).await?;

    let mut command = host("overview.mjs", &origin)?;
    let said = visit(command.env("EDGE", format!("http://{}", edge.addresses()[0])).env("RAW", &key.raw_key))?;
    assert_eq!((&said["figures"]["refused"], &said["figures"]["keys"]), (&json!("3"), &json!("1")), "{said}");
    assert_eq!(said["reasons"], json!(["capability_missing3"]));
    assert!(
        said["endpoints"].as_array().context("endpoints")?.iter().any(|one| one.as_str().is_some_and(|one| one.starts_with("/v1/search"))),
        "{said}"
    );
    assert!(said["busiest"][0].as_str().context("the busiest key")?.starts_with("shop"), "{said}");
    assert!(said["state"].as_str().context("the state")?.contains("of epoch 1"), "{said}");
    assert_eq!((&said["statuses"], &said["told"], &said["passed"]), (&json!([200, 403]), &json!(true), &json!(0)), "{said}");
    let row = |at: usize| said["rows"][at].as_str().context("a row");
    assert!(row(0)?.contains("GET /v1/me") && row(0)?.contains("passed200") && !row(0)?.contains("secret"), "{said}");
    assert!(row(1)?.contains("capability_missing403"), "{said}");
    let broken = said["broken"].as_array().context("broken rules")?;
    assert_eq!(broken.len(), 1, "{said}");
    assert!(broken[0].as_str().is_some_and(|rule| rule.starts_with("capability") && rule.contains("policy")), "{said}");
    let notice = said["notice"].as_str().context("what decided")?;
    assert!(notice.starts_with("Refused by the rule “capability” of the policy"), "{notice}");
    Ok(())
}
