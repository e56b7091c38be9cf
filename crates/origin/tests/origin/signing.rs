//! Signing keys: rotated under the eyes of edges, frozen after a compromise, retired when nothing needs them.

use std::time::Duration;

use keyward_core::{Kid, ParsedKey, Reason};
use keyward_issuer::{SigningKey, mint_api_key};
use keyward_origin::sealing::SealingKey;
use serde_json::{Value, json};

use crate::{
    edge::Edge,
    harness::{Client, KEYS, MASTER_KEY, Origin, eventually},
};

const SIGNING: &str = "/api/v1/signing-keys";
/// For how long a key has to be announced.
const ANNOUNCED: Duration = Duration::from_secs(120);

/// The newest key of a role in a state.
async fn find(admin: &Client, role: &str, state: &str) -> Option<Value> {
    let all = admin.get(SIGNING).await.ok();
    let mut found: Vec<Value> = all["signing_keys"].as_array().unwrap().clone();
    found.retain(|key| key["role"] == role && key["state"] == state);
    found.pop()
}

pub async fn kid(admin: &Client, role: &str, state: &str) -> String {
    find(admin, role, state).await.unwrap_or_else(|| panic!("no {role} that is {state}"))["kid"].as_str().unwrap().to_owned()
}

pub async fn turn(admin: &Client, kid: &str, how: &str) -> crate::harness::Answer {
    admin.send("POST", &format!("{SIGNING}/{kid}/{how}"), None, &[]).await
}

async fn force(admin: &Client, kid: &str, how: &str) -> Value {
    admin.post(&format!("{SIGNING}/{kid}/{how}"), json!({"force": true})).await.ok()
}

/// By which signing key a raw key is.
fn signer_of(raw: &str) -> [u8; 3] {
    ParsedKey::parse(raw).unwrap().unverified_claims().signing_key
}

fn short(kid: &str) -> [u8; 3] {
    Kid::parse(kid).unwrap().short()
}

/// What a thief of the database and the master key has: the private half of a signing key.
pub async fn steal(origin: &Origin, kid: &str) -> SigningKey {
    let mut database = origin.database.connect().await;
    let row: (uuid::Uuid, Vec<u8>) = sqlx::query_as("SELECT id, sealed_data_key FROM deployment").fetch_one(&mut database).await.unwrap();
    let data_key = SealingKey::new(MASTER_KEY).open(&format!("data key {}", row.0), &row.1).unwrap();
    let (role, sealed): (String, Vec<u8>) =
        sqlx::query_as("SELECT role, sealed FROM signing_keys WHERE kid = $1").bind(kid).fetch_one(&mut database).await.unwrap();
    let seed = SealingKey::new(data_key.as_slice().try_into().unwrap()).open(&format!("signing key {role} {kid}"), &sealed).unwrap();
    SigningKey::from_seed(seed.as_slice().try_into().unwrap())
}

/// Keys that say just what `raw` says, by the stolen signing key: with a thief's own nonces, and with none.
pub fn forgeries(stolen: &SigningKey, raw: &str) -> Vec<String> {
    let parsed = ParsedKey::parse(raw).unwrap();
    let claims = *parsed.unverified_claims();
    let mut forged: Vec<String> = [[0; 16], [7; 16]]
        .iter()
        .map(|entropy| mint_api_key(stolen, claims, parsed.prefix(), parsed.environment(), entropy).expose().to_owned())
        .collect();
    // Plain Ed25519 of the same message (RFC 8032): what would make the very key again, were the nonce not mixed.
    let (message, len) = parsed.signed_message();
    let plain = ed25519(stolen, &message[..len]);
    let mut text = String::new();
    keyward_core::codec::write_key(parsed.prefix(), parsed.environment(), &claims.to_bytes(), &plain, &mut text);
    forged.push(text);
    assert!(forged.iter().all(|text| text != raw));
    forged
}

fn ed25519(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    use ed25519_dalek::Signer;
    ed25519_dalek::SigningKey::from_bytes(&key.seed()).sign(message).to_bytes()
}

