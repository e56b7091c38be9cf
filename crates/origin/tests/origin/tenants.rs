//! Tenants don't see each other, whoever forgets a WHERE.

use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::harness::{KEYS, Origin};

const OTHER: &str = "01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e99";

/// Another tenant, made by hand.
pub async fn other(origin: &Origin) -> &'static str {
    origin.database.execute(&format!("INSERT INTO tenants VALUES ('{OTHER}', 'other', 'Other', 'oth', now())")).await;
    OTHER
}

#[tokio::test]
async fn a_tenants_callers_see_nothing_of_another_tenant_and_an_admin_crosses_by_naming_it() {
    let origin = Origin::start().await;
    origin.database.execute(&format!("INSERT INTO tenants VALUES ('{OTHER}', 'other', 'Other', 'oth', now())")).await;
    let admin = origin.admin();
    let body = admin
        .send(
            "POST",
            &format!("{KEYS}?tenant={OTHER}"),
            Some(&json!({"name": "theirs", "capabilities": ["keys:*"], "scope": "tenant"})),
            &[],
        )
        .await
        .ok();
    let (id, raw) = (body["api_key"]["id"].as_str().unwrap(), body["raw_key"].as_str().unwrap());
    assert!(raw.starts_with("oth_live_"));
    let theirs = origin.client(raw);
    let ours = origin.caller(json!({"capabilities": ["keys:*"], "scope": "tenant"})).await;

    let missing = ours.get(&format!("{KEYS}/01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11")).await.text;
    assert_eq!(ours.get(&format!("{KEYS}/{id}")).await.text, missing);
    assert_eq!(ours.act(id, "revoke", None).await.text, missing);
    assert_eq!(admin.get(&format!("{KEYS}/{id}")).await.text, missing);
    assert_eq!(admin.get(&format!("{KEYS}/{id}?tenant={OTHER}")).await.ok()["name"], "theirs");
    ours.get(&format!("{KEYS}?tenant={OTHER}")).await.refused(403, "scope_insufficient");
    assert_eq!(theirs.get(KEYS).await.ok().as_array().unwrap().len(), 1);
    assert_eq!(ours.verdict(raw).await.unwrap(), "Invalid API key");
    assert_eq!(theirs.verdict(raw).await, None);
    // Equal terms of two tenants are two policies.
    let same = theirs.create(json!({"capabilities": ["keys:read"]})).await;
    assert_ne!(same.body["policy"], ours.create(json!({"capabilities": ["keys:read"]})).await.body["policy"]);
    admin.get(&format!("{KEYS}?tenant=01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11")).await.ok();
    admin
        .send("POST", &format!("{KEYS}?tenant=01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11"), Some(&json!({"name": "x"})), &[])
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn the_database_itself_keeps_tenants_apart() {
    let origin = Origin::start().await;
    origin.database.execute(&format!("INSERT INTO tenants VALUES ('{OTHER}', 'other', 'Other', 'oth', now())")).await;
    origin.admin().send("POST", &format!("{KEYS}?tenant={OTHER}"), Some(&json!({"name": "theirs"})), &[]).await.ok();
    let mut app = origin.database.connect().await;
    app.execute("SET ROLE keyward_app").await.unwrap();
    let mut count = async |setting: &str, table: &str| -> i64 {
        app.execute(AssertSqlSafe(format!("SET keyward.tenant = '{setting}'"))).await.unwrap();
        app.fetch_one(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).await.unwrap().get(0)
    };
    for table in ["api_keys", "credentials", "policies", "key_details"] {
        assert_eq!(count("", table).await, 0, "{table}");
        assert_eq!(count(OTHER, table).await, 1, "{table}");
    }
    assert_eq!(count(OTHER, "tenants").await, 1);
    let stolen = app.execute("UPDATE api_keys SET tenant = '01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11'").await;
    assert!(stolen.unwrap_err().to_string().contains("row-level security"));
    for secret in
        ["SELECT sealed FROM signing_keys", "SELECT sealed_data_key FROM deployment", "SELECT jws FROM manifests", "DELETE FROM api_keys"]
    {
        assert!(app.execute(secret).await.unwrap_err().to_string().contains("permission denied"), "{secret}");
    }
}
