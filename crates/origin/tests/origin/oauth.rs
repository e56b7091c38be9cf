//! `/oauth`: exchange, introspection and revocation, in the words of their standards.

use std::time::Duration;

use keyward_core::{AccessTokenClaims, Environment, KeySet, Manifest, PublicKey, Timestamp};
use keyward_issuer::SigningKey;
use serde_json::{Value, json};

use crate::{
    edge::Edge,
    harness::{Client, Created, KEYS, Origin, eventually},
};

const OTHER: &str = "01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e99";
const EXCHANGE: (&str, &str) = ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
const KEY_TYPE: (&str, &str) = ("subject_token_type", "urn:keyward:token-type:api-key");

/// A key with something of everything to narrow. The tests speak plain HTTP over loopback, which counts as confidential.
async fn key(origin: &Origin) -> Created {
    let terms = json!({
        "capabilities": ["llm:*", "rag:search"], "allowed_endpoints": ["/v1/**"], "blocked_endpoints": ["/v1/secret"],
        "allowed_ips": ["127.0.0.0/8", "10.0.0.0/8"],
    });
    origin.key(terms).await
}

/// The exchange of a key by whoever holds it, with these parameters beside.
async fn exchange(client: &Client, raw: &str, parameters: &[(&str, &str)]) -> Result<Value, (u16, String)> {
    let all = [&[EXCHANGE, KEY_TYPE, ("subject_token", raw)], parameters].concat();
    let answer = client.form("/oauth/token", &all).await;
    if answer.status == 200 {
        assert_eq!(
            (&answer.headers["cache-control"], &answer.headers["pragma"]),
            (&"no-store".parse().unwrap(), &"no-cache".parse().unwrap())
        );
        return Ok(answer.json());
    }
    let problem = answer.oauth();
    assert!(!answer.text.contains(&raw[..raw.len().min(40)]), "the answer repeats the key: {answer:?}");
    Err(problem)
}

async fn token(client: &Client, raw: &str, parameters: &[(&str, &str)]) -> String {
    exchange(client, raw, parameters).await.unwrap()["access_token"].as_str().unwrap().to_owned()
}

async fn introspect(client: &Client, token: &str) -> Value {
    client.form("/oauth/introspect", &[("token", token)]).await.ok()
}

fn inactive() -> Value {
    json!({"active": false})
}

async fn keys(origin: &Origin) -> KeySet {
    let manifest = origin.edge().get("/edge/v1/manifest").await.text;
    Manifest::open(&manifest, &[PublicKey::parse(&origin.file("root.pub")).unwrap()], origin.now()).unwrap()
}

