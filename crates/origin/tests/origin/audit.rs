//! Who did what stands in a trail that nobody can change unseen.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    time::Duration,
};

use keyward_core::AuditRecord;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

use crate::harness::{Client, KEYS, Origin};

const AUDIT: &str = "/api/v1/audit";

/// The records that a query finds.
async fn records(client: &Client, query: &str) -> Vec<AuditRecord> {
    serde_json::from_value(client.get(&format!("{AUDIT}?{query}")).await.ok()).expect("records")
}

fn actions(records: &[AuditRecord]) -> Vec<&str> {
    records.iter().map(|record| record.action.as_str()).collect()
}

/// `keyward audit verify - …` over an export.
fn verify(export: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.args(["audit", "verify", "-"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(export.as_bytes());
    child.wait_with_output().unwrap()
}

/// What `verify` proved, or what it found to be wrong.
fn verdict(export: &str, arguments: &[&str]) -> Result<Value, String> {
    let output = verify(export, arguments);
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn every_change_is_recorded_with_who_from_where_and_what_it_was_before_and_no_secret() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let manager = admin.create(json!({"capabilities": ["keys:*", "llm:*"], "scope": "tenant", "owner_id": "ann"})).await;
    let ann = origin.client(&manager.raw);
    let key = ann.create(json!({"name": "first", "capabilities": ["llm:gpt-4"], "rate_limit_per_hour": 7})).await;
    let once = [("idempotency-key", "once"), ("user-agent", "curl/8 (tést)")];
    let retried = ann.send("POST", KEYS, Some(&json!({"name": "second"})), &once).await.ok();
    assert_eq!(ann.send("POST", KEYS, Some(&json!({"name": "second"})), &once).await.ok()["raw_key"], retried["raw_key"]);
    ann.act(&key.id, "patch", Some(json!({"name": "renamed", "rate_limit_per_hour": 8}))).await.ok();
    ann.act(&key.id, "suspend", None).await.ok();
    ann.act(&key.id, "suspend", None).await.ok();
    ann.act(&key.id, "resume", None).await.ok();
    let rotated = ann.act(&key.id, "rotate", None).await.ok();
    ann.act(&key.id, "revoke", None).await.ok();
    ann.act(&key.id, "revoke", None).await.ok();
    let plan = rotated["api_key"]["policy"].as_u64().unwrap();
    ann.post(&format!("/api/v1/policies/{plan}/supersede"), json!({"daily_quota": 9})).await.ok();

    let mut found = records(&admin, &format!("key={}", key.id)).await;
    found.reverse();
    // Again is as good as once: what changes nothing is no change.
    let expected = ["api_key_created", "api_key_updated", "api_key_suspended", "api_key_resumed", "api_key_rotated", "api_key_revoked"];
    assert_eq!(actions(&found), expected);
    for record in &found {
        let actor = record.actor.as_ref().unwrap();
        assert_eq!((actor.key.to_string(), actor.owner.as_str()), (manager.id.clone(), "ann"));
        assert_eq!(record.address.as_deref(), Some("127.0.0.1"));
        assert!(record.request_id.is_some());
    }
    let show = |members: &Option<keyward_core::AuditMembers>| serde_json::to_value(members).unwrap();
    assert_eq!(show(&found[0].after)["name"], "first");
    let (before, after) = (show(&found[1].before), show(&found[1].after));
    assert_eq!((&before["name"], &after["name"]), (&json!("first"), &json!("renamed")));
    assert_eq!((&before["limits"]["rate_per_hour"], &after["limits"]["rate_per_hour"]), (&json!(7), &json!(8)));
    assert_eq!(before["capabilities"], json!(null), "only what changed");
    assert_eq!((show(&found[2].before), show(&found[2].after)), (json!({"state": "active"}), json!({"state": "suspended"})));

    let all = admin.get(&format!("{AUDIT}?limit=1000")).await;
    let request = all.headers["x-request-id"].to_str().unwrap().to_owned();
    for raw in [&key.raw, rotated["new_raw_key"].as_str().unwrap(), retried["raw_key"].as_str().unwrap(), &ann.key] {
        assert!(!all.text.contains(&raw[60..100]), "a secret stands in the trail");
    }
    let all: Vec<AuditRecord> = serde_json::from_str(&all.text).unwrap();
    assert_eq!(all.iter().filter(|record| record.action == "policy_superseded").count(), 1);
    let second = all.iter().find(|record| show(&record.after)["name"] == "second").unwrap();
    assert_eq!(second.user_agent.as_deref(), Some("curl/8 (tst)"));
    assert_eq!(all.iter().filter(|record| record.action == "api_key_created").count(), 5, "the first two keys among them");
    // Reading is recorded too, by the request's name.
    let newest = &records(&admin, "limit=1").await[0];
    assert_eq!((newest.action.as_str(), newest.request_id.unwrap().to_string()), ("audit_read", request));
}

#[tokio::test]
async fn a_search_finds_by_actor_action_key_and_time_and_pages_without_gap_or_repetition() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let manager = admin.create(json!({"capabilities": ["keys:*"], "scope": "tenant"})).await;
    let early = origin.now();
    origin.advance(Duration::from_secs(3600));
    let mut keys = Vec::new();
    for _ in 0..7 {
        keys.push(origin.client(&manager.raw).create(json!({})).await);
    }
    origin.advance(Duration::from_secs(3600));
    admin.act(&keys[0].id, "revoke", None).await.ok();

    let by_actor = records(&admin, &format!("actor={}", manager.id)).await;
    assert_eq!(by_actor.len(), 7);
    assert_eq!(actions(&records(&admin, "action=api_key_revoked").await), ["api_key_revoked"]);
    assert_eq!(actions(&records(&admin, &format!("key={}", keys[0].id)).await), ["api_key_revoked", "api_key_created"]);
    let both = format!("key={}&action=api_key_created&actor={}", keys[0].id, manager.id);
    assert_eq!(records(&admin, &both).await.len(), 1);
    let moment = |plus: u64| {
        let moment = time::OffsetDateTime::from_unix_timestamp((early.secs() + plus) as i64).unwrap();
        moment.format(&time::format_description::well_known::Rfc3339).unwrap()
    };
    let (first, last) = (moment(1800), moment(5400));
    assert_eq!(records(&admin, &format!("from={first}&to={last}")).await.len(), 7);
    assert_eq!(records(&admin, &format!("to={first}")).await.len(), 3);
    assert_eq!(records(&admin, &format!("from={}", moment(10_000))).await.len(), 0);
    assert_eq!(actions(&records(&admin, &format!("from={last}&action=api_key_revoked")).await), ["api_key_revoked"]);

    let (mut seen, mut next) = (Vec::new(), Some(format!("{AUDIT}?actor={}&limit=3", manager.id)));
    while let Some(path) = next {
        let answer = admin.get(&path).await;
        next = answer.headers.get("link").map(|link| link.to_str().unwrap().split(['<', '>']).nth(1).unwrap().to_owned());
        seen.extend(serde_json::from_str::<Vec<AuditRecord>>(&answer.text).unwrap());
    }
    assert_eq!(seen, by_actor);
    for query in ["from=yesterday", "actor=x", "limit=0", "limit=1001", "nonsense=1", "cursor=-1"] {
        admin.get(&format!("{AUDIT}?{query}")).await.refused(422, "validation_failed");
    }
}

#[tokio::test]
async fn the_trail_is_read_by_tenant_and_admin_scope_and_only_ones_own() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let other = crate::tenants::other(&origin).await;
    admin.send("POST", &format!("{KEYS}?tenant={other}"), Some(&json!({"name": "theirs"})), &[]).await.ok();
    let user = origin.caller(json!({"capabilities": ["audit:read"]})).await;
    user.get(AUDIT).await.refused(403, "scope_insufficient");
    let tenant = origin.caller(json!({"capabilities": ["audit:read"], "scope": "tenant"})).await;
    tenant.get(&format!("{AUDIT}?tenant={other}")).await.refused(403, "scope_insufficient");
    assert!(records(&tenant, "").await.iter().all(|record| record.tenant.to_string() != other));
    let theirs = records(&admin, &format!("tenant={other}")).await;
    assert_eq!(actions(&theirs), ["api_key_created"]);
    // A foreign admin is named as one.
    assert_ne!(theirs[0].actor.as_ref().unwrap().tenant, theirs[0].tenant);
    assert_eq!(theirs[0].seq, 1);
}

