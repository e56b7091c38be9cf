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
    let id = batch_id(origin.now());
    let batch = json!({"id": id, "entries": [entry(&origin, &key, json!({"requests": 5}))]});
    let left =
        format!("INSERT INTO usage_waiting (id, tenant, batch) SELECT '{id}', tenant, '{batch}' FROM api_keys WHERE id = '{}'", key.id);
    // The second time as of a server that didn't hear whether it had been written.
    for _ in 0..2 {
        origin.stop().await;
        origin.database.execute(&left).await;
        origin.restart().await;
        let added = async || (origin.database.count("SELECT count(*) FROM usage_waiting").await == 0).then_some(());
        eventually("nothing waits any more", added).await;
        assert_eq!(usage(&origin.admin(), &key, "").await["total_requests"], 5);
    }
}
