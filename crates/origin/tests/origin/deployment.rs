//! How a deployment runs, and what edges decide by, as people are told it.

use keyward_core::{Manifest, Policy, PolicyNumber, PublicKey};
use serde_json::json;

use crate::{
    edge::Edge,
    harness::{KEYS, Origin, eventually},
};

#[tokio::test]
async fn whoever_sees_a_key_gets_what_an_edge_decides_on_it_by() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = origin.key(json!({"owner_id": "ann", "capabilities": ["rag:search"], "expires_in_days": 1})).await;
    let parsed = keyward_core::ParsedKey::parse(&key.raw).unwrap();
    let of = async |id: &str| admin.get(&format!("{KEYS}/{id}/policy")).await.ok();
    let first = of(&key.id).await;
    let index = parsed.unverified_claims().index;
    let expires = parsed.unverified_claims().expires;
    assert_eq!(
        first["credentials"],
        json!([{"index": index, "amended": false, "policy": first["number"], "in_force": first["number"], "expires": expires}])
    );

    // By the text that edges get, which proves itself.
    let root = PublicKey::parse(&origin.anyone().get("/.well-known/keyward-root").await.text).unwrap();
    let manifest = origin.anyone().get("/.well-known/keyward-manifest").await.text;
    let keys = Manifest::open(&manifest, &[root], origin.now()).unwrap();
    let number = |value: &serde_json::Value| PolicyNumber(value.as_u64().unwrap() as u32);
    let policy = Policy::open(first["signed"].as_str().unwrap(), number(&first["number"]), &keys, origin.now()).unwrap();
    assert_eq!(policy.claims().capabilities[0].as_str(), "rag:search");

    admin.act(&key.id, "patch", Some(json!({"allowed_ips": ["192.0.2.1"]}))).await.ok();
    let changed = of(&key.id).await;
    assert_ne!(changed["number"], first["number"]);
    let told = &changed["credentials"][0];
    assert_eq!((&told["amended"], &told["policy"], &told["expires"]), (&json!(true), &changed["number"], &json!(expires)));
    let mut edge = Edge::start(&origin).await;
    assert_eq!(edge.sees(&origin, &key.raw).await.unwrap().policy(), number(&told["in_force"]));

    // Nobody else's, and nobody's who may not look.
    let other = origin.caller(json!({"owner_id": "bob", "capabilities": ["keys:read"]})).await;
    other.get(&format!("{KEYS}/{}/policy", key.id)).await.refused(404, "not_found");
    admin.act(&key.id, "revoke", None).await.ok();
    assert_eq!(of(&key.id).await["credentials"], json!([]));
}

#[tokio::test]
async fn an_edge_that_follows_is_listed_with_how_far_it_has_got() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let before = admin.get("/api/v1/edges").await.ok();
    assert_eq!(before["edges"], json!([]));
    let ask = async |after: u64| {
        let path = format!("/edge/v1/feed?epoch=1&after={after}&manifest=1&wait_ms=0");
        origin.edge().get(&path).await.ok();
    };
    let seq = before["seq"].as_u64().unwrap();
    ask(seq).await;
    let key = origin.key(json!({})).await;
    admin.act(&key.id, "suspend", None).await.ok();
    let behind = eventually("the change has a number", async || {
        let told = admin.get("/api/v1/edges").await.ok();
        told["seq"].as_u64().is_some_and(|now| now > seq).then_some(told)
    });
    let behind = behind.await;
    let [edge] = behind["edges"].as_array().unwrap().as_slice() else { panic!("{behind}") };
    assert_eq!((&edge["seq"], &edge["epoch"], &edge["address"]), (&json!(seq), &json!(1), &json!("127.0.0.1")));
    let tenant = origin.caller(json!({"scope": "tenant", "capabilities": ["keys:read"]})).await;
    assert_eq!(tenant.get("/api/v1/edges").await.ok()["edges"].as_array().unwrap().len(), 1, "the first edge is of the first tenant");
    let other = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other", "first_key": true})).await.ok();
    let foreign = origin.client(other["first_key"]["raw_key"].as_str().unwrap());
    assert_eq!(foreign.get("/api/v1/edges").await.ok()["edges"], json!([]));
    let now = behind["seq"].as_u64().unwrap();
    ask(now).await;
    assert_eq!(admin.get("/api/v1/edges").await.ok()["edges"][0]["seq"], now);
    // One that has fallen silent isn't taken for one that follows.
    origin.advance(std::time::Duration::from_secs(3601));
    assert_eq!(admin.get("/api/v1/edges").await.ok()["edges"], json!([]));
}
