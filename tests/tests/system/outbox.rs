//! What a hub has taken goes to the origin, whatever becomes of the hub.

use anyhow::{Result, ensure};
use keyward_tests::{Verdict, eventually, http::Request};
use serde_json::json;

use crate::support::{SOON, Stack, together};

#[tokio::test]
async fn a_hub_that_is_ended_in_the_middle_of_sending_sends_again_though_nobody_comes_by() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::start().await?;
    let key = stack.origin.create(json!({})).await?;
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    stack.relay.rule(|request: &Request| if request.target_text() == "/edge/v1/usage" { Verdict::Hang } else { Verdict::Pass });
    for _ in 0..10 {
        stack.get(0, "/files/a", &key.raw_key).await?.expect(200)?;
    }
    let taken = async || (stack.metrics(0).await.ok()?.sum("keyward_usage_unreported") == 0).then_some(());
    eventually("the hub has taken all", SOON, taken).await?;
    ensure!(stack.metrics(0).await?.sum("keyward_hub_usage_waiting") > 0, "none of it is sent yet");
    stack.edges[0].kill()?;
    stack.relay.rule(|_| Verdict::Pass);
    stack.edges[0].restart().await?;
    eventually("the origin has taken all", SOON, async || {
        let report = stack.origin.api("GET", &format!("/{}/usage?days=2", key.id), None).await.ok()?.json().ok()?;
        (report["total_requests"].as_u64()? - report["total_refused"].as_u64()? == 11).then_some(())
    })
    .await
}
