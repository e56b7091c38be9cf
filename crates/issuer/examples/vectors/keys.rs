use crate::{
    Case, File, error, ok,
    world::{self, NOW, NOW_MS, entropy, given, key_claims, key_id, mint, mint_as, signer},
};
use keyward_core::{
    ApiKeyClaims, Environment, KeyPrefix, PolicyNumber, ScopeClass, StatusIndex,
    codec::{GROUP_DIGITS, write_key},
    signed_message,
};
use serde_json::{Value, json};

const LABEL: usize = "kwd_live_".len();

pub(crate) fn file() -> File {
    let mut cases = genuine();
    cases.extend(junk());
    cases.extend(layouts());
    cases.extend(forged());
    cases.extend(statuses());
    File {
        name: "keys.json",
        about: "API keys, taken the whole way: shape, checksum, signature, environment (live), status and amendment, time.",
        operation: "key",
        given: given(),
        cases,
    }
}

fn at(key: impl Into<String>, now_ms: u64) -> Value {
    json!({ "key": key.into(), "now_ms": now_ms })
}

fn now(key: impl Into<String>) -> Value {
    at(key, NOW_MS)
}

/// What comes out of a key that holds: as signed, but for what is changed.
fn held(change: impl FnOnce(&mut Value)) -> Value {
    let claims = key_claims();
    let mut held = json!({
        "id": key_id(), "index": claims.index, "scope": "user", "exchange": false, "policy": claims.policy, "expires": claims.expires,
    });
    change(&mut held);
    held
}

fn genuine() -> Vec<Case> {
    let with = |change: &dyn Fn(&mut ApiKeyClaims)| {
        let mut claims = key_claims();
        change(&mut claims);
        claims
    };
    let mut cases = vec![
        ok("a user's key", now(mint("api", key_claims())), held(|_| ())),
        ok(
            "a tenant's key",
            now(mint("api", with(&|claims| claims.scope = ScopeClass::Tenant))),
            held(|held| held["scope"] = "tenant".into()),
        ),
        ok(
            "an admin's key",
            now(mint("api", with(&|claims| claims.scope = ScopeClass::Admin))),
            held(|held| held["scope"] = "admin".into()),
        ),
        ok(
            "a key that may be exchanged",
            now(mint("api", with(&|claims| claims.exchange = true))),
            held(|held| held["exchange"] = true.into()),
        ),
        ok("a key without expiry", now(mint("api", with(&|claims| claims.expires = None))), held(|held| held["expires"] = Value::Null)),
        ok(
            "a key at the end of its shard",
            now(mint("api", with(&|claims| claims.index = StatusIndex(world::LAST)))),
            held(|held| held["index"] = world::LAST.into()),
        ),
        ok("in its last millisecond", at(mint("api", key_claims()), (NOW + 3600) * 1000 - 1), held(|_| ())),
        error("from the moment that its expiry names", at(mint("api", key_claims()), (NOW + 3600) * 1000), "key_expired"),
        error("with an expiry of zero", now(mint("api", with(&|claims| claims.expires = Some(0)))), "key_expired"),
        ok("of a signing key that signs no more", now(mint("api verify-only", key_claims())), held(|_| ())),
        ok(
            "of a signing key that ends before it",
            now(mint("api expiring", key_claims())),
            held(|held| held["expires"] = (NOW + 1000).into()),
        ),
        error("of a signing key that has ended", at(mint("api expiring", key_claims()), (NOW + 1000) * 1000), "signing_key_expired"),
        error(
            "after the manifest has expired",
            at(mint("api", with(&|claims| claims.expires = None)), (NOW + 1_000_000) * 1000),
            "state_unavailable",
        ),
        ok("superseded policy", now(mint("api", with(&|claims| claims.policy = PolicyNumber(4)))), held(|held| held["policy"] = 20.into())),
    ];
    for prefix in ["ab", "acme", "a23456789012"] {
        let key = mint_as("api", key_claims(), prefix, Environment::Live);
        cases.push(ok(format!("with the prefix {prefix}"), now(key.expose()), held(|_| ())));
    }
    cases.push(error(
        "of the other environment",
        now(mint_as("api", key_claims(), "kwd", Environment::Test).expose()),
        "wrong_environment",
    ));
    cases
}

/// A text with the checksum that it should have.
fn with_checksum(text: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let covered = &text[..text.len() - 6];
    let mut crc = !0u32;
    for byte in covered.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    let mut sum = !crc;
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(sum % 62) as usize];
        sum /= 62;
    }
    format!("{covered}{}", String::from_utf8_lossy(&digits))
}

