//! The package's gate, for hosts that admit keys by one cheap call each, gives the verdicts of its long way: cold, warm,
//! after a change of keys, and when their time is over.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Origin, http::Request, target_dir, workspace_root};
use serde_json::{Value, json};

#[tokio::test]
async fn the_gate_admits_what_the_long_way_admits() -> Result<()> {
    let origin = Origin::start().await?;
    let [good, suspended, revoked, other] = [
        origin.create(json!({})).await?,
        origin.create(json!({})).await?,
        origin.create(json!({})).await?,
        origin.create(json!({"environment": "test"})).await?,
    ];
    origin.suspend(&suspended.id).await?;
    origin.revoke(&revoked.id).await?;
    let published = async |path: &str| anyhow::Ok(origin.send(&Request::get(path)).await?.expect(200)?.text());

    let key = good.raw_key.as_str();
    let mut texts = vec![key.to_owned(), suspended.raw_key, revoked.raw_key, other.raw_key];
    // Every character changed: a shape, a checksum or a signature that is wrong.
    texts.extend((0..key.len()).map(|at| {
        let other = if &key[at..=at] == "A" { "B" } else { "A" };
        [&key[..at], other, &key[at + 1..]].concat()
    }));
    let (head, tail) = key.split_at(60);
    for odd in ["", "é", "€", "\u{0}", "😀", "\u{d7ff}", " ", "\n"] {
        texts.push(format!("{head}{odd}{}", &tail[1..]));
        texts.push(format!("{head}{odd}{tail}"));
    }
    texts.extend([String::new(), "hello".to_owned(), "_".repeat(key.len()), "é".repeat(key.len()), key.repeat(2)]);

    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let input = json!({
        "manifest": published("/.well-known/keyward-manifest").await?,
        "root": origin.root()?,
        "list": published("/status-lists/0").await?,
        "now": now,
        "texts": texts,
    });
    let verdicts = ask(&input)?;
    ensure!(verdicts.len() == texts.len(), "a verdict on each");
    for (text, verdict) in texts.iter().zip(&verdicts) {
        let reference = &verdict["reference"];
        let gates = verdict["gates"].as_array().context("the gate's verdicts")?;
        ensure!(gates.len() == 4 && gates.iter().all(|verdict| verdict == reference), "{text}: {verdict}");
        ensure!(verdict["late"][0] == verdict["late"][1], "{text}: {verdict}");
    }
    let first: Vec<&Value> = verdicts.iter().map(|verdict| &verdict["reference"]).take(4).collect();
    assert_eq!(first, [&json!(good.id), &json!("key_suspended"), &json!("key_revoked"), &json!("wrong_environment")]);
    Ok(())
}

/// Runs the host. The keys go over standard input: a command line can be read by others.
fn ask(input: &Value) -> Result<Vec<Value>> {
    let mut node = Command::new("node")
        .arg(workspace_root().join("tests/hosts/gate.mjs"))
        .arg(target_dir()?.join("wasm/vectors-node"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    node.stdin.take().context("its input")?.write_all(input.to_string().as_bytes())?;
    let output = node.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
