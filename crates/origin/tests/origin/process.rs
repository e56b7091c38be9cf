//! The `keyward` command as a user runs it, with a private Postgres.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};

use crate::harness::{KEYS, eventually, pg_bin};

struct Serve {
    child: Child,
    url: String,
}

impl Serve {
    fn start(data: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(data.with_extension("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--issuer", "http://origin.test"]);
        let pages = data.parent().unwrap().join("www");
        if pages.exists() {
            command.arg("--www").arg(pages);
        }
        command.env_remove("DATABASE_URL").env("KEYWARD_DATA_DIR", data).stdout(Stdio::piped()).stderr(log);
        if let Some(bin) = pg_bin() {
            command.env("KEYWARD_PG_BIN", bin);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("keyward ready ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, url }
    }

    async fn send(&self, method: &str, path: &str, key: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = reqwest::Client::new().request(method.parse().unwrap(), format!("{}{path}", self.url)).bearer_auth(key);
        if let Some(body) = body {
            request = request.header("idempotency-key", "once").json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }
}

#[tokio::test]
async fn a_server_that_is_killed_starts_again_with_all_that_it_answered_and_writes_no_secret_anywhere() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let data = home.path().join("data");
    std::fs::create_dir(home.path().join("www")).unwrap();
    std::fs::write(home.path().join("www/index.html"), "<p>hello").unwrap();
    std::fs::write(home.path().join("www/x.wasm"), "").unwrap();
    std::fs::write(home.path().join("secret"), "outside").unwrap();

    let mut server = Serve::start(&data);
    for name in ["data/admin.key", "data/edge.key", "data/journal", "data.master.key"] {
        let mode = std::fs::metadata(home.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let admin = std::fs::read_to_string(data.join("admin.key")).unwrap().trim().to_owned();
    let create = async |server: &Serve| server.send("POST", KEYS, &admin, Some(json!({"name": "kept"}))).await;
    let (status, first) = create(&server).await;
    assert_eq!(status, 201);
    let raw = first["raw_key"].as_str().unwrap().to_owned();

    // The pages: what is there, with a strict policy, and nothing outside.
    let http = reqwest::Client::new();
    let page = http.get(format!("{}/", server.url)).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("'wasm-unsafe-eval'"));
    assert_eq!(page.text().await.unwrap(), "<p>hello");
    let wasm = http.get(format!("{}/x.wasm", server.url)).send().await.unwrap();
    assert_eq!(wasm.headers()["content-type"], "application/wasm");
    for path in ["/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fdata/admin.key"] {
        assert_eq!(server.send("GET", path, &admin, None).await.0, 404, "{path}");
    }

    let signed_in = http.post(format!("{}/session", server.url)).bearer_auth(&admin).send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();

    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let mut server = Serve::start(&data);
    assert_eq!(http.get(format!("{}/session", server.url)).header("cookie", &cookie).send().await.unwrap().status(), 200);
    assert_eq!(std::fs::read_to_string(data.join("admin.key")).unwrap().trim(), admin);
    assert_eq!(create(&server).await.1["raw_key"], raw);
    let id = first["api_key"]["id"].as_str().unwrap();

    // All that the log says of a request names the trace that it came with.
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = http
        .post(format!("{}{KEYS}/{id}/suspend", server.url))
        .bearer_auth(&admin)
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let named = traced.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned();
    let log = std::fs::read_to_string(data.with_extension("log")).unwrap();
    let lines: Vec<Value> = log.lines().filter(|line| line.contains(trace)).map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["span"]["id"] == json!(named) && line["span"]["trace"] == json!(trace)), "{lines:?}");
    let line = lines.iter().find(|line| line["message"] == "answered").unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&line["method"], &line["route"], &line["status"]), (&json!("POST"), &json!("/api/v1/api-keys/{id}/suspend"), &json!(200)));

    assert_eq!(server.send("DELETE", &format!("{KEYS}/{id}/revoke"), &admin, None).await.0, 200);

    assert!(Command::new("kill").arg("-TERM").arg(server.child.id().to_string()).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
    assert!(!data.join("postgres/data/postmaster.pid").exists(), "the private Postgres outlived its owner");
    let logs = [data.with_extension("log"), data.join("postgres/postgres.log"), data.join("journal")];
    for log in logs {
        let text = std::fs::read_to_string(&log).unwrap();
        let secret = cookie.split_once('=').unwrap().1;
        assert!(!text.contains(secret), "{}", log.display());
        for secret in [&raw, &admin] {
            // Not even its signature's half.
            assert!(!text.contains(secret.as_str()) && !text.contains(&secret[60..100]), "{}", log.display());
        }
    }
}

