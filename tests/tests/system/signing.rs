//! Signing keys with everything real. The drill for a stolen one: customers notice nothing, and nothing that the thief makes
//! gets through. And turns under a server that is killed.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use keyward_core::{ParsedKey, codec::decode_base64url_exact};
use keyward_issuer::{SigningKey, mint_api_key};
use keyward_tests::{
    Edge, Origin, Verdict, eventually,
    http::{Request, Response, send},
};
use serde_json::{Value, json};

use crate::support::{Caller, Load, SOON, Stack, together};

const SIGNING: &str = "/api/v1/signing-keys";

/// Calls the REST API about signing keys as the operator.
async fn signing(origin: &Origin, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let request = Request::new(method, format!("{SIGNING}{path}")).bearer(&origin.admin_key()?);
    let request = match body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = origin.send(&request).await?;
    ensure!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text());
    answer.json()
}

async fn active(origin: &Origin) -> Result<String> {
    let all = signing(origin, "GET", "", None).await?;
    let keys = all["signing_keys"].as_array().context("keys")?;
    let found = keys.iter().find(|key| key["role"] == "api-key" && key["state"] == "active").context("an active key")?;
    Ok(found["kid"].as_str().context("a kid")?.to_owned())
}

/// Opens a sealed value (nonce, then ciphertext and tag), as whoever has the key above it can.
fn open(key: &[u8], purpose: &str, sealed: &[u8]) -> Result<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<24>().context("a nonce")?;
    let cipher = XChaCha20Poly1305::new_from_slice(key).context("a key of 32 bytes")?;
    let payload = Payload { msg: sealed, aad: purpose.as_bytes() };
    cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| anyhow::anyhow!("{purpose} doesn't open"))
}

/// The private half of a signing key: the thief has the database and the master key.
fn steal(origin: &Origin, kid: &str) -> Result<SigningKey> {
    let postgres = origin.postgres.as_ref().context("a database of its own")?;
    let bytes = |sql: &str| -> Result<Vec<u8>> {
        let text = postgres.query(sql)?;
        let digits = text.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
        digits.collect()
    };
    let master = fs::read_to_string(format!("{}.master.key", origin.data().display()))?;
    let master: [u8; 32] = decode_base64url_exact(master.trim()).context("a master key")?;
    let deployment = postgres.query("SELECT id FROM deployment")?;
    let data_key = open(&master, &format!("data key {deployment}"), &bytes("SELECT encode(sealed_data_key, 'hex') FROM deployment")?)?;
    let sealed = bytes(&format!("SELECT encode(sealed, 'hex') FROM signing_keys WHERE kid = '{kid}'"))?;
    let seed = open(&data_key, &format!("signing key api-key {kid}"), &sealed)?;
    Ok(SigningKey::from_seed(seed.try_into().map_err(|_| anyhow::anyhow!("a seed of 32 bytes"))?))
}

