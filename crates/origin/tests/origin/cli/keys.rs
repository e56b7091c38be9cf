//! Keys: one, many, and before a person.

use serde_json::{Value, json};

use super::shell::Shell;
use crate::harness::Origin;

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
    shell.run(&["keys", "update", id, "--max-tokens-per-request", "100"]).await.ok();
    for (tokens, code) in [("100", 0), ("101", 1)] {
        let judged = shell.fed(&["keys", "validate", "--tokens", tokens, "--cost-cents", "3"], &rotated).await;
        assert_eq!(judged.code, code, "{judged:?}");
    }
    shell.run(&["keys", "suspend", id]).await.ok();
    assert_eq!(shell.fed(&["keys", "validate"], &rotated).await.code, 1);
    shell.run(&["keys", "resume", id]).await.ok();

    shell.run(&["keys", "revoke", id]).await.fails(4, "--yes");
    shell.run(&["keys", "revoke", id, "--yes", "--reason", "done with"]).await.ok();
    let told = shell.run(&["keys", "get", id]).await.ok();
    assert!(told.contains("revoked") && told.contains("done with"), "{told}");
    shell.run(&["keys", "resume", id]).await.fails(1, "The key has been revoked (409 key_revoked)");
}

/// As docs/operating.md has an operator make one for the day on which the first one is lost.
#[tokio::test]
async fn a_second_admin_key_replaces_the_first_without_anything_else_being_done_to_it() {
    const RESOURCES: &str = "admin audit automation edge embedding external image keys llm rag signing tenants";
    const LIMITS: &str = "rate-limit-per-hour daily-quota monthly-quota cost-limit-cents max-tokens-per-request max-concurrent-requests";
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let mut make = ["keys", "create", "Second admin", "--scope", "admin", "--expires-in-days", "never", "--require-tls", "false"]
        .map(str::to_owned)
        .to_vec();
    make.extend(RESOURCES.split(' ').flat_map(|resource| ["--capability".to_owned(), format!("{resource}:*")]));
    make.extend(LIMITS.split(' ').flat_map(|limit| [format!("--{limit}"), "unlimited".to_owned()]));
    make.extend(["--constraint".to_owned(), "none".to_owned()]);
    let make: Vec<&str> = make.iter().map(String::as_str).collect();
    let second = shell.run(&make).await.ok();
    let own: Value = shell.run(&["keys", "list", "--search", "Second admin", "--json"]).await.json();
    assert_eq!(own[0]["tenant_constraints"], json!({}));
    shell.run(&["keys", "create", "no", "--constraint", "none", "--constraint", "mcp_timeout_seconds=5"]).await.fails(2, "stands alone");

    let second = Shell::at(&format!("http://{}", origin.address), second.trim());
    let first = second.run(&["keys", "list", "--scope", "admin", "--json"]).await.json();
    let lost = first.as_array().unwrap().iter().find(|key| key["id"] != own[0]["id"]).unwrap()["id"].as_str().unwrap().to_owned();
    let replaced = second.run(&["keys", "rotate", &lost, "--overlap-seconds", "0"]).await.ok();
    assert_eq!(origin.client(replaced.trim()).get("/api/v1/signing-keys").await.status, 200);
    assert_eq!(origin.admin().get("/api/v1/signing-keys").await.status, 401);
    // Who made a key stands in it; the server itself made the first one.
    let made_by = async |id: &Value| second.run(&["keys", "get", id.as_str().unwrap(), "--json"]).await.json()["created_by"].clone();
    assert_eq!((made_by(&own[0]["id"]).await, made_by(&json!(lost)).await), (json!(lost), Value::Null));
    // Whoever has constraints gives none away.
    let bound = origin.client(replaced.trim()).create(json!({"capabilities": ["keys:*"], "scope": "tenant"})).await;
    let bound = origin.client(&bound.raw);
    assert_eq!(bound.try_create(json!({"tenant_constraints": "none"})).await.problem().2, "tenant_constraints");
    bound.try_create(json!({"tenant_constraints": "any"})).await.refused(422, "validation_failed");
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
async fn at_a_terminal_what_cant_be_undone_is_done_when_its_name_is_typed_and_a_table_is_as_wide_as_the_terminal() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let key = origin.key(json!({"name": "a key with a name that is too long for a narrow terminal, by far"})).await;
    let (code, screen) = shell.at_terminal(80, &["keys", "list"], "").await;
    assert!(code == 0 && screen.contains(&key.id), "{screen}");
    assert!(screen.lines().all(|line| line.trim_end().chars().count() <= 80), "{screen}");

    let revoke = ["keys", "revoke", key.id.as_str()];
    for (typed, code) in [("yes", 4), ("", 4), (key.body["name"].as_str().unwrap(), 0)] {
        assert!(origin.admin().verdict(&key.raw).await.is_none());
        let (found, screen) = shell.at_terminal(80, &revoke, typed).await;
        assert_eq!(found, code, "{typed}: {screen}");
        assert!(screen.contains("for ever"), "{screen}");
    }
    assert!(origin.admin().verdict(&key.raw).await.is_some());

    for name in ["one", "two"] {
        origin.key(json!({"name": name, "owner_id": "ann"})).await;
    }
    let bulk = ["keys", "bulk", "revoke", "--owner", "ann"];
    assert_eq!(shell.at_terminal(80, &bulk, "revoke 3").await.0, 4);
    let (code, screen) = shell.at_terminal(80, &bulk, "revoke 2").await;
    assert!(code == 0 && screen.contains("2 changed"), "{screen}");
}
