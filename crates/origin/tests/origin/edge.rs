//! An edge as the core makes it: follows the real feed, and decides from memory.

use keyward_core::{
    Environment, FeedReply, Manifest, Missing, ParsedKey, Position, PublicKey, Reason, Refusal, Replica, SnapshotReply, VerifiedKey,
    VerifiedToken, Verifier,
};

use crate::harness::{Answer, Client, Origin};

pub struct Edge {
    pub replica: Replica,
    /// The last one that it has heard.
    heartbeat: String,
    client: Client,
}

impl Edge {
    /// An edge that has taken a snapshot.
    pub async fn start(origin: &Origin) -> Self {
        Self::pinning(origin, &[&origin.file("root.pub")]).await
    }

    /// The same with these roots.
    pub async fn pinning(origin: &Origin, roots: &[&str]) -> Self {
        let roots = roots.iter().map(|root| PublicKey::parse(root).expect("a root")).collect();
        let mut edge = Self { replica: Replica::new(roots), heartbeat: String::new(), client: origin.edge() };
        edge.snapshot(origin).await;
        edge
    }

    async fn snapshot(&mut self, origin: &Origin) {
        let reply: SnapshotReply = serde_json::from_value(self.client.get("/edge/v1/snapshot").await.ok()).expect("a snapshot");
        let now = origin.now();
        self.replica.install_manifest(&reply.manifest, now).expect("a manifest");
        self.replica.install_snapshot(&reply.snapshot, now).expect("a snapshot");
        self.replica.hear(&reply.heartbeat, now).expect("a heartbeat");
        self.heartbeat = reply.heartbeat;
    }

    pub fn position(&self) -> Position {
        self.replica.position().expect("a state")
    }

    /// Asks the feed from where the edge stands.
    pub fn ask(&self, wait_ms: u64) -> impl Future<Output = Answer> + Send + use<> {
        let Position { epoch, seq } = self.position();
        let manifest = self.replica.keys().map_or(0, |keys| keys.manifest().version);
        let (client, path) = (
            self.client.clone(),
            format!("/edge/v1/feed?epoch={epoch}&after={seq}&manifest={manifest}&wait_ms={wait_ms}&heartbeat={}", self.heartbeat),
        );
        async move { client.get(&path).await }
    }

    /// Follows the feed until a heartbeat proves that there is nothing more.
    pub async fn catch_up(&mut self, origin: &Origin) {
        loop {
            let reply: FeedReply = serde_json::from_value(self.ask(0).await.ok()).expect("a reply");
            let now = origin.now();
            if let Some(manifest) = &reply.manifest {
                self.replica.install_manifest(manifest, now).expect("a manifest");
            }
            if reply.gap {
                self.snapshot(origin).await;
                continue;
            }
            for delta in &reply.deltas {
                self.replica.apply_delta(delta, now).expect("a delta");
            }
            let progress = self.replica.hear(&reply.heartbeat, now).expect("a heartbeat");
            self.heartbeat = reply.heartbeat;
            if !progress.behind && !progress.manifest_behind {
                return;
            }
        }
    }

    /// What the edge makes of a key, after it has caught up and fetched what it misses.
    pub async fn sees(&mut self, origin: &Origin, raw: &str) -> Result<VerifiedKey, Reason> {
        self.catch_up(origin).await;
        loop {
            let now = origin.now();
            let keys = self.replica.keys().expect("keys");
            let parsed = ParsedKey::parse(raw)?;
            match Verifier::new(keys, &self.replica, Environment::Live).verify(&parsed, now) {
                Ok(key) => return Ok(key),
                Err(Refusal::Denied(reason)) => return Err(reason),
                Err(Refusal::Undecided(missing)) => self.fetch(origin, missing).await?,
            }
        }
    }

    /// What the edge makes of a token for `audience`, likewise.
    pub async fn token(&mut self, origin: &Origin, text: &str, audience: &str) -> Result<VerifiedToken, Reason> {
        self.catch_up(origin).await;
        loop {
            let keys = self.replica.keys().expect("keys");
            let token = Verifier::new(keys, &self.replica, Environment::Live).verify_token(text, audience, origin.now());
            match token.map_err(Refusal::from) {
                Ok(token) => return Ok(token),
                Err(Refusal::Denied(reason)) => return Err(reason),
                Err(Refusal::Undecided(missing)) => self.fetch(origin, missing).await?,
            }
        }
    }

    async fn fetch(&mut self, origin: &Origin, missing: Missing) -> Result<(), Reason> {
        if let Missing::Issued(index, digest) = missing {
            let statement = self.client.get(&format!("/edge/v1/issued/{index}/{digest}")).await;
            return match statement.status {
                404 => Err(Reason::NotIssued),
                200 => {
                    self.replica.install_issued((index, digest), &statement.text, origin.now()).expect("a statement");
                    Ok(())
                }
                _ => panic!("{statement:?}"),
            };
        }
        let digest = self.replica.part_digest(missing).unwrap_or_else(|| panic!("{missing} and no part has it"));
        let part = self.client.get(&format!("/edge/v1/parts/{digest}")).await;
        assert_eq!(part.status, 200);
        self.replica.install_part(missing, &part.text, origin.now()).expect("a part");
        Ok(())
    }

    /// The signed policy of a number, as the core reads it.
    pub async fn policy(&self, origin: &Origin, number: keyward_core::PolicyNumber) -> keyward_core::Policy {
        let text = self.client.get(&format!("/edge/v1/policies/{number}")).await.text;
        keyward_core::Policy::open(&text, number, self.replica.keys().expect("keys"), origin.now()).expect("a policy")
    }
}

#[tokio::test]
async fn the_manifest_is_signed_by_the_pinned_root_and_the_jwks_has_the_public_keys_of_tokens_and_lists() {
    let origin = Origin::start().await;
    let root = PublicKey::parse(&origin.file("root.pub")).unwrap();
    let manifest = origin.edge().get("/edge/v1/manifest").await.text;
    let keys = Manifest::open(&manifest, &[root], origin.now()).unwrap();
    assert_eq!(keys.manifest().iss, "http://origin.test");
    let jwks = origin.admin().get("/.well-known/jwks.json").await.ok();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    // Anyone's list is the one that the feed's key signs.
    let list = origin.admin().get("/status-lists/0").await;
    assert_eq!(list.headers["content-type"], "application/statuslist+jwt");
    let claims: keyward_core::StatusListClaims = keys.open(&list.text, origin.now()).unwrap();
    assert_eq!(claims.sub, "http://origin.test/status-lists/0");
    origin.admin().get("/status-lists/9").await.refused(404, "not_found");
}
