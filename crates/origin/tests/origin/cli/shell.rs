//! Somebody who runs the command.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use rustix::{
    pty::{OpenptFlags, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use serde_json::Value;

use crate::harness::Origin;

/// Somebody at a shell, with nothing but what they are given.
pub struct Shell {
    pub home: tempfile::TempDir,
    pub env: Vec<(&'static str, String)>,
    /// The key that they hold, which must show nowhere.
    key: String,
}

/// What a run came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    #[track_caller]
    pub fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("not JSON: {out}"))
    }

    #[track_caller]
    pub fn fails(self, code: i32, with: &str) -> Self {
        assert!(self.code == code && self.err.contains(with), "{code} {with:?}: {self:?}");
        self
    }
}

impl Shell {
    /// With the admin's key in the environment.
    pub fn of(origin: &Origin) -> Self {
        Self::at(&format!("http://{}", origin.address), &origin.file("admin.key"))
    }

    pub fn at(url: &str, key: &str) -> Self {
        let env = vec![("KEYWARD_URL", url.to_owned()), ("KEYWARD_KEY", key.to_owned())];
        Self { home: tempfile::tempdir().unwrap(), env, key: key.to_owned() }
    }

    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.fed(arguments, "").await
    }

    /// Runs it with this on standard input. Whatever comes of it, the key is in none of what it says.
    pub async fn fed(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        // The server runs in this thread.
        let ran = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            // A command that doesn't read it may have ended already.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let ran = ran.await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ran = Ran { code: ran.status.code().unwrap(), out: text(ran.stdout), err: text(ran.stderr) };
        assert!(!ran.out.contains(&self.key) && !ran.err.contains(&self.key), "{arguments:?} shows the key");
        ran
    }

    /// Runs it at a terminal of so many columns, on which somebody types this line; what it came to, and what the
    /// terminal showed.
    pub async fn at_terminal(&self, columns: u16, arguments: &[&str], typed: &str) -> (i32, String) {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        unlockpt(&terminal).unwrap();
        tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let path = ptsname(&terminal, Vec::new()).unwrap();
        let inside = File::options().read(true).write(true).open(path.to_str().unwrap()).unwrap();
        let mut command = self.command(arguments);
        command.stdin(inside.try_clone().unwrap()).stdout(inside.try_clone().unwrap()).stderr(inside);
        let (mut terminal, typed) = (File::from(terminal), format!("{typed}\n"));
        let ran = tokio::task::spawn_blocking(move || {
            terminal.write_all(typed.as_bytes()).unwrap();
            let mut child = command.spawn().unwrap();
            // Until it ends, nobody else holds the inside.
            drop(command);
            let mut shown = Vec::new();
            // Linux says EIO where the last one has gone.
            let _ = terminal.read_to_end(&mut shown);
            (child.wait().unwrap().code().unwrap(), String::from_utf8(shown).unwrap())
        });
        let (code, screen) = ran.await.unwrap();
        assert!(!screen.contains(&self.key), "{arguments:?} shows the key");
        (code, screen)
    }

    /// Runs it until it has written so many lines, and ends it.
    pub async fn first_lines(&self, arguments: &[&str], lines: usize) -> Vec<String> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let ran = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let out = BufReader::new(child.stdout.take().unwrap());
            let told = out.lines().take(lines).collect::<Result<_, _>>().unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            told
        });
        ran.await.unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        assert!(!arguments.iter().any(|argument| argument.contains(&self.key)));
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(arguments).env_clear().env("HOME", self.home.path()).envs(self.env.clone());
        command
    }

    pub fn without(mut self, name: &str) -> Self {
        self.env.retain(|(found, _)| *found != name);
        self
    }

    /// A file of profiles with this mode.
    pub fn profiles(self, mode: u32, text: &str) -> Self {
        let folder = self.home.path().join(".config/keyward");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("profiles.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
        self
    }
}
