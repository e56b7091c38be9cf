//! A running edge.

mod config;

use std::{fs, net::SocketAddr, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Artefacts, Origin, Process, Signal, Upstream,
    artefacts::must_exist,
    eventually,
    http::{Request, Response, send},
};

const READY_WITHIN: Duration = Duration::from_secs(30);

/// How to start an edge.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// How many isolates, each with a port of its own; they share one hub. Several hubs: several edges.
    pub isolates: usize,
    /// Where they listen, one for each isolate; free ports when empty.
    pub listen: Vec<SocketAddr>,
    /// Variables as in `wrangler.toml`, beside and over those that stand there.
    pub vars: Vec<(String, String)>,
    /// Variables that never stand in a file.
    pub secrets: Vec<(String, String)>,
    /// The folder of other modules to run instead of the built edge, without the bindings of `wrangler.toml`.
    pub modules: Option<PathBuf>,
    /// Durable Objects of such modules: the name of each binding, and its class.
    pub objects: Vec<(String, String)>,
    /// The folder of another build of the edge.
    pub build: Option<PathBuf>,
    /// A folder for what it stores and logs, in one of its own there that goes away with it; the system's when `None`.
    pub home: Option<PathBuf>,
}

impl EdgeConfig {
    /// One isolate in front of `upstream`, following `origin`.
    ///
    /// # Errors
    /// When the origin hasn't written its keys.
    pub fn new(origin: &Origin, upstream: &Upstream) -> Result<Self> {
        Self::between(&origin.url(), &upstream.url(), origin)
    }

    /// As [`EdgeConfig::new`], with the URLs at which the edge is to reach both: those of a [`crate::Relay`], say.
    ///
    /// # Errors
    /// When the origin hasn't written its keys.
    pub fn between(origin_url: &str, upstream_url: &str, origin: &Origin) -> Result<Self> {
        let vars = [
            ("KEYWARD_ORIGIN", origin_url),
            ("KEYWARD_UPSTREAM", upstream_url),
            ("KEYWARD_ROOTS", &origin.root()?),
            ("KEYWARD_ENV", "live"),
        ];
        Ok(Self {
            isolates: 1,
            listen: Vec::new(),
            vars: vars.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            secrets: vec![("KEYWARD_SYNC_KEY".to_owned(), origin.edge_key()?)],
            modules: None,
            objects: Vec::new(),
            build: None,
            home: None,
        })
    }

    /// One isolate that runs the modules of this folder, and has no bindings.
    #[must_use]
    pub fn plain(modules: PathBuf) -> Self {
        Self {
            isolates: 1,
            listen: Vec::new(),
            vars: Vec::new(),
            secrets: Vec::new(),
            modules: Some(modules),
            objects: Vec::new(),
            build: None,
            home: None,
        }
    }

    /// The same with a Durable Object of the class `class`, for other modules than the edge's.
    #[must_use]
    pub fn object(mut self, binding: &str, class: &str) -> Self {
        self.objects.push((binding.to_owned(), class.to_owned()));
        self
    }

    /// The same with so many isolates.
    #[must_use]
    pub fn isolates(mut self, isolates: usize) -> Self {
        self.isolates = isolates;
        self
    }

    /// The same with this variable, in the place of an earlier one of its name.
    #[must_use]
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.retain(|(other, _)| other != name);
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// The built worker in a workerd process of its own.
#[derive(Debug)]
pub struct Edge {
    process: Option<Process>,
    config: EdgeConfig,
    modules: PathBuf,
    program: PathBuf,
    addresses: Vec<SocketAddr>,
    home: TempDir,
}

impl Edge {
    /// Starts one and waits until its ports are open. What it knows by then is another matter: ask
    /// [`Edge::health`], or send it a request.
    ///
    /// # Errors
    /// When it isn't built, or workerd doesn't start; the message holds its last words.
    pub async fn start(config: EdgeConfig) -> Result<Self> {
        ensure!(config.isolates > 0, "an edge has at least one isolate");
        ensure!(config.listen.is_empty() || config.listen.len() == config.isolates, "an address for each isolate");
        let artefacts = Artefacts::locate()?;
        let modules = config.modules.clone().or_else(|| config.build.clone()).unwrap_or(artefacts.edge);
        let folder = config.home.clone().unwrap_or_else(std::env::temp_dir);
        let home = tempfile::Builder::new().prefix("keyward-edge-").tempdir_in(folder)?;
        let addresses = config.listen.clone();
        let mut edge = Self { process: None, config, modules, program: artefacts.workerd, addresses, home };
        edge.restart().await?;
        Ok(edge)
    }

