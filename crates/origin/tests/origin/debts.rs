//! What requests have cost beyond what their keys were charged.

use std::time::Duration;

use keyward_core::limits::{Period, Window};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    harness::{Origin, eventually},
    limits::{id, key, start},
    usage::batch_id,
};

#[tokio::test]
async fn a_debt_is_taken_once_from_the_next_month_and_from_no_other() {
    let mut origin = start().await;
    let debtor = key(&origin, json!({"cost_limit_cents": 100})).await;
    let bankrupt = key(&origin, json!({"cost_limit_cents": 100})).await;
    let debt = |key: &str, cents: u64| json!({"key": key, "cents": cents});
    let debts = [debt(&debtor.id, 30), debt(&bankrupt.id, 1000), debt(&Uuid::nil().to_string(), 5)];
    let batch = json!({"id": batch_id(origin.now()), "entries": [], "debts": debts});
    for _ in 0..3 {
        origin.edge().post("/edge/v1/usage", batch.clone()).await.ok();
        // Whoever answers: it is written down.
        origin.restart().await;
    }
    let left = async |origin: &Origin, key: &str| {
        let window = Window::at(Period::Month, origin.now()).number();
        // After so long the server has to read its feed first.
        let answer = eventually("the edge is answered", async || {
            // More than there is: nothing is given, and what is left is told.
            let question =
                json!({"id": id(origin.now()), "key": key, "meter": "cost_cents", "window": window, "least": 101, "wanted": 101});
            let answer = origin.edge().post("/edge/v1/permits", json!({"wanted": [question]})).await;
            (answer.status == 200).then(|| answer.ok())
        })
        .await;
        assert_eq!((&answer["granted"][0]["fault"], &answer["granted"][0]["amount"]), (&Value::Null, &json!(0)));
        answer["granted"][0]["left"].as_u64().unwrap()
    };
    for (of_debtor, of_bankrupt) in [(100, 100), (70, 0), (100, 100)] {
        assert_eq!((left(&origin, &debtor.id).await, left(&origin, &bankrupt.id).await), (of_debtor, of_bankrupt));
        let next = Window::at(Period::Month, origin.now()).end().millis() + 1_800_000;
        origin.advance(Duration::from_millis(next - origin.now().millis()));
        // A server that runs for a month would have renewed its manifest.
        origin.restart().await;
    }
    let wrong = json!({"id": batch_id(origin.now()), "entries": [], "debts": [debt(&debtor.id, 0)]});
    assert_eq!(origin.edge().post("/edge/v1/usage", wrong).await.problem().2, "debts[0].cents");
}
