//! Answers about keys: would it pass?

use std::fs;

use anyhow::{Context, Result, ensure};
use keyward_core::{ParsedKey, codec::write_key};
use keyward_tests::{
    Origin,
    http::{Request, send},
};
use serde_json::{Value, json};

use super::{AXUM, BETTER_AUTH, CONNECTIONS, MEMORY, P99, RUNTIME, peers::BetterAuth, start};
use crate::bench::{
    figures::Figures,
    issue::issue,
    load::{Answered, Load, Requests, Sent},
    median,
    servers::Hello,
};

const ROUNDS: usize = 5;
const SECONDS: u32 = 2;
/// Keys that are asked about in turn.
const KEYS: usize = 10_000;
/// Keys that can be asked about for the first time in a round: more than will be.
const UNMET: usize = 150_000;

/// Keys that there are in the end, beside those that were asked about.
const MANY: usize = 400_000;

const VALIDATE: &str = "/api/v1/api-keys/validate";

pub(super) async fn run(figures: &mut Figures, load: &Load, origin: &mut Origin, peer: &BetterAuth) -> Result<()> {
    let hello = Hello::start().await?;
    // Hands out a new token each time.
    let fresh = start(&[("KEYWARD_TOKEN_REUSE_SECONDS", "0")]).await?;
    let keys = issue(origin, UNMET).await?;
    let fresh_keys = issue(&fresh, KEYS).await?;
    let quota = peer.issue(KEYS, "/create-with-quota").await?;
    let limited = peer.issue(KEYS, "/create").await?;
    let admin = origin.admin_key()?;
    let forged = keys[..KEYS].iter().map(|key| forged(key)).collect::<Result<Vec<_>>>()?;

    must_say(origin, &keys[0], true).await?;
    must_say(origin, &forged[0], false).await?;
    must_say(&fresh, &fresh_keys[0], true).await?;
    peer.must_say(&quota[0].1, true).await?;
    peer.must_say("of nobody's", false).await?;

    let ours = |name: &str, keys: &[String], admin: &str| load.requests(name, keys.iter().map(|key| asked(key, admin)));
    let fresh_admin = fresh.admin_key()?;
    let mut validate_fresh = ours("fresh", &fresh_keys, &fresh_admin)?;
    let mut reused = ours("reused", &keys[..KEYS], &admin)?;
    let mut hot = ours("hot", &keys[..1], &admin)?;
    let mut forgeries = ours("forged", &forged, &admin)?;
    let mut cold = ours("cold", &keys, &admin)?;
    let theirs = |name: &str, keys: &[(String, String)]| load.requests(name, keys.iter().map(|(_, key)| verified(key)));
    let mut their_quota = theirs("their quota", &quota)?;
    let mut their_limited = theirs("their limited", &limited)?;
    let mut their_hot = theirs("their hot", &quota[..1])?;
    let unknown: Vec<_> = (0..KEYS).map(|number| (String::new(), format!("{:064}", number))).collect();
    let mut their_unknown = theirs("their unknown", &unknown)?;
    let mut plain = load.requests("hello", [Sent { method: "GET", path: "/", credential: "", body: String::new() }].into_iter())?;

    let mut rates: [Vec<f64>; 10] = Default::default();
    let mut p99 = Vec::new();
    for round in 0..=ROUNDS {
        // Whoever was idle, or has just started, takes up what it works with.
        on(load, fresh.address(), &mut validate_fresh).await?;
        on(load, origin.address(), &mut reused).await?;
        let mut answered = vec![
            on(load, fresh.address(), &mut validate_fresh).await?,
            on(load, origin.address(), &mut reused).await?,
            on(load, origin.address(), &mut hot).await?,
            on(load, origin.address(), &mut forgeries).await?,
        ];
        // It forgets what it has met.
        begin_anew(origin).await?;
        answered.push(on(load, origin.address(), &mut cold).await?);
        begin_anew(origin).await?;
        answered.push(on(load, peer.address(), &mut their_quota).await?);
        answered.push(on(load, peer.address(), &mut their_hot).await?);
        answered.push(on(load, peer.address(), &mut their_unknown).await?);
        answered.push(on(load, peer.address(), &mut their_limited).await?);
        answered.push(on(load, hello.address(), &mut plain).await?);
        // In the first, everybody warms up.
        if round > 0 {
            p99.push(answered[0].p99.max(answered[1].p99));
            for (rates, answered) in rates.iter_mut().zip(answered) {
                rates.push(answered.per_second);
            }
        }
    }
    let [fresh_rate, reused, hot, forged, cold, their_quota, their_hot, their_unknown, their_limited, hello] = rates.map(median);
    let unit = "answers/s";
    figures.more(("validate.fresh", fresh_rate), (BETTER_AUTH, their_quota), unit, RUNTIME);
    figures.more(("validate.reused", reused), (BETTER_AUTH, their_quota), unit, RUNTIME);
    figures.more(("validate.hotkey", hot), (BETTER_AUTH, their_hot), unit, RUNTIME);
    figures.more(("validate.forged", forged), (BETTER_AUTH, their_unknown), unit, RUNTIME);
    figures.more(("validate.cold", cold), (BETTER_AUTH, their_limited), unit, RUNTIME);
    figures.more(("validate.reused", reused), (AXUM, hello), unit, RUNTIME);
    figures.less(("validate.p99", median(p99)), (P99, 8.0), "ms", RUNTIME);

    // What it has in memory after all that, and after an edge has taken the status of all keys there are.
    issue(origin, MANY).await?;
    let edge = Request::new("GET", "/edge/v1/snapshot").bearer(&origin.edge_key()?);
    send(origin.address(), &edge).await?.expect(200)?;
    let resident = resident(origin)?;
    figures.less(("memory.resident", resident), (MEMORY, 200.0), "MB", RUNTIME);
    Ok(())
}

