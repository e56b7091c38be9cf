//! The origin is killed at any moment: what it has answered is there afterwards, and nothing is half there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use keyward_tests::{
    Origin, eventually,
    http::{Request, send},
};
use serde_json::{Value, json};

use crate::support::{SOON, Stack, together};

const WORKERS: usize = 4;

/// What a worker asked for, and what it was answered, if it was.
#[derive(Clone, Debug)]
struct Deed {
    what: What,
    idempotency_key: String,
    answer: Option<Value>,
}

#[derive(Clone, Debug)]
enum What {
    Create(Value),
    Rotate(String),
    Revoke(String),
}

impl Deed {
    fn request(&self, admin: &str) -> Request {
        let base = "/api/v1/api-keys";
        let request = match &self.what {
            What::Create(body) => Request::new("POST", base).json(body),
            What::Rotate(id) => Request::new("POST", format!("{base}/{id}/rotate")).json(&json!({"overlap_seconds": 3600})),
            What::Revoke(id) => Request::new("DELETE", format!("{base}/{id}/revoke")),
        };
        request.bearer(admin).header("idempotency-key", &self.idempotency_key)
    }

    fn raw_key(&self) -> Option<&str> {
        let answer = self.answer.as_ref()?;
        answer["raw_key"].as_str().or(answer["new_raw_key"].as_str())
    }

    /// The id of the key that it was about, where that is known.
    fn id(&self) -> Option<&str> {
        match &self.what {
            What::Create(_) => self.answer.as_ref()?["api_key"]["id"].as_str(),
            What::Rotate(id) | What::Revoke(id) => Some(id),
        }
    }
}

/// A seeded generator (SplitMix64): the order of events is the machine's anyway, but not the choice of them.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Creates, rotates and revokes keys of its own until the origin is gone.
async fn work(address: std::net::SocketAddr, admin: String, name: String, deeds: Arc<Mutex<Vec<Deed>>>) {
    let mut dice = Dice(name.bytes().fold(7_u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte))));
    let mut mine: Vec<String> = Vec::new();
    // A second rotation while the first one's overlap lasts is refused.
    let mut rotated: BTreeSet<String> = BTreeSet::new();
    for count in 0.. {
        let pick = |dice: &mut Dice, of: &[String]| {
            let at = dice.below(of.len() as u64) as usize;
            of[at].clone()
        };
        let fresh: Vec<String> = mine.iter().filter(|id| !rotated.contains(*id)).cloned().collect();
        let what = match dice.below(4) {
            0 if !fresh.is_empty() => {
                let id = pick(&mut dice, &fresh);
                rotated.insert(id.clone());
                What::Rotate(id)
            }
            1 if mine.len() > 1 => {
                let id = pick(&mut dice, &mine);
                mine.retain(|other| *other != id);
                What::Revoke(id)
            }
            // Half of them with a policy that is new.
            side => {
                let quota = if side % 2 == 0 { 4000 } else { 5000 + dice.below(1_000_000) };
                What::Create(json!({"name": name, "capabilities": ["rag:search"], "daily_quota": quota}))
            }
        };
        let mut deed = Deed { what, idempotency_key: format!("{name}-{count}"), answer: None };
        let answer = send(address, &deed.request(&admin)).await;
        if let Ok(answer) = &answer
            && (answer.status == 200 || answer.status == 201)
        {
            deed.answer = answer.json().ok();
            if matches!(deed.what, What::Create(_)) {
                mine.extend(deed.id().map(str::to_owned));
            }
        }
        deeds.lock().unwrap_or_else(PoisonError::into_inner).push(deed);
        if answer.is_err() {
            return;
        }
    }
}

