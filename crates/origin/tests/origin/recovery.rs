//! The database restored to an earlier time.

use std::{path::Path, process::Command, time::Duration};

use keyward_core::{Digest, Heartbeat, Reason, codec::base64url};
use serde_json::{Value, json};

use crate::{
    edge::Edge,
    harness::{Client, KEYS, MASTER_KEY, Origin, eventually},
    signing::{forgeries, kid, steal, turn},
};

/// The real command, as an operator would run it.
fn command(url: &str, data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.arg("recover").env("DATABASE_URL", url).env("KEYWARD_DATA_DIR", data).env("KEYWARD_MASTER_KEY", base64url(&MASTER_KEY));
    command
}

fn recover(origin: &Origin, url: &str) -> Value {
    done(&mut command(url, origin.data.path()))
}

fn done(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A heartbeat of a time that the database doesn't know of: the feed stood there.
pub async fn seen_at(origin: &Origin, admin: &Client, epoch: u32, seq: u64) -> String {
    let feed = steal(origin, &kid(admin, "feed", "active").await).await;
    let iat_ms = origin.now().millis();
    feed.sign(&Heartbeat { epoch, seq, iat_ms, manifest: 1, digest: Digest::of("that of then") }).unwrap()
}

async fn all_stands_still(admin: &Client, edge: &Client) {
    admin.try_create(json!({})).await.refused(503, "recovery_required");
    admin.get(KEYS).await.refused(503, "recovery_required");
    for path in ["feed?epoch=1&after=0&manifest=1&wait_ms=0", "snapshot", "manifest", "policies/1"] {
        edge.get(&format!("/edge/v1/{path}")).await.refused(503, "recovery_required");
    }
    admin.get("/readyz").await.refused(503, "recovery_required");
    assert_eq!(admin.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn after_a_restore_all_stands_still_until_recover_and_then_nothing_of_the_lost_time_counts() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let (kept, revoked_later) = (admin.create(json!({})).await, admin.create(json!({})).await);
    origin.stop().await;
    let backup = origin.database.copy().await;

    origin.restart().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    admin.act(&revoked_later.id, "revoke", None).await.ok();
    let lost = admin.create(json!({"rate_limit_per_hour": 77})).await;
    let lost_policy = edge.sees(&origin, &lost.raw).await.unwrap().policy();
    assert_eq!(edge.sees(&origin, &revoked_later.raw).await, Err(Reason::Revoked));
    let seen = edge.position();
    origin.stop().await;

    origin.restart_on(&backup.url()).await;
    all_stands_still(&origin.admin(), &origin.edge()).await;
    // Also over a restart.
    origin.restart_on(&backup.url()).await;
    all_stands_still(&origin.admin(), &origin.edge()).await;

    let done = recover(&origin, &backup.url());
    assert_eq!((&done["epoch"], &done["revoked_again"]), (&json!(2), &json!(1)));
    let admin = origin.admin();
    eventually("the running server goes on", async || (admin.get("/readyz").await.status == 200).then_some(())).await;
    // The same edge follows, and knows what it should.
    assert!(edge.sees(&origin, &kept.raw).await.is_ok());
    assert_eq!(edge.position().epoch, 2);
    assert!(edge.position() > seen);
    assert_eq!(edge.sees(&origin, &revoked_later.raw).await, Err(Reason::Revoked));
    assert_eq!(edge.sees(&origin, &lost.raw).await, Err(Reason::Revoked));
    assert_eq!(admin.verdict(&revoked_later.raw).await.unwrap(), "API key is revoked");
    assert_eq!(admin.verdict(&lost.raw).await.unwrap(), "Invalid API key");
    admin.get(&format!("{KEYS}/{}", lost.id)).await.refused(404, "not_found");
    // New numbers are past all that were ever given out.
    let fresh = admin.create(json!({"rate_limit_per_hour": 78})).await;
    let key = edge.sees(&origin, &fresh.raw).await.unwrap();
    assert!(u64::from(key.index().0) >= done["first_index"].as_u64().unwrap());
    assert!(u64::from(key.policy().0) >= done["first_policy"].as_u64().unwrap() && key.policy() > lost_policy);
    assert_eq!(edge.policy(&origin, key.policy()).await.claims().limits.rate_per_hour, Some(78));
    assert!(Edge::start(&origin).await.sees(&origin, &kept.raw).await.is_ok());
    backup.drop().await;
}

#[tokio::test]
async fn an_edge_that_has_seen_more_than_the_database_knows_stops_the_server() {
    let origin = Origin::start().await;
    let (admin, edge) = (origin.admin(), origin.edge());
    admin.create(json!({})).await;
    // What nobody can have seen is no sign of that, and isn't written down.
    for (epoch, after, manifest, field) in [
        (1, u64::MAX, 1, "after"),
        (1, i64::MAX as u64, 1, "after"),
        (900, 1 << 53, 1, "after"),
        (u32::MAX, 0, 1, "epoch"),
        (1, 0, u64::MAX, "manifest"),
    ] {
        let answer = edge.get(&format!("/edge/v1/feed?epoch={epoch}&after={after}&manifest={manifest}&wait_ms=0")).await;
        assert_eq!(answer.problem(), (422, "validation_failed".into(), field.into()), "{epoch} {after} {manifest}");
    }
    // Nor is what it can't show: its key alone stops nothing.
    let claim = "/edge/v1/feed?epoch=1&after=500&manifest=1&wait_ms=0";
    let heartbeat = edge.get("/edge/v1/snapshot").await.ok()["heartbeat"].as_str().unwrap().to_owned();
    for shown in ["".to_owned(), format!("&heartbeat={heartbeat}"), "&heartbeat=nonsense".to_owned()] {
        edge.get(&format!("{claim}{shown}")).await.refused(409, "position_unproved");
    }
    admin.create(json!({})).await;
    let shown = seen_at(&origin, &admin, 1, 500).await;
    edge.get(&format!("{claim}&heartbeat={shown}")).await.refused(503, "recovery_required");
    all_stands_still(&admin, &edge).await;
    recover(&origin, &origin.database.url());
    eventually("the running server goes on", async || (admin.get("/readyz").await.status == 200).then_some(())).await;
    let mut edge = Edge::start(&origin).await;
    assert!(edge.position().seq >= 500 && edge.position().epoch == 2);
    let key = admin.create(json!({})).await;
    assert!(edge.sees(&origin, &key.raw).await.is_ok());
}

#[tokio::test]
async fn a_signing_key_that_was_frozen_after_the_backup_is_frozen_again() {
    let mut origin = Origin::start().await;
    let key = origin.admin().create(json!({})).await;
    origin.stop().await;
    let backup = origin.database.copy().await;
    origin.restart().await;
    let admin = origin.admin();
    let (first, second) = (kid(&admin, "api-key", "active").await, kid(&admin, "token", "active").await);
    let stolen = steal(&origin, &first).await;
    let forged = forgeries(&stolen, &key.raw);
    turn(&admin, &first, "freeze").await.ok();
    // Frozen and then retired is over, and stays so.
    turn(&admin, &second, "freeze").await.ok();
    turn(&admin, &second, "retire").await.ok();
    origin.stop().await;

    origin.restart_on(&backup.url()).await;
    recover(&origin, &backup.url());
    let admin = origin.admin();
    eventually("the running server goes on", async || (admin.get("/readyz").await.status == 200).then_some(())).await;
    assert_eq!((kid(&admin, "api-key", "frozen").await, kid(&admin, "token", "retired").await), (first, second));
    let mut edge = Edge::start(&origin).await;
    for text in &forged {
        assert_eq!(edge.sees(&origin, text).await, Err(Reason::NotIssued));
        assert_eq!(admin.verdict(text).await.unwrap(), "Invalid API key");
    }
    assert!(edge.sees(&origin, &key.raw).await.is_ok());
    let fresh = admin.create(json!({})).await;
    assert!(edge.sees(&origin, &fresh.raw).await.is_ok());
    backup.drop().await;
}

#[tokio::test]
async fn a_recovery_without_the_journal_is_asked_for_by_name_and_a_server_that_has_it_stands_still_until_it_is_read() {
    let mut origin = Origin::start().await;
    let (revoked, frozen) = (origin.admin().create(json!({})).await, kid(&origin.admin(), "token", "active").await);
    origin.stop().await;
    let (backup, elsewhere) = (origin.database.copy().await, tempfile::tempdir().unwrap());
    origin.restart().await;
    origin.admin().act(&revoked.id, "revoke", None).await.ok();
    turn(&origin.admin(), &frozen, "freeze").await.ok();
    origin.stop().await;

    origin.restart_on(&backup.url()).await;
    let refused = command(&backup.url(), elsewhere.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no journal in"), "{refused:?}");
    // The server that runs takes no epoch over in which the key counts again; nor does it after a restart.
    assert_eq!(done(command(&backup.url(), elsewhere.path()).arg("--without-journal"))["revoked_again"], 0);
    eventually("the server has seen the new epoch", async || {
        (backup.count("SELECT count(*) FROM feed_state WHERE epoch = 2 AND recovery LIKE '%counts again%'").await == 1).then_some(())
    })
    .await;
    all_stands_still(&origin.admin(), &origin.edge()).await;
    backup.execute("UPDATE feed_state SET recovery = NULL").await;
    origin.restart_on(&backup.url()).await;
    all_stands_still(&origin.admin(), &origin.edge()).await;

    // Another server's journal counts, wherever the command is run.
    let journal = origin.data.path().join("journal");
    let again = done(command(&backup.url(), elsewhere.path()).arg("--journal").arg(&journal).arg("--journal").arg(&journal));
    assert_eq!(again["revoked_again"], 1);
    eventually("the server goes on", async || (origin.admin().get("/readyz").await.status == 200).then_some(())).await;
    assert_eq!(origin.admin().verdict(&revoked.raw).await.unwrap(), "API key is revoked");
    assert_eq!(kid(&origin.admin(), "token", "frozen").await, frozen);
    origin.stop().await;
    backup.drop().await;
}

#[tokio::test]
async fn a_data_directory_and_a_database_of_two_deployments_do_not_meet() {
    let mut origin = Origin::start().await;
    origin.stop().await;
    let empty = crate::harness::Database::create().await;
    let output = Command::new(env!("CARGO_BIN_EXE_keyward"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("DATABASE_URL", empty.url())
        .env("KEYWARD_DATA_DIR", origin.data.path())
        .env("KEYWARD_MASTER_KEY", base64url(&MASTER_KEY))
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("restore its database"));
    // And not to an hour in which positions alone were taken: the journal has those too.
    origin.restart().await;
    let admin = origin.admin();
    admin.create(json!({})).await;
    origin.stop().await;
    origin.database.execute("SELECT setval('position_blocks', 0, true)").await;
    origin.restart().await;
    let stopped = origin.admin().try_create(json!({})).await;
    stopped.refused(503, "recovery_required");
    tokio::time::timeout(Duration::from_secs(10), empty.drop()).await.unwrap();
}