/// A key that says just what `raw` says, by the stolen signing key.
fn forge(stolen: &SigningKey, raw: &str, entropy: u8) -> Result<String> {
    let parsed = ParsedKey::parse(raw).map_err(|reason| anyhow::anyhow!("{reason}"))?;
    let claims = *parsed.unverified_claims();
    Ok(mint_api_key(stolen, claims, parsed.prefix(), parsed.environment(), &[entropy; 16]).expose().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customers_go_on_through_a_freeze_and_a_reissue_and_a_thief_gets_nothing_through() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(2, |config| config).await?;
    let origin = &stack.origin;
    let mut customers = Vec::new();
    for _ in 0..3 {
        customers.push(origin.create(json!({})).await?);
    }
    for key in &customers {
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    }
    let stolen_kid = active(origin).await?;
    let stolen = steal(origin, &stolen_kid)?;
    let mut forged = Vec::new();
    for (at, key) in customers.iter().enumerate() {
        forged.push(forge(&stolen, &key.raw_key, at as u8)?);
    }
    stack.all_answer("/v1/me", &forged[0], 200).await.context("before it is frozen, nobody can tell")?;

    // Customers call without a pause from here on, at both edges.
    let loads: Vec<Load> = (0..2)
        .flat_map(|at| customers.iter().map(move |key| (at, key)))
        .map(|(at, key)| {
            let request = Request::get("/v1/me").bearer(&key.raw_key);
            Load::begin(Caller::new(stack.edges[at].addresses()[0], request), Duration::from_millis(20))
        })
        .collect();
    let begun = Instant::now();
    let frozen = signing(origin, "POST", &format!("/{stolen_kid}/freeze"), None).await?;
    let successor = frozen["successor"].as_str().context("a successor")?.to_owned();
    for text in &forged {
        stack.all_answer("/v1/me", text, 401).await?;
        for at in 0..2 {
            let answer = stack.get(at, "/v1/me", text).await?;
            ensure!(answer.json()?["code"] == "invalid_token", "what is forged is told nothing: {}", answer.text());
        }
    }
    for at in 0..2 {
        ensure!(stack.metrics(at).await?.refused("not_issued") > 0, "edge {at} counts it by its reason");
    }
    // Kept in memory: the hot path asks nobody, not even its hub.
    let before = stack.metrics(0).await?;
    for _ in 0..20 {
        ensure!(stack.get(0, "/v1/me", &customers[0].raw_key).await?.status == 200, "a customer");
    }
    let after = stack.metrics(0).await?;
    ensure!(after.at_once() >= before.at_once() + 20, "the hot path is hot: {} to {}", before.at_once(), after.at_once());
    ensure!(after.rejected() == before.rejected(), "nothing of the feed is refused");

    // Reissue: each customer's key is rotated with an overlap, and works at once.
    let mut fresh = Vec::new();
    for key in &customers {
        let rotated = origin.rotate(&key.id, Some(&json!({"overlap_seconds": 3600}))).await?;
        ensure!(stack.get(0, "/v1/me", &rotated.raw_key).await?.status == 200, "a key by the successor works at once");
        fresh.push(rotated);
    }
    for load in loads {
        let answers = load.end().await?;
        let refused = answers.iter().filter(|answer| answer.status() != 200).count();
        let since = answers.iter().filter(|answer| answer.sent > begun).count();
        ensure!(refused == 0 && since > 0, "of {} requests of a customer, {since} since the freeze, {refused} were refused", answers.len());
    }
    // The customers have moved, and their old raw keys end. The operator's own go last, the edges' among them.
    for key in &customers {
        origin.api("POST", &format!("/{}/rotate/finish", key.id), None).await?.expect(200)?;
    }
    let forced = Request::new("POST", format!("{SIGNING}/{stolen_kid}/retire")).bearer(&origin.admin_key()?).json(&json!({"force": true}));
    ensure!(origin.send(&forced).await?.status == 409, "whoever retires a key doesn't cut off himself");
    for name in ["edge.key", "admin.key"] {
        let path = origin.data().join(name);
        let id = ParsedKey::parse(fs::read_to_string(&path)?.trim()).map_err(|reason| anyhow::anyhow!("{reason}"))?.unverified_claims().id;
        let rotated = origin.rotate(&id.to_string(), Some(&json!({"overlap_seconds": 0}))).await?;
        fs::write(&path, rotated.raw_key)?;
    }
    signing(origin, "POST", &format!("/{stolen_kid}/retire"), None).await.context("reissue is complete")?;
    for at in 0..2 {
        let config = stack.edge_config()?;
        stack.edges[at] = Edge::start(config).await?;
        stack.warm(at).await?;
    }
    let origin = &stack.origin;
    for text in forged.iter().chain(customers.iter().map(|key| &key.raw_key)) {
        stack.all_answer("/v1/me", text, 401).await?;
    }
    for key in &fresh {
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    }
    ensure!(active(origin).await? == successor, "the successor signs");
    Ok(())
}

/// "Cannot tell" is a 503, and never a pass; and a lie on the way is no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_says_whether_it_was_issued_a_key_of_a_frozen_signer_does_not_pass() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let origin = &stack.origin;
    let (key, known) = (origin.create(json!({})).await?, origin.create(json!({})).await?);
    let kid = active(origin).await?;
    let stolen = steal(origin, &kid)?;
    let forged = forge(&stolen, &key.raw_key, 9)?;
    signing(origin, "POST", &format!("/{kid}/freeze"), None).await?;
    stack.all_answer("/v1/me", &forged, 401).await?;
    stack.all_answer("/v1/me", &known.raw_key, 200).await?;
    let asked = |request: &Request| request.target_text().starts_with("/edge/v1/issued/");
    stack.relay.rule(move |request| if asked(request) { Verdict::Answer(Response::new(500, "text/plain", "")) } else { Verdict::Pass });
    let undecided = async |raw: &str| {
        eventually("it can't be told", SOON, async || {
            let answer = stack.get(0, "/v1/me", raw).await.ok()?;
            let code = answer.json().ok()?["code"].clone();
            (answer.status == 503 && code == "issuance_unavailable").then_some(())
        })
        .await
    };
    undecided(&key.raw_key).await?;
    undecided(&forged).await?;
    ensure!(stack.get(0, "/v1/me", &known.raw_key).await?.status == 200, "what is known stays known");
    // The thief stands between, and says yes: in his own words, and in true ones about another key.
    let digest = keyward_core::Digest::of(&forged);
    let index = ParsedKey::parse(&forged).map_err(|reason| anyhow::anyhow!("{reason}"))?.unverified_claims().index;
    let lie = stolen.sign(&keyward_core::Issued { index, digest, iat_ms: 0 })?;
    stack.relay.rule(
        move |request| if asked(request) { Verdict::Answer(Response::new(200, "application/jwt", lie.clone())) } else { Verdict::Pass },
    );
    undecided(&forged).await?;
    stack.relay.rule(|_| Verdict::Pass);
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    stack.all_answer("/v1/me", &forged, 401).await
}

