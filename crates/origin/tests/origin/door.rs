//! Where requests come in.

use std::net::SocketAddr;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, StatusCode, header},
    response::Response,
};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::harness::Origin;

const VALIDATE: &str = "/api/v1/api-keys/validate";

/// All of an answer but the id, which is each request's own, and the length, which the connection writes where it isn't there.
async fn whole(response: Response<Body>) -> (StatusCode, HeaderMap, Bytes) {
    let (mut parts, body) = response.into_parts();
    assert!(parts.headers.remove("x-request-id").is_some());
    let body = body.collect().await.unwrap().to_bytes();
    if let Some(length) = parts.headers.remove(header::CONTENT_LENGTH) {
        assert_eq!(length, body.len().to_string());
    }
    (parts.status, parts.headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_straight_way_answers_as_the_router_does() {
    let origin = Origin::start().await;
    let admin = origin.file("admin.key");
    let unlimited = |members: Value| {
        let mut all = json!({"rate_limit_per_hour": "unlimited", "daily_quota": "unlimited", "monthly_quota": "unlimited"});
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        all
    };
    let key = origin.key(unlimited(json!({}))).await.raw;
    let elsewhere = origin.key(unlimited(json!({"allowed_endpoints": ["/v1/chat"]}))).await.raw;
    let good = json!({"api_key": key, "endpoint": "/v1/chat"}).to_string();
    let json_type = "application/json";
    let cases: Vec<(&str, &str, &str, String, u16)> = vec![
        ("", &admin, json_type, good.clone(), 200),
        ("", &admin, "Application/JSON; charset=utf-8", json!({"api_key": elsewhere, "endpoint": "/v2"}).to_string(), 200),
        ("", &admin, json_type, json!({"api_key": "nothing"}).to_string(), 200),
        ("?tenant=00000000-0000-7000-8000-000000000000", &admin, json_type, good.clone(), 404),
        ("?tenant=", &admin, json_type, good.clone(), 422),
        ("?else=1", &admin, json_type, good.clone(), 422),
        ("", "", json_type, good.clone(), 401),
        ("", "nothing", json_type, good.clone(), 401),
        ("", &key, json_type, good.clone(), 403),
        ("", &admin, "text/plain", good.clone(), 415),
        ("", &admin, json_type, String::new(), 400),
        ("", &admin, json_type, format!("{good}{good}"), 400),
        ("", &admin, json_type, json!({"api_key": key, "unheard_of": 1}).to_string(), 422),
        ("", &admin, json_type, json!({"api_key": key, "client_ip": "nowhere"}).to_string(), 422),
        ("", &admin, json_type, json!({"api_key": key, "domain": "x".repeat(70_000)}).to_string(), 413),
    ];
    let door = origin.door.clone().unwrap();
    let peer = SocketAddr::from(([127, 0, 0, 1], 4711));
    for (query, credential, kind, body, status) in cases {
        let request = || {
            let mut request = Request::post(format!("{VALIDATE}{query}")).header(header::CONTENT_TYPE, kind);
            if !credential.is_empty() {
                request = request.header(header::AUTHORIZATION, format!("Bearer {credential}"));
            }
            request.body(Full::new(Bytes::from(body.clone()))).unwrap()
        };
        // The first may make the token that both are given.
        door.route(peer, request()).await;
        let (straight, routed) = (whole(door.answer(peer, request()).await).await, whole(door.route(peer, request()).await).await);
        assert_eq!(straight, routed);
        assert_eq!(straight.0, status, "{query} {body:.200} {straight:?}");
    }
    // Both are counted as the same, and other methods are nobody's.
    let metrics = String::from_utf8(whole(door.route(peer, get("/metrics")).await).await.2.to_vec()).unwrap();
    let counted = format!(r#"keyward_requests_total{{method="POST",route="{VALIDATE}",status="413"}} 3"#);
    assert!(metrics.contains(&counted), "{metrics}");
    assert_eq!(door.answer(peer, get(VALIDATE)).await.status(), 405);
}

fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}
