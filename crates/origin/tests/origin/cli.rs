//! The `keyward` command against a real origin: what operators and scripts do with it.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::harness::{Origin, eventually};

/// Somebody at a shell, with nothing but what they are given.
struct Shell {
    home: tempfile::TempDir,
    env: Vec<(&'static str, String)>,
    /// The key that they hold, which must show nowhere.
    key: String,
}

/// What a run came to.
#[derive(Debug)]
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    #[track_caller]
    fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|_| panic!("not JSON: {out}"))
    }

    #[track_caller]
    fn fails(self, code: i32, with: &str) -> Self {
        assert!(self.code == code && self.err.contains(with), "{code} {with:?}: {self:?}");
        self
    }
}

impl Shell {
    /// With the admin's key in the environment.
    fn of(origin: &Origin) -> Self {
        Self::at(&format!("http://{}", origin.address), &origin.file("admin.key"))
    }

    fn at(url: &str, key: &str) -> Self {
        let env = vec![("KEYWARD_URL", url.to_owned()), ("KEYWARD_KEY", key.to_owned())];
        Self { home: tempfile::tempdir().unwrap(), env, key: key.to_owned() }
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        self.fed(arguments, "").await
    }

    /// Runs it with this on standard input. Whatever comes of it, the key is in none of what it says.
    async fn fed(&self, arguments: &[&str], input: &str) -> Ran {
        assert!(!arguments.iter().any(|argument| argument.contains(&self.key)));
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(arguments).env_clear().env("HOME", self.home.path()).envs(self.env.clone());
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

    fn without(mut self, name: &str) -> Self {
        self.env.retain(|(found, _)| *found != name);
        self
    }

    /// A file of profiles with this mode.
    fn profiles(self, mode: u32, text: &str) -> Self {
        let folder = self.home.path().join(".config/keyward");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("profiles.toml");
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
        self
    }
}

#[tokio::test]
async fn the_life_of_a_key_from_its_creation_to_its_end() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let made = shell.run(&["keys", "create", "exporter", "--capability", "rag:search,llm:gpt-4", "--require-tls", "false"]).await;
    assert!(made.err.contains("exporter"), "{made:?}");
    let raw = made.ok().trim().to_owned();
    assert_eq!(origin.admin().verdict(&raw).await, None, "the raw key is alone on standard output");

    let listed = shell.run(&["keys", "list", "--json"]).await.json();
    let key = listed.as_array().unwrap().iter().find(|key| key["name"] == "exporter").unwrap().clone();
    let id = key["id"].as_str().unwrap();
    assert_eq!(key["capabilities"], json!(["llm:gpt-4", "rag:search"]));
    let table = shell.run(&["keys", "list", "--search", "exporter"]).await.ok();
    assert!(table.starts_with("ID") && table.lines().count() == 2 && table.contains(id), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours where there is no terminal");

    let told = shell.run(&["keys", "get", id]).await.ok();
    assert!(told.contains("llm:gpt-4, rag:search") && !told.contains(&raw), "{told}");
    let etag = key["etag"].as_str().unwrap();
    let change = ["keys", "update", id, "--rate-limit-per-hour", "7", "--allow-ip", "10.0.0.0/8,192.0.2.1", "--if-match", etag, "--json"];
    let changed = shell.run(&change).await.json();
    assert_eq!((&changed["rate_limit_per_hour"], &changed["allowed_ips"]), (&json!(7), &json!(["10.0.0.0/8", "192.0.2.1/32"])));
    shell.run(&change).await.fails(1, "precondition_failed");
    let changed = shell.run(&["keys", "update", id, "--allow-ip", "any", "--rate-limit-per-hour", "unlimited", "--json"]).await.json();
    assert_eq!((&changed["rate_limit_per_hour"], &changed["allowed_ips"]), (&json!(null), &json!([])));

    let rotated = shell.run(&["keys", "rotate", id, "--overlap-seconds", "60"]).await.ok();
    shell.run(&["keys", "rotate", "cancel", id]).await.ok();
    assert!(origin.admin().verdict(rotated.trim()).await.is_some());
    let rotated = shell.run(&["keys", "rotate", id, "--overlap-seconds", "60"]).await.ok();
    shell.run(&["keys", "rotate", "finish", id]).await.ok();
    let renewed = shell.run(&["keys", "renew", id, "--expires-in-days", "never", "--json"]).await.json();
    assert_eq!(renewed["expires_at"], json!(null));

    let valid = shell.fed(&["keys", "validate", "--endpoint", "/v1/x", "--client-ip", "192.0.2.1"], &rotated).await.ok();
    assert!(valid.contains("yes"), "{valid}");
    let ended = shell.fed(&["keys", "validate", "--json"], &raw).await;
    assert_eq!(ended.code, 1);
    assert!(ended.out.contains(r#""valid":false"#) && ended.err.is_empty(), "{ended:?}");
    shell.run(&["keys", "suspend", id]).await.ok();
    assert_eq!(shell.fed(&["keys", "validate"], &rotated).await.code, 1);
    shell.run(&["keys", "resume", id]).await.ok();

    shell.run(&["keys", "revoke", id]).await.fails(4, "--yes");
    shell.run(&["keys", "revoke", id, "--yes", "--reason", "done with"]).await.ok();
    let told = shell.run(&["keys", "get", id]).await.ok();
    assert!(told.contains("revoked") && told.contains("done with"), "{told}");
    shell.run(&["keys", "resume", id]).await.fails(1, "The key has been revoked (409 key_revoked)");
}

#[tokio::test]
async fn a_list_is_followed_to_its_end_and_an_action_on_many_to_its_last_chunk() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    for number in 0..5 {
        shell.run(&["keys", "create", &format!("key {number}"), "--owner", "ann"]).await.ok();
    }
    let page = shell.run(&["keys", "list", "--owner", "ann", "--limit", "2"]).await;
    assert!(page.err.contains("--cursor"), "{page:?}");
    let cursor = page.err.split(' ').nth(4).unwrap().trim_end_matches(',').to_owned();
    assert_eq!(page.ok().lines().count(), 3);
    let next = shell.run(&["keys", "list", "--owner", "ann", "--limit", "2", "--cursor", &cursor]).await.ok();
    assert!(next.contains("key 2") && next.contains("key 1") && !next.contains("key 3"), "{next}");
    let all = shell.run(&["keys", "list", "--owner", "ann", "--limit", "2", "--all", "--json"]).await.ok();
    let names: Vec<Value> = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].clone()).collect();
    assert_eq!(names, ["key 4", "key 3", "key 2", "key 1", "key 0"]);
    assert_eq!(shell.run(&["keys", "list", "--owner", "ann", "--limit", "2", "--all"]).await.ok().lines().count(), 6);

