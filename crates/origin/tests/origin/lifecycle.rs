//! What can be done to a key, and what an edge makes of it each time.

use std::time::Duration;

use keyward_core::{PolicyNumber, Reason, Statuses};
use serde_json::{Value, json};

use crate::{
    edge::Edge,
    harness::{KEYS, Origin, eventually},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_key_goes_through_its_whole_life_and_origin_and_edge_agree_at_every_step() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let key = admin.create(json!({"capabilities": ["llm:gpt-4"], "rate_limit_per_hour": 0, "expires_in_days": 30})).await;
    assert_eq!(key.raw.len(), 144);
    assert_eq!((&key.body["rate_limit_per_hour"], &key.body["status"]), (&json!(0), &json!("active")));
    let signed = edge.sees(&origin, &key.raw).await.unwrap();
    assert_eq!(signed.id().to_string(), key.id);
    assert_eq!(admin.verdict(&key.raw).await.unwrap(), "Rate limit exceeded: 0/0 requests per hour");

    let changed = admin.act(&key.id, "patch", Some(json!({"rate_limit_per_hour": 5, "description": "narrow"}))).await.ok();
    let amended = edge.sees(&origin, &key.raw).await.unwrap();
    assert_ne!(amended.policy(), signed.policy());
    assert_eq!(edge.policy(&origin, amended.policy()).await.claims().limits.rate_per_hour, Some(5));
    assert_eq!(amended.expires(), signed.expires());

    admin.act(&key.id, "suspend", None).await.ok();
    assert_eq!(edge.sees(&origin, &key.raw).await, Err(Reason::Suspended));
    assert_eq!(admin.verdict(&key.raw).await.unwrap(), "API key is suspended");
    // Changed while suspended, it stays suspended, and resumes with the change.
    admin.act(&key.id, "patch", Some(json!({"rate_limit_per_hour": 4}))).await.ok();
    assert_eq!(edge.sees(&origin, &key.raw).await, Err(Reason::Suspended));
    admin.act(&key.id, "resume", None).await.ok();
    let resumed = edge.sees(&origin, &key.raw).await.unwrap();
    assert_eq!(edge.policy(&origin, resumed.policy()).await.claims().limits.rate_per_hour, Some(4));

    let rotated = admin.act(&key.id, "rotate", Some(json!({"overlap_seconds": 3600}))).await.ok();
    let fresh = rotated["new_raw_key"].as_str().unwrap();
    assert_eq!((&rotated["api_key"]["id"], &rotated["api_key"]["description"]), (&json!(key.id), &changed["description"]));
    for raw in [key.raw.as_str(), fresh] {
        assert_eq!(edge.sees(&origin, raw).await.unwrap().policy(), resumed.policy());
        assert_eq!(admin.verdict(raw).await, None);
    }
    // The end of the overlap needs nothing to happen.
    let before = edge.position();
    origin.advance(Duration::from_secs(3601));
    assert_eq!(edge.sees(&origin, &key.raw).await, Err(Reason::Expired));
    assert_eq!(admin.verdict(&key.raw).await.unwrap(), "API key has expired");
    assert!(edge.sees(&origin, fresh).await.is_ok());
    assert_eq!(edge.position(), before);

    let revoked = admin.act(&key.id, "revoke", None).await.ok();
    assert_eq!(revoked, json!({"success": true, "message": "API key revoked successfully", "key_id": key.id}));
    assert_eq!(edge.sees(&origin, fresh).await, Err(Reason::Revoked));
    assert_eq!(admin.verdict(fresh).await.unwrap(), "API key is revoked");
    assert_eq!(admin.get(&format!("{KEYS}/{}", key.id)).await.ok()["status"], "revoked");
    for action in ["rotate", "suspend", "resume", "patch"] {
        admin.act(&key.id, action, Some(json!({}))).await.refused(409, "key_revoked");
    }
    assert_eq!(admin.act(&key.id, "revoke", None).await.ok(), revoked);
}

