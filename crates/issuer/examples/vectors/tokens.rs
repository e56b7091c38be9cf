use crate::{
    Case, Change, File, error,
    mangle::Sound,
    ok,
    world::{self, AUDIENCE, ISSUER, NOW, NOW_MS, given, key_id, policy_claims, tenant},
};
use serde_json::{Value, json};

fn payload() -> Value {
    let policy = policy_claims();
    json!({
        "iss": ISSUER, "sub": key_id(), "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW, "jti": "01981f9f-7a3c-7cc0-8a52-000000000001",
        "client_id": key_id(), "scope": "llm:gpt-4", "cap": policy.capabilities, "tenant": tenant(), "ep": policy.endpoints, "ip": policy.ips,
        "lim": policy.limits, "status": { "status_list": { "idx": world::VALID, "uri": format!("{ISSUER}/status-lists/0") } },
    })
}

fn sound(payload: Value) -> Sound {
    Sound { typ: "at+jwt", signer: "token", payload, number: "iat", max_len: 8 * 1024 }
}

pub(crate) fn file() -> File {
    let at = |text: String, now_ms: u64| json!({ "text": text, "audience": AUDIENCE, "now_ms": now_ms });
    let now = |text: String| at(text, NOW_MS);
    let token = sound(payload());
    let mut cases = vec![
        ok("a token", now(token.text()), json!(key_id())),
        ok("with the newer name of the algorithm", now(token.with_new_alg()), json!(key_id())),
        ok("in its last millisecond", at(token.text(), (NOW + 300) * 1000 - 1), json!(key_id())),
        error("from the moment that exp names", at(token.text(), (NOW + 300) * 1000), "Refused(Expired)"),
        ok("a minute ahead of our clock", at(token.text(), NOW_MS - 60_000), json!(key_id())),
        error("more than a minute ahead of our clock", at(token.text(), NOW_MS - 60_001), "Refused(SignatureInvalid)"),
        error("for another audience", json!({ "text": token.text(), "audience": ISSUER, "now_ms": NOW_MS }), "Refused(WrongAudience)"),
        error("after the manifest has expired", at(token.text(), (NOW + 1_000_000) * 1000), "Open(ManifestExpired)"),
        error("by a key that has ended", now(token.signed_by("token expired")), "Open(KeyState)"),
        error("an API key in a token's place", now(world::mint("api", world::key_claims())), "Open(Jws(Encoding))"),
    ];
    cases
        .extend(token.spoiled().into_iter().map(|spoiled| error(spoiled.name, now(spoiled.text), format!("Open(Jws({}))", spoiled.error))));
    cases.extend(token.by_others().into_iter().map(|(name, text)| error(name, now(text), "Open(UnknownKey)")));
    cases.extend(claims(&|change| {
        let mut payload = payload();
        change(&mut payload);
        now(sound(payload).text())
    }));
    File { name: "tokens.json", about: "Capability tokens, for the `audience` given.", operation: "token", given: given(), cases }
}

fn claims(with: &dyn Fn(Change<'_>) -> Value) -> Vec<Case> {
    let refused = |name: &str, code: &str, change: Change<'_>| error(name, with(change), code);
    let of = |index: u32| move |token: &mut Value| token["status"]["status_list"]["idx"] = index.into();
    let list = |uri: String| move |token: &mut Value| token["status"]["status_list"]["uri"] = uri.clone().into();
    let subject = json!(key_id());
    const PAYLOAD: &str = "Open(Jws(Payload))";
    const NOT_OURS: &str = "Refused(SignatureInvalid)";
    vec![
        ok("of a key that is amended", with(&of(world::NARROWED)), subject.clone()),
        ok("of a key that is renewed", with(&of(world::RENEWED)), subject),
        refused("with another client than its subject", "Refused(Malformed)", &|token| {
            token["client_id"] = "01981f9f-7a3c-7cc0-8a52-000000000009".into()
        }),
        refused("with another scope than its capabilities", "Refused(Malformed)", &|token| token["scope"] = "llm:gpt-4 llm:groq".into()),
        refused("of a key that is revoked", "Refused(Revoked)", &of(world::REVOKED)),
        refused("of a key that is suspended", "Refused(Suspended)", &of(world::SUSPENDED)),
        refused("of a key that its amendment has ended", "Refused(Expired)", &of(world::ENDED)),
        refused("of a key whose amendment is nowhere", "Undecided(Amendment(StatusIndex(6)))", &of(world::AMENDMENT_LOST)),
        refused("of a key in a shard that isn't loaded", "Undecided(Shard(1))", &list(format!("{ISSUER}/status-lists/1"))),
        refused("of a key in a shard that there isn't", "Undecided(UnknownShard(9))", &list(format!("{ISSUER}/status-lists/9"))),
        refused("with an index beyond its shard", NOT_OURS, &of(1 << 20)),
        refused("with a shard beyond all shards", NOT_OURS, &list(format!("{ISSUER}/status-lists/4096"))),
        refused("with a shard that has two spellings", NOT_OURS, &list(format!("{ISSUER}/status-lists/00"))),
        refused("with a shard with a sign", NOT_OURS, &list(format!("{ISSUER}/status-lists/+0"))),
        refused("with a list of another issuer", NOT_OURS, &list("https://evil.test/status-lists/0".into())),
        refused("of another issuer", NOT_OURS, &|token| token["iss"] = "https://evil.test".into()),
        refused("without exp", PAYLOAD, &|token| drop(token.as_object_mut().expect("claims").remove("exp"))),
        refused("without jti", PAYLOAD, &|token| drop(token.as_object_mut().expect("claims").remove("jti"))),
        refused("without aud", PAYLOAD, &|token| drop(token.as_object_mut().expect("claims").remove("aud"))),
        refused("without its status", PAYLOAD, &|token| drop(token.as_object_mut().expect("claims").remove("status"))),
        refused("with a list of audiences", PAYLOAD, &|token| token["aud"] = json!([AUDIENCE])),
        refused("with exp as a string", PAYLOAD, &|token| token["exp"] = "2100-01-01".into()),
        refused("with a limit missing", PAYLOAD, &|token| drop(token["lim"].as_object_mut().expect("limits").remove("rate_per_hour"))),
    ]
}
