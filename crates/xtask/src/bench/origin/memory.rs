//! What a server has in memory: one and the same process, which has made keys, answered for them, and told edges of all that
//! there are.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use keyward_core::{Digest, Manifest, PublicKey, Snapshot, SnapshotReply, Timestamp};
use keyward_tests::{
    Origin,
    http::{Connection, Request},
};

use super::{CONNECTIONS, MEMORY, RUNTIME, TURN_SECONDS, start, validate::asked};
use crate::bench::{figures::Figures, issue::issue, load::Load};

/// Keys that it is asked about.
const MET: usize = 100_000;
/// Keys that are made after that.
const MANY: usize = 400_000;
/// Megabytes.
const GOAL: f64 = 200.0;

pub(super) async fn run(figures: &mut Figures, load: &Load) -> Result<()> {
    let origin = start(&[]).await?;
    let process = origin.process_id()?;
    let keys = issue(&origin, MET).await?;
    let admin = origin.admin_key()?;
    let mut requests = load.requests("memory", keys.iter().map(|key| asked(key, &admin)))?;
    while requests.sent() < MET {
        load.run(origin.address(), &mut requests, CONNECTIONS, true, TURN_SECONDS).await?;
    }
    // With what it has put off, which it holds until it comes to it.
    figures.less(("memory.resident.met", megabytes(process, "VmRSS")?), (MEMORY, GOAL), "MB", RUNTIME);

    issue(&origin, MANY).await?;
    tell_everything(&origin).await?;
    ensure!(origin.process_id()? == process, "another process");
    figures.less(("memory.resident", megabytes(process, "VmRSS")?), (MEMORY, GOAL), "MB", RUNTIME);
    figures.less(("memory.peak", megabytes(process, "VmHWM")?), (MEMORY, GOAL), "MB", RUNTIME);
    Ok(())
}

/// Takes the snapshot and each of its parts, as an edge does that knows nothing yet, and the public status lists, as those do
/// that verify tokens.
async fn tell_everything(origin: &Origin) -> Result<()> {
    let (edge, mut connection) = (origin.edge_key()?, Connection::open(origin.address()).await?);
    let reply = connection.send(&Request::get("/edge/v1/snapshot").bearer(&edge)).await?.expect(200)?;
    let reply: SnapshotReply = serde_json::from_value(reply.json()?)?;
    let now = Timestamp::from_millis(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?);
    let root = PublicKey::parse(&origin.root()?).map_err(|error| anyhow::anyhow!("its root: {error}"))?;
    let signers = Manifest::open(&reply.manifest, &[root], now).map_err(|error| anyhow::anyhow!("its manifest: {error}"))?;
    let snapshot: Snapshot = signers.open(&reply.snapshot, now).map_err(|error| anyhow::anyhow!("its snapshot: {error}"))?;
    ensure!(!snapshot.shards.is_empty(), "a snapshot of nothing");
    let parts = snapshot.shards.iter().map(|(_, digest)| digest).chain(snapshot.amendments.iter().map(|(_, digest)| digest));
    for digest in parts {
        let part = connection.send(&Request::get(format!("/edge/v1/parts/{digest}")).bearer(&edge)).await?.expect(200)?;
        ensure!(Digest::of(&part.body) == *digest, "another part");
    }
    for (shard, _) in &snapshot.shards {
        connection.send(&Request::get(format!("/status-lists/{shard}"))).await?.expect(200)?;
    }
    Ok(())
}

/// What the system says of a process's memory.
fn megabytes(process: u32, what: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).with_context(|| format!("no {what}"))?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