/// Also whoever has the feed key gets nothing more through, and an edge that was following goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edges_follow_through_a_freeze_of_every_other_signer_and_begin_anew_after_it() -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::with_edges(2, |config| config).await?;
    let key = stack.origin.create(json!({"capabilities": ["llm:gpt-4"]})).await?;
    let token = stack.origin.exchange(&key.raw_key, &[]).await?;
    stack.all_answer("/v1/me", &token, 200).await?;
    for role in ["feed", "policy", "token", "audit"] {
        let all = signing(&stack.origin, "GET", "", None).await?;
        let keys = all["signing_keys"].as_array().context("keys")?;
        let found = keys.iter().find(|key| key["role"] == role && key["state"] == "active").context("an active key")?;
        let kid = found["kid"].as_str().context("a kid")?;
        let turned = signing(&stack.origin, "POST", &format!("/{kid}/freeze"), None).await?;
        let version = turned["manifest"]["version"].clone();
        for at in 0..2 {
            eventually("the edge has the manifest", SOON, async || {
                stack.get(at, "/v1/me", &key.raw_key).await.ok()?;
                (stack.edges[at].health(0).await.ok()?["manifest"] == version).then_some(())
            })
            .await?;
        }
        // Changes go on arriving, under a policy that is signed anew.
        stack.origin.suspend(&key.id).await?;
        stack.all_answer("/v1/me", &key.raw_key, 401).await.context(role)?;
        stack.origin.resume(&key.id).await?;
        stack.all_answer("/v1/me", &key.raw_key, 200).await.context(role)?;
    }
    stack.all_answer("/v1/me", &token, 401).await.context("a frozen key's tokens")?;
    let next = stack.origin.exchange(&key.raw_key, &[]).await?;
    stack.all_answer("/v1/me", &next, 200).await?;
    // One edge with nothing but what its hub has written, and one wholly new.
    stack.edges[0].restart().await?;
    let config = stack.edge_config()?;
    stack.edges[1] = Edge::start(config).await?;
    stack.all_answer("/v1/me", &key.raw_key, 200).await?;
    stack.all_answer("/v1/me", &next, 200).await
}

