//! `validate`: in the words of the API that Keyward grew from, and from memory.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::harness::{Client, KEYS, Origin, eventually};

const OTHER: &str = "01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e99";
/// For how long memory is believed without the feed, and time enough for the request itself.
const GUARANTEED: Duration = Duration::from_secs(2 + 1);

/// What `validate` answers for a request.
async fn ask(client: &Client, request: Value) -> Value {
    let answer = client.post(&format!("{KEYS}/validate"), request).await.ok();
    let members = ["valid", "error_message", "capability_token", "rate_limit_remaining", "quota_remaining"];
    assert!(members.iter().all(|name| answer.get(name).is_some()), "{answer}");
    assert_eq!(answer["valid"], answer["error_message"].is_null(), "{answer}");
    assert!(answer["valid"] == true || answer["capability_token"].is_null(), "{answer}");
    answer
}

#[tokio::test]
async fn validate_speaks_as_the_api_that_keyward_grew_from_in_its_order() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let terms = json!({
        "capabilities": ["llm:*"], "allowed_endpoints": ["/v1/**"], "blocked_endpoints": ["/v1/secret/**"], "allowed_ips": ["10.0.0.0/8"],
        "allowed_domains": ["app.example.com"], "rate_limit_per_hour": 0, "expires_in_days": 1,
    });
    let key = admin.create(terms).await;
    let sound =
        json!({"endpoint": "POST /v1/chat", "client_ip": "10.1.2.3", "domain": "app.example.com", "tls": true, "capability": "llm:x"});
    let words = async |change: Value| {
        let mut request = sound.clone();
        request["api_key"] = json!(key.raw);
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        ask(&admin, request).await["error_message"].as_str().unwrap_or("valid").to_owned()
    };
    // Each fault on top of all that come after it: the first in order is told.
    let mut faults = json!({});
    for (fault, expected) in [
        (json!({}), "Rate limit exceeded: 0/0 requests per hour"),
        (json!({"capability": "rag:search"}), "Capability rag:search not granted"),
        (json!({"tls": false}), "TLS is required"),
        (json!({"domain": "evil.example.com"}), "Domain evil.example.com not allowed"),
        (json!({"domain": null}), "Domain (none) not allowed"),
        (json!({"client_ip": "11.1.2.3"}), "IP 11.1.2.3 not allowed"),
        (json!({"client_ip": null}), "IP (none) not allowed"),
        (json!({"endpoint": "/v1/secret"}), "Endpoint /v1/secret is blocked"),
        (json!({"endpoint": "/v2"}), "Endpoint /v2 not allowed"),
    ] {
        faults.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
        assert_eq!(words(faults.clone()).await, expected);
    }
    admin.act(&key.id, "suspend", None).await.ok();
    assert_eq!(words(faults.clone()).await, "API key is suspended");
    admin.act(&key.id, "resume", None).await.ok();
    admin.act(&key.id, "patch", Some(json!({"rate_limit_per_hour": "unlimited", "daily_quota": 0}))).await.ok();
    assert_eq!(words(json!({})).await, "Daily quota exceeded: 0/0 requests per day");
    admin.act(&key.id, "patch", Some(json!({"daily_quota": 100}))).await.ok();
    assert_eq!(words(json!({})).await, "valid");
    // What the seed's clients don't send isn't held against the key.
    assert_eq!(words(json!({"tls": null, "capability": null})).await, "valid");
    origin.advance(Duration::from_secs(24 * 3600));
    assert_eq!(words(faults).await, "API key has expired");
}

#[tokio::test]
async fn hole_04_validate_asks_who_calls_and_no_spelling_or_omission_slips_past_a_block() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({"blocked_endpoints": ["/a/**", "DELETE /b"]})).await;
    let path = format!("{KEYS}/validate");
    let body = json!({"api_key": key.raw, "endpoint": "/c"});
    origin.anyone().post(&path, body.clone()).await.refused(401, "credential_missing");
    origin.caller(json!({"capabilities": ["keys:read"]})).await.post(&path, body.clone()).await.refused(403, "capability_missing");
    assert_eq!(ask(&admin, body).await["valid"], true);
    for blocked in ["/a", "/a/", "/a/b", "/%61", "GET /a/", "/b", "DELETE /b/"] {
        let answer = ask(&admin, json!({"api_key": key.raw, "endpoint": blocked})).await;
        assert_eq!(answer["error_message"], format!("Endpoint {blocked} is blocked"));
    }
    assert_eq!(ask(&admin, json!({"api_key": key.raw, "endpoint": "GET /b"})).await["valid"], true);
    assert_eq!(ask(&admin, json!({"api_key": key.raw})).await["error_message"], "Endpoint (none) is blocked");
    // What can be read in two ways is refused, and so is what stands for many.
    for odd in ["/c/../a", "/c//a", "/c%2fa", "/*", "c", "get /a"] {
        let answer = admin.post(&path, json!({"api_key": key.raw, "endpoint": odd})).await;
        assert_eq!(answer.problem(), (422, "validation_failed".into(), "endpoint".into()), "{odd}");
    }
}

