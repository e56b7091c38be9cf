//! What comes from outside is bounded, and what isn't known is refused by name.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use crate::harness::{KEYS, Origin};

#[tokio::test]
async fn a_field_that_is_unknown_ill_typed_or_out_of_bounds_is_refused_by_name() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let many = |count: usize| Value::from((0..count).map(|at| format!("/v1/{at}")).collect::<Vec<_>>());
    let cases = [
        (json!({"nmae": "x"}), "nmae"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(129)}), "name"),
        (json!({"name": "a\nb"}), "name"),
        (json!({"name": 7}), "name"),
        (json!({"description": "x".repeat(1025)}), "description"),
        (json!({"expires_in_days": 0}), "expires_in_days"),
        (json!({"expires_in_days": -1}), "expires_in_days"),
        (json!({"expires_in_days": 1_000_000_000}), "expires_in_days"),
        (json!({"rotation_period_days": 0}), "rotation_period_days"),
        (json!({"rotation_period_days": 3651}), "rotation_period_days"),
        (json!({"owner_id": ""}), "owner_id"),
        (json!({"owner_id": "x".repeat(129)}), "owner_id"),
        (json!({"scope": "root"}), "scope"),
        (json!({"capabilities": ["llm:gpt-5"]}), "capabilities[0]"),
        (json!({"capabilities": ["*"]}), "capabilities[0]"),
        (json!({"rate_limit_per_hour": -1}), "rate_limit_per_hour"),
        (json!({"daily_quota": 1.5}), "daily_quota"),
        (json!({"daily_quota": u64::MAX}), "daily_quota"),
        (json!({"allowed_endpoints": ["/ok", "/a/../b"]}), "allowed_endpoints[1]"),
        (json!({"allowed_endpoints": many(257)}), "allowed_endpoints"),
        (json!({"blocked_endpoints": ["/a*"]}), "blocked_endpoints[0]"),
        (json!({"allowed_ips": ["10.0.0.1/8"]}), "allowed_ips[0]"),
        (json!({"allowed_domains": ["https://example.com"]}), "allowed_domains[0]"),
        (json!({"tenant_constraints": {"no_such_constraint": 1}}), "tenant_constraints.no_such_constraint"),
        (json!({"tenant_constraints": {"mcp_timeout_seconds": "x"}}), "tenant_constraints.mcp_timeout_seconds"),
    ];
    for (members, field) in cases {
        let answer = admin.try_create(members.clone()).await;
        assert_eq!(answer.problem(), (422, "validation_failed".into(), field.into()), "{members}");
    }
    for (query, field) in [
        ("nonsense=1", "nonsense"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=x", "cursor"),
        ("search=ab", "search"),
        ("search=a%0Ab", "search"),
        ("capability=x", "capability"),
        ("owner_id=", "owner_id"),
        ("expiring_within_days=0", "expiring_within_days"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-13-01T00:00:00Z", "created_before"),
    ] {
        assert_eq!(admin.get(&format!("{KEYS}?{query}")).await.problem(), (422, "validation_failed".into(), field.into()), "{query}");
    }
    for query in ["status=gone", "sort=colour", "order=up", "scope=root", "include_usage=maybe", "limit=-1"] {
        let field = query.split_once('=').unwrap().0;
        assert_eq!(admin.get(&format!("{KEYS}?{query}")).await.problem(), (422, "validation_failed".into(), field.into()), "{query}");
    }
    let key = admin.create(json!({"allowed_endpoints": ["/v1/**"]})).await;
    for (change, field) in [(json!({"allowed_endpoints": []}), "allowed_endpoints"), (json!({"scope": "user"}), "scope")] {
        assert_eq!(admin.act(&key.id, "patch", Some(change)).await.problem(), (422, "validation_failed".into(), field.into()));
    }
    let opened = admin.act(&key.id, "patch", Some(json!({"allowed_endpoints": "any"}))).await.ok();
    assert_eq!(opened["allowed_endpoints"], json!([]));
    assert_eq!(admin.act(&key.id, "rotate", Some(json!({"overlap_seconds": 2_592_001}))).await.problem().2, "overlap_seconds");
}

#[tokio::test]
async fn what_could_not_be_stored_or_read_again_is_refused_by_name() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let nested = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    let key = admin.create(json!({"tenant_constraints": {"llm:gpt-4": nested(16)}})).await;
    for (constraint, value) in [
        ("llm:gpt-4", nested(17)),
        ("llm:gpt-4", nested(100)),
        ("llm:gpt-4", json!({"a": ["\u{0}"]})),
        ("llm:gpt-4", json!({"\u{0}": 1})),
        ("allowed_file_types", json!(["\u{0}"])),
    ] {
        let field = format!("tenant_constraints.{constraint}");
        let constraints = json!({"tenant_constraints": {constraint: value}});
        assert_eq!(admin.try_create(constraints.clone()).await.problem(), (422, "validation_failed".into(), field.clone()));
        assert_eq!(admin.act(&key.id, "patch", Some(constraints)).await.problem(), (422, "validation_failed".into(), field));
    }
    // Whoever reads the trail can read all of it.
    let export = admin.get("/api/v1/audit/export").await.text;
    assert!(export.lines().skip(1).all(|line| keyward_core::AuditRecord::parse(line).is_ok()), "{export}");

    // A list is no object, whatever its members would mean in order.
    admin.post(KEYS, json!(["listed", null, null])).await.refused(422, "validation_failed");
    let answer = admin.act(&key.id, "rotate", Some(json!([5, 7]))).await;
    assert_eq!((answer.status, &answer.json()["errors"][0]["message"]), (422, &json!("invalid type: sequence, expected an object")));
    for (path, body, field) in [
        ("/api/v1/api-keys/bulk/revoke", json!({"filter": [null, null]}), "filter"),
        ("/api/v1/api-keys/bulk/create", json!({"keys": [["listed"]]}), "keys[0]"),
        ("/api/v1/tenants", json!({"slug": "a", "name": "A", "ceilings": [1]}), "ceilings"),
        ("/api/v1/policies/replay", json!({"policy": 1, "change": ["listed"]}), "change"),
    ] {
        assert_eq!(admin.post(path, body).await.problem(), (422, "validation_failed".into(), field.into()), "{path}");
    }
    let answer = admin.post(KEYS, json!("text")).await;
    assert!(answer.text.contains("expected an object") && !answer.text.contains("struct"), "{}", answer.text);
    // The same for what a validate asserts.
    for domain in ["https://a.example.com", "evil.com/.example.com", "a.example.com:1", ""] {
        let asked = admin.post(&format!("{KEYS}/validate"), json!({"api_key": key.raw, "domain": domain})).await;
        assert_eq!(asked.problem(), (422, "validation_failed".into(), "domain".into()), "{domain}");
    }
    let bound = admin.create(json!({"allowed_domains": ["*.example.com"]})).await;
    let asked = admin.post(&format!("{KEYS}/validate"), json!({"api_key": bound.raw, "domain": "A.Example.com"})).await.ok();
    assert_eq!(asked["valid"], true, "{asked}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_long_and_is_nobodys_fault_but_the_clients() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let head = |length: usize, path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{{",
            origin.address, admin.key
        )
    };
    let ask = |head: String| {
        let address = origin.address;
        tokio::task::spawn_blocking(move || {
            let mut socket = TcpStream::connect(address).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(18))).unwrap();
            socket.write_all(head.as_bytes()).unwrap();
            let mut status = [0; 12];
            socket.read_exact(&mut status).unwrap();
            String::from_utf8_lossy(&status).into_owned()
        })
    };
    // What is declared to be too long is refused at once; what stops on the way, later.
    assert_eq!(ask(head(500_000_000, KEYS)).await.unwrap(), "HTTP/1.1 413");
    assert_eq!(ask(head(100, KEYS)).await.unwrap(), "HTTP/1.1 408");
    assert_eq!(ask(head(100, &format!("{KEYS}/validate"))).await.unwrap(), "HTTP/1.1 408");
}

