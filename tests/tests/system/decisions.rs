//! What edges decide is told to those whose keys it is about: sampled, and never more of a request than a policy looks at.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use keyward_tests::{Origin, eventually, http::Request};
use serde_json::{Value, json};

use crate::support::{Metrics, SOON, Stack, together};

/// From where the requests come that count; those with which a test finds out whether all is ready come from nowhere.
const FROM: &str = "192.0.2.7";

/// What the origin knows of decisions on a key, oldest first.
async fn told(origin: &Origin, key: &str) -> Result<Vec<Value>> {
    let request = Request::get(format!("/api/v1/decisions?limit=1000&key={key}")).bearer(&origin.admin_key()?);
    let mut told: Vec<Value> = serde_json::from_slice(&origin.send(&request).await?.expect(200)?.body)?;
    told.retain(|decision| decision["address"] == FROM);
    told.reverse();
    Ok(told)
}

/// How many requests they stand for, by path and outcome.
fn weights(told: &[Value]) -> BTreeMap<(String, String), u64> {
    let mut weights = BTreeMap::new();
    for decision in told {
        let text = |member: &str| decision[member].as_str().unwrap_or_default().to_owned();
        *weights.entry((text("path"), text("outcome"))).or_default() += decision["weight"].as_u64().unwrap_or_default();
    }
    weights
}

fn sum(told: &[Value]) -> u64 {
    weights(told).values().sum()
}

/// Waits until they stand for so many requests.
async fn stand_for(origin: &Origin, key: &str, requests: u64) -> Result<Vec<Value>> {
    let waited =
        eventually("all decisions are told", SOON, async || told(origin, key).await.ok().filter(|told| sum(told) == requests)).await;
    let last = told(origin, key).await?;
    waited.with_context(|| format!("{requests} requests: {:?}", weights(&last)))
}

