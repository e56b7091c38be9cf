//! Many clients at the same keys at the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use keyward_core::Reason;
use serde_json::{Value, json};
use sqlx::{Executor, Row};

use crate::{
    edge::Edge,
    harness::{Client, KEYS, Origin},
};

const CLIENTS: u64 = 32;
const SHARED: usize = 24;

/// What all clients together have seen.
#[derive(Default)]
struct Seen {
    /// Every raw key, with the id of its key.
    raw: BTreeMap<String, String>,
    revoked: BTreeSet<String>,
    /// What a policy number was seen to mean.
    meanings: BTreeMap<u64, Value>,
    done: u64,
}

/// A seeded generator (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

async fn work(client: Client, mut dice: Dice, ids: Arc<Vec<String>>, seen: Arc<Mutex<Seen>>, until: Instant) {
    while Instant::now() < until {
        let id = ids[dice.below(ids.len() as u64) as usize].clone();
        let rate = dice.below(50);
        let answer = match dice.below(24) {
            0 => client.try_create(json!({"rate_limit_per_hour": rate})).await,
            // Rarely: what is revoked takes no part any more.
            1 if dice.below(8) == 0 => {
                let answer = client.act(&id, "revoke", None).await;
                if answer.status == 200 {
                    seen.lock().unwrap().revoked.insert(id.clone());
                }
                answer
            }
            2..=5 => client.act(&id, "rotate", Some(json!({"overlap_seconds": 0}))).await,
            6..=9 => client.act(&id, "rotate", Some(json!({"overlap_seconds": 600}))).await,
            10..=12 => client.act(&id, "rotate/cancel", None).await,
            13..=14 => client.act(&id, "rotate/finish", None).await,
            15..=16 => client.act(&id, "renew", Some(json!({"expires_in_days": 1 + rate}))).await,
            17 => client.act(&id, "suspend", None).await,
            18 => client.act(&id, "resume", None).await,
            19 => client.post(&format!("{KEYS}/bulk/resume"), json!({"ids": *ids})).await,
            _ => client.act(&id, "patch", Some(json!({"rate_limit_per_hour": rate}))).await,
        };
        assert!(matches!(answer.status, 200 | 201 | 409), "{answer:?}");
        let body = answer.json();
        let key = if body["api_key"].is_object() { &body["api_key"] } else { &body };
        let mut seen = seen.lock().unwrap();
        seen.done += 1;
        for raw in [&body["raw_key"], &body["new_raw_key"]] {
            if let (Some(raw), Some(id)) = (raw.as_str(), key["id"].as_str()) {
                seen.raw.insert(raw.to_owned(), id.to_owned());
            }
        }
        if let Some(policy) = key["policy"].as_u64() {
            let meaning = key["rate_limit_per_hour"].clone();
            let before = seen.meanings.entry(policy).or_insert_with(|| meaning.clone());
            assert_eq!(*before, meaning, "policy {policy} has changed its meaning");
        }
    }
}

async fn contend(during: Duration) {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let mut ids = Vec::new();
    for _ in 0..SHARED {
        let key = admin.create(json!({"rate_limit_per_hour": 7})).await;
        seen.lock().unwrap().raw.insert(key.raw, key.id.clone());
        ids.push(key.id);
    }
    let (ids, until) = (Arc::new(ids), Instant::now() + during);
    let mut workers = Vec::new();
    for client in 1..=CLIENTS {
        let dice = Dice(client.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        workers.push(tokio::spawn(work(admin.clone(), dice, Arc::clone(&ids), Arc::clone(&seen), until)));
    }
    // An edge follows all the while: a number that is missing or out of turn would be a gap to it.
    while Instant::now() < until {
        edge.catch_up(&origin).await;
    }
    for worker in workers {
        worker.await.unwrap();
    }
    let seen = Arc::into_inner(seen).unwrap().into_inner().unwrap();
    println!("{} calls by {CLIENTS} clients in {during:?}, {} keys revoked", seen.done, seen.revoked.len());

    for (what, query) in [
        (
            "a credential without its key",
            "SELECT count(*) FROM credentials c WHERE NOT EXISTS (SELECT FROM api_keys k WHERE k.id = c.api_key AND k.tenant = c.tenant)",
        ),
        (
            "a revoked key with a credential that holds",
            "SELECT count(*) FROM api_keys k JOIN credentials c ON c.api_key = k.id WHERE k.state = 'revoked' AND c.status <> 1",
        ),
        (
            "a key whose newest credential doesn't hold",
            "SELECT count(*) FROM api_keys k JOIN credentials c ON c.index = k.current_index WHERE k.state <> 'revoked' AND c.status = 1",
        ),
        (
            "a key with two credentials beside its newest",
            "SELECT count(*) FROM (SELECT FROM api_keys k JOIN credentials c ON c.api_key = k.id AND c.index <> k.current_index WHERE c.status <> 1 GROUP BY k.id HAVING count(*) > 1) AS many",
        ),
        (
            "a key and its newest credential with two expiries",
            "SELECT count(*) FROM api_keys k JOIN credentials c ON c.index = k.current_index WHERE k.state <> 'revoked' AND k.expires_at IS DISTINCT FROM CASE WHEN c.amended_policy IS NULL THEN c.expires_at ELSE c.amended_expires END",
        ),
        (
            "a suspended key that isn't",
            "SELECT count(*) FROM api_keys k JOIN credentials c ON c.api_key = k.id WHERE c.status <> 1 AND (k.state = 'suspended') <> (c.status = 2)",
        ),
        (
            "a key that stands in the list of another phase than its own, or in none",
            "SELECT count(*) FROM api_keys k FULL JOIN key_phases p USING (tenant, phase, id) WHERE k.ctid IS NULL OR p.ctid IS NULL",
        ),
        (
            "a sequence number that is missing",
            "SELECT s.seq - count(l.seq) - coalesce((SELECT min(seq) - 1 FROM feed_log), s.seq) FROM feed_state s LEFT JOIN feed_log l USING (epoch) GROUP BY s.seq",
        ),
    ] {
        assert_eq!(origin.database.count(query).await, 0, "{what}");
    }
    for id in &seen.revoked {
        assert_eq!(admin.get(&format!("{KEYS}/{id}")).await.ok()["status"], "revoked");
    }
    // And the edge, which has all of it from the feed alone, says of each raw key what the database does.
    let mut database = origin.database.connect().await;
    for (raw, id) in &seen.raw {
        let seen = edge.sees(&origin, raw).await;
        let index = keyward_core::ParsedKey::parse(raw).unwrap().unverified_claims().index;
        let row = database
            .fetch_one(
                sqlx::query("SELECT status, coalesce(amended_policy, policy) FROM credentials WHERE index = $1").bind(i64::from(index.0)),
            )
            .await
            .unwrap();
        let expected = match row.get::<i16, _>(0) {
            1 => Err(Reason::Revoked),
            2 => Err(Reason::Suspended),
            _ => Ok(row.get::<i64, _>(1)),
        };
        assert_eq!(seen.map(|key| i64::from(key.policy().0)), expected, "a raw key of {id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_change_the_same_keys_at_once_leave_each_key_whole_and_the_feed_without_a_gap() {
    contend(Duration::from_secs(3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask soak contention"]
async fn soak_contention_for_half_a_minute() {
    contend(Duration::from_secs(30)).await;
}
