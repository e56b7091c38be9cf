//! What passes while nobody can say how much of a limit is left: each mode, at the same edge, for keys of its scope.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use keyward_tests::{
    Created, Verdict, eventually, holds_for,
    http::{Request, Response},
};
use serde_json::json;

use crate::support::{Answer, Caller, Load, SOON, Stack, together};

/// Keys may do so much; what one of them is lent at a time is at most an eighth of it.
const LIMIT: u64 = 80;
const OPEN: Duration = Duration::from_secs(3);
/// What a request waits, at most, until it is known that nobody answers; the rest is for the machine.
const SLACK: Duration = Duration::from_secs(2);

/// A key's answers during the outage.
struct Outage {
    key: Created,
    answers: Vec<Answer>,
}

impl Outage {
    fn passed(&self) -> impl Iterator<Item = &Answer> {
        self.answers.iter().filter(|answer| answer.status() == 200)
    }

    /// When it was last passed, counted from this moment.
    fn last_passed(&self, since: Instant) -> Duration {
        self.passed().last().map_or(Duration::ZERO, |answer| answer.answered - since)
    }

    /// Whoever isn't passed is told that it can't be known, and when to come again; and only the first ones have waited for that.
    fn is_told_so(&self, what: &str) -> Result<()> {
        let refused: Vec<_> = self.answers.iter().filter(|answer| answer.status() != 200).collect();
        ensure!(refused.len() > 10, "{what}: {} were refused", refused.len());
        for answer in &refused {
            let response = &answer.response;
            ensure!(answer.status() == 503 && response.json()?["code"] == "limit_unavailable", "{what}: {}", response.text());
            ensure!(response.headers.first("retry-after") == Some("1"), "{what}: {:?}", response.headers);
        }
        let waited = self.answers.iter().filter(|answer| answer.took() > Duration::from_millis(400)).count();
        ensure!(waited <= 2, "{what}: {waited} requests waited");
        Ok(())
    }
}

#[tokio::test]
async fn each_mode_admits_what_it_says_while_the_authority_gives_no_answer() -> Result<()> {
    let _turn = together().await;
    let modes = format!("user=open:{},tenant=leased,admin=closed", OPEN.as_secs());
    let stack = Stack::with_edges(1, |config| config.var("KEYWARD_LIMIT_OUTAGE", &modes)).await?;
    let mut loads = Vec::new();
    for scope in ["user", "tenant", "admin"] {
        let key = stack.origin.create(json!({"scope": scope, "daily_quota": LIMIT})).await?;
        stack.all_answer("/v1/me", &key.raw_key, 200).await?;
        let caller = Caller::new(stack.edges[0].addresses()[0], Request::get("/v1/me").bearer(&key.raw_key));
        loads.push((key, caller));
    }

    // The feed goes on; only permits can't be had any more.
    stack.relay.rule(|request| if request.target_text() == "/edge/v1/permits" { Verdict::Reset } else { Verdict::Pass });
    let since = Instant::now();
    let loads: Vec<_> = loads.into_iter().map(|(key, caller)| (key, Load::begin(caller, Duration::from_millis(15)))).collect();
    eventually("the open scope is closed, too", SOON, async || {
        let answer = stack.get(0, "/v1/me", &loads[0].0.raw_key).await.ok()?;
        (answer.status == 503 && since.elapsed() > OPEN).then_some(())
    })
    .await?;
    holds_for("nothing passes", Duration::from_secs(1), async || {
        let answer = stack.get(0, "/v1/me", &loads[0].0.raw_key).await;
        answer.is_ok_and(|answer| answer.status == 503)
    })
    .await?;
    let uncounted = stack.metrics(0).await?.sum("keyward_uncounted_total");
    let mut outages = Vec::new();
    for (key, load) in loads {
        outages.push(Outage { key, answers: load.end().await? });
    }
    let [open, leased, closed] = &outages[..] else { unreachable!() };

    // Open for so long, and no longer; what passes beyond the permits is counted as that.
    open.is_told_so("open")?;
    let last = open.last_passed(since);
    ensure!((OPEN..OPEN + SLACK).contains(&last), "open until {last:?}");
    ensure!(open.passed().count() as u64 > LIMIT, "{} passed", open.passed().count());
    ensure!(uncounted > 0 && uncounted >= open.passed().count() as u64 - LIMIT / 4, "{uncounted} are said to be uncounted");
    // What is leased: an eighth at the object, less at the isolate. Nothing more, however long it takes.
    for (what, outage) in [("leased", leased), ("closed", closed)] {
        outage.is_told_so(what)?;
        let passed = outage.passed().count() as u64;
        ensure!(passed <= LIMIT / 4, "{what}: {passed} passed");
        ensure!(outage.last_passed(since) < SLACK, "{what} until {:?}", outage.last_passed(since));
    }
    let after_the_first_refusal = closed.answers.iter().skip_while(|answer| answer.status() == 200);
    ensure!(after_the_first_refusal.into_iter().all(|answer| answer.status() == 503), "closed, and then open again");

    // The authority is back: all is as before, and what was uncounted isn't charged afterwards.
    stack.relay.rule(|_| Verdict::Pass);
    for outage in &outages {
        stack.all_answer("/v1/me", &outage.key.raw_key, 200).await?;
    }
    Ok(())
}

#[tokio::test]
async fn why_no_permits_come_is_said_once_and_counted() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let known = stack.origin.create(json!({"daily_quota": LIMIT})).await?;
    stack.all_answer("/v1/me", &known.raw_key, 200).await?;
    let failures = async || anyhow::Ok(stack.metrics(0).await?.sum("keyward_permit_failures_total"));
    ensure!(failures().await? == 0, "all is well");
    let refuse = |request: &Request| match request.target_text().as_str() {
        "/edge/v1/permits" => Verdict::Answer(Response::new(401, "text/plain", "")),
        _ => Verdict::Pass,
    };
    stack.relay.rule(refuse);
    let key = stack.origin.create(json!({"daily_quota": LIMIT})).await?;
    stack.all_answer("/v1/me", &key.raw_key, 503).await?;
    holds_for("it can't be known", Duration::from_secs(2), async || {
        let answer = stack.get(0, "/v1/me", &key.raw_key).await;
        answer.is_ok_and(|answer| answer.status == 503)
    })
    .await?;
    ensure!(failures().await? > 0, "counted");
    let said = stack.edges[0].log().matches("the origin gives the status 401").count();
    // The object of either key has asked.
    ensure!((1..=2).contains(&said), "said {said} times");
    Ok(())
}
