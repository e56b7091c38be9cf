//! One cluster on disk: initialise it, say how to start it, see whether it is ready, end a stale one.

use std::{
    fs::{self, OpenOptions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Seek, SeekFrom},
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::{
    Options,
    account::{Account, private_dir, run_as},
    binaries,
};

/// `sun_path` holds 107 bytes; the socket's own name takes 16 of them.
const MAX_SOCKET_DIR: usize = 88;
const PORT: u16 = 5432;
/// The folder of a cluster in its directory, and a file that initdb writes there.
const DATA: &str = "data";
const VERSION: &str = "PG_VERSION";
/// How often a start or an end is looked at: Postgres tells nobody of either.
const POLL: Duration = Duration::from_millis(5);

/// A cluster in a directory, and how its server is run. Nothing here keeps two owners apart;
/// [`PrivatePostgres`](crate::PrivatePostgres) does.
#[derive(Debug)]
pub struct Cluster {
    bin: PathBuf,
    account: Option<Account>,
    dir: PathBuf,
    data: PathBuf,
    durable: bool,
}

impl Cluster {
    /// Finds the binaries and prepares the directory, initialising the cluster where there is none yet.
    ///
    /// # Errors
    /// When there are no binaries or no rights, or `initdb` fails.
    pub fn open(options: &Options) -> anyhow::Result<Cluster> {
        let dir = std::path::absolute(&options.dir)?;
        let account = Account::current()?;
        private_dir(&dir, account)?;
        private_dir(&socket_dir(&dir), account)?;
        let cluster =
            Cluster { bin: binaries::find(options.binaries.as_deref())?, account, data: dir.join(DATA), dir, durable: options.durable };
        if !cluster.data.join(VERSION).exists() {
            cluster.initialise()?;
        }
        Ok(cluster)
    }

    /// Initialises beside the final place and renames, so that a start that was cut short leaves nothing half done.
    fn initialise(&self) -> anyhow::Result<()> {
        let fresh = self.dir.join("data.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        let mut initdb = self.mortal(&self.bin.join("initdb"));
        initdb.arg("-D").arg(&fresh).args(["-U", "keyward", "-A", "trust", "--encoding=UTF8", "--no-locale", "--no-instructions"]);
        if !self.durable {
            initdb.arg("--no-sync");
        }
        let output = initdb.output().context("can't run initdb")?;
        if !output.status.success() {
            bail!(
                "initdb failed in {} (can the postgres account reach it?): {}",
                self.dir.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        fs::rename(&fresh, &self.data).context("can't put the new cluster in its place")
    }

    /// The directory with the programs of this version.
    pub fn binaries(&self) -> &Path {
        &self.bin
    }

    /// The directory with the data.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The server's command line, its output going to the log. Trust on the socket is safe: its directory is closed to
    /// others.
    ///
    /// # Errors
    /// When the log can't be opened.
    pub fn server(&self) -> anyhow::Result<Command> {
        let mut command = self.mortal(&self.bin.join("postgres"));
        command.arg("-D").arg(&self.data).arg("-k").arg(socket_dir(&self.dir));
        let mut settings = vec![
            "listen_addresses=".to_owned(),
            format!("port={PORT}"),
            "max_connections=100".into(),
            "unix_socket_permissions=0700".into(),
        ];
        if !self.durable {
            // Commits are still written before they are answered: what a killed server has answered is there afterwards.
            settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
        }
        for setting in settings {
            command.args(["-c", &setting]);
        }
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// A program that the kernel ends with us, even after kill -9. A pre-exec hook could do the same, but needs unsafe code.
    fn mortal(&self, program: &Path) -> Command {
        match find_on_path("setpriv") {
            Some(setpriv) => {
                let mut command = self.command(&setpriv);
                command.args(["--pdeathsig", "INT"]).arg(program);
                command
            }
            None => self.command(program),
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // A process group of its own: Ctrl-C has to reach the owner first.
        command.current_dir(&self.dir).stdin(Stdio::null()).env("LC_ALL", "C").process_group(0);
        run_as(&mut command, self.account);
        command
    }

    /// Whether the server with this process id accepts connections.
    pub fn is_ready(&self, pid: Pid) -> bool {
        let Ok(text) = fs::read_to_string(self.data.join("postmaster.pid")) else { return false };
        let mut lines = text.lines().map(str::trim);
        let ours = lines.next().and_then(|line| line.parse().ok()) == Some(pid.as_raw_nonzero().get());
        ours && lines.nth(6) == Some("ready") && UnixStream::connect(socket_dir(&self.dir).join(format!(".s.PGSQL.{PORT}"))).is_ok()
    }

    /// Ends a server that an owner which was killed left behind in this cluster. The caller holds the cluster's lock,
    /// so that nobody else owns it.
    pub(crate) fn end_stale(&self) -> anyhow::Result<()> {
        let Some(pid) = self.stale() else { return Ok(()) };
        // INT: end now, orderly. QUIT: end without a word to the clients; the log is replayed at the next start.
        for signal in [Signal::INT, Signal::QUIT] {
            // Failing means that it is gone already.
            let _ = kill_process(pid, signal);
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(10) {
                if self.stale().is_none() {
                    return Ok(());
                }
                thread::sleep(POLL);
            }
        }
        bail!("the Postgres of an earlier start (process {}) doesn't end", pid.as_raw_nonzero())
    }

    fn stale(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid = Pid::from_raw(text.lines().next()?.trim().parse().ok()?)?;
        test_kill_process(pid).ok()?;
        // The number may be somebody else's by now. A server's working directory is its data directory.
        match fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())) {
            Ok(cwd) => (cwd == self.data.canonicalize().ok()?).then_some(pid),
            Err(_) if cfg!(target_os = "linux") => None,
            Err(_) => Some(pid),
        }
    }

    /// The file that the server logs to.
    pub fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    /// The end of the server's log, to explain a start that failed.
    pub(crate) fn log_tail(&self) -> String {
        let tail = || -> std::io::Result<String> {
            let mut file = fs::File::open(self.log())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(2000)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        tail().unwrap_or_default()
    }

    /// Waits until `ended` says so or the server is ready; whether it is.
    pub(crate) fn wait_until_ready(&self, pid: Pid, mut ended: impl FnMut() -> bool) -> bool {
        while !ended() {
            if self.is_ready(pid) {
                return true;
            }
            thread::sleep(POLL);
        }
        false
    }
}

/// Whether there is a cluster in `dir`, running or not.
pub fn exists(dir: &Path) -> bool {
    dir.join(DATA).join(VERSION).exists()
}

/// The connection URL of the cluster in `dir`, whether it runs or not.
pub fn url(dir: &Path) -> String {
    let socket = socket_dir(&std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()));
    let encoded: String = socket.to_string_lossy().bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => text.push(byte.into()),
            other => text.push_str(&format!("%{other:02X}")),
        }
        text
    });
    format!("postgres://keyward@localhost:{PORT}/postgres?host={encoded}")
}

/// The cluster's own directory, unless its path is too long for a socket's address.
fn socket_dir(dir: &Path) -> PathBuf {
    if dir.as_os_str().len() <= MAX_SOCKET_DIR {
        return dir.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    dir.hash(&mut hasher);
    std::env::temp_dir().join(format!("keyward-pg-{:016x}", hasher.finish()))
}

fn find_on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|file| file.is_file())
}