#[tokio::test]
async fn hole_12_a_key_that_nobody_proves_to_hold_is_not_recognised_whatever_its_state() {
    let origin = Origin::start().await;
    origin.database.execute(&format!("INSERT INTO tenants VALUES ('{OTHER}', 'other', 'Other', 'oth', now())")).await;
    let admin = origin.admin();
    let there = async |path: &str, method: &str, body: Value| {
        admin.send(method, &format!("{KEYS}{path}?tenant={OTHER}"), Some(&body), &[]).await.ok()
    };
    let theirs = async || {
        let made = there("", "POST", json!({"name": "theirs"})).await;
        (made["api_key"]["id"].as_str().unwrap().to_owned(), made["raw_key"].as_str().unwrap().to_owned())
    };
    let (valid, suspended, revoked) = (theirs().await, theirs().await, theirs().await);
    there(&format!("/{}/suspend", suspended.0), "POST", json!({})).await;
    there(&format!("/{}/revoke", revoked.0), "DELETE", json!({})).await;
    let own = admin.create(json!({})).await.raw;
    let forged = format!("{}{}", &own[..own.len() - 1], if own.ends_with('0') { '1' } else { '0' });
    let restricted = json!({"endpoint": "/v1/x", "client_ip": "192.0.2.1"});
    for raw in [valid.1.as_str(), &suspended.1, &revoked.1, &forged, "rubbish", ""] {
        let mut request = restricted.clone();
        request["api_key"] = json!(raw);
        let expected = json!({"valid": false, "error_message": "Invalid API key", "capability_token": null, "rate_limit_remaining": null, "quota_remaining": null});
        // Twice: what is remembered of it says no more.
        assert_eq!(ask(&admin, request.clone()).await, expected);
        assert_eq!(ask(&admin, request).await, expected);
    }
    assert_eq!(
        admin.post(&format!("{KEYS}/validate?tenant={OTHER}"), json!({"api_key": suspended.1})).await.ok()["error_message"],
        "API key is suspended"
    );
}

#[tokio::test]
async fn a_key_that_was_met_is_validated_without_a_statement_and_a_forgery_always() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(unlimited(json!({"capabilities": ["llm:gpt-4"]}))).await;
    let stranger = admin.create(json!({})).await;
    assert_eq!(admin.verdict(&key.raw).await, None);
    // Whoever reads these tables now waits for this transaction; the feed reads others.
    let mut holder = origin.database.connect().await;
    let mut held = holder.begin().await.unwrap();
    held.execute(AssertSqlSafe("LOCK TABLE credentials, api_keys, policies, tenants, revoked_tokens IN ACCESS EXCLUSIVE MODE"))
        .await
        .unwrap();
    // For longer than memory is believed without the feed.
    let began = Instant::now();
    while began.elapsed() < GUARANTEED {
        assert_eq!(admin.verdict(&key.raw).await, None);
        assert_eq!(admin.verdict("rubbish").await.unwrap(), "Invalid API key");
        assert_eq!(admin.verdict(&forged(&key.raw)).await.unwrap(), "Invalid API key");
    }
    admin.post(&format!("{KEYS}/validate"), json!({"api_key": stranger.raw})).await.refused(503, "database_unavailable");
    held.rollback().await.unwrap();
    assert_eq!(admin.verdict(&stranger.raw).await, None);
}

#[tokio::test]
async fn who_is_told_that_a_key_was_revoked_before_is_told_no_other_by_validate() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(unlimited(json!({}))).await;
    assert_eq!(admin.verdict(&key.raw).await, None);
    // As another server does it, before the feed has brought it; or this one, where the answer to its message was lost.
    let revoke = "UPDATE api_keys SET state = 'revoked', lapsed = false, revoked_at = now(), version = version + 1 WHERE id = ";
    origin.database.execute(&format!("{revoke} '{}'", key.id)).await;
    origin.database.execute(&format!("UPDATE credentials SET status = 1 WHERE api_key = '{}'", key.id)).await;
    admin.act(&key.id, "revoke", None).await.ok();
    assert_eq!(admin.verdict(&key.raw).await.unwrap(), "API key is revoked");
}

/// A key that isn't counted: what it is asked about is another promise's.
fn unlimited(mut members: Value) -> Value {
    for limit in ["rate_limit_per_hour", "daily_quota", "monthly_quota"] {
        members[limit] = json!("unlimited");
    }
    members
}