#[tokio::test]
async fn a_denial_names_who_proved_a_key_and_a_thousand_are_one_record() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let weak = admin.create(json!({"capabilities": ["llm:*"]})).await;
    let caller = origin.client(&weak.raw);
    for _ in 0..50 {
        caller.get(KEYS).await.refused(403, "capability_missing");
    }
    let manager = admin.create(json!({"capabilities": ["keys:*"], "scope": "tenant"})).await;
    origin.client(&manager.raw).try_create(json!({"scope": "admin"})).await.refused(403, "grant_exceeded");
    admin.act(&weak.id, "revoke", None).await.ok();
    caller.get(KEYS).await.refused(401, "key_revoked");
    // Of whom nothing is proved, nothing is written.
    origin.client("junk").get(KEYS).await.refused(401, "invalid_token");
    let denied = records(&admin, "action=management_denied").await;
    let details: Vec<_> = denied
        .iter()
        .map(|record| {
            let actor = record.actor.as_ref().unwrap().key.to_string();
            let details = record.details.as_ref().unwrap();
            (actor, details["code"].as_str().unwrap(), details["route"].as_str().unwrap(), details["count"].as_u64().unwrap())
        })
        .collect();
    let expected =
        [(weak.id.clone(), "key_revoked", KEYS, 1), (manager.id, "grant_exceeded", KEYS, 1), (weak.id, "capability_missing", KEYS, 50)];
    assert_eq!(details, expected);
    assert_eq!(denied[0].address.as_deref(), Some("127.0.0.1"));
    let metrics = admin.get("/metrics").await.text;
    assert!(metrics.contains("keyward_unproved_refusals_total 1"), "{metrics}");
}