#[tokio::test]
async fn a_request_that_is_too_large_undeclared_or_ambiguous_is_refused_before_it_is_read() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let http = reqwest::Client::new();
    let post = |body: Vec<u8>, kind: &'static str| {
        let request = http.post(format!("http://{}{KEYS}", origin.address)).bearer_auth(&admin.key).header("content-type", kind).body(body);
        async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap()["code"].clone())
        }
    };
    let padded = |len: usize| {
        let mut body = br#"{"name":"x"}"#.to_vec();
        body.resize(len, b' ');
        body
    };
    assert_eq!(post(padded(64 * 1024), "application/json").await.0, 201);
    assert_eq!(post(padded(64 * 1024 + 1), "application/json").await, (413, "body_too_large".into()));
    assert_eq!(post(padded(100), "text/plain").await, (415, "unsupported_media_type".into()));
    assert_eq!(post(b"{\"name\":".to_vec(), "application/json").await, (400, "malformed_request".into()));
    assert_eq!(post(br#"{"name":"x"} x"#.to_vec(), "application/json").await, (400, "malformed_request".into()));
    for twice in [
        r#"{"name":"x","name":"y"}"#,
        r#"{"name":"x","tenant_constraints":{"mcp_timeout_seconds":30,"mcp_timeout_seconds":20}}"#,
        r#"{"name":"x","tenant_constraints":{"llm:gpt-4":{"a":1,"a":2}}}"#,
    ] {
        assert_eq!(post(twice.as_bytes().to_vec(), "application/json").await, (422, "validation_failed".into()), "{twice}");
    }

    admin.send("GET", KEYS, None, &[("x-api-key", &admin.key)]).await.ok();
    admin.send("GET", KEYS, None, &[("x-api-key", "another")]).await.refused(400, "credentials_conflict");
    admin.send("PUT", KEYS, None, &[]).await.refused(405, "method_not_allowed");
    for path in ["/nowhere", "/api/v1/api-keys/not-a-uuid", "/edge/v1/policies/01", "/status-lists/x"] {
        origin
            .client(&if path.starts_with("/edge") { origin.edge().key } else { admin.key.clone() })
            .get(path)
            .await
            .refused(404, "not_found");
    }
}
