//! better-auth, which the origin is compared with.

use std::{net::SocketAddr, process::Command};

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Origin,
    http::{Connection, Request},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::CONNECTIONS;
use crate::{bench::servers::Peer, setup};

const DATABASE: &str = "better_auth";

/// better-auth with its API keys, on the Postgres of ours.
pub(super) struct BetterAuth(Peer);

impl BetterAuth {
    pub(super) async fn start(origin: &Origin) -> Result<Self> {
        let folder = setup::origin_peers()?;
        let postgres = origin.postgres.as_ref().context("its database")?;
        postgres.query(&format!("CREATE DATABASE {DATABASE}"))?;
        let mut node = Command::new("node");
        node.arg("better-auth.js").current_dir(folder).env("NODE_ENV", "production");
        node.env("DATABASE_URL", postgres.url().replace("/postgres?", &format!("/{DATABASE}?")));
        Ok(Self(Peer::start("better-auth", node).await?))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Makes so many keys, with a quota or with a rate limit alone: their ids and texts.
    pub(super) async fn issue(&self, count: usize, path: &'static str) -> Result<Vec<(String, String)>> {
        let (address, mut workers) = (self.address(), JoinSet::new());
        for worker in 0..CONNECTIONS {
            let share = (count + worker) / CONNECTIONS;
            workers.spawn(async move {
                let (mut connection, mut made) = (Connection::open(address).await?, Vec::with_capacity(share));
                for _ in 0..share {
                    let answer = connection.send(&Request::new("POST", path).json(&json!({}))).await?.expect(200)?.json()?;
                    let text = |name: &str| anyhow::Ok(answer[name].as_str().context("no such member")?.to_owned());
                    made.push((text("id")?, text("key")?));
                }
                anyhow::Ok(made)
            });
        }
        let mut all = Vec::with_capacity(count);
        while let Some(worker) = workers.join_next().await {
            all.extend(worker??);
        }
        Ok(all)
    }

    /// Holds it to what it is there for.
    pub(super) async fn must_say(&self, key: &str, valid: bool) -> Result<()> {
        let request = Request::new("POST", "/verify").json(&json!({ "key": key }));
        let answer: Value = keyward_tests::http::send(self.address(), &request).await?.expect(200)?.json()?;
        ensure!(answer["valid"] == valid, "better-auth says {answer}");
        Ok(())
    }
}
