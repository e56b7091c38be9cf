//! Load on an edge: keys to show, and wrk to show them.

use std::{fs, net::SocketAddr, path::PathBuf, process::Command, sync::Arc};

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Origin,
    http::{Connection, Request},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::shell::run_quietly;

const SCRIPT: &str = include_str!("load.lua");
const THREADS: usize = 2;
const CONNECTIONS: usize = 16;

/// Issues so many keys, over several connections: the origin commits what comes at the same time together.
pub(super) async fn issue(origin: &Origin, count: usize) -> Result<Vec<String>> {
    let (address, admin) = (origin.address(), origin.admin_key()?);
    let request = Arc::new(Request::new("POST", "/api/v1/api-keys").bearer(&admin).json(&json!({"name": "bench"})));
    let mut workers = JoinSet::new();
    for worker in 0..CONNECTIONS {
        let (request, share) = (request.clone(), (count + worker) / CONNECTIONS);
        workers.spawn(async move {
            let (mut connection, mut keys) = (Connection::open(address).await?, Vec::with_capacity(share));
            for _ in 0..share {
                let answer = connection.send(&request).await?;
                ensure!(answer.status / 100 == 2, "{}: {}", answer.status, answer.text());
                keys.push(answer.json()?["raw_key"].as_str().context("no raw_key")?.to_owned());
            }
            anyhow::Ok(keys)
        });
    }
    let mut keys = Vec::with_capacity(count);
    while let Some(worker) = workers.join_next().await {
        keys.extend(worker??);
    }
    Ok(keys)
}

/// Keys in a file, shown in turn.
pub(super) struct Keys {
    path: PathBuf,
    /// The one to be shown next.
    next: usize,
}

/// wrk, with its script and its keys.
pub(super) struct Load(TempDir);

impl Load {
    /// Ready to be aimed.
    pub(super) fn new() -> Result<Self> {
        crate::setup::wrk()?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("load.lua"), SCRIPT)?;
        Ok(Self(folder))
    }

    /// Writes the file of these keys.
    pub(super) fn keys(&self, name: &str, keys: &[String]) -> Result<Keys> {
        let path = self.0.path().join(name);
        fs::write(&path, keys.join("\n"))?;
        Ok(Keys { path, next: 0 })
    }

    /// Sends as many requests as will go within these seconds, all of which have to be permitted, or else refused.
    /// Returns how many were answered.
    pub(super) async fn run(&self, edge: SocketAddr, keys: &mut Keys, permitted: bool, seconds: u32) -> Result<f64> {
        let mut wrk = Command::new("wrk");
        wrk.args([format!("-t{THREADS}"), format!("-c{CONNECTIONS}"), format!("-d{seconds}s"), "-s".into()]);
        wrk.arg(self.0.path().join("load.lua")).arg(format!("http://{edge}/")).arg("--").arg(&keys.path);
        wrk.args([keys.next.to_string(), THREADS.to_string()]);
        // The upstream is in this process, and answers meanwhile.
        let said = tokio::task::spawn_blocking(move || run_quietly(&mut wrk)).await??;
        let result = said.lines().find_map(|line| line.strip_prefix("result ")).context("no result from wrk")?;
        let result: Value = serde_json::from_str(result)?;
        let number = |name: &str| result[name].as_u64().with_context(|| format!("no {name} in {result}"));
        let (answers, refused) = (number("answers")?, number("refused")?);
        let wrong = if permitted { refused } else { answers - refused };
        ensure!(answers > 0 && wrong == 0 && number("broken")? == 0, "wrong answers, or none: {result}");
        keys.next += usize::try_from(number("shown")?)?;
        Ok(answers as f64)
    }
}
