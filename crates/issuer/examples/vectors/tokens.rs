use crate::{
    Case, Change, File, error,
    mangle::Sound,
    ok,
    world::{self, AUDIENCE, ISSUER, NOW, NOW_MS, given, key_id, policy_claims, tenant},
};
use serde_json::{Value, json};

fn payload() -> Value {
    let policy = policy_claims();
    let key = json!({ "policy": 17, "scope": "user", "environment": "live" });
    json!({
        "iss": ISSUER, "sub": key_id(), "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW, "jti": "01981f9f-7a3c-7cc0-8a52-000000000001",
        "client_id": key_id(), "scope": "llm:gpt-4", "cap": policy.capabilities, "tenant": tenant(), "ep": policy.endpoints,
        "blocked": policy.blocked_endpoints, "ip": policy.ips, "lim": policy.limits, "key": key, "status": { "status_list": { "idx": world::VALID, "uri": format!("{ISSUER}/status-lists/0") } },
    })
}

fn sound(payload: Value) -> Sound {
    Sound { typ: "at+jwt", signer: "token", payload, number: "iat", max_len: 8 * 1024 }
}

pub(crate) fn file() -> File {
    let at = |text: String, now_ms: u64| json!({ "text": text, "audience": AUDIENCE, "now_ms": now_ms });
    let now = |text: String| at(text, NOW_MS);
    let token = sound(payload());
    let holds = || json!({ "sub": key_id(), "policy": 17, "expires": NOW + 300 });
    let mut cases = vec![
        ok("a token", now(token.text()), holds()),
        ok("with the newer name of the algorithm", now(token.with_new_alg()), holds()),
        ok("in its last millisecond", at(token.text(), (NOW + 300) * 1000 - 1), holds()),
        error("from the moment that exp names", at(token.text(), (NOW + 300) * 1000), "Refused(Expired)"),
        ok("a minute ahead of our clock", at(token.text(), NOW_MS - 60_000), holds()),
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
    let holds = |policy: u32, expires: u64| json!({ "sub": key_id(), "policy": policy, "expires": expires });
    const PAYLOAD: &str = "Open(Jws(Payload))";
    const NOT_OURS: &str = "Refused(SignatureInvalid)";
    vec![
        ok("of a key that is amended: by the new policy", with(&of(world::NARROWED)), holds(18, NOW + 300)),
        ok("of a key that is renewed: no longer than it was made for", with(&of(world::RENEWED)), holds(17, NOW + 300)),
        ok(
            "of a key whose amendment ends first: no longer than its key",
            with(&|token| {
                of(world::RENEWED)(token);
                token["exp"] = (NOW + 600).into();
            }),
            holds(17, NOW + 500),
        ),
        ok("of a key whose policy was superseded: by the last", with(&|token| token["key"]["policy"] = 4.into()), holds(20, NOW + 300)),
        ok("of a key amended to a superseded policy", with(&of(world::AMENDED_TO_SUPERSEDED)), holds(20, NOW + 300)),
        refused("of a key of the other environment", "Refused(WrongEnvironment)", &|token| token["key"]["environment"] = "test".into()),
        refused("with a scope that there isn't", PAYLOAD, &|token| token["key"]["scope"] = "root".into()),
        refused("without its key's claims", PAYLOAD, &|token| drop(token.as_object_mut().expect("claims").remove("key"))),
        refused("without what is blocked", PAYLOAD, &|token| drop(token.as_object_mut().expect("claims").remove("blocked"))),
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

/// Tokens against the policy of their key: both have to permit.
pub(crate) fn decisions() -> File {
    let mut given = given();
    given["routes"] = crate::decisions::ROUTES.into();
    let input = |change: Change<'_>| {
        // The change is made before the token is signed, and sees the policy and the request beside it.
        let mut input = json!({
            "token": payload(), "audience": AUDIENCE, "policy": policy_claims(), "now_ms": NOW_MS,
            "request": { "method": "POST", "path": "/v1/chat/completions", "address": "198.51.100.7", "domain": null, "tls": true },
        });
        change(&mut input);
        input["token"] = sound(input["token"].take()).text().into();
        input
    };
    let permit = |name: &str, change: Change<'_>| ok(name, input(change), "permit");
    let deny = |name: &str, code: &str, change: Change<'_>| error(name, input(change), code);
    let narrowed = |member: &'static str, value: Value| move |input: &mut Value| input["token"][member] = value.clone();
    let only = |entry: &str| json!({ "only": [entry] });
    let me = |input: &mut Value| {
        input["request"]["path"] = "/v1/me".into();
        input["request"]["method"] = "GET".into();
    };
    let capabilities = |of: &'static str, list: Value| {
        move |input: &mut Value| {
            input["token"]["scope"] = if of == "token" { list[0].as_str().unwrap_or_default().into() } else { "llm:gpt-4".into() };
            input[of][if of == "token" { "cap" } else { "capabilities" }] = list.clone();
        }
    };
    let cases = vec![
        permit("what key and token permit", &|_| ()),
        permit("an endpoint that the token is narrowed to", &narrowed("ep", only("POST /v1/chat/**"))),
        deny("an endpoint outside of the token", "endpoint_not_allowed", &narrowed("ep", only("GET /v1/chat/**"))),
        deny("no endpoint at all", "endpoint_not_allowed", &narrowed("ep", json!({ "only": [] }))),
        deny("an endpoint that the token blocks", "endpoint_blocked", &narrowed("blocked", json!(["/v1/chat/*"]))),
        deny("a block of what has two spellings", "endpoint_blocked", &|input| {
            input["request"]["path"] = "/v1/%63hat/completions/".into();
            input["token"]["blocked"] = json!(["/v1/chat/**"]);
        }),
        permit("an address that the token is narrowed to", &narrowed("ip", only("198.51.100.0/24"))),
        deny("another address", "address_not_allowed", &narrowed("ip", only("192.0.2.0/24"))),
        deny("an unknown address", "address_not_allowed", &|input| {
            input["token"]["ip"] = json!({ "only": ["0.0.0.0/0"] });
            input["request"]["address"] = Value::Null;
        }),
        deny("a capability that the token lacks", "capability_missing", &capabilities("token", json!([]))),
        deny("a capability that its key has lost", "capability_missing", &capabilities("policy", json!(["llm:groq"]))),
        permit("a capability that the token's star covers", &capabilities("token", json!(["llm:*"]))),
        deny("a star of another resource", "capability_missing", &capabilities("token", json!(["rag:*"]))),
        permit("a route for any credential, without capabilities", &|input| {
            me(input);
            capabilities("token", json!([]))(input);
        }),
        deny("no route", "no_route", &|input| input["request"]["path"] = "/v2".into()),
        deny("what its key's policy blocks by now", "endpoint_blocked", &|input| input["policy"]["blocked_endpoints"] = json!(["/v1/**"])),
        deny("an endpoint that its key's policy no longer allows", "endpoint_not_allowed", &|input| {
            input["policy"]["endpoints"] = json!({ "only": ["/v1/search"] });
        }),
        deny("an address that its key's policy no longer allows", "address_not_allowed", &|input| {
            input["policy"]["ips"] = json!({ "only": ["192.0.2.0/24"] });
        }),
        deny("without the TLS that its key's policy asks for", "tls_required", &|input| input["request"]["tls"] = false.into()),
        deny("a policy above the signed scope", "scope_exceeded", &|input| input["policy"]["scope"] = "tenant".into()),
        deny("a policy of another tenant", "policy_unavailable", &|input| {
            input["policy"]["tenant"] = "01981f9f-0000-7000-8000-000000000002".into();
        }),
        deny("another policy than the one in force", "policy_unavailable", &|input| input["policy"]["number"] = 18.into()),
        deny("a constraint that nobody knows", "constraint_unknown", &|input| {
            input["policy"]["constraints"] = json!({ "max_teleports": 1 });
        }),
        deny("of a revoked key", "key_revoked", &|input| input["token"]["status"]["status_list"]["idx"] = world::REVOKED.into()),
        deny("for another audience", "wrong_audience", &|input| input["audience"] = ISSUER.into()),
    ];
    File {
        name: "token_decisions.json",
        about: "The whole way of a request with a token: the token and the policy in force for its key (its claims, trusted) both have to permit.",
        operation: "token-decision",
        given,
        cases,
    }
}
