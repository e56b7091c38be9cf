//! What edges follow.

use std::time::{Duration, Instant};

use keyward_core::{FeedReply, Reason};
use serde_json::json;

use crate::{
    edge::Edge,
    harness::{Origin, eventually},
    recovery::seen_at,
};

#[tokio::test]
async fn under_concurrent_changes_every_edge_ends_where_the_database_does_and_many_edges_cost_one_signature() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let mut keys = Vec::new();
    for _ in 0..24 {
        keys.push(admin.create(json!({})).await);
    }
    let mut edges = Vec::new();
    for _ in 0..8 {
        edges.push(Edge::start(&origin).await);
    }
    let changing: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(at, key)| {
            let (admin, id) = (admin.clone(), key.id.clone());
            tokio::spawn(async move {
                admin.act(&id, "suspend", None).await.ok();
                match at % 3 {
                    0 => drop(admin.act(&id, "revoke", None).await.ok()),
                    1 => drop(admin.act(&id, "resume", None).await.ok()),
                    _ => {}
                }
            })
        })
        .collect();
    // While it goes on, edges follow.
    for edge in &mut edges {
        edge.catch_up(&origin).await;
    }
    for change in changing {
        change.await.unwrap();
    }
    for edge in &mut edges {
        for (at, key) in keys.iter().enumerate() {
            let expected = [Err(Reason::Revoked), Ok(()), Err(Reason::Suspended)][at % 3];
            assert_eq!(edge.sees(&origin, &key.raw).await.map(|_| ()), expected);
        }
    }
    let position = edges[0].position();
    assert!(edges.iter().all(|edge| edge.position() == position));

    // Eight edges that wait at the same point are told by one delta.
    let signed = async || {
        let text = admin.get("/metrics").await.text;
        let line = text.lines().find(|line| line.starts_with("keyward_signed_total{kind=\"delta\"}")).unwrap();
        line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()
    };
    let before = signed().await;
    let polls: Vec<_> = edges.iter().map(|edge| tokio::spawn(edge.ask(5000))).collect();
    eventually("all edges wait", async || {
        let text = admin.get("/metrics").await.text;
        text.contains("keyward_feed_waiting 8").then_some(())
    })
    .await;
    admin.act(&keys[1].id, "revoke", None).await.ok();
    let mut deltas = Vec::new();
    for poll in polls {
        let reply: FeedReply = serde_json::from_value(poll.await.unwrap().ok()).unwrap();
        deltas.push(reply.deltas);
    }
    deltas.dedup();
    assert_eq!(deltas.len(), 1);
    assert_eq!(signed().await, before + 1);
}

#[tokio::test]
async fn a_poll_is_answered_when_something_changes_and_otherwise_with_a_fresh_heartbeat_after_its_wait() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let key = admin.create(json!({})).await;
    edge.catch_up(&origin).await;
    let heard = edge.replica.as_of().unwrap();
    let began = Instant::now();
    let reply: FeedReply = serde_json::from_value(edge.ask(300).await.ok()).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(reply.deltas.is_empty() && !reply.gap && reply.manifest.is_none());
    edge.replica.hear(&reply.heartbeat, origin.now()).unwrap();
    assert!(edge.replica.as_of().unwrap().since(heard) >= 250);

    let began = Instant::now();
    let (poll, _) = tokio::join!(edge.ask(5000), admin.act(&key.id, "revoke", None));
    assert!(began.elapsed() < Duration::from_secs(2));
    let reply: FeedReply = serde_json::from_value(poll.ok()).unwrap();
    assert_eq!(reply.deltas.len(), 1);

    // Another epoch is a gap; a wait or a query that makes no sense is refused.
    let edge = origin.edge();
    assert_eq!(edge.get("/edge/v1/feed?epoch=0&after=9&manifest=1&wait_ms=0").await.ok()["gap"], true);
    edge.get("/edge/v1/feed?epoch=1&after=0&manifest=1&wait_ms=5001").await.refused(422, "validation_failed");
    edge.get("/edge/v1/feed?epoch=1&after=0&wait_ms=1").await.refused(422, "validation_failed");
}

