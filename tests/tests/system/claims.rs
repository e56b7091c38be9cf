//! What one key's requests claim of themselves is nobody else's loss.

use anyhow::{Result, ensure};
use keyward_tests::{
    eventually,
    http::{Connection, Request},
};
use serde_json::json;

use crate::support::{SOON, Stack, together};

/// The most that is counted of anything at once.
const MOST: u64 = 1 << 40;
/// So many of them the origin would refuse in a line.
const CLAIMS: usize = 20;

#[tokio::test]
async fn bodies_that_never_come_are_not_counted_and_cost_no_other_key_its_usage() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let [liar, honest] = [stack.origin.create(json!({})).await?, stack.origin.create(json!({})).await?];
    stack.all_answer("/v1/me", &liar.raw_key, 200).await?;
    let report = async |id: &str| stack.origin.api("GET", &format!("/{id}/usage?days=2"), None).await?.expect(200)?.json();
    let before = stack.metrics(0).await?.passed();
    let mut claims = Vec::new();
    for _ in 0..CLAIMS {
        let mut connection = Connection::open(stack.edges[0].addresses()[0]).await?;
        let claim = Request::new("POST", "/files/a").header("content-length", &MOST.to_string()).bearer(&liar.raw_key);
        connection.start(&claim).await?;
        claims.push(connection);
        stack.get(0, "/v1/me", &honest.raw_key).await?.expect(200)?;
    }
    let passed = async || (stack.metrics(0).await.ok()?.passed() - before == 2 * CLAIMS as u64).then_some(());
    eventually("all have passed", SOON, passed).await?;
    claims.into_iter().try_for_each(Connection::reset)?;
    let counted = async || {
        let report = report(&honest.id).await.ok()?;
        (report["total_requests"] == CLAIMS).then_some(())
    };
    eventually("what the other key has used is counted", SOON, counted).await?;
    ensure!(report(&liar.id).await?["bytes_in"] == 0, "{}", report(&liar.id).await?);
    Ok(())
}
