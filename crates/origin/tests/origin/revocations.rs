//! Revocations of the same moment, which share a commit.

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::Executor;

use crate::harness::{Client, KEYS, Origin, eventually};

/// Sends a revocation.
async fn revoke(client: &Client, id: &str, reason: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let body = json!({"reason": reason});
    let answer = client.send("DELETE", &format!("{KEYS}/{id}/revoke"), Some(&body), headers).await;
    if answer.status == 200 {
        return (200, answer.json()["key_id"].as_str().unwrap().to_owned());
    }
    let (status, code, _) = answer.problem();
    (status, code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_those_that_are_asked_for_together_is_answered_for_itself_and_none_stands_in_anothers_way() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let keys = join_all((0..24).map(|_| origin.key(json!({})))).await;
    let (stale, twice) = (origin.key(json!({})).await, origin.key(json!({})).await);
    let mate = origin.caller(json!({"owner_id": "mate", "capabilities": ["keys:revoke"]})).await;
    let other = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other", "first_key": true})).await.ok();
    let other = origin.client(other["first_key"]["raw_key"].as_str().unwrap());
    let theirs = other.create(json!({})).await;
    let before = origin.database.count("SELECT seq FROM feed_state").await;

    // While somebody holds the end of the trail, nothing commits: all that comes meanwhile goes together.
    let mut holder = origin.database.connect().await;
    holder.execute("BEGIN; SELECT FROM audit_heads FOR UPDATE").await.unwrap();
    let wrong_tag = [("if-match", "\"1.1.active\""), ("x", "x")];
    let nobody = uuid::Uuid::nil().to_string();
    let ((first, second, refused, missing, foreign, crossing), mine, ()) = tokio::join!(
        async {
            tokio::join!(
                revoke(&admin, &twice.id, "first or second", &[]),
                revoke(&admin, &twice.id, "first or second", &[]),
                revoke(&admin, &stale.id, "stale", &wrong_tag[..1]),
                revoke(&admin, &nobody, "nobody's", &[]),
                revoke(&mate, &keys[0].id, "another owner's", &[]),
                revoke(&other, &theirs.id, "another tenant's", &[]),
            )
        },
        join_all(keys.iter().map(|key| revoke(&admin, &key.id, &key.id, &[]))),
        async {
            let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
            eventually("a batch waits", async || (origin.database.count(waiting).await > 0).then_some(())).await;
            holder.execute("COMMIT").await.unwrap();
        }
    );
    assert_eq!((first, second), ((200, twice.id.clone()), (200, twice.id.clone())));
    assert_eq!(refused, (412, "precondition_failed".to_owned()));
    assert_eq!(missing, (404, "not_found".to_owned()));
    assert_eq!(foreign, (404, "not_found".to_owned()));
    assert_eq!(crossing, (200, theirs.id.clone()));
    for (key, answer) in keys.iter().zip(mine) {
        assert_eq!(answer, (200, key.id.clone()));
        let shown = admin.get(&format!("{KEYS}/{}", key.id)).await.ok();
        assert_eq!((&shown["status"], &shown["revocation_reason"]), (&json!("revoked"), &json!(key.id)));
        assert_eq!(admin.verdict(&key.raw).await.as_deref(), Some("API key is revoked"));
    }
    assert_eq!(admin.get(&format!("{KEYS}/{}", stale.id)).await.ok()["status"], "active");
    let commits = origin.database.count("SELECT seq FROM feed_state").await - before;
    assert!((2..26).contains(&commits), "{commits} commits for 26 revocations");
    // Each of them stands in the trail once.
    let trail = admin.get("/api/v1/audit?action=api_key_revoked&limit=100").await.ok();
    let mut told: Vec<&Value> = trail.as_array().unwrap().iter().map(|record| &record["target"]["id"]).collect();
    told.sort_by_key(|id| id.as_str());
    let mut expected: Vec<Value> = keys.iter().map(|key| json!(key.id)).chain([json!(twice.id)]).collect();
    expected.sort_by_key(|id| id.as_str().map(str::to_owned));
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_is_held_against_the_committed_row_whatever_a_server_remembers() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    admin.create(json!({"name": "may nothing", "scope": "tenant"})).await;
    let may = json!({"scope": "tenant", "capabilities": ["keys:create", "keys:revoke"]});
    let (key, victim) = (admin.create(may).await, admin.create(json!({})).await);
    let caller = origin.client(&key.raw);
    let set = async |what: &str| origin.database.execute(&format!("UPDATE credentials SET {what} WHERE api_key = '{}'", key.id)).await;
    // Done behind the server's back, and so as by another one a moment ago: nobody has told it yet.
    for (what, code) in [
        ("status = 1", "key_revoked"),
        ("status = 2", "key_suspended"),
        ("status = 3, amended_policy = policy, amended_expires = 'epoch'", "key_expired"),
        ("status = 3, amended_policy = (SELECT policy FROM api_keys WHERE name = 'may nothing')", "capability_missing"),
    ] {
        for act in ["create", "create wrongly", "revoke"] {
            set("status = 0, amended_policy = NULL, amended_expires = NULL").await;
            // No more is a no believed that is of before; and from here on it is known as it is.
            caller.create(json!({})).await;
            let changes = "SELECT count(*) FROM audit_log WHERE action IN ('api_key_created', 'api_key_revoked')";
            let before = origin.database.count(changes).await;
            set(what).await;
            let refused = match act {
                "create" => caller.try_create(json!({})).await.problem().1,
                // What is wrong with a request is for those to know who may make it.
                "create wrongly" => caller.try_create(json!({"name": ""})).await.problem().1,
                _ => revoke(&caller, &victim.id, "by nobody", &[]).await.1,
            };
            assert_eq!((refused.as_str(), origin.database.count(changes).await - before), (code, 0), "{act}: {what}");
        }
    }
}