/// The same key with another signature, under a right checksum.
fn forged(raw: &str) -> String {
    let parsed = keyward_core::ParsedKey::parse(raw).unwrap();
    let mut signature = *parsed.signature();
    signature[0] ^= 1;
    let mut text = String::new();
    let claims = parsed.unverified_claims().to_bytes();
    keyward_core::codec::write_key(parsed.prefix(), parsed.environment(), &claims, &signature, &mut text);
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_has_answered_for_is_seen_by_its_next_validate_whatever_is_under_way() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(unlimited(json!({}))).await;
    // Others ask without a pause, so that reads are under way whenever something changes.
    let others: Vec<_> = (0..4)
        .map(|_| {
            let (client, raw) = (origin.client(&admin.key), key.raw.clone());
            tokio::spawn(async move {
                loop {
                    client.verdict(&raw).await;
                }
            })
        })
        .collect();
    for _ in 0..40 {
        admin.act(&key.id, "suspend", None).await.ok();
        assert_eq!(admin.verdict(&key.raw).await.unwrap(), "API key is suspended");
        admin.act(&key.id, "resume", None).await.ok();
        assert_eq!(admin.verdict(&key.raw).await, None);
    }
    admin.act(&key.id, "patch", Some(json!({"rate_limit_per_hour": 0}))).await.ok();
    assert_eq!(admin.verdict(&key.raw).await.unwrap(), "Rate limit exceeded: 0/0 requests per hour");
    let policy = admin.get(&format!("{KEYS}/{}", key.id)).await.ok()["policy"].clone();
    admin.post(&format!("/api/v1/policies/{policy}/supersede"), json!({"rate_limit_per_hour": 70000})).await.ok();
    assert_eq!(admin.verdict(&key.raw).await, None);
    admin.act(&key.id, "revoke", None).await.ok();
    assert_eq!(admin.verdict(&key.raw).await.unwrap(), "API key is revoked");
    // The caller itself too.
    let caller = admin.create(json!({"capabilities": ["keys:validate"]})).await;
    let client = origin.client(&caller.raw);
    client.verdict(&key.raw).await;
    admin.act(&caller.id, "revoke", None).await.ok();
    client.post(&format!("{KEYS}/validate"), json!({"api_key": key.raw})).await.refused(401, "key_revoked");
    others.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn what_another_server_has_answered_for_is_seen_within_the_feeds_usual_time() {
    let origin = Origin::start().await;
    let other = origin.beside().await;
    let (admin, there) = (origin.admin(), other.admin());
    let key = admin.create(json!({})).await;
    let mut slowest = Duration::ZERO;
    for (action, verdict) in [("suspend", Some("API key is suspended")), ("resume", None)].repeat(5) {
        there.verdict(&key.raw).await;
        admin.act(&key.id, action, None).await.ok();
        let began = Instant::now();
        eventually("the other server knows", async || (there.verdict(&key.raw).await.as_deref() == verdict).then_some(())).await;
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < GUARANTEED, "{slowest:?}");
}

#[tokio::test]
async fn memory_is_not_believed_for_long_where_the_feed_can_not_be_read() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({})).await;
    assert_eq!(admin.verdict(&key.raw).await, None);
    let mut holder = origin.database.connect().await;
    let mut held = holder.begin().await.unwrap();
    held.execute(AssertSqlSafe("LOCK TABLE feed_state IN ACCESS EXCLUSIVE MODE")).await.unwrap();
    // A change of which nothing is told.
    origin.database.execute(&format!("UPDATE credentials SET status = 1 WHERE api_key = '{}'", key.id)).await;
    let began = Instant::now();
    eventually("the row is read again", async || admin.verdict(&key.raw).await).await;
    assert!(began.elapsed() < GUARANTEED, "{:?}", began.elapsed());
    assert_eq!(admin.verdict(&key.raw).await.unwrap(), "API key is revoked");
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn a_token_is_handed_out_again_inside_its_window_and_never_outlives_what_it_was_made_from() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({"capabilities": ["llm:gpt-4"], "rate_limit_per_hour": 500})).await;
    let token = async |raw: &str| ask(&admin, json!({"api_key": raw})).await["capability_token"].as_str().map(str::to_owned);
    let claims = |token: &str| -> Value {
        let payload = keyward_core::codec::decode_base64url(token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice(&payload).unwrap()
    };
    let first = token(&key.raw).await.unwrap();
    assert_eq!(token(&key.raw).await.unwrap(), first);
    let said = claims(&first);
    assert_eq!(
        (&said["iss"], &said["aud"], &said["sub"], &said["scope"]),
        (&json!("http://origin.test"), &json!("http://origin.test"), &json!(key.id), &json!("llm:gpt-4"))
    );
    assert_eq!(said["exp"].as_u64().unwrap(), said["iat"].as_u64().unwrap() + 300);
    assert!(said["iat"].as_u64().unwrap().abs_diff(origin.now().secs()) < 60, "UTC: {said}");
    // Another policy is another token, and so is another window.
    admin.act(&key.id, "patch", Some(json!({"rate_limit_per_hour": 400}))).await.ok();
    let narrowed = token(&key.raw).await.unwrap();
    assert_ne!(claims(&narrowed)["lim"], said["lim"]);
    origin.advance(Duration::from_secs(60));
    let second = token(&key.raw).await.unwrap();
    assert_ne!(claims(&second)["jti"], claims(&narrowed)["jti"]);
    // A key that ends before the window does: the old token would outlive it.
    admin.act(&key.id, "rotate", Some(json!({"overlap_seconds": 30}))).await.ok();
    let last = token(&key.raw).await.unwrap();
    assert!(claims(&last)["exp"].as_u64().unwrap() <= origin.now().secs() + 30, "{}", claims(&last));
    let without = admin.create(json!({"token_exchange": false})).await;
    assert_eq!(token(&without.raw).await, None);
}
