//! Nobody grants, or does, more than they hold.

use serde_json::{Value, json};

use crate::harness::{KEYS, Origin};

/// A manager whose every dimension is bounded.
fn manager() -> Value {
    json!({
        "scope": "tenant",
        "capabilities": ["keys:*", "llm:gpt-4", "rag:*"],
        "allowed_endpoints": ["/api/v1/**", "/edge/v1/**"],
        "blocked_endpoints": ["/api/v1/secret/**"],
        "allowed_ips": ["127.0.0.0/8", "10.0.0.0/8"],
        "rate_limit_per_hour": 100,
        "daily_quota": 1000,
        "monthly_quota": 10_000,
        "cost_limit_cents": 10,
        "max_tokens_per_request": 100,
        "max_concurrent_requests": 2,
        "expires_in_days": 10,
        "tenant_constraints": {"max_automation_chain_depth": 3, "enable_premium_features": false},
    })
}

/// A key that the manager may make.
fn within() -> Value {
    json!({"capabilities": ["llm:gpt-4"], "allowed_endpoints": ["/api/v1/chat"], "allowed_ips": ["10.1.0.0/16"]})
}

fn with(base: Value, member: &str, value: Value) -> Value {
    let mut base = base;
    base[member] = value;
    base
}

const BEYOND: &[(&str, &str, &str)] = &[
    ("scope", r#""admin""#, "scope"),
    ("capabilities", r#"["llm:*"]"#, "capabilities"),
    ("capabilities", r#"["edge:sync"]"#, "capabilities"),
    ("allowed_endpoints", r#"["/v2/**"]"#, "allowed_endpoints"),
    ("allowed_endpoints", r#"[]"#, "allowed_endpoints"),
    ("allowed_endpoints", r#"["/api/v1/**"]"#, "blocked_endpoints"),
    ("allowed_ips", r#"["11.0.0.0/8"]"#, "allowed_ips"),
    ("allowed_ips", r#"["10.0.0.0/7"]"#, "allowed_ips"),
    ("allowed_ips", r#"[]"#, "allowed_ips"),
    ("rate_limit_per_hour", "101", "rate_limit_per_hour"),
    ("rate_limit_per_hour", r#""unlimited""#, "rate_limit_per_hour"),
    ("daily_quota", "1001", "daily_quota"),
    ("monthly_quota", "10001", "monthly_quota"),
    ("cost_limit_cents", "11", "cost_limit_cents"),
    ("max_tokens_per_request", "101", "max_tokens_per_request"),
    ("max_concurrent_requests", "3", "max_concurrent_requests"),
    ("expires_in_days", "11", "expires_in_days"),
    ("expires_in_days", "null", "expires_in_days"),
    ("require_tls", "false", "require_tls"),
    ("tenant_constraints", r#"{"max_automation_chain_depth": 4}"#, "tenant_constraints"),
    ("tenant_constraints", r#"{"enable_premium_features": true}"#, "tenant_constraints"),
];

#[tokio::test]
async fn nobody_creates_a_key_beyond_itself_in_any_dimension() {
    let origin = Origin::start().await;
    let caller = origin.caller(manager()).await;
    for (member, value, field) in BEYOND {
        // Endpoints that meet the block have to keep it: with it they pass, and so the cases are about one dimension.
        let answer = caller.try_create(with(within(), member, serde_json::from_str(value).unwrap())).await;
        assert_eq!(answer.problem(), (403, "grant_exceeded".into(), (*field).into()), "{member} {value}");
    }
    let made = caller.create(within()).await;
    // Whoever names nothing gets nothing beyond the caller.
    assert_eq!(made.body["rate_limit_per_hour"], 100);
    assert_eq!(made.body["tenant_constraints"]["max_automation_chain_depth"], 3);
    assert_eq!(made.body["owner_id"], "admin");
}

#[tokio::test]
async fn nobody_reaches_beyond_itself_by_changing_or_rotating_what_is_there() {
    let origin = Origin::start().await;
    let (admin, caller) = (origin.admin(), origin.caller(manager()).await);
    let made = caller.create(within()).await;
    for (member, value, field) in BEYOND {
        let value: Value = serde_json::from_str(value).unwrap();
        let value = if value == json!([]) { json!("any") } else { value };
        if matches!(*member, "scope" | "expires_in_days") {
            continue;
        }
        let answer = caller.act(&made.id, "patch", Some(json!({*member: value}))).await;
        assert_eq!(answer.problem(), (403, "grant_exceeded".into(), (*field).into()), "{member}");
    }
    caller.act(&made.id, "rotate", Some(json!({"expires_in_days": 11}))).await.refused(403, "grant_exceeded");
    // To narrow a key one needn't hold what is left of it; to widen it again one has to.
    let theirs = admin.create(json!({"capabilities": ["admin:user_management"], "rate_limit_per_hour": 10})).await;
    caller.act(&theirs.id, "patch", Some(json!({"rate_limit_per_hour": 5}))).await.ok();
    caller.act(&theirs.id, "patch", Some(json!({"rate_limit_per_hour": 6}))).await.refused(403, "grant_exceeded");
    // A rotation shows the raw key: of a stronger key it would be a way up. Revoking it isn't.
    let stronger = admin.create(json!({"capabilities": ["admin:user_management"]})).await;
    caller.act(&stronger.id, "rotate", None).await.refused(403, "grant_exceeded");
    caller.act(&stronger.id, "revoke", None).await.ok();
}

#[tokio::test]
async fn a_caller_of_user_scope_has_its_owners_keys_and_no_others() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let user = origin.caller(json!({"capabilities": ["keys:*"], "owner_id": "ann"})).await;
    let (mine, other) = (user.create(json!({})).await, admin.create(json!({"owner_id": "bob"})).await);
    assert_eq!(mine.body["owner_id"], "ann");
    user.try_create(json!({"owner_id": "bob"})).await.refused(403, "scope_insufficient");
    user.post("/api/v1/policies/1/supersede", json!({})).await.refused(403, "scope_insufficient");
    let listed = user.get(KEYS).await.ok();
    assert!(listed.as_array().unwrap().iter().all(|key| key["owner_id"] == "ann"));
    assert_eq!(user.get(&format!("{KEYS}?owner_id=bob")).await.ok(), json!([]));
    // One that isn't the caller's and one that isn't there look the same.
    let missing = user.get(&format!("{KEYS}/01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11")).await.text;
    assert_eq!(user.get(&format!("{KEYS}/{}", other.id)).await.text, missing);
    for action in ["patch", "rotate", "rotate/finish", "rotate/cancel", "renew", "suspend", "resume", "revoke"] {
        let body = if action == "renew" { json!({"expires_in_days": 1}) } else { json!({}) };
        let answer = user.act(&other.id, action, Some(body)).await;
        assert_eq!((answer.status, &answer.text), (404, &missing), "{action}");
    }
    // Tenant scope manages the keys of people who have left.
    let manager = origin.caller(json!({"capabilities": ["keys:*"], "scope": "tenant"})).await;
    manager.act(&other.id, "revoke", None).await.ok();
}

/// What each capability is for, and how it is asked for.
const CAPABILITIES: &[(&str, &str, &str)] = &[
    ("GET", "/api/v1/api-keys", "keys:read"),
    ("POST", "/api/v1/api-keys", "keys:create"),
    ("POST", "/api/v1/api-keys/validate", "keys:validate"),
    ("PATCH", "/api/v1/api-keys/{id}", "keys:update"),
    ("POST", "/api/v1/api-keys/{id}/rotate", "keys:rotate"),
    ("DELETE", "/api/v1/api-keys/{id}/revoke", "keys:revoke"),
    ("POST", "/api/v1/api-keys/{id}/renew", "keys:update"),
    ("POST", "/api/v1/api-keys/{id}/rotate/finish", "keys:rotate"),
    ("POST", "/api/v1/api-keys/bulk/revoke", "keys:revoke"),
    ("POST", "/api/v1/api-keys/bulk/reassign", "keys:update"),
    ("GET", "/api/v1/events", "keys:read"),
    ("POST", "/api/v1/policies/1/supersede", "keys:update"),
    ("POST", "/api/v1/api-keys/catalog/capabilities", "tenants:catalog"),
    ("GET", "/api/v1/tenants", "tenants:read"),
    ("POST", "/api/v1/tenants", "tenants:create"),
    ("PATCH", "/api/v1/tenants/{id}", "tenants:update"),
    ("GET", "/api/v1/owners", "tenants:owners"),
    ("GET", "/api/v1/audit", "audit:read"),
    ("GET", "/edge/v1/snapshot", "edge:sync"),
];

/// Routes that refuse in OAuth's words, with the capability that takes somebody who asks about another's key, and how
/// the lack of it is told.
const OAUTH: &[(&str, &str, (u16, &str))] = &[
    ("/oauth/token", "keys:validate", (400, "unauthorized_client")),
    ("/oauth/introspect", "keys:validate", (403, "insufficient_scope")),
    ("/oauth/revoke", "keys:revoke", (403, "insufficient_scope")),
];

#[tokio::test]
async fn each_capability_opens_its_own_routes_and_no_others() {
    let origin = Origin::start().await;
    for (method, route, capability) in CAPABILITIES {
        let path = route.replace("{id}", "01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11");
        let others: Vec<_> = CAPABILITIES.iter().map(|(.., other)| other).filter(|other| *other != capability).collect();
        let without = origin.caller(json!({"capabilities": others, "scope": "tenant"})).await;
        without.send(method, &path, None, &[]).await.refused(403, "capability_missing");
        let with = origin.caller(json!({"capabilities": [capability], "scope": "tenant"})).await;
        let answer = with.send(method, &path, None, &[]).await;
        assert!(answer.status != 403 || answer.problem().1 == "scope_insufficient", "{method} {route}: {answer:?}");
    }
}

#[tokio::test]
async fn who_lacks_the_capability_does_nothing_to_the_key_of_another_by_oauth() {
    let origin = Origin::start().await;
    let (admin, nobody) = (origin.admin(), origin.client("none"));
    let revoked = admin.create(json!({"capabilities": ["keys:*"]})).await;
    admin.act(&revoked.id, "revoke", None).await.ok();
    let revoked = origin.client(&revoked.raw);
    let subject = admin.create(json!({})).await;
    for (route, capability, (status, error)) in OAUTH {
        let exchange = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:keyward:token-type:api-key"),
            ("subject_token", subject.raw.as_str()),
        ];
        let parameters = if *route == "/oauth/token" { &exchange[..] } else { &[("token", subject.raw.as_str())] };
        for unknown in [&nobody, &revoked] {
            assert_eq!(unknown.form(route, parameters).await.oauth(), (401, "invalid_client".into()), "{route}");
        }
        let others: Vec<_> = CAPABILITIES.iter().map(|(.., other)| other).filter(|other| *other != capability).collect();
        let without = origin.caller(json!({"capabilities": others, "scope": "tenant"})).await;
        assert_eq!(without.form(route, parameters).await.oauth(), (*status, (*error).to_owned()), "{route}");
    }
    assert_eq!(admin.verdict(&subject.raw).await, None);
}

#[tokio::test]
async fn a_management_key_is_bound_by_its_own_restrictions_at_the_origin_too() {
    let origin = Origin::start().await;
    let elsewhere = origin.caller(json!({"capabilities": ["keys:read"], "allowed_ips": ["10.0.0.0/8"]})).await;
    elsewhere.get(KEYS).await.refused(403, "address_not_allowed");
    let blocked = origin.caller(json!({"capabilities": ["keys:*"], "blocked_endpoints": ["/api/v1/api-keys/catalog/**"]})).await;
    blocked.get(KEYS).await.ok();
    blocked.get(&format!("{KEYS}/catalog/scopes")).await.refused(403, "endpoint_blocked");
    let test = origin.caller(json!({"capabilities": ["keys:*"], "environment": "test"})).await;
    test.get(KEYS).await.refused(401, "wrong_environment");
}
