//! Whatever comes in whatever order, and again: the sums of use are those of the batches.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::json;

use crate::{
    harness::{Answer, KEYS, Origin},
    usage::{batch_id, entry, hour, summary, usage},
};

/// Any batches, sent in any order and some of them again, at the same time: the sums are those of the batches.
#[tokio::test]
async fn batches_in_any_order_with_any_repeats_come_to_their_sum() {
    let origin = Origin::start().await;
    let keys = join_all((0..3).map(|_| async { origin.key(json!({})).await })).await;
    let now = hour(origin.now());
    let line = (
        0..3usize,
        0..30u64,
        0..4usize,
        prop::sample::select(vec![("passed", 2u8), ("passed", 5), ("key_revoked", 4)]),
        1..100u64,
        0..1000u64,
    );
    let batches = prop::collection::vec((prop::collection::vec(line, 0..20), 1..4usize), 1..24).no_shrink();
    let mut runner = TestRunner::deterministic();
    let mut model: BTreeMap<(usize, u64), (u64, u64, u64)> = BTreeMap::new();
    let mut sends = Vec::new();
    for (lines, times) in (0..4).flat_map(|_| batches.new_tree(&mut runner).unwrap().current()) {
        let entries: Vec<_> = lines
            .iter()
            .map(|(key, ago, endpoint, (outcome, status), requests, bytes)| {
                let sum = model.entry((*key, now - ago)).or_default();
                *sum = (sum.0 + requests, sum.1 + if *status == 5 { *requests } else { 0 }, sum.2 + bytes);
                let members = json!({"hour": now - ago, "endpoint": format!("/{endpoint}"), "outcome": outcome, "status": status, "requests": requests, "bytes_out": bytes});
                entry(&origin, &keys[*key], members)
            })
            .collect();
        let batch = json!({"id": batch_id(origin.now()), "entries": entries});
        sends.extend(std::iter::repeat_n(batch, times));
    }
    let order = Just(sends).prop_shuffle().new_tree(&mut runner).unwrap().current();
    let answers: Vec<Answer> = join_all(order.into_iter().map(|batch| {
        let edge = origin.edge();
        async move { edge.post("/edge/v1/usage", batch).await }
    }))
    .await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let admin = origin.admin();
    let mut whole = 0;
    for (at, key) in keys.iter().enumerate() {
        let report = usage(&admin, key, "days=3&interval=hour").await;
        let of_key = model.iter().filter(|((of, _), _)| *of == at);
        let expected: Vec<_> = of_key.clone().map(|(_, sum)| json!([sum.0, sum.1, sum.2])).collect();
        let points = report["series"].as_array().unwrap().iter().filter(|point| point["requests"] != 0);
        assert_eq!(points.map(|point| json!([point["requests"], point["errors"], point["bytes"]])).collect::<Vec<_>>(), expected);
        let sum: u64 = of_key.map(|(_, sum)| sum.0).sum();
        assert_eq!((&report["total_requests"], sum), (&json!(sum), report["total_requests"].as_u64().unwrap()));
        assert_eq!(admin.get(&format!("{KEYS}/{}", key.id)).await.ok()["usage"]["requests_count"], sum);
        whole += sum;
    }
    assert_eq!(summary(&admin, "days=3").await["total_requests"], whole);
}