/// What is no key at all, for whoever looks at it.
fn junk() -> Vec<Case> {
    let key = mint("api", key_claims());
    let put = |at: usize, character: char| {
        let mut text: Vec<char> = key.chars().collect();
        text[at] = character;
        text.into_iter().collect::<String>()
    };
    let label = |label: &str| with_checksum(&format!("{label}{}", &key[LABEL..]));
    let malformed = [
        ("nothing", String::new()),
        ("a word", "hello".into()),
        ("a JWT", "eyJhbGciOiJFZERTQSJ9.e30.AAAA".into()),
        ("one character short", key[..key.len() - 1].into()),
        ("one character long", format!("{key}0")),
        ("ten thousand characters", "a".repeat(10_000)),
        ("a space before it", format!(" {key}")),
        ("a line break after it", format!("{key}\n")),
        ("a body without a label", key[LABEL..].into()),
        ("no environment", label("kwd_")),
        ("an unknown environment", label("kwd_prod_")),
        ("an environment in capitals", label("kwd_LIVE_")),
        ("a prefix in capitals", label("KWD_live_")),
        ("a prefix of one letter", label("k_live_")),
        ("a prefix of thirteen letters", label("kwdkwdkwdkwdk_live_")),
        ("a prefix that begins with a digit", label("1wd_live_")),
        ("a prefix with an underscore", label("k_d_live_")),
        ("no prefix", label("_live_")),
        ("a hyphen in the body", put(60, '-')),
        ("an underscore in the body", put(60, '_')),
        ("a letter that isn't ASCII", put(60, '\u{e4}')),
        ("a full-width digit", put(60, '\u{ff10}')),
        ("a NUL", put(60, '\0')),
        ("a hyphen in the checksum", put(key.len() - 1, '-')),
        ("a first group of 2^256 and more", with_checksum(&put(LABEL, 'z'))),
        ("a second group of 2^256 and more", with_checksum(&put(LABEL + GROUP_DIGITS, 'z'))),
        ("a third group of 2^256 and more", with_checksum(&put(LABEL + 2 * GROUP_DIGITS, 'z'))),
    ];
    let mut cases: Vec<Case> = malformed.into_iter().map(|(name, text)| error(name, now(text), "malformed")).collect();
    let next = |at: usize| match key.as_bytes()[at] {
        b'z' => '0',
        b'Z' => 'a',
        b'9' => 'A',
        other => char::from(other + 1),
    };
    let swapped = |at: usize| {
        let mut text = key.clone().into_bytes();
        text.swap(at, at + 1);
        String::from_utf8(text).expect("ASCII")
    };
    let unequal = (LABEL + 50..).find(|at| key.as_bytes()[*at] != key.as_bytes()[at + 1]).expect("two unequal neighbours");
    let mistyped = [
        ("a wrong last character", put(key.len() - 1, next(key.len() - 1))),
        ("a wrong character in the claims", put(LABEL + 20, next(LABEL + 20))),
        ("a wrong character in the signature", put(LABEL + 100, next(LABEL + 100))),
        ("two characters in the wrong order", swapped(unequal)),
        ("the other environment, written over", key.replace("_live_", "_test_")),
        ("another prefix, written over", key.replace("kwd_", "kwe_")),
    ];
    cases.extend(mistyped.into_iter().map(|(name, text)| error(name, now(text), "checksum_mismatch")));
    cases
}

/// Rightly signed claims of other layouts: a later version must not be taken for this one.
fn layouts() -> Vec<Case> {
    let changed = [
        ("version 0", 0, 0x00),
        ("version 2", 0, 0x20),
        ("version 15", 0, 0xf0),
        ("scope class 3", 0, 0x13),
        ("an unknown bit", 0, 0x14),
        ("an id that is a UUIDv4", 22, 0x4c),
        ("an id of another variant", 24, 0xca),
    ];
    changed
        .into_iter()
        .map(|(name, place, value)| {
            let mut claims = ApiKeyClaims { signing_key: signer("api").kid().short(), ..key_claims() }.to_bytes();
            claims[place] = value;
            error(name, now(sign_raw("api", "kwd", Environment::Live, &claims)), "malformed")
        })
        .collect()
}

/// A key with any 32 bytes in the claims' place, signed over the label given.
fn sign_raw(signing: &str, prefix: &str, environment: Environment, claims: &[u8; 32]) -> String {
    use ed25519_dalek::Signer;
    let prefix = KeyPrefix::parse(prefix).expect("a prefix");
    let (message, len) = signed_message(&prefix, environment, claims);
    let signature = ed25519_dalek::SigningKey::from_bytes(&signer(signing).seed()).sign(&message[..len]).to_bytes();
    let mut text = String::new();
    write_key(&prefix, environment, claims, &signature, &mut text);
    text
}