#[tokio::test]
async fn a_key_is_announced_before_it_signs_and_keys_made_meanwhile_work_at_the_edge_at_once() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let first = kid(&admin, "api-key", "active").await;
    let before = admin.create(json!({})).await;
    let short_lived = admin.create(json!({"expires_in_days": 1})).await;
    let made = admin.post(SIGNING, json!({"role": "api-key"})).await.ok();
    let second = made["signing_key"]["kid"].as_str().unwrap().to_owned();
    assert_eq!((&made["signing_key"]["state"], &made["manifest"]["outdated"]), (&json!("pre-published"), &json!(false)));
    admin.post(SIGNING, json!({"role": "api-key"})).await.refused(409, "already_exists");
    turn(&admin, &second, "activate").await.refused(409, "signing_key_unseen");
    assert_eq!(signer_of(&admin.create(json!({})).await.raw), short(&first));
    // An edge hears of it before it signs.
    edge.catch_up(&origin).await;
    origin.advance(ANNOUNCED);
    let turned = turn(&admin, &second, "activate").await.ok();
    assert_eq!(turned["signing_key"]["state"], "active");
    assert_eq!(turn(&admin, &second, "activate").await.ok()["signing_key"], turned["signing_key"], "again is as good as once");
    assert_eq!(kid(&admin, "api-key", "verify-only").await, first);
    // The edge is not asked to catch up: it knows what it needs.
    let after = admin.create(json!({})).await;
    assert_eq!(signer_of(&after.raw), short(&second));
    for key in [&before, &after] {
        assert!(edge.sees(&origin, &key.raw).await.is_ok());
        assert_eq!(admin.verdict(&key.raw).await, None);
    }

    // What it signed is in use: the first admin's key, the edges', and the two from before.
    let listed = find(&admin, "api-key", "verify-only").await.unwrap();
    assert_eq!((&listed["live_keys"], &listed["live_keys_without_digest"]), (&json!(5), &json!(0)));
    origin.advance(Duration::from_secs(24 * 3600));
    let refused = turn(&admin, &first, "retire").await;
    assert!(refused.text.contains("4 raw keys"), "one has expired: {refused:?}");
    refused.refused(409, "signing_key_in_use");
    turn(&admin, &second, "retire").await.refused(409, "signing_key_state");
    let admin = rotate_first_keys(&origin).await;
    for key in admin.get(&format!("{KEYS}?signing_key={first}")).await.ok().as_array().unwrap() {
        if key["id"] != short_lived.id {
            admin.act(key["id"].as_str().unwrap(), "rotate", Some(json!({"overlap_seconds": 0}))).await.ok();
        }
    }
    turn(&admin, &first, "retire").await.ok();
    // No new expiry revives what a retired key has signed; a new raw key does.
    admin.act(&short_lived.id, "renew", Some(json!({"expires_in_days": 9}))).await.refused(409, "key_expired");
    admin.act(&short_lived.id, "rotate", Some(json!({"expires_in_days": 9}))).await.ok();
    admin.act(&short_lived.id, "renew", Some(json!({"expires_in_days": 10}))).await.ok();
    let mut edge = Edge::start(&origin).await;
    assert_eq!(edge.sees(&origin, &before.raw).await, Err(Reason::UnknownSigningKey));
    assert!(edge.sees(&origin, &after.raw).await.is_ok());
    // Its private half is gone for good.
    assert_eq!(origin.database.count(&format!("SELECT count(*) FROM signing_keys WHERE kid = '{first}' AND sealed IS NULL")).await, 1);
    // The operator's trail has it all.
    let trail = admin.get("/api/v1/audit?limit=1000").await.ok();
    let actions: Vec<&str> = trail.as_array().unwrap().iter().filter_map(|record| record["action"].as_str()).collect();
    for action in ["signing_key_created", "signing_key_activated", "signing_key_retired"] {
        assert_eq!(actions.iter().filter(|found| **found == action).count(), 1, "{action}");
    }
}

/// Rotates the keys that the deployment began with, and puts the new ones in the old ones' files; the admin anew.
async fn rotate_first_keys(origin: &Origin) -> Client {
    for name in ["edge.key", "admin.key"] {
        let admin = origin.admin();
        let id = ParsedKey::parse(&origin.file(name)).unwrap().unverified_claims().id;
        let rotated = admin.act(&id.to_string(), "rotate", Some(json!({"overlap_seconds": 0}))).await.ok();
        std::fs::write(origin.data.path().join(name), rotated["new_raw_key"].as_str().unwrap()).unwrap();
    }
    origin.admin()
}

