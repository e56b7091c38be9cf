//! Postgres goes away and comes back.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use keyward_postgres::{Options, PrivatePostgres};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use crate::{
    edge::Edge,
    harness::{Client, KEYS, Origin, eventually, pg_bin},
};

#[tokio::test]
async fn a_postgres_that_is_killed_while_keys_are_written_loses_nothing_that_was_answered_and_needs_no_restart_of_the_server() {
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    // Durable: it is killed, and what was answered has to be there afterwards.
    let options = Options { dir: home.path().join("postgres"), durable: true, binaries: pg_bin() };
    let postgres = tokio::task::spawn_blocking(move || PrivatePostgres::start(&options)).await.unwrap().unwrap();
    let mut origin = Origin::start().await;
    origin.stop().await;
    std::fs::remove_dir_all(origin.data.path()).unwrap();
    origin.restart_on(postgres.url()).await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let key = admin.create(json!({})).await;
    edge.catch_up(&origin).await;

    let stop = Arc::new(AtomicBool::new(false));
    let written = Arc::new(Mutex::new(Vec::new()));
    let writers: Vec<_> = (0..4).map(|_| tokio::spawn(write(admin.clone(), Arc::clone(&stop), Arc::clone(&written)))).collect();
    for round in 0..2 {
        let before = written.lock().unwrap().len();
        eventually("keys are being written", async || (written.lock().unwrap().len() > before + 20).then_some(())).await;
        let pid = postgres.pid().unwrap();
        // First frozen, so that requests meet a server that doesn't answer; then killed.
        if round == 1 {
            signal(pid, "STOP");
            let began = Instant::now();
            let answer = origin.edge().get("/edge/v1/feed?epoch=1&after=0&manifest=1&wait_ms=0").await;
            assert!(began.elapsed() < Duration::from_secs(20), "{answer:?}");
        }
        signal(pid, "KILL");
        eventually("Postgres lives again", async || postgres.pid().filter(|new| *new != pid)).await;
        eventually("the server is ready again", async || (admin.get("/readyz").await.status == 200).then_some(())).await;
        // Not one of the connections that died is handed out.
        for _ in 0..30 {
            admin.get(KEYS).await.ok();
        }
        assert!(edge.sees(&origin, &key.raw).await.is_ok());
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let written = written.lock().unwrap().clone();
    for (id, state) in written {
        assert_eq!(admin.get(&format!("{KEYS}/{id}")).await.ok()["status"], state, "{id}");
    }
    admin.act(&key.id, "revoke", None).await.ok();
    assert!(edge.sees(&origin, &key.raw).await.is_err());
    origin.stop().await;
    tokio::task::spawn_blocking(move || drop(postgres)).await.unwrap();
}

/// Creates keys until it is stopped, and revokes every second; notes what was answered as done.
async fn write(admin: Client, stop: Arc<AtomicBool>, written: Arc<Mutex<Vec<(String, &'static str)>>>) {
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let made = admin.try_create(json!({})).await;
        if made.status >= 500 {
            continue;
        }
        let id = made.ok()["api_key"]["id"].as_str().unwrap().to_owned();
        turn += 1;
        if turn % 2 == 0 {
            written.lock().unwrap().push((id, "active"));
        } else if admin.act(&id, "revoke", None).await.status == 200 {
            written.lock().unwrap().push((id, "revoked"));
        }
    }
}

#[tokio::test]
async fn without_a_database_requests_are_told_so_within_seconds() {
    let mut origin = Origin::start().await;
    origin.stop().await;
    let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let options = Options { dir: home.path().join("postgres"), durable: false, binaries: pg_bin() };
    let postgres = tokio::task::spawn_blocking(move || PrivatePostgres::start(&options)).await.unwrap().unwrap();
    std::fs::remove_dir_all(origin.data.path()).unwrap();
    origin.restart_on(postgres.url()).await;
    let admin = origin.admin();
    admin.create(json!({})).await;
    tokio::task::spawn_blocking(move || drop(postgres)).await.unwrap();
    let began = Instant::now();
    admin.try_create(json!({})).await.refused(503, "database_unavailable");
    admin.get("/readyz").await.refused(503, "database_unavailable");
    origin.edge().get("/edge/v1/snapshot").await.refused(503, "database_unavailable");
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(admin.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_when_its_connection_broke_is_there_once_and_is_answered_as_done() {
    let mut origin = Origin::start().await;
    let home = tempfile::tempdir().unwrap();
    let url = origin.database.url();
    let socket = Path::new(url.split("host=").nth(1).unwrap().split('&').next().unwrap()).to_owned();
    let unlucky = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(relay(socket.join(".s.PGSQL.5432"), home.path().join(".s.PGSQL.5432"), Arc::clone(&unlucky)));
    origin.restart_on(&url.replace(socket.to_str().unwrap(), home.path().to_str().unwrap())).await;
    let admin = origin.admin();
    // What keys like these need is known from then on, so that the next are made in one message.
    let first = admin.create(json!({})).await;

    let broken = |what: &str| unlucky.lock().unwrap().push(what.as_bytes().to_vec());
    broken("alone");
    let alone = admin.create(json!({"name": "alone"})).await;
    broken("third of three");
    let three = ["first of three", "second of three", "third of three"].map(|name| json!({"name": name}));
    let three = admin.post(&format!("{KEYS}/bulk/create"), json!({"keys": three})).await.ok();
    broken("leaked");
    admin.act(&first.id, "revoke", Some(json!({"reason": "leaked"}))).await.ok();
    assert!(unlucky.lock().unwrap().is_empty(), "no connection broke");

    for raw in [alone.raw.as_str(), three["keys"][2]["raw_key"].as_str().unwrap()] {
        assert_eq!(admin.verdict(raw).await, None);
    }
    assert_eq!(admin.verdict(&first.raw).await.as_deref(), Some("API key is revoked"));
    let twice = "SELECT count(*) FROM (SELECT FROM audit_log GROUP BY action, target, after HAVING count(*) > 1 AND action LIKE 'api_key%') AS twice";
    assert_eq!(origin.database.count(twice).await, 0);
    assert_eq!(origin.database.count("SELECT count(*) FROM api_keys WHERE name LIKE '%three' OR name = 'alone'").await, 4);
}

/// Stands between a server and its Postgres. A connection over which one of `unlucky` was sent breaks at the answer: what it
/// said is done, and nobody heard so.
async fn relay(postgres: PathBuf, here: PathBuf, unlucky: Arc<Mutex<Vec<Vec<u8>>>>) {
    let listener = UnixListener::bind(here).unwrap();
    while let Ok((mut client, _)) = listener.accept().await {
        let (mut server, unlucky) = (UnixStream::connect(&postgres).await.unwrap(), Arc::clone(&unlucky));
        tokio::spawn(async move {
            let (mut asked, mut answered, mut breaks) = (vec![0; 1 << 16], vec![0; 1 << 16], false);
            loop {
                tokio::select! {
                    Ok(read @ 1..) = client.read(&mut asked) => {
                        unlucky.lock().unwrap().retain(|text| {
                            let met = asked[..read].windows(text.len()).any(|part| part == text);
                            breaks |= met;
                            !met
                        });
                        server.write_all(&asked[..read]).await.unwrap();
                    }
                    Ok(read @ 1..) = server.read(&mut answered) => {
                        if breaks {
                            return;
                        }
                        client.write_all(&answered[..read]).await.unwrap();
                    }
                    else => return,
                }
            }
        });
    }
}

fn signal(pid: i32, signal: &str) {
    assert!(Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status().unwrap().success());
}
