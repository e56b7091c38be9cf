//! The holes of the API that Keyward grew from: each has a test that names it, here or beside what closes it, and fails
//! if it opens again.

use std::{collections::BTreeSet, fs, path::Path};

use keyward_core::AuditRecord;
use serde_json::{Value, json};

use crate::{
    harness::{KEYS, Origin},
    limits,
};

/// How many there are.
const HOLES: u32 = 14;

#[test]
fn each_hole_has_a_test_that_names_it() {
    let mut named = BTreeSet::new();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/origin")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        // One that is ignored, or no test at all, has another line before it.
        for rest in source.split("\n#[tokio::test]\nasync fn hole_").skip(1) {
            let number = rest.split('_').next().unwrap();
            assert!(number.len() == 2, "hole_{number}_ in {}: two digits", path.display());
            named.insert(number.parse::<u32>().unwrap());
        }
    }
    assert_eq!(named, (1..=HOLES).collect());
}

#[tokio::test]
async fn hole_01_a_tenant_comes_from_the_key_and_tokens_verify_by_public_keys_alone() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let made = admin.post("/api/v1/tenants", json!({"slug": "acme", "name": "Acme", "first_key": true})).await.ok();
    let theirs = origin.client(made["first_key"]["raw_key"].as_str().unwrap());
    let key = theirs.create(json!({"capabilities": ["llm:gpt-4"], "require_tls": false})).await;
    assert_eq!(key.body["tenant_id"], made["tenant"]["id"]);
    let answer = theirs.post(&format!("{KEYS}/validate"), json!({"api_key": key.raw, "endpoint": "/x"})).await.ok();
    let token = answer["capability_token"].as_str().unwrap();
    let part = |at: usize| -> Value {
        let bytes = keyward_core::codec::decode_base64url(token.split('.').nth(at).unwrap()).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    };
    assert_eq!((&part(0)["alg"], &part(1)["tenant"]), (&json!("EdDSA"), &made["tenant"]["id"]));
    let jwks = admin.get("/.well-known/jwks.json").await.ok();
    let named = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == part(0)["kid"]).unwrap();
    assert_eq!((&named["kty"], &named["crv"], &named["d"]), (&json!("OKP"), &json!("Ed25519"), &Value::Null));
}

#[tokio::test]
async fn hole_03_nobody_makes_a_key_beyond_its_own_scope_capabilities_or_features_or_of_unknown_capabilities() {
    let origin = Origin::start().await;
    let manager = origin.caller(json!({"capabilities": ["keys:*", "llm:gpt-4"], "scope": "tenant"})).await;
    for (members, field) in [
        (json!({"scope": "admin"}), "scope"),
        (json!({"capabilities": ["llm:groq"]}), "capabilities"),
        (json!({"tenant_constraints": {"enable_premium_features": true}}), "tenant_constraints"),
    ] {
        let answer = manager.try_create(members.clone()).await;
        assert_eq!(answer.problem(), (403, "grant_exceeded".into(), field.into()), "{members}");
    }
    let unknown = manager.try_create(json!({"capabilities": ["llm:gpt-4", "llm:gtp-4"]})).await;
    assert_eq!(unknown.problem(), (422, "validation_failed".into(), "capabilities[1]".into()));
}

#[tokio::test]
async fn hole_05_a_tenants_manager_ends_the_keys_of_people_who_left() {
    let origin = Origin::start().await;
    let left = origin.key(json!({"owner_id": "left"})).await;
    let manager = origin.caller(json!({"capabilities": ["keys:*", "tenants:owners"], "scope": "tenant"})).await;
    manager.act(&left.id, "suspend", None).await.ok();
    manager.act(&left.id, "revoke", None).await.ok();
    manager.send("PATCH", "/api/v1/owners/left", Some(&json!({"disabled": true})), &[]).await.ok();
    manager.try_create(json!({"owner_id": "left"})).await.refused(409, "owner_disabled");
}

