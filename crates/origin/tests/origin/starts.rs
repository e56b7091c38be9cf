//! How the command starts and ends: what it refuses, what it leaves behind, what it survives.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use keyward_core::codec::base64url;
use serde_json::json;

use crate::harness::{Client, Database, MASTER_KEY, Origin, eventually};

/// The command with nothing in its environment but this database.
fn keyward(url: &str, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("DATABASE_URL", url).env("KEYWARD_DATA_DIR", data).env("KEYWARD_LISTEN", "127.0.0.1:0");
    command
}

fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server of its own, killed when it is dropped.
struct Serve {
    child: Child,
    url: String,
    data: PathBuf,
}

impl Serve {
    fn start(command: &mut Command, data: &Path) -> Self {
        let mut child =
            command.args(["serve", "--issuer", "http://origin.test", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("keyward ready ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, url, data: data.to_owned() }
    }

    fn admin(&self) -> Client {
        Client::new(self.url.clone(), fs::read_to_string(self.data.join("admin.key")).unwrap().trim())
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_ends_nothing() {
    let (database, home) = (Database::create().await, tempfile::tempdir().unwrap());
    let data = home.path().join("data");
    let full = File::options().write(true).open("/dev/full").unwrap();
    drop(Serve::start(keyward(&database.url(), &data).stderr(full), &data));

    // With a reader that goes away.
    let mut server = Serve::start(keyward(&database.url(), &data).env("KEYWARD_LOG", "debug").stderr(Stdio::piped()), &data);
    let mut log = BufReader::new(server.child.stderr.take().unwrap());
    log.read_line(&mut String::new()).unwrap();
    drop(log);
    for _ in 0..3 {
        server.admin().create(json!({})).await;
    }
    // All that runs beside the requests does so too: the feed has been read after these.
    assert_eq!(server.admin().get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_second_server_finds_the_data_directory_or_the_port_taken_and_touches_nothing() {
    let (database, home) = (Database::create().await, tempfile::tempdir().unwrap());
    let (data, other) = (home.path().join("data"), home.path().join("other"));
    let server = Serve::start(&mut keyward(&database.url(), &data), &data);
    let journal = || fs::read(data.join("journal")).unwrap();
    let before = journal();
    let words = refusal(&keyward(&database.url(), &data).arg("serve").output().unwrap());
    assert!(words.contains(&format!("is in use by process {}", server.child.id())), "{words}");
    assert_eq!(journal(), before);
    let address = server.url.strip_prefix("http://").unwrap();
    let words = refusal(&keyward(&database.url(), &other).args(["serve", "--listen", address]).output().unwrap());
    assert!(words.contains(&format!("can't listen on {address}")), "{words}");
    assert!(!other.exists());

    // What the first one writes afterwards is where a recovery looks for it.
    let key = server.admin().create(json!({})).await;
    server.admin().act(&key.id, "revoke", None).await.ok();
    assert_ne!(journal(), before);
    // Killed, it leaves the directory to the next one.
    drop(server);
    let server = Serve::start(&mut keyward(&database.url(), &data), &data);
    assert_eq!(server.admin().get("/readyz").await.status, 200);
}

#[tokio::test]
async fn a_signal_ends_a_start_that_waits_for_its_database() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    // A port on which nobody listens.
    let mut child = keyward("postgres://nobody@127.0.0.1:1/nothing", &data).arg("serve").spawn().unwrap();
    eventually("it has begun", async || data.join("lock").exists().then_some(())).await;
    let began = Instant::now();
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap();
    assert!(ended.success(), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "it waited for the database all the same");
}

#[tokio::test]
async fn a_command_in_a_wrong_directory_says_so_and_makes_neither_a_key_nor_a_database() {
    let mut origin = Origin::start().await;
    origin.stop().await;
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    for arguments in [&["recover", "--without-journal"][..], &["root", "propose"], &["master-key", "rotate"]] {
        let without_key = keyward(&origin.database.url(), &data).args(arguments).output().unwrap();
        let words = refusal(&without_key);
        assert!(words.contains("there is no ") && words.contains("data.master.key"), "{words}");
        assert_eq!(without_key.status.code(), Some(2));
        if arguments[0] == "master-key" {
            continue;
        }
        let mut command = keyward("", &data);
        let without_database = command.args(arguments).env("KEYWARD_MASTER_KEY", base64url(&MASTER_KEY)).output().unwrap();
        assert!(refusal(&without_database).contains("there is no database in"), "{without_database:?}");
    }
    // Nor does a server make another master key for what has one.
    let words = refusal(&keyward(&origin.database.url(), &data).arg("serve").output().unwrap());
    assert!(words.contains("data.master.key, and KEYWARD_MASTER_KEY isn't set"), "{words}");
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["data"]);
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing but the lock");
}

#[tokio::test]
async fn a_server_takes_no_other_name_for_its_deployment_than_the_one_it_has_unless_told_which_gives_way() {
    let (database, home) = (Database::create().await, tempfile::tempdir().unwrap());
    let data = home.path().join("data");
    let serve = |issuer: &str, data: &Path| {
        let mut command = keyward(&database.url(), data);
        command.env("KEYWARD_MASTER_KEY", base64url(&MASTER_KEY)).args(["serve", "--issuer", issuer]);
        command
    };
    for nowhere in ["http://0.0.0.0:8080", "http://[::]:8080"] {
        assert!(refusal(&serve(nowhere, &data).output().unwrap()).contains("nobody reaches"), "{nowhere}");
    }
    let first = Serve::start(keyward(&database.url(), &data).env("KEYWARD_MASTER_KEY", base64url(&MASTER_KEY)), &data);
    let other = home.path().join("other");
    let words = refusal(&serve("https://other.test", &other).output().unwrap());
    assert!(words.contains("this deployment is http://origin.test, and this server would be https://other.test"), "{words}");
    let words = refusal(&serve("https://other.test", &other).args(["--change-issuer-from", "https://third.test"]).output().unwrap());
    assert!(words.contains("--change-issuer-from http://origin.test"), "{words}");
    assert_eq!(database.count("SELECT max(version) FROM manifests").await, 1);
    drop(first);
}

#[tokio::test]
async fn what_is_set_and_cannot_be_meant_is_refused_and_what_is_empty_counts_as_not_set() {
    let (database, home) = (Database::create().await, tempfile::tempdir().unwrap());
    let data = home.path().join("data");
    for (name, value, words) in [
        ("KEYWARD_LOG", "info,sqlx=loud", "KEYWARD_LOG can't be read"),
        ("KEYWARD_WWW", "/nowhere", "there are no pages in /nowhere"),
        ("KEYWARD_ISSUER", "https://a.example/x?y#z", "it has a query or fragment"),
        ("DATABASE_URL", "mysql://me:hidden@db/keyward", "neither postgres:// nor postgresql://"),
        ("KEYWARD_MASTER_KEY", "", "KEYWARD_MASTER_KEY is not 32 bytes"),
    ] {
        let said = refusal(&keyward(&database.url(), &data).env(name, value).arg("serve").output().unwrap());
        assert!(said.contains(words) && !said.contains("hidden"), "{name}: {said}");
    }
    let mut command = keyward(&database.url(), &data);
    for name in ["KEYWARD_TRUSTED_PROXIES", "KEYWARD_WWW", "KEYWARD_PG_BIN", "KEYWARD_USAGE_DAYS", "KEYWARD_LOG", "KEYWARD_LISTEN"] {
        command.env(name, "");
    }
    drop(Serve::start(&mut command, &data));
    database.execute("INSERT INTO _sqlx_migrations VALUES (9999, 'later', now(), true, '', 0)").await;
    let said = refusal(&keyward(&database.url(), &data).arg("serve").output().unwrap());
    assert!(said.contains("the database is newer than this program"), "{said}");
    let said = refusal(&keyward(&database.url(), &data).arg("migrate").output().unwrap());
    assert!(said.contains("the database is newer than this program"), "{said}");
}