/// Ends a server and starts it again. What it has put off is done by then, and not at the expense of what is measured next.
async fn begin_anew(origin: &mut Origin) -> Result<()> {
    origin.end().await?;
    origin.restart().await
}

async fn on(load: &Load, server: std::net::SocketAddr, requests: &mut Requests) -> Result<Answered> {
    load.run(server, requests, CONNECTIONS, true, SECONDS).await
}

fn asked<'a>(key: &str, admin: &'a str) -> Sent<'a> {
    let body = json!({"api_key": key, "endpoint": "/v1/chat", "client_ip": "192.0.2.1"}).to_string();
    Sent { method: "POST", path: VALIDATE, credential: admin, body }
}

fn verified(key: &str) -> Sent<'static> {
    Sent { method: "POST", path: "/verify", credential: "", body: json!({ "key": key }).to_string() }
}

async fn must_say(origin: &Origin, key: &str, valid: bool) -> Result<()> {
    let body = json!({"api_key": key, "endpoint": "/v1/chat", "client_ip": "192.0.2.1"});
    let request = Request::new("POST", VALIDATE).bearer(&origin.admin_key()?).json(&body);
    let answer: Value = send(origin.address(), &request).await?.expect(200)?.json()?;
    ensure!(answer["valid"] == valid && answer["capability_token"].is_string() == valid, "{answer}");
    Ok(())
}

/// The key's own claims under another signature, with a checksum that fits.
fn forged(key: &str) -> Result<String> {
    let parsed = ParsedKey::parse(key).map_err(|reason| anyhow::anyhow!("{reason}"))?;
    let mut signature = *parsed.signature();
    signature[5] ^= 1;
    let mut text = String::new();
    write_key(parsed.prefix(), parsed.environment(), &parsed.unverified_claims().to_bytes(), &signature, &mut text);
    Ok(text)
}

/// Megabytes that the server's process has in memory.
fn resident(origin: &Origin) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", origin.process_id()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}