#[tokio::test]
async fn under_concurrent_creates_and_changes_the_chain_has_no_gap_and_a_checkpoint_proves_all_of_it() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let beside = origin.beside().await;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let admin = if worker % 2 == 0 { admin.clone() } else { beside.admin() };
        tasks.spawn(async move {
            for _ in 0..12 {
                // Text that means something to JSON, to SQL or to arrays of either, and more than one byte a character.
                let key = admin.create(json!({"name": "\"it's\", {NULL,\\000} é\u{2028}🗝", "description": "null"})).await;
                if worker % 4 == 0 {
                    admin.act(&key.id, "revoke", Some(json!({"reason": "{\"a\":null} ''\\x00 – 🗝"}))).await.ok();
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let root = origin.file("root.pub");
    let export = admin.get(&format!("{AUDIT}/export")).await.text;
    let proof = verdict(&export, &["--root", &root]).unwrap();
    // The first two keys, 96 creates, 24 revokes, and the export itself.
    let count = 2 + 8 * 12 + 2 * 12 + 1;
    assert_eq!((&proof["last"], &proof["proved"]), (&json!(count), &json!(count)), "{proof}");
    // A server that ends signs the end of every trail.
    admin.create(json!({})).await;
    origin.stop().await;
    let kept = beside.admin().get(&format!("{AUDIT}/checkpoints")).await.ok();
    assert_eq!(kept["checkpoints"][0]["seq"], count + 1);
    assert_eq!(kept["checkpoints"][1]["seq"], count);
}

#[tokio::test]
async fn verify_finds_what_the_owner_of_the_database_edits_removes_reorders_and_cuts_off() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    for name in ["a", "b", "c", "d"] {
        admin.create(json!({"name": name})).await;
    }
    let root = origin.file("root.pub");
    let kept = admin.post(&format!("{AUDIT}/checkpoints"), json!({})).await.text;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &kept).unwrap();
    let path = file.path().to_str().unwrap();
    let with_both = ["--root", &root, "--checkpoint", path];
    let export = async || admin.get(&format!("{AUDIT}/export")).await.text;
    assert_eq!(verdict(&export().await, &with_both).unwrap()["proved"], 7);
    // Without the root, what was kept is believed, and what comes along is not.
    assert_eq!(verdict(&export().await, &["--checkpoint", path]).unwrap()["proved"], 6);

    let mut owner = origin.database.connect().await;
    let disarm = "ALTER TABLE audit_log DISABLE TRIGGER USER; ALTER TABLE audit_heads DISABLE TRIGGER USER;
                  ALTER TABLE audit_log DROP CONSTRAINT audit_log_seq_check;
                  DELETE FROM audit_log WHERE seq > 6;
                  CREATE TABLE untouched AS SELECT * FROM audit_log";
    owner.execute(disarm).await.unwrap();
    let cases = [
        ("UPDATE audit_log SET actor_owner = 'bob' WHERE seq = 4", "record 4 was changed"),
        ("UPDATE audit_log SET address = '10.0.0.1' WHERE seq = 3", "record 3 was changed"),
        ("UPDATE audit_log SET after = replace(after, '\"b\"', '\"x\"') WHERE seq = 4", "record 4 was changed"),
        ("UPDATE audit_log SET at_ms = at_ms - 1 WHERE seq = 5", "record 5 was changed"),
        ("UPDATE audit_log SET before = '{}' WHERE seq = 2", "record 2 was changed"),
        ("UPDATE audit_log SET prev = hash, hash = prev WHERE seq = 2", "record 2 was changed"),
        ("DELETE FROM audit_log WHERE seq = 4", "records 4 to 4 are missing"),
        ("DELETE FROM audit_log WHERE seq <= 2", "records 1 to 2 are missing"),
        ("UPDATE audit_log SET seq = -seq WHERE seq IN (3, 4); UPDATE audit_log SET seq = 7 + seq WHERE seq < 0", "record 3 was changed"),
        ("DELETE FROM audit_log WHERE seq >= 5", "records 5 to 6 are missing"),
        // The end taken off so well that the chain goes on without a seam: only what was kept elsewhere tells.
        (
            "DELETE FROM audit_log WHERE seq >= 5; UPDATE audit_heads SET seq = 4, hash = (SELECT hash FROM audit_log WHERE seq = 4)",
            "records 6 to 6 are missing at the end",
        ),
    ];
    for (tamper, expected) in cases {
        let restore = "DELETE FROM audit_log; INSERT INTO audit_log SELECT * FROM untouched;
                       UPDATE audit_heads SET seq = 6, hash = (SELECT hash FROM untouched WHERE seq = 6)";
        owner.execute(restore).await.unwrap();
        owner.execute(AssertSqlSafe(tamper.to_owned())).await.expect(tamper);
        let found = verdict(&export().await, &with_both).unwrap_err();
        assert!(found.contains(expected), "{tamper}: {found}");
    }
    // Over a trail that isn't the one that it signed, the server signs no more.
    admin.post(&format!("{AUDIT}/checkpoints"), json!({})).await.refused(500, "internal");
}

#[tokio::test]
async fn a_trail_is_append_only_for_every_role_and_nobody_signs_a_checkpoint_but_the_origin() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    admin.post(&format!("{AUDIT}/checkpoints"), json!({})).await.ok();
    let tenant = tenant_of(&origin).await;
    for role in ["keyward_app", "keyward_system", "none"] {
        let mut connection = origin.database.connect().await;
        connection.execute(AssertSqlSafe(format!("SET ROLE {role}"))).await.unwrap();
        connection.execute(AssertSqlSafe(format!("SET keyward.tenant = '{tenant}'"))).await.unwrap();
        for statement in [
            "UPDATE audit_log SET actor_owner = 'bob'",
            "DELETE FROM audit_log",
            "TRUNCATE audit_log",
            "UPDATE audit_checkpoints SET seq = 9",
            "DELETE FROM audit_checkpoints",
            "UPDATE audit_heads SET seq = seq - 1",
            "DELETE FROM audit_heads",
            "TRUNCATE audit_heads",
        ] {
            let refused = connection.execute(statement).await.unwrap_err().to_string();
            let words = ["append-only", "permission denied", "only goes on"];
            assert!(words.iter().any(|words| refused.contains(words)), "{role}: {statement}: {refused}");
        }
    }
    // A checkpoint by another key, or of another kind, proves nothing.
    let export = admin.get(&format!("{AUDIT}/export")).await.text;
    let root = origin.file("root.pub");
    assert!(verdict(&export, &["--root", &root]).is_ok());
    let (head, rest) = export.split_once('\n').unwrap();
    let mut head: Value = serde_json::from_str(head).unwrap();
    let mut forged = head["checkpoint"].as_str().unwrap().to_owned();
    forged.truncate(forged.len() - 8);
    forged.push_str("AAAAAAAA");
    head["checkpoint"] = json!(forged);
    let found = verdict(&format!("{head}\n{rest}"), &["--root", &root]).unwrap_err();
    assert!(found.contains("signature does not hold"), "{found}");
    let other = Origin::start().await.file("root.pub");
    assert!(verdict(&export, &["--root", &other]).unwrap_err().contains("root has not signed"));
}

