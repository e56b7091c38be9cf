//! The other groups.

use std::time::Duration;

use serde_json::{Value, json};

use super::shell::Shell;
use crate::harness::{Origin, eventually};

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
    assert!(run(&["owners", "list", "--search", &owner[..3]]).await.ok().contains(owner));
    assert!(!run(&["owners", "list", "--search", "nobody"]).await.ok().contains(owner));
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

#[tokio::test]
async fn a_record_of_constraints_that_are_deeper_than_is_taken_by_now_is_read_like_any_other() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let key = origin.key(json!({})).await;
    // As many levels as a request could have.
    let deep = format!(r#"{{"tenant_constraints":{}1{}"#, r#"{"llm:gpt-4":"#.repeat(126), "}".repeat(127));
    let stored = format!("ALTER TABLE audit_log DISABLE TRIGGER USER; UPDATE audit_log SET after = '{deep}' WHERE target = '{}'", key.id);
    origin.database.execute(&stored).await;
    let found = shell.run(&["audit", "search", "--key", &key.id]).await.ok();
    assert!(found.contains("api_key_created"), "{found}");
    let trail = shell.home.path().join("audit.jsonl");
    let trail = trail.to_str().unwrap();
    shell.run(&["audit", "export", "--output", trail]).await.ok();
    assert!(std::fs::read_to_string(trail).unwrap().contains(&deep));
    // It isn't what was hashed, which nobody could say who can't read it.
    shell.run(&["audit", "verify", trail, "--root", &origin.file("root.pub")]).await.fails(1, "was changed");
}
