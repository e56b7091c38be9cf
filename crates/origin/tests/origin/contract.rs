//! What a client of the API that Keyward grew from reads: the catalogue, the scopes, and what a key has that nobody named.

use serde_json::{Value, json};

use crate::harness::{KEYS, Origin};

/// The catalogue that it began with.
const CATALOGUE: [(&str, &str, &str); 16] = [
    ("llm:gpt-4", "GPT-4 Language Model", "AI/ML"),
    ("llm:claude-sonnet", "Claude Sonnet", "AI/ML"),
    ("llm:groq", "Groq Models", "AI/ML"),
    ("embedding:openai", "OpenAI Embeddings", "AI/ML"),
    ("image:dall-e", "DALL-E Image Generation", "AI/ML"),
    ("rag:search", "RAG Search", "Knowledge"),
    ("rag:upload", "Document Upload", "Knowledge"),
    ("rag:dataset_management", "Dataset Management", "Knowledge"),
    ("automation:create", "Create Automations", "Automation"),
    ("automation:execute", "Execute Automations", "Automation"),
    ("automation:api_calls", "API Call Actions", "Automation"),
    ("automation:webhooks", "Webhook Actions", "Automation"),
    ("external:github", "GitHub Integration", "External"),
    ("external:slack", "Slack Integration", "External"),
    ("admin:user_management", "User Management", "Admin"),
    ("admin:tenant_settings", "Tenant Settings", "Admin"),
];

#[tokio::test]
async fn the_catalogue_has_what_it_began_with_by_the_same_names_and_keys_can_be_given_all_of_it() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let catalogue = admin.get(&format!("{KEYS}/catalog/capabilities")).await.ok();
    let lines: Vec<_> = catalogue["capabilities"].as_array().unwrap().iter().collect();
    for (at, (value, label, category)) in CATALOGUE.into_iter().enumerate() {
        let line = lines[at];
        assert_eq!((&line["value"], &line["label"], &line["category"]), (&json!(value), &json!(label), &json!(category)));
    }
    // What came later manages Keyward itself.
    assert!(lines[CATALOGUE.len()..].iter().all(|line| line["category"] == "Keyward"), "{catalogue}");
    let all = CATALOGUE.map(|(value, ..)| value);
    let mut given: Vec<Value> = admin.create(json!({"capabilities": all})).await.body["capabilities"].as_array().unwrap().clone();
    given.sort_by_key(ToString::to_string);
    let mut wanted = all;
    wanted.sort_unstable();
    assert_eq!(given, wanted);
}

#[tokio::test]
async fn a_key_of_which_nothing_is_said_has_the_defaults_of_its_scope_as_the_catalogue_tells_them() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let scopes = admin.get(&format!("{KEYS}/catalog/scopes")).await.ok()["scopes"].clone();
    let constraints = json!({
        "max_automation_chain_depth": 5, "mcp_memory_limit_mb": 512, "mcp_timeout_seconds": 30, "max_file_size_bytes": 10_485_760,
        "allowed_file_types": [".pdf", ".txt", ".md", ".json", ".csv"], "enable_premium_features": false,
    });
    let expected = [
        ("user", "Access to user-specific operations and data", 1000, 10_000, 1000),
        ("tenant", "Access to tenant-wide operations and data", 5000, 50_000, 5000),
        ("admin", "Administrative access with elevated privileges", 10_000, 100_000, 10_000),
    ];
    assert_eq!(scopes.as_array().unwrap().len(), expected.len());
    for (at, (scope, description, rate, quota, cents)) in expected.into_iter().enumerate() {
        assert_eq!((&scopes[at]["value"], &scopes[at]["description"]), (&json!(scope), &json!(description)));
        let made = admin.try_create(json!({"name": scope, "scope": scope})).await.ok();
        assert_eq!(made["warning"], "Store this key securely. It will not be shown again.");
        let key = &made["api_key"];
        let limits = json!({
            "rate_limit_per_hour": rate, "daily_quota": quota, "cost_limit_cents": cents, "monthly_quota": 300_000,
            "max_tokens_per_request": 4000, "max_concurrent_requests": 10,
        });
        assert_eq!(scopes[at]["default_limits"], limits);
        for (name, value) in limits.as_object().unwrap() {
            assert_eq!(&key[name], value, "{name} of {scope}");
        }
        assert_eq!((&key["tenant_constraints"], &key["require_tls"]), (&constraints, &json!(true)));
        assert_eq!((&key["scope"], &key["status"], &key["capabilities"]), (&json!(scope), &json!("active"), &json!([])));
    }
    // Unless scope and end are named, too: of user scope, and for ninety days.
    let plain = admin.create(json!({"name": "plain"})).await;
    assert_eq!(plain.body["scope"], "user");
    for (days, found) in [(89, false), (90, true)] {
        let listed = admin.get(&format!("{KEYS}?expiring_within_days={days}&search=plain")).await.ok();
        assert_eq!(!listed.as_array().unwrap().is_empty(), found, "{days}");
    }
}