/// Kills the origin so many times at moments of the dice's choice, and looks at what is left each time.
async fn killed_at_any_moment(times: u32, seed: u64) -> Result<()> {
    let _turn = together().await;
    let mut stack = Stack::start().await?;
    let admin = stack.origin.admin_key()?;
    let mut dice = Dice(seed);
    let mut all = Vec::new();
    for round in 0..times {
        let deeds = Arc::new(Mutex::new(Vec::new()));
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let name = format!("seed-{seed}-round-{round}-worker-{worker}");
                tokio::spawn(work(stack.origin.address(), admin.clone(), name, deeds.clone()))
            })
            .collect();
        eventually("some work is done", SOON, async || {
            let deeds = deeds.lock().unwrap_or_else(PoisonError::into_inner);
            (deeds.iter().filter(|deed| deed.answer.is_some()).count() >= WORKERS).then_some(())
        })
        .await?;
        // The random moment is what is tested, not something to wait for.
        tokio::time::sleep(Duration::from_micros(dice.below(150_000))).await;
        stack.origin.kill()?;
        for worker in workers {
            worker.await?;
        }
        stack.origin.restart().await?;
        let mut deeds = std::mem::take(&mut *deeds.lock().unwrap_or_else(PoisonError::into_inner));
        // First what is there by itself, before a retry could make up for what was lost.
        for again in [false, true] {
            let round = || format!("round {round}, {} the retries", if again { "after" } else { "before" });
            if again {
                retry(&stack.origin, &admin, &mut deeds).await.with_context(round)?;
            }
            look(&stack.origin, &deeds).await.with_context(round)?;
            whole(&stack.origin).with_context(round)?;
        }
        all.extend(deeds);
    }
    let lost = all.iter().filter(|deed| deed.answer.is_none()).count();
    ensure!(lost == 0, "{lost} deeds were never answered");
    at_the_edge(&stack, &all).await?;
    println!("{times} kills, {} deeds", all.len());
    Ok(())
}

/// Sends everything again under its Idempotency-Key: what was answered is answered with the same key, and what was
/// not is done now, once.
async fn retry(origin: &Origin, admin: &str, deeds: &mut [Deed]) -> Result<()> {
    let revoked: BTreeSet<_> =
        deeds.iter().filter(|deed| matches!(deed.what, What::Revoke(_))).filter_map(|deed| deed.id().map(str::to_owned)).collect();
    for deed in deeds {
        let again = origin.send(&deed.request(admin)).await?;
        let keyed = !matches!(deed.what, What::Revoke(_));
        if keyed && deed.id().is_some_and(|id| revoked.contains(id)) {
            // What it made may be revoked by now: then a retry shows no secret.
            ensure!([200, 201, 409].contains(&again.status), "{deed:?}: {} {}", again.status, again.text());
            if again.status == 409 {
                deed.answer.get_or_insert(Value::Null);
                continue;
            }
        }
        ensure!([200, 201].contains(&again.status), "{:?}: {} {}", deed.what, again.status, again.text());
        let before = deed.raw_key().map(str::to_owned);
        let again = Deed { answer: Some(again.json()?), ..deed.clone() };
        if let Some(before) = before {
            ensure!(again.raw_key() == Some(&before), "{:?}: a retry gave another key", deed.what);
        }
        deed.answer = again.answer;
    }
    Ok(())
}

/// What the REST API says of each key whose every deed was answered.
async fn look(origin: &Origin, deeds: &[Deed]) -> Result<()> {
    let unanswered: BTreeSet<_> = deeds.iter().filter(|deed| deed.answer.is_none()).filter_map(Deed::id).collect();
    for (id, (raw_keys, revoked)) in ends(deeds) {
        if unanswered.contains(id.as_str()) {
            continue;
        }
        let key = origin.api("GET", &format!("/{id}"), None).await?.expect(200)?.json()?;
        let expected = if revoked { "revoked" } else { "active" };
        ensure!(key["status"] == expected, "{id} is {}", key["status"]);
        for raw_key in raw_keys {
            let body = json!({"api_key": raw_key, "endpoint": "GET /v1/search"});
            let verdict = origin.api("POST", "/validate", Some(&body)).await?.expect(200)?.json()?;
            ensure!(verdict["valid"] == !revoked, "{id}: {verdict}");
        }
    }
    Ok(())
}

