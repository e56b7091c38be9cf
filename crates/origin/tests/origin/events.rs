//! What time alone does to keys, as events.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Client, KEYS, Origin, eventually};

const DAY: Duration = Duration::from_secs(24 * 3600);

async fn events(client: &Client, query: &str) -> Vec<Value> {
    client.get(&format!("/api/v1/events{query}")).await.ok().as_array().unwrap().clone()
}

fn kinds(events: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    events.iter().map(|event| (text(&event["type"]), text(&event["key_name"]))).collect()
}

#[tokio::test]
async fn each_event_comes_once_in_time_and_in_order_whichever_server_sweeps() {
    let origin = Origin::start().await;
    let other = origin.beside().await;
    let admin = origin.admin();
    admin.create(json!({"name": "short", "expires_in_days": 12, "owner_id": "ann"})).await;
    let due = admin.create(json!({"name": "due", "expires_in_days": 90, "rotation_period_days": 3})).await;
    let revoked = admin.create(json!({"name": "revoked", "expires_in_days": 12})).await;
    admin.act(&revoked.id, "revoke", None).await.ok();
    assert_eq!(due.body["rotation_due"], false);
    let at_least = async |count: usize| {
        eventually("the sweeper has been there", async || Some(events(&admin, "").await).filter(|found| found.len() >= count)).await
    };
    origin.advance(4 * DAY);
    at_least(1).await;
    let shown = admin.get(&format!("{KEYS}/{}", due.id)).await.ok();
    assert_eq!(shown["rotation_due"], true);
    origin.advance(2 * DAY);
    at_least(2).await;
    origin.advance(6 * DAY);
    let all = at_least(3).await;
    let told = [("key.rotation_due", "due"), ("key.expiring", "short"), ("key.expired", "short")];
    assert_eq!(kinds(&all), told.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
    assert_eq!(all[0]["due_at"], shown["rotation_due_at"]);

    // Swept again from the start, by both at once, nothing comes twice.
    origin.database.execute("UPDATE api_keys SET wake_at = 'epoch'").await;
    eventually("all were looked at again", async || {
        let waiting: i64 = origin.database.count("SELECT count(*) FROM api_keys WHERE wake_at = 'epoch'").await;
        (waiting == 0).then_some(())
    })
    .await;
    assert_eq!(events(&other.admin(), "").await, all);

    let second = all[1]["id"].as_i64().unwrap();
    assert_eq!(events(&admin, &format!("?after={second}")).await, all[2..]);
    let page = admin.get("/api/v1/events?limit=2").await;
    assert!(page.headers["link"].to_str().unwrap().contains(&format!("after={second}")));
    for wrong in ["limit=0", "limit=1001", "after=x", "before=1"] {
        admin.get(&format!("/api/v1/events?{wrong}")).await.refused(422, "validation_failed");
    }
    // A caller of user scope hears of its owner's keys.
    let ann = origin.caller(json!({"capabilities": ["keys:read"], "owner_id": "ann"})).await;
    let bob = origin.caller(json!({"capabilities": ["keys:read"], "owner_id": "bob"})).await;
    assert_eq!((events(&ann, "").await, events(&bob, "").await), (all[1..].to_vec(), vec![]));

    // Renewed, it expires anew; rotated, the next period begins.
    let short = all[2]["key_id"].as_str().unwrap();
    admin.act(short, "renew", Some(json!({"expires_in_days": 1}))).await.ok();
    admin.act(&due.id, "rotate", None).await.ok();
    origin.advance(2 * DAY);
    eventually("expired again", async || {
        let all = kinds(&events(&admin, "").await);
        (all.iter().filter(|(kind, _)| kind == "key.expired").count() == 2).then_some(())
    })
    .await;
    origin.advance(2 * DAY);
    eventually("due again", async || {
        let all = kinds(&events(&admin, "").await);
        (all.iter().filter(|(kind, _)| kind == "key.rotation_due").count() == 2).then_some(())
    })
    .await;
}
