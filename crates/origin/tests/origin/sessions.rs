//! Sessions: a key's holder in a browser, without the key.

use std::time::Duration;

use keyward_core::{Digest, codec::decode_base64url_exact};
use serde_json::json;

use crate::{
    harness::{Answer, Client, KEYS, Origin, Session},
    signing,
};

const SESSION: &str = "/session";

async fn sign_in(client: &Client, headers: &[(&str, &str)]) -> Answer {
    client.send("POST", SESSION, None, headers).await
}

/// Somebody with exactly this session.
fn with(client: &Client, session: Session) -> Client {
    let mut client = client.with_session(session);
    client.key.clear();
    client
}

#[tokio::test]
async fn a_session_says_who_it_is_in_a_cookie_that_no_script_and_no_other_site_gets() {
    let origin = Origin::known_as("https://keys.example.com").await;
    let answer = sign_in(&origin.admin(), &[]).await;
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    let (value, attributes) = cookie.split_once(';').unwrap();
    assert_eq!(attributes, " HttpOnly; SameSite=Strict; Path=/; Secure");
    let secret = value.strip_prefix("__Host-keyward=").unwrap();
    assert_eq!(answer.headers["cache-control"], "no-store");
    let told = answer.ok();
    assert_eq!((&told["scope"], &told["operator"], &told["owner"]), (&json!("admin"), &json!(true), &json!("admin")), "{told}");
    assert!(told["capabilities"].as_array().unwrap().contains(&json!("keys:*")), "{told}");

    let session = with(&origin.anyone(), Session { cookie: value.to_owned(), csrf: told["csrf"].as_str().unwrap().to_owned() });
    assert_eq!(session.get(SESSION).await.ok(), told);
    session.get(KEYS).await.ok();
    let from = async |scheme: &str| {
        let page = format!("{scheme}://{}", origin.address);
        session.send("POST", KEYS, Some(&json!({"name": "x"})), &[("origin", &page)]).await
    };
    from("https").await.ok();
    from("http").await.refused(403, "csrf_refused");
    // By the name without the prefix anybody's subdomain could set one.
    let plain = Session { cookie: format!("keyward={secret}"), csrf: String::new() };
    with(&session, plain).get(SESSION).await.refused(401, "credential_missing");

    // Nothing that is stored can be presented: neither the secret nor the key.
    let key = origin.file("admin.key");
    let bytes: [u8; 32] = decode_base64url_exact(secret).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let holds = async |what: &str| origin.database.count(&format!("SELECT count(*) FROM sessions s WHERE s::text LIKE '%{what}%'")).await;
    assert_eq!(holds(&hex(Digest::of(bytes).as_bytes())).await, 1);
    for secret in [hex(&bytes), secret.to_owned(), hex(key.as_bytes()), key[60..100].to_owned()] {
        assert_eq!(holds(&secret).await, 0);
    }

    let ended = session.send("DELETE", SESSION, None, &[]).await;
    assert_eq!(ended.headers["set-cookie"], "__Host-keyward=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0; Secure");
    assert_eq!(ended.status, 204);
    session.get(SESSION).await.refused(401, "session_invalid");
    session.get(KEYS).await.refused(401, "session_invalid");
    // Twice is as good as once.
    assert_eq!(session.send("DELETE", SESSION, None, &[]).await.status, 204);
    let trail = origin.admin().get("/api/v1/audit?limit=10").await.ok();
    let of = |action: &str| trail.as_array().unwrap().iter().filter(|record| record["action"] == action).collect::<Vec<_>>();
    let (started, ended) = (of("session_started"), of("session_ended"));
    assert_eq!((started.len(), ended.len()), (1, 1), "{trail:#}");
    assert_eq!(started[0]["target"], ended[0]["target"]);
    assert_eq!(started[0]["actor"]["key"], told["key"]);
}

