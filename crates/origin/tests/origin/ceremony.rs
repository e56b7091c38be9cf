//! What is done by hand, and rarely: the root kept apart from the server, and another master key.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use keyward_core::{Manifest, PublicKey, codec::base64url};
use keyward_issuer::SigningKey;
use serde_json::{Value, json};

use crate::{
    edge::Edge,
    harness::{Client, MASTER_KEY, Origin, eventually},
};

const SIGNING: &str = "/api/v1/signing-keys";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The real command, as an operator would run it; `master` in its environment.
fn keyward(origin: &Origin, master: Option<&[u8; 32]>, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.args(arguments).env("DATABASE_URL", origin.database.url()).env("KEYWARD_DATA_DIR", origin.data.path());
    match master {
        Some(master) => command.env("KEYWARD_MASTER_KEY", base64url(master)),
        None => command.env_remove("KEYWARD_MASTER_KEY"),
    };
    command
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[track_caller]
fn failed(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The machine that holds the root: no server, no database.
struct Vault {
    home: tempfile::TempDir,
    public: String,
}

impl Vault {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("root.key");
        let made = Command::new(env!("CARGO_BIN_EXE_keyward")).args(["root", "new"]).arg(&file).output().unwrap();
        let public = said(&made);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Command::new(env!("CARGO_BIN_EXE_keyward")).args(["root", "new"]).arg(&file).output().unwrap();
        failed(&again);
        let vault = Self { home, public };
        let shown = Command::new(env!("CARGO_BIN_EXE_keyward")).args(["root", "show"]).arg(vault.file()).output().unwrap();
        assert_eq!(said(&shown), vault.public, "a second `new` left it as it was");
        vault
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("root.key")
    }

    /// Signs a proposal; also what it says about it.
    fn sign(&self, proposal: &Value, pinned: Option<&str>) -> Output {
        let path = self.home.path().join("proposal.json");
        std::fs::File::create(&path).unwrap().write_all(proposal.to_string().as_bytes()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
        command.args(["root", "sign", "--yes", "--key"]).arg(self.file());
        if let Some(pinned) = pinned {
            command.args(["--pinned", pinned]);
        }
        command.arg(path).output().unwrap()
    }
}

async fn proposal(admin: &Client) -> Value {
    admin.get("/api/v1/manifest/proposal").await.ok()
}

async fn publish(admin: &Client, manifest: &str) -> crate::harness::Answer {
    admin.post("/api/v1/manifest", json!({"manifest": manifest})).await
}

#[tokio::test]
async fn a_root_that_is_kept_elsewhere_signs_each_manifest_there_and_edges_that_pin_it_follow() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({})).await;
    let (embedded, vault) = (origin.file("root.pub"), Vault::new());
    // Edges pin the next root before it signs.
    let mut edge = Edge::pinning(&origin, &[&embedded, &vault.public]).await;
    admin.post(SIGNING, json!({"role": "root", "public_key": vault.public})).await.ok();
    admin.post(SIGNING, json!({"role": "root", "public_key": vault.public})).await.refused(409, "already_exists");

    let proposed = proposal(&admin).await;
    failed(&vault.sign(&proposed, None));
    let signed = vault.sign(&proposed, Some(&embedded));
    let words = String::from_utf8_lossy(&signed.stderr).into_owned();
    assert!(words.contains("Manifest 2") && words.contains("The same keys"), "{words}");
    let manifest = said(&signed);
    // Nobody else's, and no other than the one that is due.
    let payload: Manifest = serde_json::from_value(proposed["proposed"].clone()).unwrap();
    let thief = SigningKey::from_seed([3; 32]).sign(&payload).unwrap();
    publish(&admin, &thief).await.refused(422, "validation_failed");
    publish(&admin, "rubbish").await.refused(422, "validation_failed");
    let root = SigningKey::from_text(&std::fs::read_to_string(vault.file()).unwrap()).unwrap();
    for change in [
        |manifest: &mut Manifest| manifest.version += 1,
        |manifest: &mut Manifest| manifest.version -= 1,
        |manifest: &mut Manifest| manifest.epoch += 1,
        |manifest: &mut Manifest| manifest.first_policy += 1,
        |manifest: &mut Manifest| manifest.iss.push('x'),
        |manifest: &mut Manifest| manifest.exp += 400 * 24 * 3600,
        |manifest: &mut Manifest| manifest.keys.truncate(4),
        |manifest: &mut Manifest| manifest.keys[0].state = keyward_core::KeyState::Frozen,
        |manifest: &mut Manifest| manifest.keys[0].x = SigningKey::from_seed([4; 32]).public_key(),
    ] {
        let mut changed = payload.clone();
        change(&mut changed);
        let answer = publish(&admin, &root.sign(&changed).unwrap()).await;
        assert!(matches!(answer.status, 409 | 422), "{answer:?}");
    }
    let before = admin.get(SIGNING).await.ok();
    assert_eq!((&before["manifest"]["version"], &before["manifest"]["root_is_elsewhere"]), (&json!(1), &json!(false)));
    let after = publish(&admin, &manifest).await.ok();
    assert_eq!((&after["manifest"]["version"], &after["manifest"]["root_is_elsewhere"]), (&json!(2), &json!(true)));
    publish(&admin, &manifest).await.refused(409, "manifest_stale");
    assert_eq!(origin.file("root.pub"), vault.public);
    assert!(edge.sees(&origin, &key.raw).await.is_ok());
    assert_eq!(edge.replica.keys().unwrap().manifest().version, 2);
    let old = PublicKey::parse(&embedded).unwrap();
    assert!(Manifest::open(&manifest, &[old], origin.now()).is_err(), "who pins the old one alone stays behind");
    assert_eq!(origin.database.count("SELECT count(*) FROM signing_keys WHERE role = 'root' AND sealed IS NOT NULL").await, 0);

    // From now on a change is a proposal until somebody has signed it.
    origin.restart().await;
    let admin = origin.admin();
    let made = admin.post(SIGNING, json!({"role": "token"})).await.ok();
    assert_eq!((&made["manifest"]["outdated"], &made["signing_key"]["announced_at"]), (&json!(true), &Value::Null));
    let kid = made["signing_key"]["kid"].as_str().unwrap().to_owned();
    origin.advance(DAY);
    admin.send("POST", &format!("{SIGNING}/{kid}/activate"), None, &[]).await.refused(409, "signing_key_unseen");
    // By the command, as where no server runs.
    let proposed: Value =
        serde_json::from_str(&said(&keyward(&origin, Some(&MASTER_KEY), &["root", "propose"]).output().unwrap())).unwrap();
    let signed = vault.sign(&proposed, None);
    assert!(String::from_utf8_lossy(&signed.stderr).contains(&format!("new: Token {kid} is PrePublished")), "{signed:?}");
    let path = vault.home.path().join("manifest.jwt");
    std::fs::write(&path, said(&signed)).unwrap();
    let mut published = keyward(&origin, Some(&MASTER_KEY), &["root", "publish"]);
    assert_eq!(said(&published.arg(&path).output().unwrap()), r#"{"version":3}"#);
    eventually("the server has taken it over", async || (admin.get(SIGNING).await.ok()["manifest"]["outdated"] == false).then_some(()))
        .await;
    origin.advance(Duration::from_secs(120));
    let turned = admin.send("POST", &format!("{SIGNING}/{kid}/activate"), None, &[]).await.ok();
    assert_eq!((&turned["signing_key"]["state"], &turned["manifest"]["outdated"]), (&json!("active"), &json!(true)));
    assert!(edge.sees(&origin, &key.raw).await.is_ok());
    // When the manifest ends is there to be watched.
    let left: f64 = admin
        .get("/metrics")
        .await
        .text
        .lines()
        .find_map(|line| line.strip_prefix("keyward_manifest_expires_seconds "))
        .unwrap()
        .parse()
        .unwrap();
    let days = (left - origin.now().secs() as f64) / DAY.as_secs_f64();
    assert!((170.0..180.0).contains(&days), "{days}");

    // A recovery raises the epoch, which the root has to sign.
    let refused = failed(&keyward(&origin, Some(&MASTER_KEY), &["recover"]).output().unwrap());
    assert!(refused.contains("isn't kept here"), "{refused}");
    said(&keyward(&origin, Some(&MASTER_KEY), &["recover", "--root-key"]).arg(vault.file()).output().unwrap());
    eventually("the edge is in the new epoch", async || {
        edge.sees(&origin, &key.raw).await.ok()?;
        (edge.position().epoch == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_deployment_whose_root_is_elsewhere_goes_by_another_name_and_edges_that_begin_take_its_parts() {
    const NAME: &str = "https://another.example";
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({})).await;
    let (embedded, vault) = (origin.file("root.pub"), Vault::new());
    admin.post(SIGNING, json!({"role": "root", "public_key": vault.public})).await.ok();
    publish(&admin, &said(&vault.sign(&proposal(&admin).await, Some(&embedded)))).await.ok();
    // Parts that name the first issuer.
    assert!(Edge::start(&origin).await.sees(&origin, &key.raw).await.is_ok());

    origin.stop().await;
    let run = |arguments: &[&str]| said(&keyward(&origin, Some(&MASTER_KEY), arguments).output().unwrap());
    let proposed: Value = serde_json::from_str(&run(&["root", "propose", "--issuer", NAME])).unwrap();
    let signed = vault.sign(&proposed, None);
    assert!(String::from_utf8_lossy(&signed.stderr).contains("ISSUER: http://origin.test becomes"), "{signed:?}");
    let path = vault.home.path().join("manifest.jwt");
    std::fs::write(&path, said(&signed)).unwrap();
    run(&["root", "publish", "--issuer", NAME, path.to_str().unwrap()]);
    origin.issuer = NAME;
    origin.restart().await;
    assert!(Edge::start(&origin).await.sees(&origin, &key.raw).await.is_ok());
}

/// Whether a master key opens the deployment.
fn opens(origin: &Origin, master: Option<&[u8; 32]>) -> bool {
    keyward(origin, master, &["root", "propose"]).output().unwrap().status.success()
}

#[tokio::test]
async fn another_master_key_opens_all_from_one_moment_to_the_next_and_the_old_one_nothing() {
    const NEW: [u8; 32] = [8; 32];
    let origin = Origin::start().await;
    let admin = origin.admin();
    let create = async || admin.send("POST", "/api/v1/api-keys", Some(&json!({"name": "once"})), &[("idempotency-key", "one")]).await.ok();
    let key = create().await["raw_key"].clone();
    let rotate = |old: &[u8; 32], new: &[u8; 32]| {
        keyward(&origin, Some(old), &["master-key", "rotate"]).env("KEYWARD_NEW_MASTER_KEY", base64url(new)).output().unwrap()
    };
    failed(&rotate(&[9; 32], &NEW));
    assert!(opens(&origin, Some(&MASTER_KEY)) && !opens(&origin, Some(&NEW)));
    assert!(said(&rotate(&MASTER_KEY, &NEW)).contains("KEYWARD_NEW_MASTER_KEY opens the database now"));
    assert!(!opens(&origin, Some(&MASTER_KEY)) && opens(&origin, Some(&NEW)));
    // Again, after a run of which nobody saw the end.
    assert!(said(&rotate(&MASTER_KEY, &NEW)).contains("already"));
    // The server that runs goes on, also with what it sealed before.
    assert_eq!(create().await["raw_key"], key);
    admin.create(json!({})).await;
}

#[tokio::test]
async fn a_master_key_in_a_file_is_replaced_and_a_run_that_was_cut_off_is_ended_by_the_next() {
    let origin = Origin::start().await;
    let beside = |suffix: &str| PathBuf::from(format!("{}.master.key{suffix}", origin.data.path().display()));
    let (current, next) = (beside(""), beside(".next"));
    let open_to = |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let write = |path: &Path, key: &[u8; 32]| {
        std::fs::write(path, base64url(key)).unwrap();
        open_to(path, 0o600);
    };
    let rotate = || keyward(&origin, None, &["master-key", "rotate"]).output().unwrap();
    write(&current, &MASTER_KEY);
    // What others can read is no secret any more.
    open_to(&current, 0o644);
    assert!(failed(&rotate()).contains("it is open to others (mode 0644): chmod 600 it"));
    open_to(&current, 0o600);
    // Cut off before the commit: the new file opens nothing, and makes room.
    write(&next, &[5; 32]);
    said(&rotate());
    assert!(opens(&origin, None) && !opens(&origin, Some(&MASTER_KEY)) && !next.exists());
    assert_eq!(std::fs::metadata(&current).unwrap().permissions().mode() & 0o777, 0o600);
    // Cut off after it: the file in use opens nothing, and the next run says so and puts the other in its place.
    std::fs::rename(&current, &next).unwrap();
    write(&current, &MASTER_KEY);
    assert!(failed(&keyward(&origin, None, &["root", "propose"]).output().unwrap()).contains("keyward master-key rotate"));
    assert!(said(&rotate()).contains("an earlier run was cut off"));
    assert!(opens(&origin, None) && !next.exists());
    for path in [current, next] {
        let _ = std::fs::remove_file(path);
    }
}