#[tokio::test]
async fn a_burst_is_published_at_most_ten_times_a_second_and_its_first_change_at_once() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let mut keys = Vec::new();
    for _ in 0..60 {
        keys.push(admin.create(json!({})).await.id);
    }
    edge.catch_up(&origin).await;
    let began = Instant::now();
    let burst = tokio::spawn(async move {
        for id in keys {
            admin.act(&id, "revoke", None).await.ok();
        }
        Instant::now()
    });
    let end = edge.position().seq + 60;
    let mut publications = 0;
    while edge.position().seq < end {
        let reply: FeedReply = serde_json::from_value(edge.ask(5000).await.ok()).unwrap();
        for delta in &reply.deltas {
            edge.replica.apply_delta(delta, origin.now()).unwrap();
        }
        publications += 1;
    }
    let (ended, all) = (burst.await.unwrap(), began.elapsed());
    let most = all.as_millis() / 100 + 2;
    assert!(publications <= most, "{publications} publications in {all:?}");
    // The last change waits for its turn at most.
    assert!(Instant::now() - ended < Duration::from_secs(1));
}

#[tokio::test]
async fn an_edge_that_begins_after_a_restart_has_all_statuses_and_amendments_from_the_snapshot() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let amended = admin.create(json!({"rate_limit_per_hour": 9})).await;
    let hidden = admin.create(json!({})).await;
    let revoked = admin.create(json!({})).await;
    admin.act(&amended.id, "patch", Some(json!({"rate_limit_per_hour": 1}))).await.ok();
    admin.act(&hidden.id, "patch", Some(json!({"rate_limit_per_hour": 2}))).await.ok();
    admin.act(&hidden.id, "suspend", None).await.ok();
    admin.act(&revoked.id, "revoke", None).await.ok();
    // So that the state stands in the snapshot and not in deltas after it.
    origin.stop().await;
    origin.database.execute("DELETE FROM snapshots; DELETE FROM feed_log").await;
    origin.restart().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let policy = edge.sees(&origin, &amended.raw).await.unwrap().policy();
    assert_eq!(edge.policy(&origin, policy).await.claims().limits.rate_per_hour, Some(1));
    assert_eq!(edge.sees(&origin, &hidden.raw).await, Err(Reason::Suspended));
    assert_eq!(edge.sees(&origin, &revoked.raw).await, Err(Reason::Revoked));
    admin.act(&hidden.id, "resume", None).await.ok();
    let policy = edge.sees(&origin, &hidden.raw).await.unwrap().policy();
    assert_eq!(edge.policy(&origin, policy).await.claims().limits.rate_per_hour, Some(2));
}

#[tokio::test]
async fn what_changes_at_one_server_reaches_the_edges_of_another_and_both_stand_still_and_go_on_together() {
    let one = Origin::start().await;
    let other = one.beside().await;
    assert_eq!(one.file("root.pub"), other.file("root.pub"));
    let key = one.admin().create(json!({})).await;
    let mut edge = Edge::start(&other).await;
    assert!(edge.sees(&other, &key.raw).await.is_ok());
    // The poll at the other server is woken by the database.
    let admin = one.admin();
    let (poll, _) = tokio::join!(edge.ask(5000), admin.act(&key.id, "revoke", None));
    let reply: FeedReply = serde_json::from_value(poll.ok()).unwrap();
    assert_eq!(reply.deltas.len(), 1);
    assert_eq!(edge.sees(&other, &key.raw).await, Err(Reason::Revoked));
    assert_eq!(other.admin().verdict(&key.raw).await.unwrap(), "API key is revoked");
    let (mine, theirs) = (one.admin().create(json!({})).await, other.admin().create(json!({})).await);
    assert!(edge.sees(&other, &mine.raw).await.unwrap().index() != edge.sees(&other, &theirs.raw).await.unwrap().index());

    let shown = seen_at(&one, &admin, 7, 0).await;
    let claim = format!("/edge/v1/feed?epoch=7&after=0&manifest=1&wait_ms=0&heartbeat={shown}");
    one.edge().get(&claim).await.refused(503, "recovery_required");
    eventually("the other one stands still too", async || (other.admin().get("/readyz").await.status == 503).then_some(())).await;
}

#[tokio::test]
async fn a_deployment_that_goes_by_another_name_gives_edges_parts_that_they_take() {
    let mut origin = Origin::start().await;
    let key = origin.admin().create(json!({})).await;
    assert!(Edge::start(&origin).await.sees(&origin, &key.raw).await.is_ok());
    origin.change_issuer_from = Some(std::mem::replace(&mut origin.issuer, "https://another.example").to_owned());
    origin.restart().await;
    assert!(Edge::start(&origin).await.sees(&origin, &key.raw).await.is_ok());
}
