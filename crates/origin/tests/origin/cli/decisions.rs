//! What edges decided lately, and what another policy would have.

use serde_json::{Value, json};

use super::shell::Shell;
use crate::{
    decisions::{decision, send},
    harness::{Created, Origin, eventually},
};

async fn decided(origin: &Origin, key: &Created, members: Value) {
    send(origin, vec![decision(origin, key, members)]).await.ok();
}

#[tokio::test]
async fn decisions_are_listed_explained_and_told_as_they_come_also_over_a_restart() {
    let mut origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let key = origin.key(json!({"blocked_endpoints": ["/v1/no"]})).await;
    decided(&origin, &key, json!({"path": "/v1/yes", "weight": 7})).await;
    decided(&origin, &key, json!({"path": "/v1/no", "outcome": "endpoint_blocked", "status": 403})).await;
    let listed = shell.run(&["decisions", "list"]).await.ok();
    assert!(listed.contains("GET /v1/yes") && listed.contains("endpoint_blocked"), "{listed}");
    let one = shell.run(&["decisions", "list", "--key", &key.id, "--outcome", "passed", "--path", "/v1", "--json"]).await.json();
    assert_eq!((one.as_array().unwrap().len(), &one[0]["weight"]), (1, &json!(7)));
    let all = shell.run(&["decisions", "list", "--limit", "1", "--all", "--json"]).await.ok();
    assert_eq!(all.lines().count(), 2);
    let why = shell.run(&["decisions", "get", "2"]).await.ok();
    let broken = why.lines().find(|line| line.contains("broken")).unwrap();
    assert!(["blocked", "policy", "/v1/no", "endpoint_blocked"].iter().all(|word| broken.contains(word)), "{why}");
    shell.run(&["decisions", "get", "3"]).await.fails(1, "not_found");
    shell.run(&["decisions", "list", "--reason", "X"]).await.fails(1, "reason");

    let (first, ()) = tokio::join!(
        shell.first_lines(&["decisions", "tail", "--after", "1", "--json"], 2),
        decided(&origin, &key, json!({"path": "/v1/third"})),
    );
    let told: Vec<Value> = first.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&told[0]["path"], &told[1]["path"]), (&json!("/v1/no"), &json!("/v1/third")));

    let then = async {
        eventually("the stream is open", async || {
            let metrics = origin.anyone().get("/metrics").await.text;
            metrics.lines().any(|line| line == "keyward_decision_streams 1").then_some(())
        })
        .await;
        origin.restart().await;
        decided(&origin, &key, json!({"path": "/v1/\u{202e}last", "outcome": "no_route", "status": 403, "weight": 20})).await;
    };
    let (lines, ()) = tokio::join!(shell.first_lines(&["decisions", "tail", "--after", "2", "--path", "/v1"], 2), then);
    assert!(lines[0].contains("passed") && lines[0].contains("GET /v1/third"), "{lines:?}");
    assert!(lines[1].contains("no_route") && lines[1].contains("(x20)") && !lines[1].contains('\u{202e}'), "{lines:?}");
}

#[tokio::test]
async fn a_draft_is_replayed_with_an_exit_code_for_scripts() {
    let origin = Origin::start().await;
    let shell = Shell::of(&origin);
    let key = origin.key(json!({"name": "shop", "capabilities": ["llm:gpt-4"]})).await;
    decided(&origin, &key, json!({"weight": 12, "capability": "llm:gpt-4"})).await;
    decided(&origin, &key, json!({"weight": 3, "path": "/v1/x/y"})).await;

    let same = shell.run(&["policies", "replay", "--key", &key.id, "--fail-on-change"]).await.ok();
    assert!(same.contains("0 of 15 requests") && !same.contains("shop"), "{same}");
    let block = ["policy", "replay", "--key", &key.id, "--block-endpoint", "/v1/x/*"];
    let changed = shell.run(&block).await.ok();
    assert!(["3 of 15 requests", "shop", "passed", "endpoint_blocked"].iter().all(|word| changed.contains(word)), "{changed}");
    let failed = shell.run(&[&block[..], &["--fail-on-change", "--json"]].concat()).await;
    assert_eq!((failed.code, failed.err.as_str()), (5, ""));
    assert_eq!(serde_json::from_str::<Value>(&failed.out).unwrap()["newly_refused"], 3);

    let draft = shell.home.path().join("draft.json");
    std::fs::write(&draft, r#"{"capabilities": [], "require_tls": true}"#).unwrap();
    let draft = draft.to_str().unwrap();
    let file = shell.run(&["policies", "replay", "--policy", draft, "--since", "2d", "--json"]).await.json();
    assert_eq!((&file["newly_refused"], &file["changes"][0]["to"]), (&json!(12), &json!("capability_missing")));
    let fed = shell.fed(&["policies", "replay", "--policy", "-", "--json"], r#"{"blocked_endpoints": ["/**"]}"#).await.json();
    assert_eq!(fed["changed"], 15);
    let number = key.body["policy"].to_string();
    let of = shell.run(&["policies", "replay", "--of-policy", &number, "--capability", "llm:*", "--json"]).await.json();
    assert_eq!((&of["requests"], &of["changed"]), (&json!(15), &json!(0)));

    for (arguments, said) in [
        (&["policies", "replay"][..], "--key"),
        (&["policies", "replay", "--policy", draft, "--daily-quota", "5"], "either"),
        (&["policies", "replay", "--policy", draft, "--since", "9d"], "7d"),
        (&["policies", "replay", "--policy", "no-such-file"], "no-such-file"),
    ] {
        let failed = shell.run(arguments).await;
        assert!(failed.code != 0 && failed.err.contains(said), "{failed:?}");
    }
    shell.fed(&["policies", "replay", "--policy", "-"], r#"{"capabilites": []}"#).await.fails(2, "capabilites");
    shell.fed(&["policies", "replay", "--policy", "-"], r#"{"capabilities": ["no:such"]}"#).await.fails(1, "terms.capabilities");
}
