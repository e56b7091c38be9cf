//! What an operator relies on: least rights, bounds on strangers, headers, numbers.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Output},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, Request, header},
};
use keyward_core::Network;
use keyward_postgres::{Options, PrivatePostgres};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use crate::harness::{KEYS, Origin, pg_bin};

#[tokio::test]
async fn a_server_does_with_a_login_that_owns_nothing_once_the_owner_has_migrated() {
    // Roles belong to a whole cluster, so that this needs one of its own.
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let options = Options { dir: home.path().join("postgres"), durable: false, binaries: pg_bin() };
    let postgres = tokio::task::spawn_blocking(move || PrivatePostgres::start(&options)).await.unwrap().unwrap();
    let mut superuser = PgConnection::connect(postgres.url()).await.unwrap();
    let sql = include_str!("../../../../deploy/roles.sql");
    let statements = sql.lines().filter(|line| !line.starts_with("--")).collect::<String>();
    for statement in statements.split_terminator(';') {
        superuser.execute(AssertSqlSafe(statement.to_owned())).await.expect(statement);
    }
    let url = |login: &str| format!("{}&user={login}", postgres.url().replace("/postgres?", "/keyward?").replace("user=keyward", ""));
    let keyward = |arguments: &[&str]| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(arguments).env("DATABASE_URL", url("keyward_owner")).output().unwrap()
    };

    // As before a dump is restored into a schema that was made anew: nobody but its owner may go in.
    let mut inside = PgConnection::connect(&postgres.url().replace("/postgres?", "/keyward?")).await.unwrap();
    inside.execute("DROP SCHEMA public CASCADE").await.unwrap();
    inside.execute("CREATE SCHEMA public AUTHORIZATION keyward_owner").await.unwrap();

    // Nothing is there yet, and the server's login can't make it; what it is told says who can.
    let refused = Command::new(env!("CARGO_BIN_EXE_keyward"))
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(home.path().join("data"))
        .env("DATABASE_URL", url("keyward_server"))
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("`keyward migrate` does it, as its owner"), "{refused:?}");

    for _ in 0..2 {
        let migrated = keyward(&["migrate", "--server-login", "keyward_server"]);
        assert!(migrated.status.success(), "{migrated:?}");
    }
    let mut origin = Origin::start().await;
    origin.stop().await;
    std::fs::remove_dir_all(origin.data.path()).unwrap();
    origin.restart_on(&url("keyward_server")).await;
    let key = origin.key(json!({})).await;
    origin.admin().act(&key.id, "rotate", None).await.ok();
    assert_eq!(origin.admin().verdict(&key.raw).await, None);
    origin.stop().await;

    // Even as all that the server can become, nobody gets around the rows' policies, nor changes what is appended.
    for (role, statement) in [
        ("keyward_server", "SELECT * FROM public.api_keys"),
        ("keyward_app", "ALTER TABLE api_keys DISABLE ROW LEVEL SECURITY"),
        ("keyward_app", "DELETE FROM audit_log"),
        ("keyward_system", "ALTER TABLE api_keys DISABLE ROW LEVEL SECURITY"),
        ("keyward_system", "DELETE FROM audit_log"),
        ("keyward_system", "UPDATE _sqlx_migrations SET checksum = ''"),
        ("keyward_system", "CREATE TABLE more (x int)"),
        ("keyward_system", "SET ROLE keyward_owner"),
    ] {
        let mut server = PgConnection::connect(&url("keyward_server")).await.unwrap();
        server.execute(AssertSqlSafe(format!("SET ROLE {role}"))).await.unwrap();
        let refused = server.execute(statement).await.expect_err(statement);
        assert_eq!(refused.as_database_error().and_then(|error| error.code()).as_deref(), Some("42501"), "{statement}: {refused}");
    }
    let mut server = PgConnection::connect(&url("keyward_server")).await.unwrap();
    server.execute("SET ROLE keyward_app").await.unwrap();
    let seen = server.fetch_all("SELECT id FROM api_keys").await.unwrap();
    assert!(seen.is_empty(), "without a tenant there is nothing to see");
    tokio::task::spawn_blocking(move || drop(postgres)).await.unwrap();
}

#[tokio::test]
async fn after_many_failures_from_an_address_only_callers_known_before_are_looked_at() {
    let mut origin = Origin::start().await;
    origin.failures_per_minute = 5;
    origin.restart().await;
    let (admin, stranger) = (origin.admin(), origin.key(json!({"capabilities": ["keys:read"]})).await);
    // Genuine, but for another origin.
    let forged = origin.client(&Origin::start().await.key(json!({})).await.raw);
    for _ in 0..5 {
        forged.get(KEYS).await.refused(401, "invalid_token");
    }
    let refused = forged.get(KEYS).await;
    let after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=12).contains(&after), "{refused:?}");
    refused.refused(429, "rate_limited");
    // A key that hasn't been met is a stranger's, genuine or not; the admin's has been.
    let unknown = origin.client(&stranger.raw);
    unknown.get(KEYS).await.refused(429, "rate_limited");
    admin.get(KEYS).await.ok();
    // What it asks about isn't its own credential.
    assert_eq!(admin.verdict(&stranger.raw).await, None);
    origin.advance(Duration::from_secs(after));
    unknown.get(KEYS).await.ok();
    let metrics = admin.get("/metrics").await.text;
    assert!(metrics.contains("keyward_unproved_refusals_total 5") && metrics.contains("keyward_turned_away_total 2"), "{metrics}");
}