    let bulk = async |more: &[&str]| shell.run(&[&["keys", "bulk", "revoke"], more].concat()).await;
    // Nobody revokes everything by leaving something out.
    bulk(&["--yes"]).await.fails(2, "--all-keys");
    bulk(&["--owner", "ann"]).await.fails(4, "--yes");
    let counted = bulk(&["--owner", "ann", "--dry-run"]).await.ok();
    assert!(counted.contains("5 matched, 5 would be changed"), "{counted}");
    let moved = shell.run(&["keys", "bulk", "reassign", "--owner", "ann", "--to", "ben", "--yes"]).await.ok();
    assert!(moved.contains("5 changed"), "{moved}");
    let done = bulk(&["--owner", "ben", "--reason", "has left", "--yes", "--json"]).await.json();
    assert_eq!(done["changed"], 5);
}

#[tokio::test]
async fn what_goes_wrong_is_told_with_its_code_and_an_exit_code_that_scripts_can_go_by() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let id = "0197f3a0-0000-7000-8000-000000000000";
    shell.run(&["keys", "get", id]).await.fails(1, "Not found (404 not_found)");
    let problem = shell.run(&["keys", "get", id, "--json"]).await.fails(1, "");
    assert_eq!(serde_json::from_str::<Value>(&problem.err).unwrap()["code"], "not_found");
    assert!(problem.out.is_empty());
    shell.run(&["keys", "create", "x", "--allow-ip", "nowhere"]).await.fails(1, "allowed_ips[0]: ");
    shell.run(&["keys", "get", "nothing"]).await.fails(2, "UUID");
    shell.run(&["keys", "create", "x", "--scope", "root"]).await.fails(2, "possible values");

    let key = origin.file("admin.key");
    Shell::at("https://no-such-host.invalid", &key).run(&["keys", "list"]).await.fails(3, "no-such-host.invalid");
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for scheme in ["http", "https"] {
        Shell::at(&format!("{scheme}://127.0.0.1:{port}"), &key).run(&["keys", "list"]).await.fails(3, "no answer");
    }
    Shell::at("http://192.0.2.1", &key).run(&["keys", "list"]).await.fails(2, "--insecure-http");
    // What something else answers is no answer, and the key doesn't follow it.
    let moved = format!("HTTP/1.1 302 Found\r\nlocation: http://{}/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", origin.address);
    Shell::at(&saying(moved).await, &key).run(&["keys", "list"]).await.fails(3, "doesn't answer as Keyward does: 302");

    let broken = format!("{}x", origin.file("admin.key"));
    Shell::at(&shell.env[0].1, &broken).run(&["keys", "list"]).await.fails(2, "isn't one");
    let stranger = origin.key(json!({})).await.raw;
    Shell::at(&shell.env[0].1, &stranger).run(&["keys", "list"]).await.fails(1, "capability_missing");
}