#[tokio::test]
async fn hole_06_every_limit_is_enforced_as_the_key_has_it_and_what_remains_is_true() {
    let origin = limits::start().await;
    let admin = origin.admin();
    let validate = async |raw: &str, more: Value| {
        let mut request = json!({"api_key": raw, "endpoint": "/v1/x", "client_ip": "192.0.2.1"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        admin.post(&format!("{KEYS}/validate"), request).await.ok()
    };
    // Custom rate, quotas and cost: each refuses by its own count, and two keys have two counts.
    for (given, more, message) in [
        (json!({"rate_limit_per_hour": 7}), json!({}), "Rate limit exceeded: 7/7 requests per hour"),
        (json!({"daily_quota": 7}), json!({}), "Daily quota exceeded: 7/7 requests per day"),
        (json!({"monthly_quota": 7}), json!({}), "Monthly quota exceeded: 7/7 requests per month"),
        (json!({"cost_limit_cents": 7}), json!({"cost_cents": 1}), "Cost limit exceeded: 7/7 cents per month"),
    ] {
        let key = admin.create(given.clone()).await;
        let (rate, quota) = (given["rate_limit_per_hour"].as_u64().unwrap_or(1000), given["daily_quota"].as_u64().unwrap_or(10_000));
        let quota = given["monthly_quota"].as_u64().unwrap_or(quota);
        for used in 1..=7 {
            let answer = validate(&key.raw, more.clone()).await;
            assert_eq!((&answer["valid"], &answer["error_message"]), (&json!(true), &Value::Null), "{given}");
            assert_eq!(
                (&answer["rate_limit_remaining"], &answer["quota_remaining"]),
                (&json!(rate - used), &json!(quota - used)),
                "{given}"
            );
        }
        assert_eq!(validate(&key.raw, more.clone()).await["error_message"], message);
    }
    // What isn't counted by window.
    let small = admin.create(json!({"max_tokens_per_request": 10, "allowed_domains": ["app.example.com"], "require_tls": true})).await;
    let sound = json!({"domain": "app.example.com", "tls": true, "tokens": 10});
    let with = |change: Value| {
        let mut request = sound.clone();
        request.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        request
    };
    for (change, message) in [
        (json!({}), Value::Null),
        (json!({"tokens": 11}), json!("Token limit exceeded: 11/10 tokens per request")),
        (json!({"tls": false}), json!("TLS is required")),
        (json!({"domain": "evil.example.com"}), json!("Domain evil.example.com not allowed")),
    ] {
        assert_eq!(validate(&small.raw, with(change)).await["error_message"], message);
    }
    let none = admin.create(json!({"max_concurrent_requests": 0})).await;
    assert_eq!(validate(&none.raw, json!({})).await["error_message"], "Concurrency limit exceeded: 0/0 requests at a time");
}

#[tokio::test]
async fn hole_12_no_error_tells_of_the_inside_nor_of_a_key_that_the_caller_cannot_prove_to_hold() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = admin.create(json!({"capabilities": ["keys:read"]})).await;
    admin.act(&key.id, "revoke", None).await.ok();
    // One character changed: whatever became of the key, nobody who doesn't hold it hears of it.
    let middle = key.raw.len() - 50;
    let other = if key.raw.as_bytes()[middle] == b'x' { "y" } else { "x" };
    let forged = format!("{}{other}{}", &key.raw[..middle], &key.raw[middle + 1..]);
    let told = origin.client(&forged).get(KEYS).await;
    assert_eq!(told.text, origin.client("junk").get(KEYS).await.text);
    assert_eq!(admin.verdict(&forged).await.unwrap(), "Invalid API key");
    origin.client(&key.raw).get(KEYS).await.refused(401, "key_revoked");
    // A foreign key's usage is not there, rather than none.
    let made = admin.post("/api/v1/tenants", json!({"slug": "acme", "name": "Acme", "first_key": true})).await.ok();
    let theirs = origin.client(made["first_key"]["raw_key"].as_str().unwrap());
    theirs.get(&format!("{KEYS}/{}/usage", key.id)).await.refused(404, "not_found");
    // A table that is gone is our fault, and our secret.
    origin.database.execute("ALTER TABLE api_keys RENAME COLUMN name TO lost").await;
    origin.database.execute("DROP VIEW key_details").await;
    let broken = admin.get(KEYS).await;
    assert_eq!(broken.status, 500, "{broken:?}");
    assert!(!broken.text.contains("key_details") && broken.json().get("detail").is_none(), "{broken:?}");
}

#[tokio::test]
async fn hole_14_the_trail_has_denials_addresses_and_its_own_reading() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let weak = origin.caller(json!({"capabilities": ["llm:*"]})).await;
    weak.get(KEYS).await.refused(403, "capability_missing");
    admin.get("/api/v1/audit").await.ok();
    let records: Vec<AuditRecord> = serde_json::from_value(admin.get("/api/v1/audit").await.ok()).unwrap();
    for action in ["api_key_created", "management_denied", "audit_read"] {
        let record = records.iter().find(|record| record.action == action && record.actor.is_some());
        assert_eq!(record.and_then(|record| record.address.as_deref()), Some("127.0.0.1"), "{action}");
    }
    // That it can't be edited unseen: `audit::verify_finds_what_the_owner_of_the_database_edits_…`.
}
