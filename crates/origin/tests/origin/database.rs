//! Postgres goes away and comes back.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use keyward_postgres::{Options, PrivatePostgres};
use serde_json::json;

use crate::{
    edge::Edge,
    harness::{KEYS, Origin, eventually, pg_bin},
};

#[tokio::test]
async fn a_postgres_that_is_killed_is_started_again_and_the_server_goes_on_without_a_restart() {
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

    for round in 0..2 {
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
    admin.act(&key.id, "revoke", None).await.ok();
    assert!(edge.sees(&origin, &key.raw).await.is_err());
    origin.stop().await;
    tokio::task::spawn_blocking(move || drop(postgres)).await.unwrap();
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

fn signal(pid: i32, signal: &str) {
    assert!(Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status().unwrap().success());
}
