//! What the upstream says that a request has cost beyond what it was charged.

use anyhow::{Context, Result, ensure};
use keyward_tests::{Edge, Relay, Verdict, eventually, http::Request, http::Response};
use serde_json::json;

use crate::support::{Metrics, SOON, Stack, together};

#[tokio::test]
async fn what_a_request_has_cost_beyond_its_charge_is_owed_once_whoever_is_killed() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(0, |config| config).await?;
    let bill = Relay::start(stack.upstream.address()).await?;
    bill.rule(|request| match request.target_text().as_str() {
        "/v1/me" => Verdict::Pass,
        _ => Verdict::Change(Box::new(|mut response| {
            response.headers.add("x-keyward-cost-cents", "45");
            response
        })),
    });
    let config = stack.edge_config()?.var("KEYWARD_UPSTREAM", &bill.url());
    stack.edges.push(Edge::start(config.var("KEYWARD_ROUTES", "/v1/me -> authenticated\n/v1/** -> authenticated costs 30")).await?);
    let key = stack.origin.create(json!({"cost_limit_cents": 10_000})).await?;
    let free = stack.origin.create(json!({"cost_limit_cents": "unlimited"})).await?;
    for key in [&key, &free] {
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    }
    // The origin takes each batch; of the first ones it tells nobody, and dies.
    let mut lost = 2;
    stack.relay.rule(move |request: &Request| {
        if request.target_text() != "/edge/v1/usage" || lost == 0 {
            return Verdict::Pass;
        }
        lost -= 1;
        Verdict::Change(Box::new(|_| Response::new(503, "text/plain", "")))
    });
    let costly = Request::new("POST", "/v1/chat").json(&json!({}));
    for request in [costly.clone(), Request::get("/v1/models"), costly.clone(), Request::get("/v1/models")] {
        for key in [&key, &free] {
            stack.send(0, &request.clone().bearer(&key.raw_key)).await?.expect(200)?;
        }
    }
    let taken = async || (Metrics::of(&stack.edges[0], 0).await.ok()?.sum("keyward_usage_unreported") == 0).then_some(());
    eventually("the hub has taken all", SOON, taken).await?;
    stack.origin.kill()?;
    stack.edges[0].kill()?;
    stack.edges[0].restart().await?;
    stack.origin.restart().await?;
    stack.warm(0).await?;
    let sent = async || (Metrics::of(&stack.edges[0], 0).await.ok()?.sum("keyward_hub_usage_waiting") == 0).then_some(());
    eventually("the origin has taken all", SOON, sent).await?;
    let database = stack.origin.postgres.as_ref().context("Postgres")?;
    // Of two months' accounts of cents, that of the later one.
    let owed = |id: &str| {
        database.query(&format!(
            "SELECT CASE WHEN windows[7] > windows[8] THEN given[7] ELSE given[8] END FROM limit_accounts WHERE api_key = '{id}'"
        ))
    };
    ensure!(owed(&key.id)?.trim() == "60", "four requests, 15 each: {}", owed(&key.id)?);
    ensure!(owed(&free.id)?.trim().is_empty(), "without a limit nothing is owed: {}", owed(&free.id)?);
    Ok(())
}