#[tokio::test]
async fn a_profile_names_origin_and_key_in_a_file_that_others_must_not_be_able_to_read() {
    let origin = Origin::start().await;
    let bare = || Shell::of(&origin).without("KEYWARD_URL").without("KEYWARD_KEY");
    let (url, key) = (format!("http://{}", origin.address), origin.file("admin.key"));
    let inline = format!("[default]\nurl = \"{url}\"\nkey = \"{key}\"\n");
    bare().profiles(0o600, &inline).run(&["keys", "list"]).await.ok();
    bare().profiles(0o640, &inline).run(&["keys", "list"]).await.fails(2, "mode 0640");
    bare().run(&["keys", "list"]).await.fails(2, "profiles.toml");

    let beside = format!("[ops]\nurl = \"{url}\"\nkey_file = \"ops.key\"\n");
    let shell = bare().profiles(0o600, &beside);
    let file = shell.home.path().join(".config/keyward/ops.key");
    std::fs::write(&file, &key).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    shell.run(&["keys", "list", "--profile", "ops"]).await.fails(2, "ops.key");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    shell.run(&["keys", "list", "--profile", "ops"]).await.ok();
    shell.run(&["keys", "list"]).await.fails(2, "no profile `default`");

    // What can't be read as TOML isn't repeated: it may be the key.
    bare().profiles(0o600, &format!("[default]\nkey = {key}\n")).run(&["keys", "list"]).await.fails(2, "profiles.toml:2");
    // A profile's key goes to the profile's origin alone.
    bare().profiles(0o600, &inline).run(&["keys", "list", "--url", "https://elsewhere.example"]).await.fails(2, "KEYWARD_KEY");
}

/// Something that answers so to whatever it is asked.
async fn saying(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && client.read_buf(&mut request).await.is_ok_and(|read| read > 0) {}
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    format!("http://{address}")
}

/// A way to the origin that swallows the answer to the first connection.
async fn losing_the_first_answer(origin: &Origin) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, origin, count) = (listener.local_addr().unwrap(), origin.address, Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(origin).await.unwrap();
            if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                // The origin's answer begins once all is committed: there the connection breaks.
                let (mut from_client, (mut from_server, mut to_server)) = (client.split().0, server.split());
                let mut first = [0];
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    _ = from_server.read(&mut first) => {}
                }
                continue;
            }
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    (format!("http://{address}"), count)
}

#[tokio::test]
async fn a_create_or_rotate_whose_answer_is_lost_is_done_once_and_its_raw_key_comes_with_the_next_try() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let (url, connections) = losing_the_first_answer(&origin).await;
    let raw = Shell::at(&url, &origin.file("admin.key")).run(&["keys", "create", "once"]).await.ok();
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    let listed = admin.get("/api/v1/api-keys?search=once").await.ok();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(admin.verdict(raw.trim()).await, None);

    let (url, _) = losing_the_first_answer(&origin).await;
    let id = listed[0]["id"].as_str().unwrap();
    let rotated = Shell::at(&url, &origin.file("admin.key")).run(&["keys", "rotate", id]).await.ok();
    assert_eq!(admin.verdict(rotated.trim()).await, None);
    // By hand likewise: the name of the first run has its answer.
    let again = ["keys", "create", "named", "--idempotency-key", "order-4711"];
    let shell = Shell::of(&origin);
    assert_eq!(shell.run(&again).await.ok(), shell.run(&again).await.ok());
}