/// Keys of the right shape and checksum that nobody issued.
fn forged() -> Vec<Case> {
    let key = mint("api", key_claims());
    let claims = ApiKeyClaims { signing_key: signer("api").kid().short(), ..key_claims() };
    let stolen = keyward_core::ParsedKey::parse(&key).expect("a key").signature().to_owned();
    let written = |claims: ApiKeyClaims, signature: &[u8; 64]| {
        let mut text = String::new();
        write_key(&KeyPrefix::default(), Environment::Live, &claims.to_bytes(), signature, &mut text);
        text
    };
    let mut flipped = stolen;
    flipped[7] ^= 0x10;
    let random: [u8; 64] = [entropy("a"), entropy("b"), entropy("c"), entropy("d")].concat().try_into().expect("64 bytes");
    // The signature that holds over anything for verifiers that admit points of small order.
    let mut identity = [0; 64];
    identity[0] = 1;
    let by_nobody = with_signer_of("nobody", "api");
    let invalid = [
        ("random bytes as a signature", written(claims, &random)),
        ("one bit of the signature changed", written(claims, &flipped)),
        ("a signature of zeros", written(claims, &[0; 64])),
        ("a signature of the identity point", written(claims, &identity)),
        ("another key's claims", written(ApiKeyClaims { policy: PolicyNumber(1), ..claims }, &stolen)),
        ("more scope than was signed", written(ApiKeyClaims { scope: ScopeClass::Admin, ..claims }, &stolen)),
        ("more time than was signed", written(ApiKeyClaims { expires: None, ..claims }, &stolen)),
        ("another index than was signed", written(ApiKeyClaims { index: StatusIndex(10), ..claims }, &stolen)),
        (
            "the other environment, with the checksum mended",
            with_checksum(&mint_as("api", key_claims(), "kwd", Environment::Test).expose().replace("_test_", "_live_")),
        ),
        ("another prefix, with the checksum mended", with_checksum(&key.replace("kwd_", "kwe_"))),
        ("signed by somebody else under our signing key's name", by_nobody),
    ];
    let mut cases: Vec<Case> = invalid.into_iter().map(|(name, text)| error(name, now(text), "signature_invalid")).collect();
    for signing in ["nobody", "root", "token", "policy", "feed", "audit", "api retired", "api pre-published"] {
        cases.push(error(format!("signed by the key: {signing}"), now(mint(signing, key_claims())), "unknown_signing_key"));
    }
    // It may have been issued: who asks the origin for that knows, and nobody else.
    cases.push(error("signed by the key: api frozen", now(mint("api frozen", key_claims())), "issuance_unavailable"));
    cases
}

/// A key that names one signing key and is signed by another.
fn with_signer_of(signing: &str, named: &str) -> String {
    let claims = ApiKeyClaims { signing_key: signer(named).kid().short(), ..key_claims() };
    sign_raw(signing, "kwd", Environment::Live, &claims.to_bytes())
}

fn statuses() -> Vec<Case> {
    let of = |index: u32| mint("api", ApiKeyClaims { index: StatusIndex(index), ..key_claims() });
    let amended = |index: u32, policy: u32, expires: Value| {
        held(|held| {
            held["index"] = index.into();
            held["policy"] = policy.into();
            held["expires"] = expires;
        })
    };
    let late = |index: u32| at(of(index), (NOW + 3600) * 1000);
    let ended_long_ago = mint("api", ApiKeyClaims { index: StatusIndex(world::RENEWED), expires: Some(NOW as u32 - 100), ..key_claims() });
    vec![
        error("revoked", now(of(world::REVOKED)), "key_revoked"),
        error("revoked, and expired too", late(world::REVOKED), "key_revoked"),
        error("suspended", now(of(world::SUSPENDED)), "key_suspended"),
        ok("amended to another policy, without expiry", now(of(world::NARROWED)), amended(world::NARROWED, 18, Value::Null)),
        ok("the amendment's expiry takes the signed one's place", late(world::NARROWED), amended(world::NARROWED, 18, Value::Null)),
        error("ended by its amendment", now(of(world::ENDED)), "key_expired"),
        ok("before the end in its amendment", at(of(world::ENDED), NOW_MS - 1), amended(world::ENDED, 17, NOW.into())),
        ok("renewed by its amendment", now(ended_long_ago.clone()), amended(world::RENEWED, 17, (NOW + 500).into())),
        error("renewed, and over again", at(ended_long_ago, (NOW + 500) * 1000), "key_expired"),
        ok(
            "amended to a policy that is superseded",
            now(of(world::AMENDED_TO_SUPERSEDED)),
            amended(world::AMENDED_TO_SUPERSEDED, 20, Value::Null),
        ),
        error("amended, and the amendment is nowhere", now(of(world::AMENDMENT_LOST)), "amendment_unavailable"),
        error("in a shard that isn't loaded", now(of(world::NOT_LOADED)), "status_unavailable"),
        error("in a shard that there isn't", now(of(world::UNKNOWN_SHARD)), "status_unavailable"),
        error("at the highest index", now(of(u32::MAX)), "status_unavailable"),
        error(
            "revoked, of the other environment",
            now(mint_as("api", ApiKeyClaims { index: StatusIndex(world::REVOKED), ..key_claims() }, "kwd", Environment::Test).expose()),
            "wrong_environment",
        ),
    ]
}
