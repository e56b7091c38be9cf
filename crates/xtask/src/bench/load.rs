//! Load on a server: requests in a file, and wrk to send them.

use std::{fmt, fs, net::SocketAddr, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::shell::run_quietly;

const SCRIPT: &str = include_str!("load.lua");
const THREADS: usize = 2;

/// A request to be sent.
pub(super) struct Sent<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// A bearer's.
    pub(super) credential: &'a str,
    /// JSON, or nothing.
    pub(super) body: String,
}

impl fmt::Display for Sent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, credential, body } = self;
        writeln!(f, "{method}\t{path}\t{credential}\t{body}")
    }
}

/// Requests in a file, sent in turn.
pub(super) struct Requests {
    path: PathBuf,
    /// The one to be sent next.
    next: usize,
}

impl Requests {
    /// How many were sent.
    pub(super) fn sent(&self) -> usize {
        self.next
    }
}

/// What came of them.
pub(super) struct Answered {
    /// How many were answered.
    pub(super) count: f64,
    /// Within how many seconds.
    pub(super) seconds: f64,
    /// How many of them a second.
    pub(super) per_second: f64,
    /// Milliseconds within which half were answered.
    pub(super) p50: f64,
    /// Milliseconds within which 99 of 100 were answered.
    pub(super) p99: f64,
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

    /// Writes the file of these requests.
    pub(super) fn requests<'a>(&self, name: &str, all: impl Iterator<Item = Sent<'a>>) -> Result<Requests> {
        let path = self.0.path().join(name);
        fs::write(&path, all.map(|sent| sent.to_string()).collect::<String>())?;
        Ok(Requests { path, next: 0 })
    }

    /// Sends as many requests as will go within these seconds, all of which have to be answered with a success, or else
    /// with a refusal.
    pub(super) async fn run(
        &self,
        server: SocketAddr,
        requests: &mut Requests,
        connections: usize,
        permitted: bool,
        seconds: u32,
    ) -> Result<Answered> {
        let mut wrk = Command::new("wrk");
        wrk.args([format!("-t{THREADS}"), format!("-c{connections}"), format!("-d{seconds}s"), "-s".into()]);
        wrk.arg(self.0.path().join("load.lua")).arg(format!("http://{server}/")).arg("--").arg(&requests.path);
        wrk.args([requests.next.to_string(), THREADS.to_string()]);
        let said = run_quietly(&mut wrk)?;
        let result = said.lines().find_map(|line| line.strip_prefix("result ")).context("no result from wrk")?;
        let result: Value = serde_json::from_str(result)?;
        let number = |name: &str| result[name].as_u64().with_context(|| format!("no {name} in {result}"));
        let (answers, refused) = (number("answers")?, number("refused")?);
        let wrong = if permitted { refused } else { answers - refused };
        ensure!(answers > 0 && wrong == 0 && number("broken")? == 0, "wrong answers, or none: {result}");
        requests.next += usize::try_from(number("shown")?)?;
        let (count, seconds) = (answers as f64, number("micros")? as f64 / 1e6);
        Ok(Answered {
            count,
            seconds,
            per_second: count / seconds,
            p50: number("p50")? as f64 / 1000.0,
            p99: number("p99")? as f64 / 1000.0,
        })
    }
}