/// What a client of the operator's was answered: a key, and the state that it was turned to.
type Answered = Vec<(String, &'static str)>;

/// Turns token signers without a pause, until the server is gone: creates one, activates it, retires the one before.
async fn turn_without_a_pause(server: SocketAddr, admin: String, turns: Arc<AtomicUsize>) -> Answered {
    let mut answered = Answered::new();
    let call = async |method: &str, path: &str, body: Value| -> Option<Value> {
        let request = Request::new(method, format!("{SIGNING}{path}")).bearer(&admin);
        let answer = send(server, &if method == "GET" { request } else { request.json(&body) }).await.ok()?;
        (answer.status < 300).then(|| answer.json().ok())?
    };
    let next = async |answered: &mut Answered| -> Option<()> {
        let all = call("GET", "", Value::Null).await?;
        let of = |state: &str| {
            let keys = all["signing_keys"].as_array().into_iter().flatten();
            let found = keys.filter(|key| key["role"] == "token" && key["state"] == state);
            found.filter_map(|key| key["kid"].as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        let kid = match of("pre-published").pop() {
            Some(kid) => kid,
            None => call("POST", "", json!({"role": "token"})).await?["signing_key"]["kid"].as_str()?.to_owned(),
        };
        answered.push((kid.clone(), "pre-published"));
        call("POST", &format!("/{kid}/activate"), json!({"force": true})).await?;
        answered.push((kid, "active"));
        for old in of("verify-only") {
            call("POST", &format!("/{old}/retire"), json!({"force": true})).await?;
            answered.push((old, "retired"));
        }
        turns.fetch_add(1, Ordering::Relaxed);
        Some(())
    };
    while next(&mut answered).await.is_some() {}
    answered
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_is_there_whole_once_it_was_answered_and_never_in_part_whenever_the_server_dies() -> Result<()> {
    const LIFE: [&str; 4] = ["pre-published", "active", "verify-only", "retired"];
    let _turn = together().await;
    let mut origin = Origin::start().await?;
    for round in 0..4 {
        let turns = Arc::new(AtomicUsize::new(0));
        let turning = tokio::spawn(turn_without_a_pause(origin.address(), origin.admin_key()?, turns.clone()));
        eventually("some turns", SOON, async || (turns.load(Ordering::Relaxed) > round).then_some(())).await?;
        origin.kill()?;
        let answered = turning.await?;
        origin.restart().await?;
        let all = signing(&origin, "GET", "", None).await?;
        // The manifest says what the states are: one went with the other.
        ensure!(all["manifest"]["outdated"] == false, "{all}");
        let keys = all["signing_keys"].as_array().context("keys")?;
        let of = |role: &str| keys.iter().filter(|key| key["role"] == role && key["state"] == "active").count();
        for role in ["api-key", "token", "policy", "feed", "audit", "root"] {
            ensure!(of(role) == 1, "{} active keys of the role {role}", of(role));
        }
        // What was answered is there, or what came after it.
        let place = |state: &str| LIFE.iter().position(|known| *known == state);
        for (kid, state) in &answered {
            let found = keys.iter().find(|key| key["kid"] == kid.as_str()).with_context(|| format!("{kid} is gone"))?;
            let now = found["state"].as_str().context("a state")?;
            ensure!(place(now) >= place(state), "{kid} was {state}, and is {now}");
        }
        ensure!(!answered.is_empty(), "no turn was answered");
        let key = origin.create(json!({"capabilities": ["llm:gpt-4"]})).await?;
        origin.exchange(&key.raw_key, &[]).await.context("tokens are signed")?;
    }
    Ok(())
}