/// The tenant that the first start made.
async fn tenant_of(origin: &Origin) -> String {
    let mut owner = origin.database.connect().await;
    let row = owner.fetch_one("SELECT id::text FROM tenants").await.unwrap();
    sqlx::Row::get(&row, 0)
}

#[tokio::test]
async fn tokens_that_were_made_stand_in_the_trail_by_key_and_way_with_their_number() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = origin.key(json!({"capabilities": ["llm:gpt-4"]})).await;
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:keyward:token-type:api-key"),
        ("subject_token", key.raw.as_str()),
    ];
    for _ in 0..3 {
        let answer = origin.anyone().form("/oauth/token", &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // One that is refused makes none, and one that is handed out again is the same.
    let wider = [&form[..], &[("scope", "llm:groq")]].concat();
    assert_eq!(origin.anyone().form("/oauth/token", &wider).await.status, 400);
    for _ in 0..2 {
        assert_eq!(admin.verdict(&key.raw).await, None);
    }
    let tokens = records(&admin, "action=token_issued").await;
    let mut counts: Vec<_> = tokens
        .iter()
        .map(|record| {
            assert_eq!(record.target.as_ref().map(|target| target.id.as_str()), Some(key.id.as_str()));
            let details = record.details.as_ref().unwrap();
            assert!(details["last_jti"].is_string() && !serde_json::to_string(record).unwrap().contains(&key.raw[20..60]));
            let actor = record.actor.as_ref().unwrap().key.to_string();
            (details["count"].clone(), actor == key.id)
        })
        .collect();
    counts.sort_by_key(|(count, _)| count.as_u64());
    // By the one who validates, and by the holder itself.
    assert_eq!(counts, [(json!(1), false), (json!(3), true)]);
}

#[tokio::test]
async fn who_reads_the_trail_without_end_does_not_write_without_end() {
    let origin = Origin::start().await;
    let auditor = origin.caller(json!({"scope": "tenant", "capabilities": ["audit:read"]})).await;
    for _ in 0..250 {
        auditor.get(&format!("{AUDIT}?limit=1")).await.ok();
    }
    let export = async || auditor.get(&format!("{AUDIT}/export?to=2026-01-01T00:00:00Z")).await;
    let mut exports = 0;
    while export().await.status == 200 {
        exports += 1;
    }
    assert!((60..65).contains(&exports), "{exports}");
    export().await.refused(429, "rate_limited");
    let read = records(&origin.admin(), "limit=1000&action=audit_read").await;
    let counts: Vec<_> = read.iter().map(|record| record.details.as_ref().unwrap().get("count").and_then(Value::as_u64)).collect();
    assert_eq!(counts.iter().map(|count| count.unwrap_or(1)).sum::<u64>(), 250);
    assert!(counts.len() < 250, "{counts:?}");
    origin.advance(Duration::from_secs(60));
    assert_eq!(export().await.status, 200);
}