#[tokio::test]
async fn servers_on_one_database_sign_verify_and_freeze_together() {
    let origin = Origin::start().await;
    let other = origin.beside().await;
    let (admin, there) = (origin.admin(), other.admin());
    let first = kid(&admin, "api-key", "active").await;
    let second = admin.post(SIGNING, json!({"role": "api-key"})).await.ok()["signing_key"]["kid"].as_str().unwrap().to_owned();
    origin.advance(ANNOUNCED);
    turn(&there, &second, "activate").await.ok();
    // Whichever key the other still signs with, both take it.
    for _ in 0..20 {
        let (here, over_there) = (admin.create(json!({})).await, there.create(json!({})).await);
        assert_eq!((there.verdict(&here.raw).await, admin.verdict(&over_there.raw).await), (None, None));
    }
    eventually("this server signs with the new key", async || {
        (signer_of(&admin.create(json!({})).await.raw) == short(&second)).then_some(())
    })
    .await;
    let stolen = steal(&origin, &first).await;
    turn(&there, &first, "freeze").await.ok();
    for client in [&admin, &there] {
        eventually("both know", async || {
            let forged = &forgeries(&stolen, &admin.key)[0];
            (client.verdict(forged).await.as_deref() == Some("Invalid API key")).then_some(())
        })
        .await;
        assert_eq!(client.verdict(&admin.key).await, None);
    }
}