#[tokio::test]
async fn a_revoke_during_an_overlap_stops_both_credentials_and_no_overlap_stops_the_old_one_at_once() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let first = admin.create(json!({})).await;
    let second = admin.act(&first.id, "rotate", None).await.ok()["new_raw_key"].as_str().unwrap().to_owned();
    let answer = admin.act(&first.id, "rotate", Some(json!({"overlap_seconds": 0}))).await.ok();
    let third = answer["new_raw_key"].as_str().unwrap().to_owned();
    assert_eq!(answer["old_key_expires_at"], json!(null));
    for (raw, expected) in [(&first.raw, Err(Reason::Revoked)), (&second, Err(Reason::Revoked)), (&third, Ok(()))] {
        assert_eq!(edge.sees(&origin, raw).await.map(|_| ()), expected);
    }
    let fourth = admin.act(&first.id, "rotate", None).await.ok()["new_raw_key"].as_str().unwrap().to_owned();
    assert!(edge.sees(&origin, &third).await.is_ok() && edge.sees(&origin, &fourth).await.is_ok());
    admin.act(&first.id, "revoke", None).await.ok();
    assert_eq!(edge.sees(&origin, &third).await, Err(Reason::Revoked));
    assert_eq!(edge.sees(&origin, &fourth).await, Err(Reason::Revoked));
}

#[tokio::test]
async fn an_overlap_never_outlives_the_old_key_and_a_suspended_keys_new_credential_is_suspended() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let key = admin.create(json!({"expires_in_days": 1})).await;
    let answer = admin.act(&key.id, "rotate", Some(json!({"overlap_seconds": 30 * 24 * 3600, "expires_in_days": 10}))).await.ok();
    assert_eq!(answer["old_key_expires_at"], key.body["expires_at"]);
    assert_ne!(answer["api_key"]["expires_at"], key.body["expires_at"]);
    admin.act(&key.id, "rotate/finish", None).await.ok();
    admin.act(&key.id, "suspend", None).await.ok();
    let suspended = admin.act(&key.id, "rotate", None).await.ok()["new_raw_key"].as_str().unwrap().to_owned();
    assert_eq!(edge.sees(&origin, &suspended).await, Err(Reason::Suspended));
    admin.act(&key.id, "resume", None).await.ok();
    assert!(edge.sees(&origin, &suspended).await.is_ok());

    origin.advance(11 * DAY);
    admin.act(&key.id, "rotate", None).await.refused(409, "key_expired");
    let renewed = admin.act(&key.id, "rotate", Some(json!({"expires_in_days": 5}))).await.ok();
    assert!(edge.sees(&origin, renewed["new_raw_key"].as_str().unwrap()).await.is_ok());
}

