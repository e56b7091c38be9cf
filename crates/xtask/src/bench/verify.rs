//! A signature checked by our WebAssembly, against `crypto.subtle` in the same workerd.

use std::fs;

use anyhow::{Context, Result};
use keyward_tests::{
    Edge, EdgeConfig, Origin,
    http::{Connection, Request},
    target_dir,
};
use serde_json::json;

use super::{Line, ROUNDS, cpu, median};
use crate::products::{self, Product, Profile};

/// workerd has no clock that runs during a computation, so each contender does a number of checks and the process's CPU
/// time is what is compared.
const ENTRY: &str = r#"
import { ApiKey, KeySet } from "./keyward.js";

export default {
  async fetch(request) {
    const { contender, count, manifest, root, text } = await request.json();
    const now = Date.now();
    let held = 0;
    if (contender === "ours") {
      const keys = KeySet.open(manifest, [root], now);
      for (let i = 0; i < count; i++) {
        const key = ApiKey.parse(text);
        keys.authenticate(key, now);
        key.free();
        held++;
      }
      keys.free();
    } else {
      // As long as what a key's signature covers; the verifier does the same work for any message.
      const pair = await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
      const message = new Uint8Array(56);
      const signature = await crypto.subtle.sign("Ed25519", pair.privateKey, message);
      for (let i = 0; i < count; i++) held += await crypto.subtle.verify("Ed25519", pair.publicKey, signature, message);
    }
    return Response.json(held);
  },
};
"#;

const CHECKS: usize = 1000;

pub(super) async fn run() -> Result<()> {
    products::build(&[Product::Keyward, Product::Vectors], Profile::Dev)?;
    let origin = Origin::start().await?;
    let key = origin.create(json!({"name": "bench"})).await?;
    let manifest = origin.send(&Request::get("/.well-known/keyward-manifest")).await?.expect(200)?.text();

    let folder = tempfile::tempdir()?;
    let built = target_dir()?.join("wasm/vectors-workerd");
    for name in ["keyward.js", "keyward_bg.wasm"] {
        fs::copy(built.join(name), folder.path().join(name)).context("the wasm package")?;
    }
    fs::write(folder.path().join("index.js"), ENTRY)?;
    let worker = Edge::start(EdgeConfig::plain(folder.path().to_owned())).await?;
    let mut connection = Connection::open(worker.addresses()[0]).await?;

    let (mut ours, mut subtle) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        for (contender, times) in [("ours", &mut ours), ("subtle", &mut subtle)] {
            let order = json!({
                "contender": contender, "count": CHECKS, "manifest": manifest, "root": origin.root()?, "text": key.raw_key,
            });
            let before = cpu::used(worker.process_id()?)?;
            let answer = connection.send(&Request::new("POST", "/").json(&order)).await?.expect(200)?;
            anyhow::ensure!(answer.json()? == CHECKS, "not every signature held");
            // The first round compiles.
            if round > 0 {
                times.push((cpu::used(worker.process_id()?)? - before) / CHECKS as f64);
            }
        }
    }
    let (value, subtle) = (median(ours), median(subtle));
    let against = "crypto.subtle";
    Line { name: "verify.cold.wasm", against, ratio: subtle / value, value, unit: "us CPU", runtime: "workerd" }.print();
    Ok(())
}