/// The drill. A thief has the seed of the key that signs API keys, and all that the REST API and the database show.
#[tokio::test]
async fn after_a_freeze_customers_go_on_and_nothing_that_the_thief_makes_passes_until_all_are_reissued() {
    let mut origin = Origin::start().await;
    let admin = origin.admin();
    let first = kid(&admin, "api-key", "active").await;
    let mut customers = Vec::new();
    for at in 0..6 {
        customers.push(admin.create(json!({"owner_id": format!("customer-{at}"), "capabilities": ["llm:gpt-4"]})).await);
    }
    let caller = admin.create(json!({"capabilities": ["keys:validate"]})).await;
    // One was rotated, one revoked, one suspended: what the thief knows of them helps as little.
    let rotated = admin.act(&customers[3].id, "rotate", None).await.ok()["new_raw_key"].as_str().unwrap().to_owned();
    admin.act(&customers[4].id, "revoke", None).await.ok();
    admin.act(&customers[5].id, "suspend", None).await.ok();
    let all = || customers.iter().map(|key| key.raw.clone()).chain([rotated.clone(), caller.raw.clone(), admin.key.clone()]);
    let passing: Vec<String> = customers[..4].iter().map(|key| key.raw.clone()).chain([rotated.clone()]).collect();
    let stolen = steal(&origin, &first).await;
    let forged: Vec<String> = all().flat_map(|raw| forgeries(&stolen, &raw)).collect();
    let mut edge = Edge::start(&origin).await;
    assert!(edge.sees(&origin, &forged[0]).await.is_ok(), "nobody can tell, before");

    let frozen = turn(&admin, &first, "freeze").await.ok();
    let second = frozen["successor"].as_str().unwrap().to_owned();
    assert_eq!(turn(&admin, &first, "freeze").await.ok()["signing_key"]["state"], "frozen");
    let nothing_forged_passes = async |edge: &mut Edge, origin: &Origin| {
        let admin = origin.admin();
        for text in &forged {
            assert_eq!(edge.sees(origin, text).await, Err(Reason::NotIssued));
            assert_eq!(admin.verdict(text).await.unwrap(), "Invalid API key");
            // As a caller, with whatever the key it copies may do.
            origin.client(text).get(KEYS).await.refused(401, "invalid_token");
            let exchanged = origin
                .anyone()
                .form(
                    "/oauth/token",
                    &[
                        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                        ("subject_token_type", "urn:keyward:token-type:api-key"),
                        ("subject_token", text),
                    ],
                )
                .await;
            assert!(exchanged.status >= 400, "{exchanged:?}");
            assert_eq!(admin.form("/oauth/introspect", &[("token", text)]).await.ok(), json!({"active": false}));
        }
    };
    let customers_go_on = async |edge: &mut Edge, origin: &Origin| {
        let admin = origin.admin();
        for raw in &passing {
            // Twice: what was found once is remembered.
            for _ in 0..2 {
                assert!(edge.sees(origin, raw).await.is_ok());
                assert_eq!(admin.verdict(raw).await, None);
            }
        }
        assert_eq!(edge.sees(origin, &customers[4].raw).await, Err(Reason::Revoked));
        assert_eq!(edge.sees(origin, &customers[5].raw).await, Err(Reason::Suspended));
        assert_eq!(admin.verdict(&customers[5].raw).await.unwrap(), "API key is suspended");
        assert_eq!(origin.client(&caller.raw).verdict(&passing[0]).await, None);
    };
    nothing_forged_passes(&mut edge, &origin).await;
    customers_go_on(&mut edge, &origin).await;
    // Nor after a restart, when nothing is remembered; nor at an edge that begins now.
    origin.restart().await;
    let admin = origin.admin();
    let mut edge = Edge::start(&origin).await;
    nothing_forged_passes(&mut edge, &origin).await;
    customers_go_on(&mut edge, &origin).await;

    // Reissue, to the end: a filter names who is left.
    turn(&admin, &first, "retire").await.refused(409, "signing_key_in_use");
    let left = async |admin: &Client| {
        let page = admin.get(&format!("{KEYS}?signing_key={first}&status=active")).await.ok();
        page.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let admin = rotate_first_keys(&origin).await;
    let mut edge = Edge::start(&origin).await;
    let mut fresh = vec![];
    for id in left(&admin).await {
        let finished = admin.act(&id, "rotate/finish", None).await;
        assert_eq!(finished.status, 200);
        let rotated = admin.act(&id, "rotate", Some(json!({"overlap_seconds": 600}))).await.ok();
        fresh.push(rotated["new_raw_key"].as_str().unwrap().to_owned());
    }
    assert!(left(&admin).await.is_empty());
    // Both halves work through the overlap; what is forged doesn't.
    for raw in fresh.iter().chain([&customers[0].raw, &customers[1].raw]) {
        assert_eq!((edge.sees(&origin, raw).await.is_ok(), admin.verdict(raw).await), (true, None));
    }
    assert!(fresh.iter().all(|raw| signer_of(raw) == short(&second)));
    let suspended = admin.act(&customers[5].id, "rotate", Some(json!({"overlap_seconds": 0}))).await.ok();
    origin.advance(Duration::from_secs(601));
    turn(&admin, &first, "retire").await.ok();
    let mut edge = Edge::start(&origin).await;
    for raw in all().chain(forged.iter().cloned()) {
        assert_eq!(edge.sees(&origin, &raw).await, Err(Reason::UnknownSigningKey));
        assert_eq!(admin.verdict(&raw).await.unwrap(), "Invalid API key");
    }
    for raw in &fresh {
        assert_eq!((edge.sees(&origin, raw).await.is_ok(), admin.verdict(raw).await), (true, None));
    }
    let suspended = suspended["new_raw_key"].as_str().unwrap();
    assert_eq!(edge.sees(&origin, suspended).await, Err(Reason::Suspended));
}

#[tokio::test]
async fn keys_without_a_digest_stop_a_freeze_until_it_is_forced_and_end_with_it() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let (old, new) = (admin.create(json!({})).await, admin.create(json!({})).await);
    // As one that was issued before digests were kept.
    origin.database.execute(&format!("UPDATE credentials SET digest = NULL WHERE api_key = '{}'", old.id)).await;
    let first = kid(&admin, "api-key", "active").await;
    let refused = turn(&admin, &first, "freeze").await;
    assert!(refused.text.contains("1 raw keys"), "{refused:?}");
    refused.refused(409, "signing_key_in_use");
    force(&admin, &first, "freeze").await;
    let mut edge = Edge::start(&origin).await;
    assert_eq!(edge.sees(&origin, &old.raw).await, Err(Reason::NotIssued));
    assert!(edge.sees(&origin, &new.raw).await.is_ok());
}

#[tokio::test]
async fn a_retry_after_a_freeze_gives_no_key_again() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let create = async || admin.send("POST", KEYS, Some(&json!({"name": "once"})), &[("idempotency-key", "one")]).await;
    create().await.ok();
    turn(&admin, &kid(&admin, "api-key", "active").await, "freeze").await.ok();
    create().await.refused(409, "idempotency_conflict");
}