#[tokio::test]
async fn a_key_is_exchanged_for_a_token_that_says_just_what_was_asked_for() {
    let origin = Origin::start().await;
    let (key, anyone, keys) = (key(&origin).await, origin.anyone(), keys(&origin).await);
    let read = |token: &str, now: Timestamp| keys.open::<AccessTokenClaims>(token, now).unwrap();
    let whole = exchange(&anyone, &key.raw, &[]).await.unwrap();
    let members = ["issued_token_type", "token_type", "expires_in", "scope"].map(|name| whole[name].clone());
    assert_eq!(members, [json!("urn:ietf:params:oauth:token-type:access_token"), json!("Bearer"), json!(300), json!("llm:* rag:search")]);
    let said = serde_json::to_value(read(whole["access_token"].as_str().unwrap(), origin.now())).unwrap();
    assert_eq!((&said["ep"], &said["blocked"]), (&json!({"only": ["/v1/**"]}), &json!(["/v1/secret"])));
    assert_eq!(said["key"], json!({"policy": key.body["policy"], "scope": "user", "environment": "live"}));

    let narrow = [
        ("scope", "llm:gpt-4 rag:search llm:gpt-4"),
        ("endpoint", "POST /v1/chat/**"),
        ("endpoint", "/v1/models"),
        ("ip", "10.1.2.3"),
        ("expires_in", "30"),
        ("audience", "https://edge.example.com"),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    let narrow = exchange(&anyone, &key.raw, &narrow).await.unwrap();
    assert_eq!((&narrow["scope"], &narrow["expires_in"]), (&json!("llm:gpt-4 rag:search"), &json!(30)));
    let said = serde_json::to_value(read(narrow["access_token"].as_str().unwrap(), origin.now())).unwrap();
    assert_eq!(said["aud"], "https://edge.example.com");
    assert_eq!((&said["ep"], &said["ip"]), (&json!({"only": ["POST /v1/chat/**", "/v1/models"]}), &json!({"only": ["10.1.2.3/32"]})));
    assert_eq!(said["exp"].as_u64().unwrap() - said["iat"].as_u64().unwrap(), 30);
    // With its own key as the client's credential it is the same; and each exchange is a token of its own.
    let own = token(&origin.client(&key.raw), &key.raw, &[]).await;
    assert_ne!(read(&own, origin.now()).jti, read(whole["access_token"].as_str().unwrap(), origin.now()).jti);
}

#[tokio::test]
async fn no_parameter_widens_and_what_can_not_be_read_is_refused_in_the_standards_words() {
    let origin = Origin::start().await;
    let (key, anyone) = (key(&origin).await, origin.anyone());
    let long = "x".repeat(300);
    for (parameter, error) in [
        (("scope", "embedding:openai"), "invalid_scope"),
        (("scope", "rag:*"), "invalid_scope"),
        (("scope", "llm:gpt-4 keys:create"), "invalid_scope"),
        (("scope", "*"), "invalid_scope"),
        (("scope", "nonsense"), "invalid_scope"),
        (("endpoint", "/**"), "invalid_request"),
        (("endpoint", "/v2"), "invalid_request"),
        (("endpoint", "/v1/../v2"), "invalid_request"),
        (("ip", "0.0.0.0/0"), "invalid_request"),
        (("ip", "192.0.2.1"), "invalid_request"),
        (("ip", "10.0.0.1/8"), "invalid_request"),
        (("expires_in", "301"), "invalid_request"),
        (("expires_in", "0"), "invalid_request"),
        (("expires_in", "-1"), "invalid_request"),
        (("expires_in", "+5"), "invalid_request"),
        (("audience", long.as_str()), "invalid_target"),
        (("audience", "two words"), "invalid_target"),
        (("resource", "https://upstream.example.com"), "invalid_target"),
        (("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), "invalid_request"),
        (("actor_token", "x"), "invalid_request"),
        // A misspelt restriction must not be a missing one.
        (("endpoints", "/v1/chat"), "invalid_request"),
        (("subject_token", "again"), "invalid_request"),
        (("grant_type", "again"), "invalid_request"),
    ] {
        assert_eq!(exchange(&anyone, &key.raw, &[parameter]).await, Err((400, error.to_owned())), "{parameter:?}");
    }
    for (parameters, error) in [
        (vec![], "invalid_request"),
        (vec![EXCHANGE, KEY_TYPE], "invalid_request"),
        (vec![EXCHANGE, KEY_TYPE, ("subject_token", "")], "invalid_request"),
        (vec![EXCHANGE, ("subject_token", key.raw.as_str())], "invalid_request"),
        (
            vec![EXCHANGE, ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2"), ("subject_token", key.raw.as_str())],
            "invalid_request",
        ),
        (vec![("grant_type", "client_credentials"), KEY_TYPE, ("subject_token", key.raw.as_str())], "unsupported_grant_type"),
    ] {
        assert_eq!(anyone.form("/oauth/token", &parameters).await.oauth(), (400, error.to_owned()), "{error}");
    }
    assert_eq!(anyone.post("/oauth/token", json!({})).await.oauth(), (400, "invalid_request".into()));
    assert_eq!(exchange(&anyone, &"x".repeat(70_000), &[]).await, Err((413, "invalid_request".into())));
    anyone.get("/oauth/token").await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn a_key_that_does_not_hold_may_not_be_exchanged_or_is_used_from_elsewhere_gives_no_token() {
    let origin = Origin::start().await;
    let (admin, anyone) = (origin.admin(), origin.anyone());
    let refused = |error: &str| Err((400, error.to_owned()));
    let bound = origin.key(json!({"token_exchange": false})).await;
    assert_eq!(exchange(&anyone, &bound.raw, &[]).await, refused("unauthorized_client"));
    let elsewhere = origin.key(json!({"allowed_ips": ["192.0.2.0/24"]})).await;
    assert_eq!(exchange(&anyone, &elsewhere.raw, &[]).await, refused("invalid_request"));
    let suspended = origin.key(json!({})).await;
    admin.act(&suspended.id, "suspend", None).await.ok();
    assert_eq!(exchange(&anyone, &suspended.raw, &[]).await, refused("invalid_request"));
    let as_client = origin.client(&suspended.raw);
    assert_eq!(exchange(&as_client, &suspended.raw, &[]).await, Err((401, "invalid_client".into())));
    assert_eq!(exchange(&anyone, "rubbish", &[]).await, refused("invalid_request"));
    let test = origin.key(json!({"environment": "test"})).await;
    assert!(exchange(&anyone, &test.raw, &[]).await.is_ok());
}

#[tokio::test]
async fn who_may_validate_exchanges_for_its_tenants_keys_and_learns_nothing_of_others() {
    let origin = Origin::start().await;
    origin.database.execute(&format!("INSERT INTO tenants VALUES ('{OTHER}', 'other', 'Other', 'oth', now())")).await;
    let key = origin.key(json!({"capabilities": ["llm:gpt-4"], "allowed_ips": ["192.0.2.0/24"]})).await;
    let service = origin.caller(json!({"capabilities": ["keys:validate"]})).await;
    // Where the key's holder is, the service knows; the token says it too.
    assert!(exchange(&service, &key.raw, &[("ip", "192.0.2.9")]).await.is_ok());
    let nobody = origin.caller(json!({"capabilities": ["llm:gpt-4"]})).await;
    assert_eq!(exchange(&nobody, &key.raw, &[]).await, Err((400, "unauthorized_client".into())));
    assert_eq!(exchange(&origin.client("rubbish"), &key.raw, &[]).await, Err((401, "invalid_client".into())));

    let made = origin.admin().send("POST", &format!("{KEYS}?tenant={OTHER}"), Some(&json!({"name": "theirs"})), &[]).await.ok();
    let (id, theirs) = (made["api_key"]["id"].as_str().unwrap(), made["raw_key"].as_str().unwrap());
    let parameters = [EXCHANGE, KEY_TYPE, ("subject_token", theirs)];
    let living = service.form("/oauth/token", &parameters).await;
    origin.admin().send("DELETE", &format!("{KEYS}/{id}/revoke?tenant={OTHER}"), None, &[]).await.ok();
    let revoked = service.form("/oauth/token", &parameters).await;
    let junk = service.form("/oauth/token", &[EXCHANGE, KEY_TYPE, ("subject_token", "rubbish")]).await;
    assert_eq!(living.oauth(), (400, "invalid_request".into()));
    assert_eq!((&living.text, &living.text), (&revoked.text, &junk.text));
}

#[tokio::test]
async fn hole_01_no_verifier_can_mint_and_a_token_says_whose_tenant_it_is() {
    let origin = Origin::start().await;
    let (admin, key) = (origin.admin(), key(&origin).await);
    let good = token(&origin.anyone(), &key.raw, &[]).await;
    let claims = keys(&origin).await.open::<AccessTokenClaims>(&good, origin.now()).unwrap();
    assert_eq!(json!(claims.tenant), key.body["tenant_id"]);
    assert_eq!(introspect(&admin, &good).await["active"], true);
    // What verifiers have are public keys; with another's private key, or with theirs for a secret, nothing is made.
    let jwks = admin.get("/.well-known/jwks.json").await.ok();
    for jwk in jwks["keys"].as_array().unwrap() {
        assert_eq!((&jwk["kty"], &jwk["crv"], jwk.get("d")), (&json!("OKP"), &json!("Ed25519"), None));
        let seed = keyward_core::codec::decode_base64url_exact(jwk["x"].as_str().unwrap()).unwrap();
        let forger = SigningKey::from_seed(seed);
        assert_eq!(introspect(&admin, &forger.sign(&claims).unwrap()).await, inactive());
        let own_kid = forger.sign(&claims).unwrap();
        let header = good.split('.').next().unwrap();
        let relabelled = format!("{header}.{}", own_kid.split_once('.').unwrap().1);
        assert_eq!(introspect(&admin, &relabelled).await, inactive());
    }
    let (_, unsigned) = good.split_once('.').unwrap();
    let none = keyward_core::codec::base64url(br#"{"alg":"none","typ":"at+jwt","kid":"x"}"#);
    assert_eq!(introspect(&admin, &format!("{none}.{unsigned}")).await, inactive());
}

#[tokio::test]
async fn hole_02_a_token_has_an_id_an_audience_and_an_end_no_later_than_its_keys_and_dies_with_it() {
    let origin = Origin::start().await;
    let (admin, keys) = (origin.admin(), keys(&origin).await);
    let key = origin.key(json!({"capabilities": ["llm:gpt-4"], "expires_in_days": 1})).await;
    let mut edge = Edge::start(&origin).await;
    let verdict = async |edge: &mut Edge, token: &str| {
        edge.catch_up(&origin).await;
        let token = edge.token(&origin, token, "http://origin.test").await;
        token.map(|token| token.key().expires()).map_err(|reason| reason.code())
    };
    // A minute before the key's end a token has a minute.
    origin.advance(Duration::from_secs(24 * 3600 - 60));
    let short = token(&origin.anyone(), &key.raw, &[]).await;
    let claims = keys.open::<AccessTokenClaims>(&short, origin.now()).unwrap();
    assert!(claims.exp - claims.iat <= 60, "{claims:?}");
    assert_eq!(claims.key.environment, Environment::Live);
    assert_eq!(verdict(&mut edge, &short).await, Ok(Some(claims.exp)));
    origin.advance(Duration::from_secs(60));
    assert_eq!(verdict(&mut edge, &short).await, Err("key_expired"));
    assert_eq!(introspect(&admin, &short).await, inactive());

    let key = origin.key(json!({})).await;
    let living = token(&origin.anyone(), &key.raw, &[]).await;
    assert!(verdict(&mut edge, &living).await.is_ok());
    admin.act(&key.id, "suspend", None).await.ok();
    assert_eq!(verdict(&mut edge, &living).await, Err("key_suspended"));
    assert_eq!(introspect(&admin, &living).await, inactive());
    admin.act(&key.id, "resume", None).await.ok();
    assert_eq!(introspect(&admin, &living).await["active"], true);
    admin.act(&key.id, "revoke", None).await.ok();
    assert_eq!(verdict(&mut edge, &living).await, Err("key_revoked"));
    assert_eq!(introspect(&admin, &living).await, inactive());
}

#[tokio::test]
async fn introspection_tells_what_is_permitted_now_and_of_all_else_exactly_that_it_is_not_active() {
    let origin = Origin::start().await;
    origin.database.execute(&format!("INSERT INTO tenants VALUES ('{OTHER}', 'other', 'Other', 'oth', now())")).await;
    let (admin, key) = (origin.admin(), key(&origin).await);
    let good = token(&origin.anyone(), &key.raw, &[("audience", "https://a.example"), ("scope", "llm:gpt-4 rag:search")]).await;
    let told = introspect(&admin, &good).await;
    for (name, value) in [
        ("active", json!(true)),
        ("scope", json!("llm:gpt-4 rag:search")),
        ("client_id", json!(key.id)),
        ("sub", json!(key.id)),
        ("token_type", json!("Bearer")),
        ("aud", json!("https://a.example")),
        ("iss", json!("http://origin.test")),
        ("tenant", key.body["tenant_id"].clone()),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    assert_eq!(told["exp"].as_u64().unwrap() - told["iat"].as_u64().unwrap(), 300);
    let told = introspect(&admin, &key.raw).await;
    assert_eq!(
        (&told["active"], &told["scope"], &told["sub"], told.get("jti")),
        (&json!(true), &json!("llm:* rag:search"), &json!(key.id), None)
    );
    // The key has lost a capability since: the token has it no more either.
    admin.act(&key.id, "patch", Some(json!({"capabilities": ["llm:*"]}))).await.ok();
    assert_eq!(introspect(&admin, &good).await["scope"], "llm:gpt-4");

    let path = format!("{KEYS}?tenant={OTHER}");
    let made = admin.send("POST", &path, Some(&json!({"name": "theirs"})), &[]).await.ok();
    let theirs = made["raw_key"].as_str().unwrap().to_owned();
    let their_token = token(&origin.anyone(), &theirs, &[]).await;
    for unknown in [theirs.as_str(), &their_token, "rubbish", "a.b.c", &format!("{good}x"), &good[1..], &"x.".repeat(5000)] {
        assert_eq!(introspect(&admin, unknown).await, inactive(), "{unknown}");
    }
    let named = admin.form(&format!("/oauth/introspect?tenant={OTHER}"), &[("token", &their_token)]).await.ok();
    assert_eq!(named["active"], true);
    // Who asks has to be known.
    let answer = origin.anyone().form("/oauth/introspect", &[("token", &good)]).await;
    assert_eq!(answer.oauth(), (401, "invalid_client".into()));
    assert_eq!(answer.headers["www-authenticate"], r#"Bearer realm="keyward""#);
    let user = origin.caller(json!({"capabilities": ["keys:read"]})).await;
    assert_eq!(user.form("/oauth/introspect", &[("token", &good)]).await.oauth(), (403, "insufficient_scope".into()));
    assert_eq!(admin.form("/oauth/introspect", &[]).await.oauth(), (400, "invalid_request".into()));
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_inactive_on_every_server_and_handed_out_by_none() {
    let origin = Origin::start().await;
    let other = origin.beside().await;
    let (admin, there) = (origin.admin(), other.admin());
    let key = origin.key(json!({"capabilities": ["llm:gpt-4"]})).await;
    let validated = async |client: &Client| {
        let answer = client.post(&format!("{KEYS}/validate"), json!({"api_key": key.raw})).await.ok();
        answer["capability_token"].as_str().unwrap().to_owned()
    };
    let (here, theirs) = (validated(&admin).await, validated(&there).await);
    let kept = token(&origin.anyone(), &key.raw, &[]).await;
    for taken in [&here, &theirs] {
        assert_eq!(introspect(&there, taken).await["active"], true);
        // Whoever holds it may. Twice is as good as once.
        for _ in 0..2 {
            let answer = origin.anyone().form("/oauth/revoke", &[("token", taken), ("token_type_hint", "access_token")]).await;
            assert_eq!((answer.status, answer.text.as_str()), (200, ""));
        }
        assert_eq!(introspect(&admin, taken).await, inactive());
        assert_eq!(introspect(&there, taken).await, inactive());
    }
    assert_ne!(validated(&admin).await, here);
    eventually("the other server hears of it", async || (validated(&there).await != theirs).then_some(())).await;
    assert_eq!(introspect(&admin, &kept).await["active"], true);
    // What has ended needs no memory.
    origin.advance(Duration::from_secs(301));
    assert_eq!(origin.anyone().form("/oauth/revoke", &[("token", &kept)]).await.status, 200);
    assert_eq!(introspect(&admin, &kept).await, inactive());
}

#[tokio::test]
async fn a_key_is_revoked_by_whoever_presents_it_or_may_revoke_and_by_nobody_else() {
    let origin = Origin::start().await;
    let (admin, anyone) = (origin.admin(), origin.anyone());
    let revoke = async |client: &Client, token: &str| client.form("/oauth/revoke", &[("token", token)]).await;
    let state = async |id: &str| admin.get(&format!("{KEYS}/{id}")).await.ok()["status"].as_str().unwrap().to_owned();
    // A leaked key, found from an address that it isn't for.
    let leaked = origin.key(json!({"allowed_ips": ["192.0.2.0/24"]})).await;
    assert_eq!(revoke(&anyone, &leaked.raw).await.status, 200);
    assert_eq!((state(&leaked.id).await.as_str(), admin.verdict(&leaked.raw).await.unwrap().as_str()), ("revoked", "API key is revoked"));
    assert_eq!(revoke(&anyone, &leaked.raw).await.status, 200);

    let key = origin.key(json!({})).await;
    let nobody = origin.caller(json!({"capabilities": ["keys:read"]})).await;
    assert_eq!(revoke(&nobody, &key.raw).await.oauth(), (403, "insufficient_scope".into()));
    assert_eq!(revoke(&origin.client("rubbish"), &key.raw).await.oauth(), (401, "invalid_client".into()));
    let token_of_it = token(&anyone, &key.raw, &[]).await;
    assert_eq!(revoke(&nobody, &token_of_it).await.oauth(), (403, "insufficient_scope".into()));
    assert_eq!(introspect(&admin, &token_of_it).await["active"], true);
    assert_eq!(revoke(&origin.client(&key.raw), &token_of_it).await.status, 200);
    assert_eq!(introspect(&admin, &token_of_it).await, inactive());
    assert_eq!(state(&key.id).await, "active");
    // A suspended key can't say that it is to be revoked, and isn't told that it was.
    admin.act(&key.id, "suspend", None).await.ok();
    assert_eq!(revoke(&anyone, &key.raw).await.oauth(), (401, "invalid_client".into()));
    let revoker = origin.caller(json!({"capabilities": ["keys:revoke"], "scope": "tenant"})).await;
    assert_eq!(revoke(&revoker, &key.raw).await.status, 200);
    assert_eq!(state(&key.id).await, "revoked");
    for nothing in ["rubbish", "a.b.c"] {
        assert_eq!(revoke(&anyone, nothing).await.status, 200);
    }
}

#[tokio::test]
async fn the_metadata_names_every_endpoint_and_each_answers() {
    let origin = Origin::start().await;
    let metadata = origin.anyone().get("/.well-known/oauth-authorization-server").await.ok();
    assert_eq!(metadata["issuer"], "http://origin.test");
    assert_eq!(metadata["grant_types_supported"], json!(["urn:ietf:params:oauth:grant-type:token-exchange"]));
    assert_eq!(metadata["response_types_supported"], json!([]));
    for (name, status) in [("token_endpoint", 400), ("introspection_endpoint", 401), ("revocation_endpoint", 400)] {
        let path = metadata[name].as_str().unwrap().strip_prefix("http://origin.test").unwrap();
        assert_eq!(origin.anyone().form(path, &[]).await.status, status, "{name}");
    }
    let path = metadata["jwks_uri"].as_str().unwrap().strip_prefix("http://origin.test").unwrap();
    assert!(!origin.anyone().get(path).await.ok()["keys"].as_array().unwrap().is_empty());
}
