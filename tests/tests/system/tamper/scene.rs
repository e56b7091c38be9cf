//! An edge that is lied to.

use anyhow::{Context, Result, ensure};
use keyward_core::{Amendment, Delta, FeedReply, PolicyNumber, SnapshotReply, Status, StatusIndex};
use keyward_tests::{
    Edge, Relay, Upstream, Verdict, eventually,
    http::{Request, Response},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::support::{Metrics, Publisher, SOON};

/// The kinds of signed object, by where an edge meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Heartbeat,
    Delta,
    Snapshot,
    List,
    Page,
    Policy,
}

/// An edge that follows a publisher, with a relay between them.
pub(super) struct Scene {
    pub(super) edge: Edge,
    pub(super) relay: Relay,
    pub(super) publisher: Publisher,
    pub(super) upstream: Upstream,
}

/// The index of a key that holds, and of one that is revoked before anything else happens.
pub(super) const KEPT: u32 = 10;
pub(super) const REVOKED: u32 = 11;
/// Amended to policy 2, which permits chatting instead of searching.
pub(super) const AMENDED: u32 = 12;

impl Scene {
    pub(super) async fn start() -> Result<Self> {
        let publisher = Publisher::start().await?;
        publisher.mark(REVOKED, Status::Invalid)?;
        {
            let mut published = publisher.published();
            published.write_policy(2, &["llm:gpt-4"])?;
            let amendment = Amendment { index: StatusIndex(AMENDED), policy: PolicyNumber(2), expires: None };
            published.change(Delta {
                changes: vec![(StatusIndex(AMENDED), Status::Amended)],
                amendments: vec![amendment],
                policies: vec![PolicyNumber(2)],
                ..Delta::default()
            })?;
            // Room for going back.
            published.manifest_version = 5;
            published.epoch = 1;
            published.manifest = published.keys.root.sign(&published.manifest_claims())?;
        }
        let relay = Relay::start(publisher.address()).await?;
        let upstream = Upstream::start().await?;
        let edge = Edge::start(publisher.edge_config(&relay.url(), &upstream)?).await?;
        Ok(Self { edge, relay, publisher, upstream })
    }

    pub(super) async fn get(&self, target: &str, index: u32, policy: u32) -> Result<Response> {
        let key = self.publisher.published().mint(index, policy)?;
        self.edge.send(0, &Request::get(target).bearer(&key)).await
    }

    /// What an edge that has the state says of the three keys.
    pub(super) async fn holds(&self) -> Result<()> {
        self.get("/v1/search", KEPT, 1).await?.expect(200)?;
        let revoked = self.get("/v1/search", REVOKED, 1).await?.expect(401)?;
        ensure!(revoked.json()?["code"] == "key_revoked", "{}", revoked.text());
        let amended = self.get("/v1/search", AMENDED, 1).await?.expect(403)?;
        ensure!(amended.json()?["code"] == "capability_missing", "{}", amended.text());
        Ok(())
    }

    /// Waits for [`Scene::holds`].
    pub(super) async fn settled(&self) -> Result<()> {
        eventually("the edge has the state", SOON, async || self.holds().await.ok()).await.with_context(|| self.edge.log())
    }

    pub(super) async fn rejected(&self) -> Result<u64> {
        Ok(Metrics::of(&self.edge, 0).await?.rejected())
    }

    /// Where the edge says it stands: epoch, sequence number, manifest version.
    pub(super) async fn position(&self) -> Result<(u64, u64, u64)> {
        let health = self.edge.health(0).await?;
        let number = |name: &str| health[name].as_u64().with_context(|| format!("{name} of {health}"));
        Ok((number("epoch")?, number("seq")?, number("manifest")?))
    }

    /// From now on, `lie` stands in the place of each object of this kind.
    pub(super) fn lie(&self, kind: Kind, lie: String) {
        self.relay.rule(move |request| {
            let lie = lie.clone();
            match (kind, request.target_text()) {
                (Kind::Manifest | Kind::Heartbeat | Kind::Delta, target) if target.starts_with("/edge/v1/feed") => {
                    Verdict::Change(Box::new(move |response| in_feed(kind, lie, response)))
                }
                (Kind::Manifest | Kind::Snapshot, target) if target.starts_with("/edge/v1/snapshot") => {
                    Verdict::Change(Box::new(move |response| in_snapshot(kind, lie, response)))
                }
                // It is asked for the snapshot when it is told of a gap.
                (Kind::Snapshot, target) if target.starts_with("/edge/v1/feed") => Verdict::Change(Box::new(|response| {
                    rewrite(response, |reply: &mut FeedReply| {
                        (reply.gap, reply.deltas) = (true, Vec::new());
                    })
                })),
                (Kind::Manifest, target) if target.starts_with("/edge/v1/manifest") => answer(lie),
                (Kind::Policy, target) if target.starts_with("/edge/v1/policies/") => answer(lie),
                (Kind::List, target) if target.starts_with("/edge/v1/parts/") => answer(lie),
                (Kind::Page, target) if target.starts_with("/edge/v1/parts/") => {
                    // The list passes: only the page is a JSON object.
                    Verdict::Change(Box::new(move |response| if response.body.first() == Some(&b'{') { text(lie) } else { response }))
                }
                _ => Verdict::Pass,
            }
        });
    }
}

fn text(body: String) -> Response {
    Response::new(200, "application/jwt", body)
}

pub(super) fn answer(body: String) -> Verdict {
    Verdict::Answer(text(body))
}

fn rewrite<T: Serialize + DeserializeOwned>(response: Response, change: impl FnOnce(&mut T)) -> Response {
    let Ok(mut reply) = serde_json::from_slice(&response.body) else {
        return response;
    };
    change(&mut reply);
    Response { body: serde_json::to_vec(&reply).unwrap_or_default(), ..response }
}

fn in_feed(kind: Kind, lie: String, response: Response) -> Response {
    rewrite(response, |reply: &mut FeedReply| match kind {
        Kind::Manifest => reply.manifest = Some(lie),
        Kind::Heartbeat => reply.heartbeat = lie,
        _ => reply.deltas = vec![lie],
    })
}

pub(super) fn in_snapshot(kind: Kind, lie: String, response: Response) -> Response {
    rewrite(response, |reply: &mut SnapshotReply| match kind {
        Kind::Manifest => reply.manifest = lie,
        _ => reply.snapshot = lie,
    })
}