/// Of each key: every raw key that was answered, and whether it was revoked in the end.
fn ends(deeds: &[Deed]) -> BTreeMap<String, (Vec<String>, bool)> {
    let mut ends: BTreeMap<String, (Vec<String>, bool)> = BTreeMap::new();
    for deed in deeds {
        let Some(id) = deed.id() else { continue };
        let end = ends.entry(id.to_owned()).or_default();
        end.0.extend(deed.raw_key().map(str::to_owned));
        end.1 |= matches!(deed.what, What::Revoke(_));
    }
    ends
}

/// What the database must never hold: each query counts the cases, and must find none.
fn whole(origin: &Origin) -> Result<()> {
    const NEVER: [(&str, &str); 10] = [
        (
            "a key without its current credential",
            "SELECT count(*) FROM api_keys k WHERE NOT EXISTS
             (SELECT FROM credentials c WHERE c.index = k.current_index AND c.api_key = k.id AND c.tenant = k.tenant)",
        ),
        (
            "a credential without its key",
            "SELECT count(*) FROM credentials c WHERE NOT EXISTS (SELECT FROM api_keys k WHERE k.id = c.api_key)",
        ),
        (
            "a credential with a policy that isn't there",
            "SELECT count(*) FROM credentials c WHERE NOT EXISTS
             (SELECT FROM policies p WHERE p.number = coalesce(c.amended_policy, c.policy) AND p.tenant = c.tenant)",
        ),
        (
            "a revoked key with a credential that holds",
            "SELECT count(*) FROM api_keys k JOIN credentials c ON c.api_key = k.id
             WHERE k.state = 'revoked' AND c.status <> 1 AND coalesce(c.amended_expires, c.expires_at, 'infinity') > now()",
        ),
        (
            "a key that isn't revoked with a current credential that is",
            "SELECT count(*) FROM api_keys k JOIN credentials c ON c.index = k.current_index
             WHERE k.state <> 'revoked' AND c.status = 1",
        ),
        (
            // Up to the oldest snapshot that is kept, its parts stand for the changes, which are cleared away.
            "a sequence number without its change",
            "WITH kept AS (SELECT coalesce((SELECT min(n.seq) FROM snapshots n WHERE n.epoch = s.epoch), 0) AS base, s.* FROM feed_state s)
             SELECT (SELECT seq - base FROM kept) - count(*) FROM feed_log l, kept k WHERE l.epoch = k.epoch AND l.seq > k.base",
        ),
        ("a change beyond the sequence number", "SELECT count(*) FROM feed_log l, feed_state s WHERE (l.epoch, l.seq) > (s.epoch, s.seq)"),
        ("two credentials at one position", "SELECT count(*) - count(DISTINCT position) FROM credentials"),
        (
            "an idempotency record without its credential",
            "SELECT count(*) FROM idempotency i WHERE NOT EXISTS (SELECT FROM credentials c WHERE c.index = i.index)",
        ),
        ("a tenant's policy twice", "SELECT count(*) - count(DISTINCT (tenant, digest)) FROM policies WHERE superseded_by IS NULL"),
    ];
    let postgres = origin.postgres.as_ref().context("a database of its own")?;
    for (what, query) in NEVER {
        let found = postgres.query(query).context(what)?;
        if found != "0" {
            bail!("{found} times {what}");
        }
    }
    Ok(())
}

/// What the edge, which has followed all along, makes of it.
async fn at_the_edge(stack: &Stack, deeds: &[Deed]) -> Result<()> {
    for (id, (raw_keys, revoked)) in ends(deeds) {
        let status = if revoked { 401 } else { 200 };
        for raw_key in raw_keys {
            stack.all_answer("/v1/search", &raw_key, status).await.context(id.clone())?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_origin_has_answered_survives_its_death() -> Result<()> {
    killed_at_any_moment(10, 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: cargo xtask soak death"]
async fn soak_death() -> Result<()> {
    for seed in 2..12 {
        killed_at_any_moment(20, seed).await?;
    }
    Ok(())
}
