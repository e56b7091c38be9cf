//! Answers about keys: would it pass?

use anyhow::{Result, ensure};
use keyward_core::{ParsedKey, codec::write_key};
use keyward_tests::{
    Origin,
    http::{Request, send},
};
use serde_json::{Value, json};

use super::{
    AXUM, BETTER_AUTH, P99, RUNTIME, TURN_SECONDS,
    contender::{Contender, Ours, Server},
    peers::BetterAuth,
    start,
};
use crate::bench::{
    figures::Figures,
    issue::issue,
    load::{Load, Sent},
    servers::Hello,
    turns::order,
};

const ROUNDS: usize = 4;
/// Turns of ours in which the same keys come again and again: as long as it puts off adding up their counts at most (decision
/// 0111), so that a turn has no more of that at its end than it would have in the long run.
const LONG_TURN_SECONDS: u32 = 10;
/// Turns of ours in which no key comes again: short, since what it has put off by then should fit into its end, which takes
/// three seconds at most.
const SHORT_TURN_SECONDS: u32 = 2;
/// Keys that are asked about in turn.
const KEYS: usize = 10_000;
/// Keys that can be asked about for the first time in a turn: more than will be.
const UNMET: usize = 150_000;

const VALIDATE: &str = "/api/v1/api-keys/validate";

/// Origins by their numbers.
const USUAL: usize = 0;
const FRESH: usize = 1;

pub(super) async fn run(figures: &mut Figures, load: &Load, origin: &mut Origin, peer: &BetterAuth) -> Result<()> {
    let hello = Hello::start().await?;
    // Hands out a new token each time.
    let mut fresh = start(&[("KEYWARD_TOKEN_REUSE_SECONDS", "0")]).await?;
    let keys = issue(origin, UNMET).await?;
    let fresh_keys = issue(&fresh, KEYS).await?;
    let quota = peer.issue(KEYS, "/create-with-quota").await?;
    let limited = peer.issue(KEYS, "/create").await?;
    let (admin, fresh_admin) = (origin.admin_key()?, fresh.admin_key()?);
    let forged = keys[..KEYS].iter().map(|key| forged(key)).collect::<Result<Vec<_>>>()?;

    must_say(origin, &keys[0], true).await?;
    must_say(origin, &forged[0], false).await?;
    must_say(&fresh, &fresh_keys[0], true).await?;
    peer.must_say(&quota[0].1, true).await?;
    peer.must_say("of nobody's", false).await?;

    let ours = |name: &str, number, keys: &[String], admin: &str, seconds| {
        let requests = load.requests(name, keys.iter().map(|key| asked(key, admin)))?;
        anyhow::Ok(Contender::new(Server::Ours(number), requests, seconds))
    };
    let theirs = |name: &str, keys: &[(String, String)]| {
        let requests = load.requests(name, keys.iter().map(|(_, key)| verified(key)))?;
        anyhow::Ok(Contender::new(Server::Peer(peer.address()), requests, TURN_SECONDS))
    };
    let unknown: Vec<_> = (0..KEYS).map(|number| (String::new(), format!("{number:064}"))).collect();
    let plain = load.requests("hello", [Sent { method: "GET", path: "/", credential: "", body: String::new() }].into_iter())?;
    let mut contenders = [
        ours("fresh", FRESH, &fresh_keys, &fresh_admin, LONG_TURN_SECONDS)?,
        ours("reused", USUAL, &keys[..KEYS], &admin, LONG_TURN_SECONDS)?,
        ours("hot", USUAL, &keys[..1], &admin, LONG_TURN_SECONDS)?,
        ours("forged", USUAL, &forged, &admin, TURN_SECONDS)?,
        // A server that has just started has met none, so that these are new to it in each of its turns.
        ours("cold", USUAL, &keys, &admin, SHORT_TURN_SECONDS)?,
        theirs("their quota", &quota)?,
        theirs("their hot", &quota[..1])?,
        theirs("their unknown", &unknown)?,
        theirs("their limited", &limited)?,
        Contender::new(Server::Peer(hello.address()), plain, TURN_SECONDS),
    ];
    let mut origins = [Ours::new(origin).await?, Ours::new(&mut fresh).await?];
    for round in 0..ROUNDS {
        for at in order(contenders.len(), round) {
            contenders[at].turn(load, &mut origins).await?;
        }
    }

    let [fresh, reused, hot, forged, cold, their_quota, their_hot, their_unknown, their_limited, hello] = &contenders;
    for (name, against, ours, theirs) in [
        ("validate.fresh", BETTER_AUTH, fresh, their_quota),
        ("validate.reused", BETTER_AUTH, reused, their_quota),
        ("validate.hotkey", BETTER_AUTH, hot, their_hot),
        ("validate.forged", BETTER_AUTH, forged, their_unknown),
        ("validate.cold", BETTER_AUTH, cold, their_limited),
        ("validate.reused", AXUM, reused, hello),
    ] {
        figures.more((name, ours.rate()), (against, theirs.rate()), "answers/s", RUNTIME);
    }
    figures.less(("validate.p99", fresh.p99().max(reused.p99())), (P99, 8.0), "ms", RUNTIME);
    for (name, ours) in [("fresh", fresh), ("reused", reused), ("hotkey", hot), ("forged", forged), ("cold", cold)] {
        eprintln!("validate.{name}: for each second of answering {:.3} s of work that was put off, which count", ours.put_off());
    }
    Ok(())
}

/// Asks about a key.
pub(super) fn asked<'a>(key: &str, admin: &'a str) -> Sent<'a> {
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
