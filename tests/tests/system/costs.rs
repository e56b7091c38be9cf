//! What a request may cost, what it did, and what it says of itself.

use std::{cell::Cell, time::Duration};

use anyhow::{Result, ensure};
use keyward_core::limits::Period;
use keyward_tests::{Edge, Relay, Verdict, eventually, holds_for, http::Request};
use serde_json::json;

use crate::{
    limits::{items, within},
    support::{SOON, Stack, together},
};

#[tokio::test]
async fn a_request_is_charged_what_it_may_cost_and_pays_what_it_did() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(0, |config| config).await?;
    within(Period::Month).await;
    let bill = Relay::start(stack.upstream.address()).await?;
    let config = stack.edge_config()?.var("KEYWARD_UPSTREAM", &bill.url()).var("KEYWARD_TOKENS_HEADER", "X-Tokens");
    stack.edges.push(Edge::start(config.var("KEYWARD_ROUTES", "/v1/me -> authenticated\n/v1/** -> authenticated costs 30")).await?);
    let limits = json!({"cost_limit_cents": 100, "max_tokens_per_request": 1000});
    let costly = Request::new("POST", "/v1/chat").json(&json!({}));
    let free = Request::get("/v1/me");

    // The upstream says nothing: each has cost what it may.
    let key = stack.origin.create(limits.clone()).await?;
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    for request in [costly.clone(), Request::get("/v1/models"), costly.clone()] {
        stack.send(0, &request.bearer(&key.raw_key)).await?.expect(200)?;
    }
    let refused = stack.send(0, &costly.clone().bearer(&key.raw_key)).await?.expect(429)?;
    ensure!(refused.json()?["code"] == "cost_limit_exceeded" && items(&refused, "ratelimit")?["cost_cents"]["r"] == 10, "{refused:?}");
    stack.send(0, &free.clone().bearer(&key.raw_key)).await?.expect(200)?;

    // It says that they cost 10: so many more pass, and no more than are paid for.
    bill.rule(|request| match request.target_text().as_str() {
        "/v1/me" => Verdict::Pass,
        _ => Verdict::Change(Box::new(|mut response| {
            response.headers.add("x-keyward-cost-cents", "10");
            response
        })),
    });
    let key = stack.origin.create(limits).await?;
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    let passed = Cell::new(0);
    for request in [costly.clone(), Request::get("/v1/models")].into_iter().cycle().take(8) {
        eventually("the rest of the charge is the key's again", SOON, async || {
            let answer = stack.send(0, &request.clone().bearer(&key.raw_key)).await.ok()?;
            // What the upstream says to the edge goes no further.
            (answer.status == 200 && answer.headers.first("x-keyward-cost-cents").is_none()).then(|| passed.set(passed.get() + 1))
        })
        .await?;
    }
    // 80 are used, so that a request that may cost 30 can't be afforded.
    holds_for("nothing more passes", Duration::from_secs(4), async || {
        let answer = stack.send(0, &costly.clone().bearer(&key.raw_key)).await;
        answer.is_ok_and(|answer| answer.status == 429)
    })
    .await?;
    let counted = async || {
        let report = stack.origin.api("GET", &format!("/{}/usage?days=2", key.id), None).await.ok()?.json().ok()?;
        (report["cost_cents"] == 80).then_some(())
    };
    eventually("what was paid is counted", SOON, counted).await?;

    // Tokens are judged where they are declared.
    for (tokens, status) in [("1000", 200), ("1001", 429), ("many", 429)] {
        for request in [free.clone(), Request::new("POST", "/v1/me").json(&json!({}))] {
            let answer = stack.send(0, &request.header("x-tokens", tokens).bearer(&key.raw_key)).await?.expect(status)?;
            ensure!(status == 200 || answer.json()?["code"] == "tokens_limit_exceeded", "{}", answer.text());
        }
    }
    // A key's first request, too, is told of its other limits; waiting doesn't help.
    let key = stack.origin.create(json!({"daily_quota": 7, "max_tokens_per_request": 1000})).await?;
    let told =
        async || stack.send(0, &free.clone().header("x-tokens", "many").bearer(&key.raw_key)).await.ok().filter(|it| it.status == 429);
    let refused = eventually("it has too many tokens", SOON, told).await?;
    ensure!(items(&refused, "ratelimit-policy")?["daily_quota"]["q"] == 7, "{refused:?}");
    ensure!(refused.headers.first("retry-after").is_none(), "{refused:?}");
    Ok(())
}
