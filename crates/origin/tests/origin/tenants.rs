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
    // A tenant that isn't there has no keys to list, no catalogue, no use, and no trail: reading one would begin it.
    let none = "tenant=01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11";
    let trails = origin.database.count("SELECT count(*) FROM audit_heads").await;
    for path in
        ["/api-keys", "/api-keys/catalog/capabilities", "/api-keys/analytics/summary", "/audit", "/audit/export", "/owners", "/events"]
    {
        admin.get(&format!("/api/v1{path}?{none}")).await.refused(404, "not_found");
    }
    admin.post(&format!("{KEYS}?{none}"), json!({"name": "x"})).await.refused(404, "not_found");
    admin.post(&format!("{KEYS}/validate?{none}"), json!({"api_key": raw, "endpoint": "/x"})).await.refused(404, "not_found");
    assert_eq!(origin.database.count("SELECT count(*) FROM audit_heads").await, trails);
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
    for table in ["api_keys", "credentials", "policies", "key_details", "owners", "audit_log", "audit_heads"] {
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

#[tokio::test]
async fn nothing_that_the_applications_role_can_say_takes_it_out_of_its_tenant() {
    let origin = Origin::start().await;
    let other = other(&origin).await;
    origin.admin().send("POST", &format!("{KEYS}?tenant={other}"), Some(&json!({"name": "theirs"})), &[]).await.ok();
    let gone = origin.key(json!({})).await;
    origin.admin().act(&gone.id, "revoke", None).await.ok();
    let mut owner = origin.database.connect().await;
    let (ours, superuser): (String, String) = {
        let row = owner.fetch_one("SELECT id::text, current_user::text FROM tenants WHERE slug = 'default'").await.unwrap();
        (row.get(0), row.get(1))
    };
    let mut app = origin.database.connect().await;
    // Not a role that was taken on and can be put off again, but all that the session is.
    app.execute("SET SESSION AUTHORIZATION keyward_app").await.unwrap();
    app.execute(AssertSqlSafe(format!("SET keyward.tenant = '{ours}'"))).await.unwrap();
    let foreign = "01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e77";
    let refused = [
        // To be somebody else.
        format!("SET ROLE {superuser}"),
        "SET ROLE keyward_system".into(),
        "GRANT keyward_system TO keyward_app".into(),
        "ALTER ROLE keyward_app BYPASSRLS".into(),
        "ALTER ROLE keyward_app SUPERUSER".into(),
        // To take the walls down.
        "ALTER TABLE api_keys DISABLE ROW LEVEL SECURITY".into(),
        "ALTER TABLE api_keys NO FORCE ROW LEVEL SECURITY".into(),
        "DROP POLICY own_tenant ON api_keys".into(),
        "CREATE POLICY everybody ON api_keys USING (true)".into(),
        "SET session_replication_role = replica".into(),
        "ALTER TABLE audit_log DISABLE TRIGGER ALL".into(),
        "CREATE TABLE mine (x int)".into(),
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'".into(),
        "CREATE OR REPLACE VIEW key_details AS SELECT * FROM api_keys".into(),
        "SET row_security = off; SELECT * FROM api_keys".into(),
        // To read what is nobody's.
        "SELECT sealed FROM signing_keys".into(),
        "SELECT sealed_data_key FROM deployment".into(),
        "SELECT jws FROM manifests".into(),
        "SELECT change FROM feed_log".into(),
        "SELECT parts FROM snapshots".into(),
        "SELECT nextval('position_blocks')".into(),
        "SELECT pg_read_file('PG_VERSION')".into(),
        "COPY api_keys TO PROGRAM 'cat'".into(),
        // To write into another tenant, or out of its own.
        format!("UPDATE api_keys SET tenant = '{other}'"),
        format!("UPDATE policies SET tenant = '{other}'"),
        format!("UPDATE owners SET tenant = '{other}'"),
        format!("INSERT INTO tenants (id, slug, name, created_at) VALUES ('{foreign}', 'x', 'x', now())"),
        format!("INSERT INTO owners VALUES ('{other}', 'x', 'person', 'x', null, false, now(), now())"),
        format!("INSERT INTO capabilities VALUES ('{other}', 'x:y', 'x', 'x', now())"),
        format!("INSERT INTO audit_log SELECT '{other}', seq + 100, at_ms FROM audit_log"),
        "UPDATE tenants SET slug = 'mine'".into(),
        "DELETE FROM tenants".into(),
        "DELETE FROM api_keys".into(),
        "DELETE FROM owners".into(),
        "UPDATE capabilities SET value = 'x:y'".into(),
        // To count for others, or at all; and to reach a month past its parent.
        format!("INSERT INTO key_usage VALUES ('{other}', '{foreign}', 1, 1, 1, 1, now(), now())"),
        format!("INSERT INTO key_usage VALUES ('{ours}', '{foreign}', 1, 1, 1, 1, now(), now())"),
        "SELECT usage_partitions('2026-01-01', '2026-01-01', '2026-01-01')".into(),
        "SELECT requests FROM usage_unattributed".into(),
        "SELECT decision_partitions(now(), now(), now())".into(),
        "SELECT id FROM decision_batches".into(),
        format!("INSERT INTO decision_meters VALUES ('{ours}', 1, 1, 1, now())"),
        "UPDATE decision_meters SET seq = 0".into(),
        "DELETE FROM decisions".into(),
        "DO $$ BEGIN EXECUTE (SELECT 'SELECT FROM ' || inhrelid::regclass FROM pg_inherits WHERE inhparent = 'usage_days'::regclass LIMIT 1); END $$".into(),
        // To change what was recorded.
        "UPDATE audit_log SET actor_owner = 'bob'".into(),
        "DELETE FROM audit_log".into(),
        "UPDATE audit_checkpoints SET seq = seq + 1".into(),
        "UPDATE audit_heads SET seq = 0".into(),
        "INSERT INTO audit_log SELECT * FROM audit_log".into(),
    ];
    for statement in refused {
        let done = app.execute(AssertSqlSafe(statement.clone())).await;
        assert!(done.is_err(), "{statement}");
        app.execute("RESET row_security").await.unwrap();
    }
    // What it doesn't see it doesn't change, and isn't told of.
    for statement in [
        format!("UPDATE api_keys SET state = 'revoked' WHERE tenant = '{other}'"),
        format!("UPDATE tenants SET max_live_keys = 0 WHERE id = '{other}'"),
        format!("UPDATE audit_heads SET seq = seq + 1 WHERE tenant = '{other}'"),
        // What has ended doesn't come back.
        format!("UPDATE credentials SET status = 0 WHERE api_key = '{}'", gone.id),
        "UPDATE credentials SET status = 3, amended_policy = policy WHERE status = 1".into(),
        "UPDATE credentials SET index = index + 1 WHERE status = 1".into(),
    ] {
        assert_eq!(app.execute(AssertSqlSafe(statement.clone())).await.unwrap().rows_affected(), 0, "{statement}");
    }
    app.execute("SET keyward.tenant = ''").await.unwrap();
    for table in [
        "tenants",
        "api_keys",
        "credentials",
        "policies",
        "idempotency",
        "owners",
        "capabilities",
        "audit_log",
        "audit_heads",
        "usage_hours",
        "usage_days",
        "usage_addresses",
        "key_usage",
        "decisions",
        "decision_meters",
    ] {
        let row = app.fetch_one(AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), 0, "{table}");
    }
}

/// Every table that names a tenant is behind row-level security, the ones to come too.
#[tokio::test]
async fn no_table_with_a_tenant_is_without_row_level_security() {
    let origin = Origin::start().await;
    let mut owner = origin.database.connect().await;
    let bare = owner
        .fetch_all(
            "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
               AND (c.relname = 'tenants' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant'))",
        )
        .await
        .unwrap();
    let names: Vec<String> = bare.iter().map(|row| row.get(0)).collect();
    assert!(names.is_empty(), "{names:?}");
}