#[tokio::test]
async fn frozen_signers_of_tokens_policies_feed_and_audit_are_replaced_at_once() {
    let origin = Origin::start().await;
    let (admin, mut edge) = (origin.admin(), Edge::start(&origin).await);
    let key = admin.create(json!({"capabilities": ["llm:gpt-4"]})).await;
    let exchange = async || {
        let answer = admin.post(&format!("{KEYS}/validate"), json!({"api_key": key.raw})).await.ok();
        answer["capability_token"].as_str().unwrap().to_owned()
    };
    let token = exchange().await;
    let issuer = "http://origin.test";
    assert!(edge.token(&origin, &token, issuer).await.is_ok());
    let policy = edge.sees(&origin, &key.raw).await.unwrap().policy();
    let mut old = Vec::new();
    for role in ["token", "policy", "feed", "audit"] {
        let signer = kid(&admin, role, "active").await;
        let turned = turn(&admin, &signer, "freeze").await.ok();
        assert_eq!(kid(&admin, role, "active").await, turned["successor"], "{role}");
        old.push(signer);
    }
    // A stolen token key makes nothing that passes, nor what it made before; the next token does.
    assert_eq!(edge.token(&origin, &token, issuer).await, Err(Reason::UnknownSigningKey));
    assert_eq!(admin.form("/oauth/introspect", &[("token", &token)]).await.ok(), json!({"active": false}));
    let next = exchange().await;
    assert_ne!(next, token);
    assert!(edge.token(&origin, &next, issuer).await.is_ok());
    // The policy is signed anew, the list and the snapshot too: an edge that begins now takes them all.
    edge.policy(&origin, policy).await;
    let mut fresh = Edge::start(&origin).await;
    assert!(fresh.sees(&origin, &key.raw).await.is_ok());
    admin.act(&key.id, "suspend", None).await.ok();
    for edge in [&mut edge, &mut fresh] {
        assert_eq!(edge.sees(&origin, &key.raw).await, Err(Reason::Suspended));
    }
    // And what the trail vouches for is by the next key: no header names an old one.
    let kid_of = |jws: &str| -> String {
        let header = keyward_core::codec::decode_base64url(jws.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let checkpoints = admin.post("/api/v1/audit/checkpoints", json!({})).await.ok();
    assert_eq!(kid_of(checkpoints["checkpoints"][0]["jws"].as_str().unwrap()), kid(&admin, "audit", "active").await);
    let jwks = admin.get("/.well-known/jwks.json").await.ok();
    assert!(jwks["keys"].as_array().unwrap().iter().all(|key| !old.contains(&key["kid"].as_str().unwrap().to_owned())));
}

#[tokio::test]
async fn only_an_admin_of_the_operators_tenant_turns_signing_keys() {
    let origin = Origin::start().await;
    let admin = origin.admin();
    let signing = json!(["keys:*", "signing:*"]);
    let other = admin.post("/api/v1/tenants", json!({"slug": "other", "name": "Other"})).await.ok();
    let tenant = other["id"].as_str().or(other["tenant"]["id"].as_str()).unwrap().to_owned();
    let theirs =
        admin.post(&format!("{KEYS}?tenant={tenant}"), json!({"name": "an admin", "scope": "admin", "capabilities": signing})).await.ok();
    let foreign = origin.client(theirs["raw_key"].as_str().unwrap());
    let in_tenant = origin.caller(json!({"scope": "tenant", "capabilities": signing})).await;
    let first = kid(&admin, "token", "active").await;
    for client in [foreign, in_tenant] {
        client.get(SIGNING).await.refused(403, "scope_insufficient");
        client.post(SIGNING, json!({"role": "token"})).await.refused(403, "scope_insufficient");
        turn(&client, &first, "freeze").await.refused(403, "scope_insufficient");
        client.get("/api/v1/manifest/proposal").await.refused(403, "scope_insufficient");
    }
    assert_eq!(kid(&admin, "token", "active").await, first);
    // And each turn takes its own capability.
    let reader = origin.caller(json!({"scope": "admin", "capabilities": ["signing:read", "signing:rotate"]})).await;
    reader.get(SIGNING).await.ok();
    turn(&reader, &first, "freeze").await.refused(403, "capability_missing");
    reader.post(SIGNING, json!({"role": "root"})).await.refused(422, "validation_failed");
    let x = keyward_core::codec::base64url(SigningKey::from_seed([9; 32]).public_key().as_bytes());
    reader.post(SIGNING, json!({"role": "token", "public_key": x})).await.refused(422, "validation_failed");
}