#[tokio::test]
async fn lists_are_newest_first_page_without_gaps_and_know_who_has_expired_to_the_second() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let owner = json!("somebody");
    let mut ids = Vec::new();
    for days in [1, 2, 3, 4, 5] {
        ids.insert(0, admin.create(json!({"expires_in_days": days, "owner_id": owner})).await.id);
    }
    let mut listed = Vec::new();
    let mut next = Some(format!("{KEYS}?owner_id=somebody&limit=2"));
    while let Some(path) = next {
        let answer = admin.get(&path).await;
        next = answer.headers.get("link").map(|link| link.to_str().unwrap().split(['<', '>']).nth(1).unwrap().to_owned());
        listed.extend(answer.ok().as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(listed, ids);

    admin.act(&ids[0], "suspend", None).await.ok();
    admin.act(&ids[1], "revoke", None).await.ok();
    origin.advance(DAY);
    let with = async |status: &str| {
        let found = admin.get(&format!("{KEYS}?owner_id=somebody&status={status}")).await.ok();
        found.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(with("expired").await, ids[4..]);
    assert_eq!(with("active").await, ids[2..4]);
    assert_eq!(with("suspended").await, ids[..1]);
    assert_eq!(with("revoked").await, ids[1..2]);
}

#[tokio::test]
async fn one_supersession_changes_all_keys_of_a_plan_and_nothing_is_made_under_the_old_one() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let plan = json!({"capabilities": ["llm:gpt-4"], "rate_limit_per_hour": 100});
    let keys = [admin.create(plan.clone()).await, admin.create(plan.clone()).await];
    assert_eq!(keys[0].body["policy"], keys[1].body["policy"]);
    let rate = async |edge: &mut Edge, raw: &str| {
        let policy = edge.sees(&origin, raw).await.unwrap().policy();
        edge.policy(&origin, policy).await.claims().limits.rate_per_hour
    };
    edge.catch_up(&origin).await;
    let before = edge.position().seq;
    let mut policy = keys[0].body["policy"].clone();
    // Twice, so that those superseded first have to move along.
    for limit in [10, 20] {
        let answer = admin.post(&format!("/api/v1/policies/{policy}/supersede"), json!({"rate_limit_per_hour": limit})).await.ok();
        assert_eq!(answer["superseded"], policy);
        admin
            .post(&format!("/api/v1/policies/{policy}/supersede"), json!({"rate_limit_per_hour": 1}))
            .await
            .refused(409, "policy_superseded");
        policy = answer["policy"].clone();
        for key in &keys {
            assert_eq!(rate(&mut edge, &key.raw).await, Some(limit));
        }
    }
    assert_eq!(edge.position().seq, before + 2);
    assert_eq!(admin.get(&format!("{KEYS}/{}", keys[0].id)).await.ok()["rate_limit_per_hour"], 20);
    // The same words as the old plan's are a new policy now.
    let later = admin.create(plan).await;
    assert_eq!(rate(&mut edge, &later.raw).await, Some(100));
}

#[tokio::test]
async fn no_tenant_uses_up_the_supersessions_of_all_and_there_is_never_one_more_than_edges_take() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let other = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other"})).await.ok();
    let seed = async |tenant: &str, count: u32| {
        let sql = format!(
            "INSERT INTO policies (number, tenant, digest, terms, created_at, superseded_by)
             SELECT nextval('policy_numbers'), {tenant}, sha256(('x' || g)::bytea), p.terms, now(), p.number
             FROM (SELECT * FROM policies WHERE superseded_by IS NULL ORDER BY number LIMIT 1) p, generate_series(1, {count}) g"
        );
        origin.database.execute(&sql).await;
    };
    let plans = async |from: u32| {
        let plans = futures_util::future::join_all((from..from + 8).map(|quota| {
            let admin = &admin;
            async move { admin.create(json!({"daily_quota": quota})).await.body["policy"].clone() }
        }));
        plans.await
    };
    let supersede = async |plans: &[Value]| {
        let path = |plan: &Value| format!("/api/v1/policies/{plan}/supersede");
        let answers = plans.iter().enumerate().map(|(at, plan)| {
            let (admin, path) = (&admin, path(plan));
            async move { admin.post(&path, json!({"rate_limit_per_hour": at})).await }
        });
        let answers = futures_util::future::join_all(answers).await;
        let mut codes: Vec<_> = answers.iter().map(|answer| answer.json()["code"].as_str().unwrap_or("done").to_owned()).collect();
        codes.sort();
        codes
    };

    // All but one of the list, of which another tenant has most.
    let (first, second) = (plans(100).await, plans(200).await);
    seed(&format!("'{}'::uuid", other["id"].as_str().or(other["tenant"]["id"].as_str()).unwrap()), 4095).await;
    assert_eq!(supersede(&first).await, [&["capacity_exhausted"; 7][..], &["done"]].concat());
    assert_eq!(origin.database.count("SELECT count(*) FROM policies WHERE superseded_by IS NOT NULL").await, 4096);
    // Its own share, and no more.
    origin.database.execute("DELETE FROM policies WHERE tenant <> (SELECT tenant FROM policies ORDER BY number LIMIT 1)").await;
    seed("p.tenant", 1022).await;
    assert_eq!(supersede(&second).await, [&["ceiling_reached"; 7][..], &["done"]].concat());
}

/// The rate that an edge holds a raw key to.
async fn rate(origin: &Origin, edge: &mut Edge, raw: &str) -> Result<Option<u64>, Reason> {
    let policy = edge.sees(origin, raw).await?.policy();
    Ok(edge.policy(origin, policy).await.claims().limits.rate_per_hour)
}