#[tokio::test]
async fn tokens_are_exchanged_introspected_and_taken_back_without_a_credential_among_the_arguments() {
    let origin = Origin::start().await;
    let key = origin.key(json!({"capabilities": ["llm:gpt-4", "rag:search"]})).await;
    let shell = Shell::of(&origin);
    let token = Shell::at(&shell.env[0].1, &key.raw).run(&["tokens", "exchange", "--capability", "rag:search", "--expires-in", "60"]).await;
    let token = token.ok();
    let found = shell.fed(&["tokens", "introspect", "--json"], &token).await.json();
    assert_eq!((&found["active"], &found["scope"], &found["sub"]), (&json!(true), &json!("rag:search"), &json!(key.id)));
    shell.fed(&["tokens", "revoke"], &token).await.ok();
    let ended = shell.fed(&["tokens", "introspect"], &token).await;
    assert!(ended.code == 1 && ended.out.contains("no"), "{ended:?}");

    let other = shell.fed(&["tokens", "exchange", "--stdin", "--json"], &key.raw).await.json();
    assert_eq!(other["scope"], "llm:gpt-4 rag:search");
    shell.fed(&["tokens", "exchange", "--stdin"], "kwd_live_x").await.fails(1, "invalid_request");
    // A raw key in the place of a token would end for ever.
    shell.fed(&["tokens", "revoke"], &key.raw).await.fails(4, "--yes");
    shell.fed(&["tokens", "revoke", "--yes"], &key.raw).await.ok();
    assert_eq!(shell.fed(&["keys", "validate"], &key.raw).await.code, 1);
}

#[tokio::test]
async fn tenants_owners_and_catalogues_are_managed_and_what_was_done_is_read_from_the_trail_and_proved() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let first =
        shell.run(&["tenants", "create", "acme", "Acme Inc.", "--key-prefix", "acme", "--first-key", "--live-keys", "50"]).await.ok();
    assert!(first.starts_with("acme_live_"));
    let tenants = shell.run(&["tenants", "list", "--json"]).await.json();
    let acme = tenants.as_array().unwrap().iter().find(|tenant| tenant["slug"] == "acme").unwrap();
    let id = acme["id"].as_str().unwrap();
    let changed = shell.run(&["tenants", "update", id, "--creates-per-hour", "9", "--json"]).await.json();
    assert_eq!((&changed["ceilings"]["live_keys"], &changed["ceilings"]["creates_per_hour"]), (&json!(50), &json!(9)));
    assert!(shell.run(&["tenants", "get", id]).await.ok().contains("Acme Inc."));
    assert!(shell.run(&["tenants", "list"]).await.ok().contains(id));

    // Any text may be an owner's id.
    let owner = "team/ünï ?#";
    let of_acme = |arguments: &[&'static str]| [arguments, &["--tenant"]].concat();
    let run = async |arguments: &[&'static str]| shell.run(&[&of_acme(arguments)[..], &[id]].concat()).await;
    run(&["owners", "create", owner, "--kind", "service", "--email", "team@example.com"]).await.ok();
    run(&["keys", "create", "theirs", "--owner", owner]).await.ok();
    assert_eq!(run(&["owners", "update", owner, "--email", "", "--json"]).await.json()["email"], json!(null));
    run(&["owners", "disable", owner]).await.fails(4, "--yes");
    run(&["owners", "disable", owner, "--yes"]).await.ok();
    assert!(run(&["keys", "list", "--owner", owner]).await.ok().contains("suspended"));
    run(&["keys", "create", "more", "--owner", owner]).await.fails(1, "owner_disabled");
    assert_eq!(run(&["owners", "enable", owner, "--json"]).await.json()["disabled"], false);
    assert!(run(&["owners", "list"]).await.ok().contains(owner));
    assert!(run(&["owners", "get", owner]).await.ok().contains("service"));

    run(&["catalog", "add", "billing:export", "--label", "Export", "--category", "Billing"]).await.ok();
    assert!(run(&["catalog", "capabilities"]).await.ok().contains("billing:export"));
    assert!(run(&["catalog", "scopes"]).await.ok().contains("tenant"));
    run(&["catalog", "add", "keys:all", "--label", "x", "--category", "y"]).await.fails(1, "value");

    let disabled = run(&["audit", "search", "--action", "owner_disabled", "--json"]).await.json();
    assert_eq!(disabled.as_array().unwrap().len(), 1);
    assert!(run(&["audit", "search"]).await.ok().contains("owner_disabled"));
    let kept = shell.home.path().join("kept.json");
    std::fs::write(&kept, run(&["audit", "checkpoints", "--new"]).await.ok()).unwrap();
    let trail = shell.home.path().join("audit.jsonl");
    let (kept, trail) = (kept.to_str().unwrap(), trail.to_str().unwrap());
    shell.run(&["audit", "export", "--tenant", id, "--output", trail]).await.ok();
    let text = std::fs::read_to_string(trail).unwrap();
    assert!(text.lines().count() > 5);
    shell.run(&["audit", "verify", trail, "--checkpoint", kept]).await.ok();
    std::fs::write(trail, text.replace("owner_disabled", "owner_enabled_")).unwrap();
    assert_eq!(shell.run(&["audit", "verify", trail, "--checkpoint", kept]).await.code, 1);
}

#[tokio::test]
async fn usage_and_events_are_shown_as_tables_and_as_they_are() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let key = origin.key(json!({"expires_in_days": 3, "rotation_period_days": 1})).await;
    for endpoint in ["/v1/x", "/v1/x", "/v1/y"] {
        shell.fed(&["keys", "validate", "--endpoint", endpoint, "--client-ip", "192.0.2.1"], &key.raw).await.ok();
    }
    let counted = async || shell.run(&["usage", &key.id, "--interval", "hour", "--days", "2", "--json"]).await.json();
    let report = eventually("it is counted", async || Some(counted().await).filter(|report| report["total_requests"] == 3)).await;
    assert!(report["series"].as_array().unwrap().len() > 24);
    let told = shell.run(&["usage", &key.id]).await.ok();
    assert!(told.contains("/v1/x") && told.contains("192.0.2.1") && told.contains("REQUESTS"), "{told}");
    assert!(shell.run(&["usage", "summary"]).await.ok().contains("passed"));
    shell.run(&["usage", &key.id, "--days", "0"]).await.fails(1, "days");

    let events = async || shell.run(&["events", "--all", "--json"]).await.ok();
    let line = eventually("a sweep", async || events().await.lines().next().map(str::to_owned)).await;
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["type"], &event["key_id"]), (&json!("key.expiring"), &json!(key.id)));
    assert!(shell.run(&["events"]).await.ok().contains("key.expiring"));
    assert_eq!(shell.run(&["events", "--after", &event["id"].to_string(), "--all", "--json"]).await.ok(), "");
}

