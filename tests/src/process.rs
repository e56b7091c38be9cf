//! A child process that can be hurt and that never outlives its parent.

use std::{
    fs::{self, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        OnceLock,
        mpsc::{Sender, channel},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{Signal, eventually};

/// How long the killed are waited for: where nobody buries orphans, they stay for ever.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// A running child, leader of a process group of its own, whose output goes to a file. Dropping it kills the group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; `name` is for messages, and both its outputs are appended to `log`.
    ///
    /// # Errors
    /// When the log can't be opened or the program can't be started.
    pub fn start(name: &str, command: Command, log: &Path) -> Result<Self> {
        Self::start_as_it_is(name, mortal(command, "KILL"), log)
    }

    /// As [`Process::start`], for what wants to end children of its own when we are gone: it is interrupted.
    pub(crate) fn start_parent(name: &str, command: Command, log: &Path) -> Result<Self> {
        Self::start_as_it_is(name, mortal(command, "INT"), log)
    }

    /// As [`Process::start`], for what sees to its own end.
    pub(crate) fn start_as_it_is(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let open = || OpenOptions::new().create(true).append(true).open(log).with_context(|| log.display().to_string());
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).process_group(0);
        let child = spawn(command).with_context(|| format!("could not start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// The process id, which is also that of its group.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far, both outputs.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Sends `signal` to its group.
    ///
    /// # Errors
    /// When the group is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        signal.send(self.id()).with_context(|| self.name.clone())
    }

    /// How it ended, or `None` while it runs.
    ///
    /// # Errors
    /// When the system doesn't know the child.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails, with the end of its output, when it has ended.
    ///
    /// # Errors
    /// When it has ended.
    pub fn must_be_running(&mut self) -> Result<()> {
        match self.exited()? {
            None => Ok(()),
            Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.last_words()),
        }
    }

    /// The last lines of its output.
    #[must_use]
    pub fn last_words(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Kills the group and waits until it is gone: what is started in its place must not meet the rest of it, holding
    /// a port or a lock.
    ///
    /// # Errors
    /// When the system doesn't know the child.
    pub fn kill(&mut self) -> Result<()> {
        let _ = Signal::Kill.send(self.id());
        self.child.wait()?;
        let start = Instant::now();
        while Signal::reaches(self.id()) && start.elapsed() < GONE_WITHIN {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Asks it to end as Ctrl-C would, and waits; kills it when it hasn't ended by `within`.
    ///
    /// # Errors
    /// When it had to be killed.
    pub async fn end(mut self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::Interrupt)?;
        let what = format!("{} ends", self.name);
        let child = &mut self.child;
        eventually(&what, within, || std::future::ready(child.try_wait().ok().flatten())).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.kill();
        }
    }
}

/// Puts `setpriv --pdeathsig` in front, so that the child dies with us even when we are killed. (`prctl` from here
/// would take unsafe code.) Without setpriv, children of a killed parent live on.
fn mortal(command: Command, signal: &str) -> Command {
    if !cfg!(target_os = "linux") || !Path::new("/usr/bin/setpriv").exists() {
        return command;
    }
    let mut wrapped = Command::new("/usr/bin/setpriv");
    wrapped.arg(format!("--pdeathsig={signal}")).arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    wrapped
}

/// Starts the child from a thread that lives as long as this process: Linux sends the parent-death signal when the
/// *thread* that made the child ends, and a test's thread ends before a fixture that it shares.
fn spawn(command: Command) -> Result<Child> {
    type Order = (Command, Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in inbox {
                let _ = reply.send(command.spawn());
            }
        });
        orders
    });
    let (reply, answer) = channel();
    spawner.send((command, reply)).map_err(|_| anyhow!("the spawning thread is gone"))?;
    Ok(answer.recv()??)
}