#[tokio::test]
async fn a_proxys_client_is_where_the_proxy_says_and_nowhere_where_it_says_nothing_that_can_be_read() {
    let mut origin = Origin::start().await;
    (origin.trusted_proxies, origin.failures_per_minute) = (vec![Network::parse("127.0.0.0/8").unwrap()], 5);
    origin.restart().await;
    let nets = json!(["127.0.0.0/8", "203.0.113.0/24", "2001:db8::/32"]);
    let key = origin.key(json!({"capabilities": ["keys:read"], "allowed_ips": nets, "require_tls": false})).await.raw;
    let door = origin.door.clone().unwrap();
    let ask = async |key: &str, lines: &[&[u8]]| {
        let mut request = Request::get(KEYS).header(header::AUTHORIZATION, format!("Bearer {key}"));
        for line in lines {
            request = request.header("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
        }
        door.answer(SocketAddr::from(([127, 0, 0, 1], 4711)), request.body(Body::empty()).unwrap()).await.status().as_u16()
    };
    let cases: [(&[&[u8]], u16); 12] = [
        (&[], 200),
        (&[b"127.0.0.9"], 200),
        (&[b"203.0.113.9"], 200),
        (&[b"198.51.100.1"], 403),
        (&[b"203.0.113.9:4711"], 200),
        (&[b"198.51.100.1:4711"], 403),
        (&[b"[2001:db8::1]:4711, 127.0.0.2"], 200),
        (&[b"\xe9, 203.0.113.9"], 200),
        (&[b"\xe9"], 403),
        (&[b"203.0.113.9, \xe9"], 403),
        (&[b"203.0.113.9", b"\xe9"], 403),
        (&[b""], 403),
    ];
    for (lines, status) in cases {
        assert_eq!(ask(&key, lines).await, status, "{lines:?}");
    }
    // Nor does anybody get out of the bound on failures that way.
    let forged = Origin::start().await.key(json!({})).await.raw;
    for status in [401, 401, 401, 401, 401, 429] {
        assert_eq!(ask(&forged, &[b"\xe9"]).await, status);
    }
}

#[tokio::test]
async fn every_answer_keeps_a_browser_from_making_more_of_it() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    for (path, status) in [("/healthz", 200), (KEYS, 200), ("/nothing/here", 404), ("/api/v1/tenants/none", 404), ("/metrics", 200)] {
        let answer = admin.get(path).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["x-frame-options"], "DENY");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert!(answer.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        assert!(!answer.headers.contains_key("server") && !answer.headers.contains_key("strict-transport-security"));
    }
    assert_eq!(admin.get(KEYS).await.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn the_numbers_are_openmetrics_and_name_no_key_tenant_or_path() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({})).await;
    admin.get(&format!("{KEYS}/{}", key.id)).await.ok();
    admin.get("/made/up/by/a/client").await.refused(404, "not_found");
    admin.send("BREW", KEYS, None, &[]).await.refused(405, "method_not_allowed");
    let answer = admin.get("/metrics").await;
    assert!(answer.headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let text = answer.text;
    assert!(text.ends_with("# EOF\n"));
    for line in [
        r#"keyward_requests_total{method="GET",route="/api/v1/api-keys/{id}",status="200"} 1"#,
        r#"keyward_requests_total{method="GET",route="(other)",status="404"} 1"#,
        r#"keyward_requests_total{method="(other)",route="/api/v1/api-keys",status="405"} 1"#,
        r#"keyward_request_duration_seconds_count{route="/api/v1/api-keys/{id}"} 1"#,
        r#"keyward_database_connections{pool="app",state="busy"} "#,
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    let expires = text.lines().find_map(|line| line.strip_prefix("keyward_manifest_expires_seconds ")).unwrap();
    assert!(expires.parse::<u64>().unwrap() > origin.now().secs());
    let tenant = key.body["tenant_id"].as_str().unwrap_or("a tenant's id");
    assert!(!text.contains(&key.id) && !text.contains(tenant) && !text.contains("made/up"), "{text}");
}

#[tokio::test]
async fn a_client_that_drips_in_its_request_is_cut_off_and_one_that_sends_too_much_is_told() {
    let origin = Origin::start().await;
    let address = origin.address;
    let dripping = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
        let mut answer = Vec::new();
        // An end, or a reset, and in any case before the read gives up.
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
        assert!(!answer.starts_with(b"HTTP/1.1 200"));
    });
    let long = "x".repeat(70_000);
    origin.admin().try_create(json!({"name": "x", "description": long})).await.refused(413, "body_too_large");
    dripping.await.unwrap();
}
