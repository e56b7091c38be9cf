//! Lies about the parts of a snapshot: status lists and pages of amendments.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use keyward_core::{Digest, Snapshot, StatusList, StatusListClaims, bounds::SHARD_LEN};
use keyward_issuer::status_list_claims;
use keyward_tests::{Verdict, eventually};

use super::{
    feed::goes_on,
    lies::{Lies, about_any},
    scene::{AMENDED, KEPT, Kind, Scene, answer, in_snapshot},
};
use crate::support::{SOON, publisher::Published, together};

/// A cold edge that has the snapshot, and is handed parts that aren't the snapshot's: genuine ones of other moments
/// among them.
async fn false_part(kind: Kind, index: u32, code: &str, lies: impl Fn(&Published) -> Result<Lies>) -> Result<()> {
    let mut scene = Scene::start().await?;
    let lies = lies(&scene.publisher.published())?;
    for (what, lie) in lies {
        scene.lie(kind, lie);
        // With nothing in its memory, so that it has to ask for its parts.
        scene.edge.restart().await?;
        let answer = eventually("the edge has a snapshot", SOON, async || {
            let answer = scene.get("/v1/search", index, 1).await.ok()?;
            let cold = answer.json().ok()?["code"] == "state_unavailable";
            (!cold).then_some(answer)
        })
        .await?;
        ensure!(answer.status == 503, "{what}: {} {}", answer.status, answer.text());
        ensure!(answer.json()?["code"] == code, "{what}: {}", answer.text());
        ensure!(scene.rejected().await? > 0, "{what}: not counted");
        scene.relay.rule(|_| Verdict::Pass);
        scene.settled().await.context(what)?;
    }
    goes_on(&scene).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_list_that_is_not_the_snapshots_is_refused() -> Result<()> {
    let _turn = together().await;
    false_part(Kind::List, KEPT, "status_unavailable", |published| {
        let keys = &published.keys;
        let issuer = published.manifest_claims().iss;
        let empty = StatusList::new(2, SHARD_LEN)?;
        // Genuine once: before anything was revoked.
        let earlier: StatusListClaims = status_list_claims(&issuer, 0, &empty, 1_790_000_000, None);
        let mut lies = about_any(published, &earlier, &keys.feed, [&keys.policy, &keys.root, &keys.token])?;
        lies.truncate(6);
        lies.push(("a genuine one of an earlier moment", keys.feed.sign(&earlier)?));
        Ok(lies)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_amendments_that_is_not_the_snapshots_is_refused() -> Result<()> {
    let _turn = together().await;
    false_part(Kind::Page, AMENDED, "amendment_unavailable", |_| {
        let page = |policy: u32| format!(r#"{{"amendments":[[{AMENDED},{policy},4294967295]]}}"#);
        Ok(vec![
            ("nothing", String::new()),
            ("another policy", page(1)),
            ("no amendment", r#"{"amendments":[]}"#.to_owned()),
            ("a space more", format!("{} ", page(2))),
        ])
    })
    .await
}

/// The snapshot vouches for a list by its digest; it must still be the list of that shard, and signed as one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_the_snapshot_names_is_still_checked() -> Result<()> {
    let _turn = together().await;
    let mut scene = Scene::start().await?;
    let cases = {
        let published = scene.publisher.published();
        let keys = &published.keys;
        let issuer = published.manifest_claims().iss;
        let list = |issuer: &str, shard, list: &StatusList| status_list_claims(issuer, shard, list, 1_790_000_000, None);
        let full = StatusList::new(2, SHARD_LEN)?;
        vec![
            ("the list of another shard", keys.feed.sign(&list(&issuer, 1, &full))?),
            ("the list of another issuer", keys.feed.sign(&list("https://other.example.com", 0, &full))?),
            ("a short list", keys.feed.sign(&list(&issuer, 0, &StatusList::new(2, 64)?))?),
            ("a list of one bit", keys.feed.sign(&list(&issuer, 0, &StatusList::new(1, SHARD_LEN * 2)?))?),
            ("a list that has expired", keys.feed.sign(&StatusListClaims { exp: Some(1), ..list(&issuer, 0, &full) })?),
            ("a list signed in another role", keys.policy.sign(&list(&issuer, 0, &full))?),
        ]
    };
    for (what, part) in cases {
        let digest = Digest::of(&part);
        let handle = scene.publisher.handle();
        scene.relay.rule(move |request| {
            let target = request.target_text();
            if target.starts_with("/edge/v1/parts/") {
                return answer(part.clone());
            }
            if !target.starts_with("/edge/v1/snapshot") {
                return Verdict::Pass;
            }
            let lie = snapshot_with_shard(&handle, digest);
            Verdict::Change(Box::new(move |response| in_snapshot(Kind::Snapshot, lie, response)))
        });
        scene.edge.restart().await?;
        let refused = eventually("the edge has a snapshot", SOON, async || {
            let answer = scene.get("/v1/search", KEPT, 1).await.ok()?;
            let cold = answer.json().ok()?["code"] == "state_unavailable";
            (!cold).then_some(answer)
        })
        .await?;
        ensure!(refused.status == 503, "{what}: {} {}", refused.status, refused.text());
        ensure!(refused.json()?["code"] == "status_unavailable", "{what}: {}", refused.text());
        ensure!(scene.rejected().await? > 0, "{what}: not counted");
    }
    Ok(())
}

fn snapshot_with_shard(published: &Arc<Mutex<Published>>, digest: Digest) -> String {
    let published = published.lock().unwrap_or_else(PoisonError::into_inner);
    let signed = published
        .snapshot_claims()
        .and_then(|(snapshot, _)| Ok(published.keys.feed.sign(&Snapshot { shards: vec![(0, digest)], ..snapshot })?));
    signed.unwrap_or_default()
}