    /// Starts it again, at the same addresses and with nothing in its memory.
    ///
    /// # Errors
    /// As [`Edge::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        must_exist(&self.modules.join("index.js"))?;
        let objects = self.home.path().join("objects");
        fs::create_dir_all(&objects)?;
        let text = config::write(&self.config, &self.addresses, &self.modules, &objects)?;
        let path = self.home.path().join("edge.capnp");
        fs::write(&path, text)?;
        let mut command = Command::new(must_exist(&self.program)?);
        // Descriptor 1 then tells which port each socket got, as soon as it is open.
        command.args(["serve", "--control-fd=1"]).arg(path).arg("-I").arg(&self.modules);
        command.envs(self.config.secrets.iter().map(|(name, value)| (name, value)));
        let log = self.log_path();
        let before = self.log().len();
        let mut workerd = Process::start("workerd", command, &log)?;
        let isolates = self.config.isolates;
        let started = eventually("workerd listens", READY_WITHIN, || {
            let answer = match workerd.must_be_running() {
                Err(error) => Some(Err(error)),
                Ok(()) => ports(workerd.output().get(before..).unwrap_or_default(), isolates).map(Ok),
            };
            std::future::ready(answer)
        })
        .await;
        self.addresses = started.with_context(|| workerd.last_words())??;
        self.process = Some(workerd);
        Ok(())
    }

    /// The addresses of its isolates.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The id of the workerd process.
    ///
    /// # Errors
    /// When it isn't running.
    pub fn process_id(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the edge isn't running")?.id())
    }

    /// Sends a request to the isolate with this number (from 0), on a connection of its own.
    ///
    /// # Errors
    /// When there is no such isolate, or as [`send`].
    pub async fn send(&self, isolate: usize, request: &Request) -> Result<Response> {
        send(*self.addresses.get(isolate).context("no such isolate")?, request).await
    }

    /// What the isolate says about itself.
    ///
    /// # Errors
    /// As [`Edge::send`], or when that isn't JSON.
    pub async fn health(&self, isolate: usize) -> Result<Value> {
        self.send(isolate, &Request::get("/.keyward/health")).await?.json()
    }

    /// Sends `signal` to the workerd process.
    ///
    /// # Errors
    /// When it isn't running.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().context("the edge isn't running")?.signal(signal)
    }

    /// Kills the workerd process.
    ///
    /// # Errors
    /// When the system doesn't know the child.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut workerd| workerd.kill())
    }

    /// Fails, with its last words, when workerd has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn must_be_running(&mut self) -> Result<()> {
        self.process.as_mut().context("the edge isn't running")?.must_be_running()
    }

    /// What workerd and the worker have written so far, over all their starts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.home.path().join("workerd.log")
    }
}

/// The addresses that workerd has reported, once it has reported one for each isolate.
fn ports(output: &str, isolates: usize) -> Option<Vec<SocketAddr>> {
    let mut ports = vec![None; isolates];
    for message in output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (Some(socket), Some(port)) = (message["socket"].as_str(), message["port"].as_u64()) else {
            continue;
        };
        if let Some(index) = socket.strip_prefix('s').and_then(|index| index.parse::<usize>().ok()) {
            *ports.get_mut(index)? = u16::try_from(port).ok();
        }
    }
    ports.into_iter().map(|port| port.map(|port| SocketAddr::from(([127, 0, 0, 1], port)))).collect()
}