#[tokio::test]
async fn a_signing_key_is_rotated_frozen_and_retired_and_policies_are_superseded() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let listed = async || shell.run(&["signing", "list", "--json"]).await.json();
    let of = |keys: &Value, role: &str, state: &str| {
        let found = keys["signing_keys"].as_array().unwrap().iter().find(|key| key["role"] == role && key["state"] == state).cloned();
        found.map(|key| key["kid"].as_str().unwrap().to_owned())
    };
    let old = of(&listed().await, "token", "active").unwrap();
    let rotation = shell.run(&["signing", "rotate", "token"]);
    let announced = async {
        eventually("the next one is announced", async || of(&listed().await, "token", "pre-published")).await;
        origin.advance(Duration::from_secs(121));
    };
    let (rotated, ()) = tokio::join!(rotation, announced);
    assert!(rotated.ok().contains("active"));
    assert_eq!(of(&listed().await, "token", "verify-only"), Some(old.clone()));
    shell.run(&["signing", "retire", &old]).await.fails(4, "--yes");
    origin.advance(Duration::from_secs(600));
    shell.run(&["signing", "retire", &old, "--yes"]).await.ok();

    let next = shell.run(&["signing", "create", "api-key", "--json"]).await.json()["signing_key"]["kid"].as_str().unwrap().to_owned();
    shell.run(&["signing", "activate", &next]).await.fails(1, "signing_key_unseen");
    let stolen = of(&listed().await, "api-key", "active").unwrap();
    let frozen = shell.run(&["signing", "freeze", &stolen, "--yes", "--json"]).await.json();
    assert_eq!(frozen["successor"], json!(next));
    let table = shell.run(&["signing", "list"]).await.ok();
    assert!(table.contains("frozen") && table.contains("epoch 1"), "{table}");
    let proposal = shell.run(&["signing", "proposal", "--days", "30"]).await.json();
    assert_eq!(shell.run(&["signing", "manifest"]).await.ok(), proposal["current"].as_str().unwrap());
    shell.fed(&["signing", "publish", "-"], "no manifest").await.fails(1, "manifest");

    let key = origin.key(json!({})).await;
    let policy = key.body["policy"].to_string();
    let done = shell.run(&["policies", "supersede", &policy, "--daily-quota", "5", "--yes", "--json"]).await.json();
    assert_eq!(shell.run(&["keys", "get", &key.id, "--json"]).await.json()["policy"], done["policy"]);
}

#[tokio::test]
async fn every_shell_gets_its_completions_and_every_group_teaches_by_examples() {
    let shell = Shell::at("http://127.0.0.1:1", "nobody's");
    for name in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = shell.run(&["completion", name]).await.ok();
        assert!(script.contains("introspect") && script.contains("expiring-within-days"), "{name}");
    }
    for group in ["keys", "tokens", "usage", "tenants", "owners", "policies", "catalog", "events", "audit", "signing"] {
        let help = shell.run(&[group, "--help"]).await.ok();
        assert!(help.contains(&format!("  keyward {group} ")) && help.contains("Exit codes"), "{group}: {help}");
    }
}
