//! Lies over the feed: heartbeats, deltas, manifests, snapshots and policies.

use anyhow::{Context, Result, ensure};
use keyward_core::{Delta, Digest, Heartbeat, Manifest, PolicyClaims, PolicyNumber, Snapshot, Status, StatusIndex};
use keyward_tests::{Verdict, eventually};
use tokio::task::JoinSet;

use super::{
    lies::{Lies, about_any},
    scene::{KEPT, Kind, REVOKED, Scene},
};
use crate::support::{SOON, now_ms, publisher::Published, together};

/// How many edges are lied to at a time: one that has refused something waits before it asks again.
const LANES: usize = 6;

/// Tells each lie to an edge until it has counted it, and looks whether it still knows what it knew.
async fn refuses(kind: Kind, lies: fn(&Published) -> Result<Lies>) -> Result<()> {
    let _turn = together().await;
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(async move {
            let scene = Scene::start().await?;
            scene.settled().await?;
            let lies = lies(&scene.publisher.published())?;
            for (what, lie) in lies.into_iter().skip(lane).step_by(LANES) {
                refuses_one(&scene, kind, what, lie).await.with_context(|| format!("a {kind:?} with a fault: {what}"))?;
            }
            goes_on(&scene).await
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane??;
    }
    Ok(())
}

async fn refuses_one(scene: &Scene, kind: Kind, what: &str, lie: String) -> Result<()> {
    let (before, position) = (scene.rejected().await?, scene.position().await?);
    scene.lie(kind, lie);
    scene.publisher.announce();
    eventually("the refusal is counted", SOON, async || {
        // A request, so that somebody follows the feed.
        scene.get("/v1/search", KEPT, 1).await.ok()?;
        (scene.rejected().await.ok()? > before).then_some(())
    })
    .await
    .with_context(|| scene.edge.log())?;
    ensure!(scene.position().await? == position, "{what}: it moved the edge");
    scene.holds().await
}

/// With the truth again, the edge goes on from where it stood.
pub(super) async fn goes_on(scene: &Scene) -> Result<()> {
    scene.relay.rule(|_| Verdict::Pass);
    let seq = scene.publisher.mark(20, Status::Invalid)?;
    eventually("the edge follows again", SOON, async || {
        let refused = scene.get("/v1/search", 20, 1).await.ok()?;
        (refused.status == 401 && scene.position().await.ok()?.1 == seq).then_some(())
    })
    .await
    .with_context(|| scene.edge.log())?;
    scene.holds().await?;
    ensure!(scene.upstream.count() > 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_heartbeat_is_refused() -> Result<()> {
    refuses(Kind::Heartbeat, |published| {
        let keys = &published.keys;
        let honest = published.heartbeat_claims();
        let sign = |heartbeat: Heartbeat| keys.feed.sign(&heartbeat);
        let mut lies = about_any(published, &honest, &keys.feed, [&keys.policy, &keys.root, &keys.token])?;
        lies.extend([
            ("an earlier sequence number", sign(Heartbeat { seq: honest.seq - 1, ..honest.clone() })?),
            ("an earlier epoch", sign(Heartbeat { epoch: 0, ..honest.clone() })?),
            ("an epoch that the manifest doesn't have", sign(Heartbeat { epoch: 2, ..honest.clone() })?),
            ("an earlier manifest", sign(Heartbeat { manifest: 4, ..honest.clone() })?),
            ("the same manifest with another content", sign(Heartbeat { digest: Digest::of("x"), ..honest.clone() })?),
            ("of the future", sign(Heartbeat { iat_ms: now_ms() + 600_000, ..honest.clone() })?),
        ]);
        Ok(lies)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_delta_is_refused() -> Result<()> {
    refuses(Kind::Delta, |published| {
        let keys = &published.keys;
        // It would bring the revoked key back, and end the other.
        let seq = published.seq;
        let honest = Delta {
            epoch: 1,
            from: seq,
            to: seq + 1,
            iat_ms: now_ms(),
            changes: vec![(StatusIndex(REVOKED), Status::Valid), (StatusIndex(KEPT), Status::Invalid)],
            ..Delta::default()
        };
        let sign = |delta: Delta| keys.feed.sign(&delta);
        let mut lies = about_any(published, &honest, &keys.feed, [&keys.policy, &keys.root, &keys.api_key])?;
        lies.extend([
            ("another epoch", sign(Delta { epoch: 2, ..honest.clone() })?),
            ("a replay", sign(Delta { from: seq - 1, to: seq, ..honest.clone() })?),
            ("of the future", sign(Delta { iat_ms: now_ms() + 600_000, ..honest.clone() })?),
            (
                "an index twice",
                sign(Delta {
                    changes: [(StatusIndex(KEPT), Status::Invalid), (StatusIndex(KEPT), Status::Valid)].into(),
                    ..honest.clone()
                })?,
            ),
            ("a shard that nobody opened", sign(Delta { changes: vec![(StatusIndex(7 << 20), Status::Valid)], ..honest.clone() })?),
            (
                "policies that lead in a circle",
                sign(Delta {
                    changes: Vec::new(),
                    supersessions: vec![(PolicyNumber(1), PolicyNumber(2)), (PolicyNumber(2), PolicyNumber(1))],
                    ..honest.clone()
                })?,
            ),
        ]);
        Ok(lies)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_manifest_is_refused() -> Result<()> {
    refuses(Kind::Manifest, |published| {
        let keys = &published.keys;
        let honest = Manifest { version: 6, ..published.manifest_claims() };
        let sign = |manifest: Manifest| keys.root.sign(&manifest);
        let without_keys = Manifest { keys: Vec::new(), ..honest.clone() };
        let mut misnamed = honest.clone();
        misnamed.keys[0].x = keys.stranger.public_key();
        let mut lies = about_any(published, &honest, &keys.root, [&keys.policy, &keys.feed, &keys.api_key])?;
        lies.extend([
            ("an earlier version", sign(Manifest { version: 4, ..honest.clone() })?),
            ("the same version with another content", sign(Manifest { version: 5, ..without_keys })?),
            ("an earlier epoch", sign(Manifest { epoch: 0, ..honest.clone() })?),
            ("expired", sign(Manifest { exp: now_ms() / 1000 - 1, ..honest.clone() })?),
            ("of the future", sign(Manifest { iat: now_ms() / 1000 + 600, ..honest.clone() })?),
            ("a key under another's name", sign(misnamed)?),
        ]);
        Ok(lies)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_snapshot_is_refused() -> Result<()> {
    refuses(Kind::Snapshot, |published| {
        let keys = &published.keys;
        let (honest, _) = published.snapshot_claims()?;
        // All that an attacker wants: nothing revoked.
        let honest = Snapshot { shards: vec![(0, Digest::of("all valid"))], ..honest };
        let sign = |snapshot: Snapshot| keys.feed.sign(&snapshot);
        let mut lies = about_any(published, &honest, &keys.feed, [&keys.policy, &keys.root, &keys.token])?;
        lies.extend([
            ("an earlier sequence number", sign(Snapshot { seq: honest.seq - 1, ..honest.clone() })?),
            ("another epoch", sign(Snapshot { epoch: 2, ..honest.clone() })?),
            ("of the future", sign(Snapshot { iat_ms: now_ms() + 600_000, ..honest.clone() })?),
            ("a shard twice", sign(Snapshot { shards: [honest.shards.clone(), honest.shards.clone()].concat(), ..honest.clone() })?),
            ("a shard beyond all", sign(Snapshot { shards: vec![(4096, Digest::of("x"))], ..honest.clone() })?),
        ]);
        Ok(lies)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_policy_is_refused() -> Result<()> {
    let _turn = together().await;
    let scene = Scene::start().await?;
    scene.settled().await?;
    // A policy that the edge hasn't met: honest, it would permit searching.
    const NEW: u32 = 3;
    let lies = {
        let mut published = scene.publisher.published();
        published.write_policy(NEW, &["rag:search"])?;
        let keys = &published.keys;
        let honest = published.policy_claims(NEW, &["rag:search"])?;
        let sign = |policy: PolicyClaims| keys.policy.sign(&policy);
        let mut lies = about_any(&published, &honest, &keys.policy, [&keys.feed, &keys.root, &keys.token])?;
        lies.extend([
            ("another number", sign(PolicyClaims { number: PolicyNumber(1), ..honest.clone() })?),
            ("an epoch to come", sign(PolicyClaims { epoch: 2, ..honest.clone() })?),
            ("a number that this epoch has given anew", sign(PolicyClaims { epoch: 0, ..honest.clone() })?),
        ]);
        lies
    };
    for (what, lie) in lies {
        let before = scene.rejected().await?;
        scene.lie(Kind::Policy, lie);
        // Right after a failure nobody tries again for a moment.
        eventually("a refusal of the policy is counted", SOON, async || {
            let answer = scene.get("/v1/search", 30, NEW).await.ok()?;
            (answer.status == 200 || scene.rejected().await.ok()? > before).then_some(())
        })
        .await
        .with_context(|| format!("{what}: {}", scene.edge.log()))?;
        let answer = scene.get("/v1/search", 30, NEW).await?;
        ensure!(answer.status == 503, "{what}: {} {}", answer.status, answer.text());
        ensure!(answer.json()?["code"] == "policy_unavailable", "{what}: {}", answer.text());
        ensure!(answer.headers.first("retry-after").is_some(), "{what}: no Retry-After");
        scene.holds().await?;
    }
    scene.relay.rule(|_| Verdict::Pass);
    eventually("the honest policy is taken", SOON, async || {
        let answer = scene.get("/v1/search", 30, NEW).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await?;
    goes_on(&scene).await
}
