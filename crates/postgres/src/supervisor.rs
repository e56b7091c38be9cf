//! Keeps a cluster's server running for as long as its handle lives.

use std::{
    fs::File,
    path::Path,
    process::{Child, ExitStatus},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use tokio::sync::watch;

use crate::{
    Options,
    account::{Account, private_dir},
    cluster::{self, Cluster},
};

/// A first start may meet what the last run left: shared memory of backends that are still ending, a log to replay.
const FIRST_START: Duration = Duration::from_secs(60);
/// How long an orderly end may take before it becomes a hard one.
const ORDERLY_END: Duration = Duration::from_secs(10);
const BACK_OFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Another process owns this cluster and runs it: its database is at [`url`](crate::url) of the same directory.
#[derive(Debug)]
pub struct AlreadyRunning;

impl std::fmt::Display for AlreadyRunning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("another process runs the Postgres in this directory")
    }
}

impl std::error::Error for AlreadyRunning {}

/// A running private Postgres. Dropping it ends the server in order.
pub struct PrivatePostgres {
    url: String,
    shared: Arc<Shared>,
    supervisor: Option<JoinHandle<()>>,
    /// Closed when the supervisor has ended, however that came.
    supervised: watch::Receiver<()>,
    /// Held for as long as we own the cluster; the kernel releases it with us.
    _lock: File,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// The server's process while it isn't reaped, so that no signal can go to a stranger with its number.
    pid: Option<Pid>,
    stopping: bool,
    ended: bool,
}

impl PrivatePostgres {
    /// Starts the cluster of `options` (made if missing) and returns when it accepts connections.
    ///
    /// # Errors
    /// [`AlreadyRunning`] where another process has it; else what hindered: no binaries, no rights, a server that
    /// doesn't come up (with the end of its log).
    pub fn start(options: &Options) -> anyhow::Result<PrivatePostgres> {
        let lock = lock(&options.dir)?;
        let cluster = Cluster::open(options)?;
        cluster.end_stale()?;
        let shared = Arc::new(Shared::default());
        let (ready, first) = mpsc::channel();
        let (alive, supervised) = watch::channel(());
        let supervisor = thread::Builder::new().name("postgres".into()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _alive = alive;
                let _ended = Ended(&shared);
                supervise(&cluster, &shared, &ready);
            }
        })?;
        let postgres = PrivatePostgres { url: cluster::url(&options.dir), shared, supervisor: Some(supervisor), supervised, _lock: lock };
        first.recv().context("the supervisor of Postgres ended")??;
        Ok(postgres)
    }

    /// The URL to connect to, for the database's owner.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's process id just now; `None` while it is between two lives.
    pub fn pid(&self) -> Option<i32> {
        self.shared.lock().pid.map(|pid| pid.as_raw_nonzero().get())
    }

    /// Waits until nobody starts the server anew any more: never, but for a defect.
    pub async fn abandoned(&self) {
        let mut supervised = self.supervised.clone();
        while supervised.changed().await.is_ok() {}
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.stopping = true;
        for signal in [Signal::INT, Signal::QUIT] {
            if let Some(pid) = state.pid {
                // Failing means that it is gone already.
                let _ = kill_process(pid, signal);
            }
            let wait = self.shared.ended.wait_timeout_while(state, ORDERLY_END, |state| !state.ended);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(dir: &Path) -> anyhow::Result<File> {
    private_dir(dir, Account::current()?)?;
    let file = File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(AlreadyRunning.into()),
        Err(std::fs::TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Runs the server again and again until told to stop. On a thread of its own: the kernel ends the server with the
/// *thread* that started it, and an async runtime's threads come and go.
fn supervise(cluster: &Cluster, shared: &Shared, ready: &mpsc::Sender<anyhow::Result<()>>) {
    let began = Instant::now();
    let mut back_off = BACK_OFF[0];
    let mut was_ready = false;
    while !shared.lock().stopping {
        match run_once(cluster, shared, || {
            was_ready = true;
            back_off = BACK_OFF[0];
            // Nobody listens after the first time.
            let _ = ready.send(Ok(()));
        }) {
            Ok(_) if shared.lock().stopping => break,
            Ok(status) => tracing::warn!(%status, "the private Postgres ended; starting it again"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "can't start the private Postgres"),
        }
        if !was_ready && began.elapsed() > FIRST_START {
            let _ = ready.send(Err(anyhow::anyhow!("Postgres doesn't come up; its log ends with:\n{}", cluster.log_tail())));
            break;
        }
        thread::sleep(back_off);
        back_off = (back_off * 2).min(BACK_OFF[1]);
    }
}

/// Tells that the supervisor has ended, be it by a panic: nobody may wait for it in vain.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.ended.notify_all();
    }
}

fn run_once(cluster: &Cluster, shared: &Shared, on_ready: impl FnOnce()) -> anyhow::Result<ExitStatus> {
    let mut state = shared.lock();
    if state.stopping {
        bail!("stopping");
    }
    let mut child = cluster.server()?.spawn().context("can't start postgres")?;
    let pid = Pid::from_child(&child);
    state.pid = Some(pid);
    drop(state);
    if cluster.wait_until_ready(pid, || has_ended(pid, WaitIdOptions::NOHANG)) {
        on_ready();
    }
    has_ended(pid, WaitIdOptions::empty());
    reap(&mut child, shared)
}

/// Whether the process has ended (with no options: waits until it has), leaving it to be reaped.
fn has_ended(pid: Pid, how: WaitIdOptions) -> bool {
    loop {
        match waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | how) {
            Ok(status) => return status.is_some(),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return true,
        }
    }
}

fn reap(child: &mut Child, shared: &Shared) -> anyhow::Result<ExitStatus> {
    let mut state = shared.lock();
    let status = child.wait()?;
    state.pid = None;
    Ok(status)
}