#[tokio::test]
async fn superseded_policies_make_room_when_no_key_can_be_used_under_them_and_a_renewed_key_is_under_the_one_in_force() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let mut edge = Edge::start(&origin).await;
    let plan = async |quota: u32, more: Value| {
        let mut members = json!({"daily_quota": quota});
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let key = admin.create(members).await;
        (key.body["policy"].clone(), key)
    };
    let supersede = async |policy: &Value, rate: u32| {
        admin.post(&format!("/api/v1/policies/{policy}/supersede"), json!({"rate_limit_per_hour": rate})).await
    };
    let (lives, expires, ended) = (plan(1, json!({})).await, plan(2, json!({"expires_in_days": 1})).await, plan(3, json!({})).await);
    let (next, _) = plan(4, json!({})).await;
    for (policy, _) in [&lives, &expires, &ended] {
        supersede(policy, 77).await.ok();
    }
    admin.act(&ended.1.id, "revoke", None).await.ok();
    // A share that is used up by plans of which there is no key any more.
    origin
        .database
        .execute(
            "INSERT INTO policies (number, tenant, digest, terms, created_at, superseded_by, superseded_at)
             SELECT nextval('policy_numbers'), p.tenant, sha256(('x' || g)::bytea), p.terms, now(), p.number, now()
             FROM (SELECT * FROM policies WHERE superseded_by IS NULL ORDER BY number LIMIT 1) p, generate_series(1, 1021) g",
        )
        .await;
    supersede(&next, 77).await.refused(409, "ceiling_reached");
    assert_eq!(rate(&origin, &mut edge, &expires.1.raw).await, Ok(Some(77)));

    // Two days after the one key's end.
    origin.advance(3 * DAY);
    origin.restart().await;
    let listed = "SELECT number FROM policies WHERE superseded_by IS NOT NULL AND released_at IS NULL";
    let left = format!("SELECT count(*) FROM ({listed}) AS listed");
    eventually("all but one are released", async || (origin.database.count(&left).await == 1).then_some(())).await;
    assert_eq!(json!(origin.database.count(listed).await), lives.0);
    // What edges begin with from now on is made anew.
    origin.stop().await;
    origin.database.execute("DELETE FROM snapshots").await;
    origin.restart().await;
    let admin = origin.admin();
    admin.post(&format!("/api/v1/policies/{next}/supersede"), json!({"rate_limit_per_hour": 88})).await.ok();

    let mut fresh = Edge::start(&origin).await;
    let forgotten = PolicyNumber(expires.0.as_u64().unwrap() as u32);
    assert_ne!(edge.replica.policy_in_force(forgotten), forgotten);
    assert_eq!(fresh.replica.policy_in_force(forgotten), forgotten);
    for edge in [&mut edge, &mut fresh] {
        assert_eq!(rate(&origin, edge, &lives.1.raw).await, Ok(Some(77)));
        assert_eq!(rate(&origin, edge, &expires.1.raw).await, Err(Reason::Expired));
        assert_eq!(rate(&origin, edge, &ended.1.raw).await, Err(Reason::Revoked));
    }
    admin.act(&expires.1.id, "renew", Some(json!({"expires_in_days": 1}))).await.ok();
    for edge in [&mut edge, &mut fresh] {
        assert_eq!(rate(&origin, edge, &expires.1.raw).await, Ok(Some(77)));
    }
    assert_eq!(admin.verdict(&expires.1.raw).await, None);
}

#[tokio::test]
async fn a_key_that_is_suspended_and_past_its_end_is_called_suspended_wherever_one_asks() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({"name": "both", "expires_in_days": 1})).await;
    let is = async |status: &str, verdict: &str| {
        assert_eq!(admin.get(&format!("{KEYS}/{}", key.id)).await.ok()["status"], status);
        assert_eq!(admin.verdict(&key.raw).await.as_deref(), Some(verdict));
        for listed in ["active", "suspended", "expired", "revoked"] {
            for more in ["", "&search=both", "&sort=name"] {
                let found = admin.get(&format!("{KEYS}?status={listed}{more}")).await.ok();
                let found = found.as_array().unwrap().iter().any(|found| found["id"] == key.id.as_str());
                assert_eq!(found, listed == status, "{listed}{more}");
            }
        }
    };
    admin.act(&key.id, "suspend", None).await.ok();
    origin.advance(Duration::from_secs(2 * 24 * 3600));
    is("suspended", "API key is suspended").await;
    // Also where the sweeper has seen its end.
    let swept = format!("SELECT count(*) FROM api_keys WHERE id = '{}' AND wake_at IS NULL", key.id);
    eventually("it was swept", async || (origin.database.count(&swept).await == 1).then_some(())).await;
    is("suspended", "API key is suspended").await;
    admin.act(&key.id, "resume", None).await.ok();
    is("expired", "API key has expired").await;
    admin.act(&key.id, "suspend", None).await.ok();
    is("suspended", "API key is suspended").await;
    admin.act(&key.id, "revoke", None).await.ok();
    is("revoked", "API key is revoked").await;
}