#[tokio::test]
async fn no_death_of_the_server_or_its_postgres_lets_more_pass_than_a_limit() {
    deaths(400, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask soak limits"]
async fn soak_limits_deaths() {
    deaths(20_000, 40).await;
}

/// Server and Postgres are killed in turn, so many times, while clients use up a limit.
async fn deaths(limit: u64, deaths: u64) {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let data = home.path().join("data");
    let mut server = Serve::start(&data);
    let admin = std::fs::read_to_string(data.join("admin.key")).unwrap().trim().to_owned();
    // A month: no edge of a window falls into this.
    let limits = json!({"name": "limited", "monthly_quota": limit, "daily_quota": "unlimited", "rate_limit_per_hour": "unlimited"});
    let raw = server.send("POST", KEYS, &admin, Some(limits)).await.1["raw_key"].as_str().unwrap().to_owned();

    #[derive(Default)]
    struct Seen {
        url: Mutex<String>,
        passed: AtomicU64,
        refused: AtomicU64,
    }
    let seen = Arc::new(Seen { url: Mutex::new(server.url.clone()), ..Seen::default() });
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let (seen, http, admin, raw) = (Arc::clone(&seen), reqwest::Client::new(), admin.clone(), raw.clone());
            tokio::spawn(async move {
                while seen.refused.load(Ordering::Relaxed) < 50 {
                    let url = format!("{}{KEYS}/validate", seen.url.lock().unwrap());
                    let answer = http.post(url).bearer_auth(&admin).json(&json!({"api_key": raw})).send().await;
                    let Ok(answer) = answer else { continue };
                    let Ok(answer) = answer.json::<Value>().await else { continue };
                    if answer["valid"] == true {
                        seen.passed.fetch_add(1, Ordering::Relaxed);
                    } else if answer["valid"] == false {
                        seen.refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    let passed = async |least: u64| {
        eventually("they pass", async || (seen.passed.load(Ordering::Relaxed) >= least).then_some(())).await;
    };
    for death in 1..=deaths {
        passed(limit / 2 * death / deaths).await;
        if death % 2 == 0 {
            let text = std::fs::read_to_string(data.join("postgres/data/postmaster.pid")).unwrap();
            assert!(Command::new("kill").args(["-KILL", text.lines().next().unwrap()]).status().unwrap().success());
        } else {
            server.child.kill().unwrap();
            server.child.wait().unwrap();
            server = Serve::start(&data);
            server.url.clone_into(&mut seen.url.lock().unwrap());
        }
    }
    for client in clients {
        client.await.unwrap();
    }
    let passed = seen.passed.load(Ordering::Relaxed);
    println!("{passed} of {limit} passed, over {deaths} deaths");
    // Each death costs a block: at most an eighth of what is left, and at most what was used in a moment.
    assert!((limit / 2..=limit).contains(&passed), "{passed}");
    server.child.kill().unwrap();
    server.child.wait().unwrap();
}

#[test]
fn inspect_shows_what_a_key_says_and_no_error_repeats_it() {
    let inspect = |key: &str| Command::new(env!("CARGO_BIN_EXE_keyward")).args(["inspect", key]).output().unwrap();
    let refused = inspect("kwd_live_abcdefgh");
    assert!(!refused.status.success());
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("abcdefgh"));
}