#[tokio::test]
async fn a_session_permits_what_its_key_permits_at_that_moment_and_ends_with_it() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let (read, suspended) = (json!({"scope": "tenant", "capabilities": ["keys:read"]}), json!({"name": "x"}));
    let key = origin.key(read.clone()).await;
    let session = origin.client(&key.raw).sign_in().await;
    session.get(KEYS).await.ok();
    session.post(KEYS, suspended.clone()).await.refused(403, "capability_missing");
    admin.act(&key.id, "patch", Some(json!({"capabilities": ["keys:create"]}))).await.ok();
    session.get(KEYS).await.refused(403, "capability_missing");
    assert_eq!(session.get(SESSION).await.ok()["capabilities"], json!(["keys:create"]));
    admin.act(&key.id, "patch", Some(json!({"allowed_ips": ["192.0.2.1"]}))).await.ok();
    session.get(SESSION).await.refused(403, "address_not_allowed");
    admin.act(&key.id, "patch", Some(json!({"allowed_ips": "any"}))).await.ok();

    admin.act(&key.id, "suspend", None).await.ok();
    session.get(SESSION).await.refused(401, "key_suspended");
    admin.act(&key.id, "resume", None).await.ok();
    session.get(SESSION).await.ok();
    // The raw key that it was started with ends with its overlap, and the session with that.
    let rotated = admin.act(&key.id, "rotate", Some(json!({"overlap_seconds": 60}))).await.ok();
    session.get(SESSION).await.ok();
    origin.advance(Duration::from_secs(61));
    session.get(SESSION).await.refused(401, "key_expired");

    let session = origin.client(rotated["new_raw_key"].as_str().unwrap()).sign_in().await;
    admin.act(&key.id, "revoke", None).await.ok();
    for (method, path) in [("GET", SESSION), ("GET", KEYS), ("POST", KEYS)] {
        session.send(method, path, (method == "POST").then_some(&suspended), &[]).await.refused(401, "key_revoked");
    }
    // Signing out is always possible.
    assert_eq!(session.send("DELETE", SESSION, None, &[]).await.status, 204);
    session.get(SESSION).await.refused(401, "session_invalid");

    let test = origin.key(json!({"environment": "test"})).await;
    sign_in(&origin.client(&test.raw), &[]).await.refused(401, "wrong_environment");
    sign_in(&origin.client(&key.raw), &[]).await.refused(401, "key_revoked");
}

#[tokio::test]
async fn a_session_ends_by_time_used_or_not_and_never_after_its_key() {
    let origin = Origin::start().await;
    let idle = origin.admin().sign_in().await;
    let used = origin.admin().sign_in().await;
    let short = origin.key(json!({"expires_in_days": 1, "scope": "tenant"})).await;
    origin.advance(Duration::from_secs(23 * 3600));
    idle.get(SESSION).await.refused(401, "session_invalid");
    used.get(SESSION).await.refused(401, "session_invalid");
    let told = sign_in(&origin.client(&short.raw), &[]).await.ok();
    assert_eq!(told["expires"], short.body["expires_at"]);

    let used = origin.admin().sign_in().await;
    let began = used.get(SESSION).await.ok();
    for _ in 0..13 {
        origin.advance(Duration::from_secs(55 * 60));
        used.get(SESSION).await.ok();
    }
    // 11 hours and 55 minutes; the end is where it was.
    assert_eq!(used.get(SESSION).await.ok()["expires"], began["expires"]);
    origin.advance(Duration::from_secs(5 * 60 + 1));
    used.get(SESSION).await.refused(401, "session_invalid");
}

#[tokio::test]
async fn a_change_is_made_for_a_sessions_own_page_and_for_no_other() {
    let origin = Origin::start().await;
    let session = origin.admin().sign_in().await;
    let Session { cookie, csrf } = session.session.clone().unwrap();
    let host = format!("http://{}", origin.address);
    let body = json!({"name": "x"});
    let mut wrong = csrf.clone();
    wrong.replace_range(..1, if wrong.starts_with('A') { "B" } else { "A" });
    let other = origin.admin().sign_in().await.session.unwrap().csrf;
    for csrf in ["", "x", &wrong, &other, cookie.split_once('=').unwrap().1] {
        let forged = with(&session, Session { cookie: cookie.clone(), csrf: csrf.to_owned() });
        forged.post(KEYS, body.clone()).await.refused(403, "csrf_refused");
        assert_eq!(forged.form("/oauth/introspect", &[("token", "x")]).await.oauth(), (403, "insufficient_scope".to_owned()));
        assert_eq!(forged.send("DELETE", SESSION, None, &[]).await.problem().1, "csrf_refused");
        // To look changes nothing.
        forged.get(KEYS).await.ok();
    }
    let elsewhere = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "none"),
        ("origin", "http://elsewhere.test"),
        ("origin", "null"),
        ("x-keyward-csrf", &csrf),
    ];
    for header in elsewhere {
        session.send("POST", KEYS, Some(&body), &[header]).await.refused(403, "csrf_refused");
    }
    for header in [("sec-fetch-site", "same-origin"), ("origin", &*host), ("origin", "http://origin.test")] {
        session.send("POST", KEYS, Some(&body), &[header]).await.ok();
    }
}

