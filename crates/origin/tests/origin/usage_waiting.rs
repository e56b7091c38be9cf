//! Counts that are written down and not added yet.

use serde_json::json;

use crate::{
    harness::{Origin, eventually},
    usage::{batch_id, entry, usage},
};

#[tokio::test]
async fn what_a_server_that_is_gone_has_written_down_is_added_and_once() {
    let mut origin = Origin::start().await;
    let key = origin.key(json!({})).await;
    // More than are taken at a time; lines of several that are alike.
    let batches = (0..9).map(|at| {
        let (id, endpoint) = (batch_id(origin.now()), format!("/v1/{}", at % 2));
        let batch = json!({"id": id, "entries": [entry(&origin, &key, json!({"requests": 5, "endpoint": endpoint}))]});
        format!("('{id}'::uuid, '{batch}')")
    });
    let left = format!(
        "INSERT INTO usage_waiting (id, tenant, batch) SELECT waiting.id, tenant, batch
         FROM api_keys, (VALUES {}) AS waiting (id, batch) WHERE api_keys.id = '{}'",
        batches.collect::<Vec<_>>().join(", "),
        key.id
    );
    // The second time as of a server that didn't hear whether it had been written.
    for _ in 0..2 {
        origin.stop().await;
        origin.database.execute(&left).await;
        origin.restart().await;
        let added = async || (origin.database.count("SELECT count(*) FROM usage_waiting").await == 0).then_some(());
        eventually("nothing waits any more", added).await;
        let used = usage(&origin.admin(), &key, "").await;
        let endpoints = used["most_used_endpoints"].as_array().unwrap().iter().map(|line| line["requests"].as_u64().unwrap());
        assert_eq!((used["total_requests"].as_u64(), endpoints.collect::<Vec<_>>()), (Some(45), vec![25, 20]), "{used}");
    }
}
