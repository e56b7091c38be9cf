//! Slots for requests at one time, as edges lease them.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use crate::{
    harness::Client,
    limits::{key, start},
};

#[tokio::test]
async fn no_more_slots_are_leased_than_a_key_has_and_a_lease_ends_by_itself() {
    let mut origin = start().await;
    let key = key(&origin, json!({"max_concurrent_requests": 5})).await;
    let other = origin.beside().await;
    let mut server = origin.edge();
    let ask = async |edge: &Client, holder: u128, (serial, leased, wanted): (u64, u64, u64)| {
        let slots = json!([{"key": key.id, "holder": Uuid::from_u128(holder), "serial": serial, "leased": leased, "wanted": wanted}]);
        let answer = edge.post("/edge/v1/permits", json!({"slots": slots})).await.ok()["slots"][0].clone();
        assert_eq!((&answer["holder"], &answer["serial"]), (&json!(Uuid::from_u128(holder)), &json!(serial)));
        assert_eq!(answer["lasts_ms"], if answer["fault"].is_null() { 300_000 } else { 0 });
        (answer["slots"].as_u64().unwrap(), answer["target"].as_u64().unwrap(), answer["fault"].as_str().map(str::to_owned))
    };
    assert_eq!(ask(&server, 1, (1, 0, 3)).await, (3, 3, None));
    assert_eq!(ask(&other.edge(), 2, (1, 0, 5)).await, (2, 2, None), "one key, whoever is asked");
    let newer = Some("holder_refused".to_owned());
    assert_eq!(ask(&server, 1, (1, 0, 0)).await, (0, 0, newer.clone()), "what was said before isn't said again");
    origin.restart().await;
    server = origin.edge();
    assert_eq!(ask(&server, 1, (1, 0, 5)).await, (0, 0, newer));
    assert_eq!(ask(&server, 1, (2, 1, 1)).await, (1, 1, None));
    assert_eq!(ask(&server, 2, (2, 2, 5)).await, (4, 4, None), "what one gives back the other gets");

    // Lowered: what is used goes on, and nothing is taken anew until enough has ended.
    origin.admin().act(&key.id, "patch", Some(json!({"max_concurrent_requests": 2}))).await.ok();
    assert_eq!(ask(&server, 2, (3, 4, 4)).await, (4, 1, None));
    assert_eq!(ask(&server, 1, (3, 1, 5)).await, (1, 0, None));
    assert_eq!(ask(&server, 2, (4, 1, 1)).await, (1, 1, None));
    assert_eq!(ask(&server, 1, (4, 1, 5)).await, (1, 1, None));
    // Nobody says more: within five minutes all slots are there again, and whoever is late has none.
    assert_eq!(ask(&server, 3, (1, 0, 9)).await, (0, 0, None));
    origin.advance(Duration::from_secs(301));
    assert_eq!(ask(&server, 3, (2, 0, 9)).await, (2, 2, None));
    assert_eq!(ask(&server, 1, (5, 1, 1)).await, (0, 0, None));
    origin.admin().act(&key.id, "patch", Some(json!({"max_concurrent_requests": "unlimited"}))).await.ok();
    assert_eq!(ask(&server, 3, (3, 2, 900)).await, (900, 900, None));

    let wrong = json!({"slots": [{"key": Uuid::nil(), "holder": Uuid::nil(), "serial": 1, "leased": 0, "wanted": 1}]});
    assert_eq!(server.post("/edge/v1/permits", wrong.clone()).await.ok()["slots"][0]["fault"], "unknown_key");
    for (member, field) in [("wanted", "slots[0].wanted"), ("serial", "slots[0].serial"), ("leased", "slots[0].leased")] {
        let mut wrong = wrong.clone();
        wrong["slots"][0][member] = json!(u64::MAX);
        assert_eq!(server.post("/edge/v1/permits", wrong).await.problem().2, field);
    }
}