#[tokio::test]
async fn nobody_gets_a_session_that_he_has_chosen_and_two_credentials_are_refused() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let chosen = format!("keyward={}", "A".repeat(43));
    let answer = sign_in(&admin, &[("cookie", &chosen)]).await;
    let given = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let csrf = answer.ok()["csrf"].as_str().unwrap().to_owned();
    assert_ne!(given, chosen);
    for cookie in [chosen.clone(), "keyward=".to_owned(), "keyward=x".to_owned(), format!("{given}A")] {
        with(&admin, Session { cookie, csrf: csrf.clone() }).get(SESSION).await.refused(401, "session_invalid");
    }
    // Whoever signs in again has one session, and not the one from before.
    let again = sign_in(&admin, &[("cookie", &given)]).await;
    assert_ne!(again.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap(), given);
    let first = with(&admin, Session { cookie: given.clone(), csrf: csrf.clone() });
    first.get(SESSION).await.refused(401, "session_invalid");

    let session = admin.sign_in().await.session.unwrap();
    let both = admin.with_session(session.clone());
    for (method, path) in [("GET", KEYS), ("GET", SESSION), ("POST", "/oauth/introspect")] {
        let answer = both.send(method, path, None, &[]).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let twice = Session { cookie: format!("{}; {given}", session.cookie), csrf: session.csrf.clone() };
    with(&admin, twice).get(KEYS).await.refused(400, "credentials_conflict");
    // Other cookies are none of ours.
    let among = Session { cookie: format!("theme=dark; {}; x", session.cookie), csrf: session.csrf };
    with(&admin, among).get(KEYS).await.ok();
}

#[tokio::test]
async fn a_key_has_sixteen_sessions_and_the_next_one_ends_the_oldest() {
    let origin = Origin::start().await;
    let key = origin.key(json!({"scope": "tenant", "capabilities": ["keys:read"]})).await;
    let mut sessions = Vec::new();
    for _ in 0..17 {
        sessions.push(origin.client(&key.raw).sign_in().await);
        origin.advance(Duration::from_millis(1));
    }
    sessions[0].get(SESSION).await.refused(401, "session_invalid");
    for session in &sessions[1..] {
        session.get(SESSION).await.ok();
    }
}

#[tokio::test]
async fn strangers_are_bounded_in_sessions_as_in_keys_and_those_who_are_known_are_not() {
    let mut origin = Origin::start().await;
    origin.failures_per_minute = 5;
    origin.restart().await;
    let session = origin.admin().sign_in().await;
    let stranger = |at: u8| {
        let secret = keyward_core::codec::base64url(&[at; 32]);
        with(&origin.anyone(), Session { cookie: format!("keyward={secret}"), csrf: String::new() })
    };
    for at in 0..5 {
        stranger(at).get(SESSION).await.refused(401, "session_invalid");
    }
    stranger(6).get(SESSION).await.refused(429, "rate_limited");
    sign_in(&origin.client("junk"), &[]).await.refused(429, "rate_limited");
    session.get(KEYS).await.ok();
}

#[tokio::test]
async fn what_the_thief_of_a_signing_key_makes_starts_no_session_and_after_the_freeze_those_of_issued_keys_go_on() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let key = origin.key(json!({"scope": "tenant", "capabilities": ["keys:read"]})).await;
    let session = origin.client(&key.raw).sign_in().await;
    let first = signing::kid(&admin, "api-key", "active").await;
    for forged in signing::forgeries(&signing::steal(&origin, &first).await, &key.raw) {
        // Nobody has noticed yet: as a key it passes.
        origin.client(&forged).get(KEYS).await.ok();
        sign_in(&origin.client(&forged), &[]).await.refused(401, "invalid_token");
    }
    signing::turn(&admin, &first, "freeze").await.ok();
    session.get(KEYS).await.ok();
    origin.client(&key.raw).sign_in().await.get(KEYS).await.ok();
    // What the rows of sessions say is no substitute for having been issued.
    origin.database.execute("UPDATE sessions SET digest = sha256('forged')").await;
    session.get(KEYS).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn a_key_starts_a_bounded_number_of_sessions_in_an_hour() {
    let origin = Origin::start().await;
    let (one, other) = (origin.caller(json!({})).await, origin.caller(json!({})).await);
    let mut started = 0;
    let refused = loop {
        let answer = one.send("POST", "/session", None, &[]).await;
        if answer.status != 200 {
            break answer;
        }
        started += 1;
    };
    assert!((60..65).contains(&started), "{started}");
    refused.refused(429, "rate_limited");
    other.send("POST", "/session", None, &[]).await.ok();
    origin.advance(Duration::from_secs(60));
    one.send("POST", "/session", None, &[]).await.ok();
}
