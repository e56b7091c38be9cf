//! A database that went back in time: nothing is issued or changed until somebody has recovered it, and after that no
//! number means two things and no revoked key holds again.

use std::{collections::BTreeSet, fs};

use anyhow::{Context, Result, ensure};
use keyward_core::ParsedKey;
use keyward_tests::{Created, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{SOON, Stack, together};

/// What a key's text says of its place: status index and policy number.
fn numbers(key: &str) -> Result<(u32, u32)> {
    let parsed = ParsedKey::parse(key).map_err(|reason| anyhow::anyhow!("{reason}"))?;
    let claims = parsed.unverified_claims();
    Ok((claims.index.0, claims.policy.0))
}

/// A deployment whose database is as it was before the last things happened.
struct Restored {
    stack: Stack,
    /// From before the copy, never touched.
    kept: Created,
    /// From before the copy, revoked after it.
    revoked: Created,
    /// From before the copy, narrowed after it: the copy doesn't know.
    narrowed: Created,
    /// Made after the copy: the copy doesn't know them.
    lost: Vec<Created>,
    _copy: TempDir,
}

impl Restored {
    async fn new() -> Result<Self> {
        let mut stack = Stack::with_edges(2, |config| config).await?;
        let terms = |quota: u32| json!({"capabilities": ["rag:search"], "daily_quota": quota});
        let (kept, revoked, narrowed) = {
            let origin = &stack.origin;
            (origin.create(terms(100)).await?, origin.create(terms(100)).await?, origin.create(terms(100)).await?)
        };
        for key in [&kept, &revoked, &narrowed] {
            stack.all_answer("/v1/search", &key.raw_key, 200).await?;
        }
        let copy = tempfile::tempdir()?;
        let place = copy.path().join("data");
        stack.origin.postgres.as_mut().context("a database of its own")?.save(&place).await?;
        stack.origin.ready().await?;

        let mut lost = Vec::new();
        let origin = &stack.origin;
        for quota in 0..5 {
            let key = eventually("the origin has its database again", SOON, async || origin.create(terms(200 + quota)).await.ok()).await?;
            lost.push(key);
        }
        origin.revoke(&revoked.id).await?;
        origin.amend(&narrowed.id, &json!({"capabilities": []})).await?;
        for (key, status) in [(&kept, 200), (&revoked, 401), (&narrowed, 403), (&lost[0], 200), (&lost[4], 200)] {
            stack.all_answer("/v1/search", &key.raw_key, status).await?;
        }
        stack.origin.kill()?;
        stack.origin.postgres.as_mut().context("a database of its own")?.restore(&place).await?;
        Ok(Self { stack, kept, revoked, narrowed, lost, _copy: copy })
    }

    /// The origin answers everything that would change something, or vouch for something, with a demand.
    async fn demands_recovery(&self) -> Result<()> {
        let origin = &self.stack.origin;
        eventually("the origin demands a recovery", SOON, async || {
            let answer = origin.create(json!({})).await.err()?.to_string();
            answer.contains("recovery_required").then_some(())
        })
        .await
        .with_context(|| origin.log())?;
        let id = &self.kept.id;
        let changes = [
            ("POST", String::new(), json!({"name": "in vain"})),
            ("PATCH", format!("/{id}"), json!({"name": "in vain"})),
            ("POST", format!("/{id}/rotate"), json!({})),
            ("POST", format!("/{id}/suspend"), json!({})),
            ("DELETE", format!("/{id}/revoke"), json!({})),
        ];
        for (method, path, body) in changes {
            let answer = origin.api(method, &path, Some(&body)).await?;
            ensure!(answer.status == 503, "{method} {path}: {} {}", answer.status, answer.text());
            ensure!(answer.json()?["code"] == "recovery_required", "{method} {path}: {}", answer.text());
        }
        Ok(())
    }

    /// Runs `keyward recover` as an operator would.
    fn recover(&self) -> Result<()> {
        let done = self.stack.origin.command()?.arg("recover").output()?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(done.status.success(), "keyward recover: {}\n{said}", done.status);
        Ok(())
    }

    /// After the recovery: the edges follow, and nothing of before is confused with anything of after.
    async fn is_sound(&self) -> Result<()> {
        let stack = &self.stack;
        let origin = &stack.origin;
        let fresh =
            eventually("keys can be created again", SOON, async || origin.create(json!({"capabilities": ["rag:search"]})).await.ok())
                .await
                .with_context(|| origin.log())?;
        stack.all_answer("/v1/search", &fresh.raw_key, 200).await.context("the edges follow")?;
        for at in 0..stack.edges.len() {
            let epoch = stack.edges[at].health(0).await?["epoch"].clone();
            ensure!(epoch == 2, "edge {at} is in epoch {epoch}");
        }
        stack.all_answer("/v1/search", &self.kept.raw_key, 200).await?;
        stack.all_answer("/v1/search", &self.revoked.raw_key, 401).await.context("revoked stays revoked")?;
        for lost in &self.lost {
            stack.all_answer("/v1/search", &lost.raw_key, 401).await.context("what the database forgot doesn't hold")?;
        }

        // Numbers that were given out before are not given out again.
        let mut before = BTreeSet::new();
        let mut policies = BTreeSet::new();
        for key in self.lost.iter().chain([&self.kept, &self.revoked, &self.narrowed]) {
            let (index, policy) = numbers(&key.raw_key)?;
            before.insert(index);
            policies.insert(policy);
        }
        for quota in 0..5 {
            let key = origin.create(json!({"capabilities": ["llm:gpt-4"], "daily_quota": 200 + quota})).await?;
            let (index, policy) = numbers(&key.raw_key)?;
            ensure!(before.insert(index), "index {index} was given out twice");
            ensure!(policies.insert(policy), "policy {policy} means two things");
            stack.all_answer("/v1/me", &key.raw_key, 200).await?;
            // Not what a policy of that number might have said in the other past.
            stack.all_answer("/v1/search", &key.raw_key, 403).await?;
        }
        // And life goes on.
        origin.revoke(&fresh.id).await?;
        stack.all_answer("/v1/search", &fresh.raw_key, 401).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_has_to_be_recovered_and_nothing_revoked_comes_back() -> Result<()> {
    let _turn = together().await;
    let mut restored = Restored::new().await?;
    restored.stack.origin.launch()?;
    restored.demands_recovery().await?;
    restored.recover()?;
    restored.is_sound().await?;
    // The origin itself, too, says so of the revoked key: the journal outlived the restore.
    let origin = &restored.stack.origin;
    let key: Value = origin.api("GET", &format!("/{}", restored.revoked.id), None).await?.expect(200)?.json()?;
    ensure!(key["status"] == "revoked", "the origin says {}", key["status"]);
    // An edge that knows nothing of the past learns the same.
    restored.stack.edges[0].restart().await?;
    restored.is_sound().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_stopped_can_be_recovered() -> Result<()> {
    let _turn = together().await;
    let mut restored = Restored::new().await?;
    restored.recover()?;
    restored.stack.origin.restart().await?;
    restored.is_sound().await
}

/// Without the journal, it is an edge that proves that time went back: it has seen more than the origin knows of.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edge_that_has_seen_more_proves_that_the_database_went_back() -> Result<()> {
    let _turn = together().await;
    let mut restored = Restored::new().await?;
    let mut deleted = 0;
    for entry in fs::read_dir(restored.stack.origin.data())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().contains("journal") {
            deleted += 1;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
    }
    ensure!(deleted > 0, "no journal in the data directory");
    restored.stack.origin.launch()?;
    // The edges ask as soon as somebody asks them.
    let kept = restored.kept.raw_key.clone();
    eventually("an edge has told the origin", SOON, async || {
        let _answer = restored.stack.get(0, "/v1/search", &kept).await.ok()?;
        let answer = restored.stack.origin.create(json!({})).await.err()?.to_string();
        answer.contains("recovery_required").then_some(())
    })
    .await
    .with_context(|| restored.stack.origin.log())?;
    restored.demands_recovery().await?;
    restored.recover()?;
    restored.is_sound().await
}