/// Waits until the hub has all that an isolate knows: then nothing of before is in the samples to come.
async fn is_taken(stack: &Stack) -> Result<()> {
    let taken = async || {
        let metrics = Metrics::of(&stack.edges[0], 0).await.ok()?;
        (metrics.sum("keyward_usage_unreported") == 0).then_some(())
    };
    eventually("the hub has taken all", SOON, taken).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_is_told_with_what_decided_it_and_nothing_that_is_secret() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let origin = &stack.origin;
    let able = origin.create(json!({"capabilities": ["rag:search"], "blocked_endpoints": ["/files/no"]})).await?;
    let weak = origin.create(json!({})).await?;
    let revoked = origin.create(json!({})).await?;
    for key in [&able, &weak, &revoked] {
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    }
    origin.revoke(&revoked.id).await?;
    stack.all_answer("/v1/me", &revoked.raw_key, 401).await?;
    let token = origin.exchange(&able.raw_key, &[]).await?;
    is_taken(&stack).await?;

    let secret = "s3cr3t-of-the-client";
    let sent = |scheme: &str, method: &str, path: &str, credential: &str| {
        Request::new(method, format!("{path}?password={secret}"))
            .header("authorization", &format!("{scheme} {credential}"))
            .header("cookie", secret)
            .header("cf-connecting-ip", FROM)
            .header("origin", "https://app.example.com")
            .header("x-answer-cost-cents", "3")
    };
    // Both ways through the edge.
    for scheme in ["Bearer", "bearer"] {
        for (method, path, credential, status) in [
            ("GET", "/v1/me", &able.raw_key, 200),
            ("GET", "/files/%6eo", &able.raw_key, 403),
            ("GET", "/nowhere", &able.raw_key, 403),
            ("POST", "/v1/search", &token, 200),
            ("POST", "/v1/search", &weak.raw_key, 403),
            ("GET", "/v1/me", &revoked.raw_key, 401),
        ] {
            let answer = stack.send(0, &sent(scheme, method, path, credential)).await?;
            ensure!(answer.status == status, "{method} {path}: {}", answer.status);
        }
        ensure!(stack.send(0, &sent(scheme, "GET", "/v1/me", &format!("{}x", able.raw_key))).await?.status == 401);
    }
    let all = stand_for(origin, &able.id, 8).await?;
    let text = json!(all).to_string() + &json!(told(origin, &weak.id).await?).to_string();
    for hidden in [secret, &able.raw_key, &token, "password"] {
        ensure!(!text.contains(hidden), "{hidden} is told");
    }
    let of = |path: &str, outcome: &str| -> Vec<&Value> {
        all.iter().filter(|one| one["path"] == path && one["outcome"] == outcome && one["address"] == FROM).collect()
    };
    for (path, outcome, members) in [
        ("/v1/me", "passed", json!({"status": 200, "route": "GET /v1/me", "capability": null, "token": false})),
        ("/files/no", "endpoint_blocked", json!({"status": 403, "route": "/files/**", "duration_ms": null})),
        ("/nowhere", "no_route", json!({"status": 403, "route": null})),
        ("/v1/search", "passed", json!({"method": "POST", "route": "/v1/search", "capability": "rag:search", "token": true})),
    ] {
        let found = of(path, outcome);
        ensure!(found.len() == 2, "{path}: {all:?}");
        for one in found {
            for (member, value) in members.as_object().context("members")? {
                ensure!(one[member] == *value, "{path}: {member}: {one}");
            }
            ensure!(one["policy"] == able.body["api_key"]["policy"] && one["domain"] == "app.example.com" && one["tls"] == true, "{one}");
            ensure!(one["position"].as_str().is_some_and(|position| position.starts_with("1.")), "{one}");
        }
    }
    ensure!(of("/v1/me", "passed").iter().all(|one| one["duration_ms"].is_u64()), "{all:?}");
    // What was refused before any policy was looked at names none.
    let refused = eventually("the revoked key's are told", SOON, async || {
        told(origin, &revoked.id).await.ok()?.into_iter().find(|one| one["outcome"] == "key_revoked" && one["address"] == FROM)
    })
    .await?;
    ensure!(refused["policy"].is_null() && refused["status"] == 401 && refused["verdict"] == "refused", "{refused}");

    // A draft that gives the capability would let the weak one pass.
    eventually("the weak key's are told", SOON, async || {
        let told = told(origin, &weak.id).await.ok()?;
        (weights(&told).get(&("/v1/search".into(), "capability_missing".into())) == Some(&2)).then_some(())
    })
    .await?;
    let draft = json!({"key_id": weak.id, "change": {"capabilities": ["rag:search"]}});
    let replay = Request::new("POST", "/api/v1/policies/replay").bearer(&origin.admin_key()?).json(&draft);
    let replayed = origin.send(&replay).await?.expect(200)?.json()?;
    ensure!(replayed["newly_permitted"] == 2 && replayed["changed"] == 2, "{replayed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_stand_for_all_requests_through_the_death_of_the_origin() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::start().await?;
    let (busy, quiet) = (stack.origin.create(json!({})).await?, stack.origin.create(json!({})).await?);
    for key in [&busy, &quiet] {
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    }
    is_taken(&stack).await?;

    stack.origin.kill()?;
    for round in 0..300 {
        let path = if round % 3 == 0 { "/nowhere" } else { "/files/a" };
        let get = |path: &str, key: &str| Request::get(path).bearer(key).header("cf-connecting-ip", FROM);
        stack.send(0, &get(path, &busy.raw_key)).await?;
        if round % 100 == 50 {
            stack.send(0, &get("/v1/me", &quiet.raw_key)).await?.expect(200)?;
        }
    }
    is_taken(&stack).await?;
    stack.origin.restart().await?;
    stack.warm(0).await?;
    let all = stand_for(&stack.origin, &busy.id, 300).await?;
    ensure!(all.len() < 250, "{} of 300 were kept: no sample", all.len());
    let refused = weights(&all).get(&("/nowhere".to_owned(), "no_route".to_owned())).copied();
    ensure!(refused == Some(100), "{:?}", weights(&all));
    // A busy key hides no other.
    let quiets = stand_for(&stack.origin, &quiet.id, 3).await?;
    ensure!(quiets.iter().all(|one| one["weight"] == 1), "{quiets:?}");
    Ok(())
}
