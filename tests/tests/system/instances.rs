//! An isolate whose WebAssembly instance is lost (a trap, which the bindings answer with a new instance).

use std::fs;

use anyhow::{Context, Result, ensure};
use keyward_tests::{
    Artefacts, Edge, EdgeConfig, Relay, Verdict, eventually,
    http::{Connection, Request},
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::support::{SOON, Stack, together};

/// The built edge, and beside it a path at which its instance is replaced as after a trap.
const LOSES: &str = r#"
import edge from "./edge.js";
import { __wbg_reset_state as lose } from "./glue.js";
export * from "./edge.js";
export default {
  fetch(request, env, context) {
    if (!request.url.endsWith("/lose")) return edge.fetch(request, env, context);
    lose();
    return new Response();
  },
};
"#;

fn build() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let copied = std::process::Command::new("cp").arg("-r").arg(Artefacts::locate()?.edge.join(".")).arg(folder.path()).status()?;
    ensure!(copied.success(), "the modules are copied");
    fs::rename(folder.path().join("index.js"), folder.path().join("edge.js"))?;
    fs::write(folder.path().join("index.js"), LOSES)?;
    Ok(folder)
}

/// Enough for their numbers, which begin anew with the instance, to come to that of the one before.
const MANY: usize = 60;

#[tokio::test]
async fn what_becomes_of_a_request_of_a_lost_instance_is_counted_for_no_other_key() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(0, |config| config).await?;
    let build = build()?;
    let far = Relay::start(stack.upstream.address()).await?;
    let near = Relay::start(far.address()).await?;
    let config = stack.edge_config()?.var("KEYWARD_UPSTREAM", &near.url());
    let config = config.var("KEYWARD_ROUTES", "/v1/me -> authenticated\n/v1/** -> authenticated costs 30");
    stack.edges.push(Edge::start(EdgeConfig { build: Some(build.path().to_owned()), ..config }).await?);
    let limits = json!({"cost_limit_cents": 100_000});
    let [first, other] = [stack.origin.create(limits.clone()).await?, stack.origin.create(limits).await?];
    let server = stack.edges[0].addresses()[0];

    // Two of the first one's requests wait for the upstream, under numbers above those that an instance begins with.
    stack.all_answer("/v1/me", &first.raw_key, 200).await?;
    for _ in 0..MANY / 2 {
        stack.get(0, "/v1/models", &first.raw_key).await?.expect(200)?;
    }
    let begin = async |key: &str| {
        let (release, held) = oneshot::channel();
        let mut held = Some(held);
        near.rule(move |request| match (request.target_text() == "/v1/chat").then(|| held.take()).flatten() {
            Some(held) => Verdict::Hold(held),
            None => Verdict::Pass,
        });
        let request = Request::get("/v1/chat").bearer(key);
        let _ = near.take();
        let mut connection = Connection::open(server).await?;
        connection.start(&request).await?;
        let there = async || near.take().iter().any(|request| request.target_text() == "/v1/chat").then_some(());
        eventually("it is at the upstream", SOON, there).await?;
        anyhow::Ok((connection, request, release))
    };
    let mut firsts = Vec::new();
    while firsts.len() < 2 {
        let before = stack.metrics(0).await?.at_once();
        let (mut connection, request, release) = begin(&first.raw_key).await?;
        if stack.metrics(0).await?.at_once() > before {
            firsts.push((connection, request, release));
            continue;
        }
        // The long way is one through the instance, and ends with it.
        release.send(()).ok().context("it is held")?;
        connection.receive(&request).await?.expect(200)?;
    }

    stack.get(0, "/lose", "").await?.expect(200)?;
    stack.all_answer("/v1/me", &other.raw_key, 200).await?;
    let mut others = Vec::new();
    for _ in 0..MANY {
        others.push(begin(&other.raw_key).await?);
    }
    // One is answered, the other's connection breaks.
    for ((mut connection, request, release), status) in firsts.into_iter().zip([200, 502]) {
        far.rule(move |_| if status == 200 { Verdict::Pass } else { Verdict::Reset });
        release.send(()).ok().context("it is held")?;
        connection.receive(&request).await?.expect(status)?;
    }
    far.rule(|_| Verdict::Pass);
    // Nothing has come of the others yet.
    let waiting = async || {
        let edge = stack.metrics(0).await.ok()?;
        (edge.sum("keyward_usage_unreported") + edge.sum("keyward_hub_usage_waiting") == 0).then_some(())
    };
    eventually("all that is known is counted", SOON, waiting).await?;
    let report = async |id: &str| stack.origin.api("GET", &format!("/{id}/usage?days=2"), None).await?.expect(200)?.json();
    ensure!(report(&other.id).await?["cost_cents"] == 0, "{}", report(&other.id).await?);
    for (mut connection, request, release) in others {
        release.send(()).ok().context("it is held")?;
        connection.receive(&request).await?.expect(200)?;
    }
    let counted = async || (report(&other.id).await.ok()?["cost_cents"] == 30 * MANY).then_some(());
    eventually("each is counted by its own answer", SOON, counted).await?;
    Ok(())
}
