//! Capability tokens and status lists, read by libraries that others wrote, from what the origin publishes alone.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Origin, target_dir, workspace_root};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libraries_of_others_take_genuine_tokens_refuse_the_rest_and_read_the_status_of_their_keys() -> Result<()> {
    let origin = Origin::start().await?;
    let issuer = origin.url();
    let mut tokens = BTreeMap::new();
    let mut keys = BTreeMap::new();
    for name in ["valid", "revoked", "suspended", "amended"] {
        let key = origin.create(json!({"capabilities": ["llm:gpt-4", "rag:search"]})).await?;
        tokens.insert(name, origin.exchange(&key.raw_key, &[]).await?);
        keys.insert(name, key);
    }
    origin.revoke(&keys["revoked"].id).await?;
    origin.suspend(&keys["suspended"].id).await?;
    origin.amend(&keys["amended"].id, &json!({"rate_limit_per_hour": 1})).await?;
    let good = tokens["valid"].clone();
    let (head, signature) = good.rsplit_once('.').context("a signature")?;
    let (header, payload) = head.split_once('.').context("a payload")?;
    tokens.insert("for another", origin.exchange(&keys["valid"].raw_key, &[("audience", "https://elsewhere.example")]).await?);
    tokens.insert("another's payload", format!("{header}.{}.{signature}", tokens["amended"].split('.').nth(1).context("a payload")?));
    tokens.insert("another's signature", format!("{header}.{payload}.{}", tokens["amended"].rsplit('.').next().context("a signature")?));

    let found = [
        ("jose", said_by(Command::new("node").arg(workspace_root().join("tests/hosts/tokens.mjs")), &issuer, &tokens)?),
        ("PyJWT", said_by(Command::new(python()?).arg(workspace_root().join("tests/hosts/tokens.py")), &issuer, &tokens)?),
    ];
    for (library, found) in found {
        for (name, status) in [("valid", 0), ("revoked", 1), ("suspended", 2), ("amended", 3)] {
            let (said, key) = (&found[name], &keys[name]);
            ensure!(said["status"] == status, "{library}, {name}: {said}");
            let claims = &said["claims"];
            ensure!(claims["sub"] == key.id && claims["client_id"] == key.id, "{library}, {name}: {claims}");
            ensure!(claims["scope"] == "llm:gpt-4 rag:search", "{library}, {name}: {claims}");
            ensure!(claims["tenant"] == key.body["api_key"]["tenant_id"], "{library}, {name}: {claims}");
        }
        for name in ["for another", "another's payload", "another's signature"] {
            ensure!(found[name]["error"].is_string(), "{library} took {name}: {}", found[name]);
        }
    }
    Ok(())
}

/// What a host makes of the tokens.
fn said_by(command: &mut Command, issuer: &str, tokens: &BTreeMap<&str, String>) -> Result<Value> {
    let output = command.env("ISSUER", issuer).env("TOKENS", serde_json::to_string(tokens)?).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The Python that has what `tests/hosts/requirements.txt` names.
fn python() -> Result<PathBuf> {
    let path = target_dir()?.join("python/bin/python");
    ensure!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    Ok(path)
}
