//! Servers that take part, each as it is released: whoever waits for an answer waits for them too.

use std::{net::SocketAddr, process::Command, time::Duration};

use anyhow::Result;
use keyward_tests::{Origin, OriginConfig, Process, eventually, target_dir};
use tempfile::TempDir;

use crate::{
    products::{self, Product, Profile},
    shell::{cargo, run_quietly},
};

const READY_WITHIN: Duration = Duration::from_secs(60);

/// Builds our own.
pub(super) fn build() -> Result<()> {
    products::build(&[Product::Keyward], Profile::Release)
}

/// An origin as it is released.
pub(super) async fn origin(config: OriginConfig) -> Result<Origin> {
    Origin::start_with(OriginConfig { program: Some(target_dir()?.join("release/keyward")), ..config }).await
}

/// A server that says `ready PORT` when it listens.
pub(super) struct Peer {
    /// Ends with it.
    _process: Process,
    pub(super) address: SocketAddr,
    _home: TempDir,
}

impl Peer {
    pub(super) async fn start(name: &str, command: Command) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let mut process = Process::start(name, command, &home.path().join("log"))?;
        let port = eventually(name, READY_WITHIN, || {
            let said = process.must_be_running().map(|()| process.output());
            async move {
                match said {
                    Err(error) => Some(Err(error)),
                    Ok(said) => Some(Ok(said.lines().find_map(|line| line.strip_prefix("ready ")?.parse::<u16>().ok())?)),
                }
            }
        })
        .await??;
        Ok(Self { _process: process, address: SocketAddr::from(([127, 0, 0, 1], port)), _home: home })
    }
}

/// A bare axum server: what HTTP alone costs here, and what stands behind edges. It gives the same answer to everybody: one
/// that told of the request would be longer behind the edge, which sends more headers.
pub(super) struct Hello(Peer);

impl Hello {
    pub(super) async fn start() -> Result<Self> {
        run_quietly(cargo().args(["build", "--release", "-p", "keyward-bench", "--features", "hello", "--bin", "hello"]))?;
        Ok(Self(Peer::start("axum-hello", Command::new(target_dir()?.join("release/hello"))).await?))
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Its address as a URL without a path.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}
