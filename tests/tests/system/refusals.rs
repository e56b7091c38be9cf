//! Every kind of bad key is refused at the edge, and nobody behind it hears of it.

use anyhow::{Context, Result, ensure};
use keyward_core::{ApiKeyClaims, Environment, KeyPrefix, ParsedKey, Reason, codec::write_key};
use keyward_issuer::{SigningKey, mint_api_key};
use keyward_tests::http::{Request, Response};
use serde_json::json;

use crate::support::{Stack, together};

/// What one bad request must lead to.
struct Case {
    what: &'static str,
    request: Request,
    reason: Reason,
}

/// Asks the first edge, and checks the answer, the counter of its reason, and that the upstream and the origin were
/// not asked. The origin hears the edge's long poll all the time, and its counts when they are due; anything else would be for
/// this request.
async fn check(stack: &Stack, case: Case) -> Result<Response> {
    let Case { what, request, reason } = case;
    let before = stack.metrics(0).await?;
    let (passed, _) = (stack.upstream.count(), stack.relay.take());
    let answer = stack.send(0, &request).await?;
    let after = stack.metrics(0).await?;

    let status = match reason.class() {
        keyward_core::Class::BadRequest => 400,
        keyward_core::Class::Unauthenticated => 401,
        keyward_core::Class::Forbidden => 403,
        keyward_core::Class::Unavailable => 503,
    };
    let text = answer.text();
    ensure!(answer.status == status, "{what}: {} {text}", answer.status);
    let body = answer.json().context(what)?;
    let code = if reason.proved() { reason.code() } else { "invalid_token" };
    ensure!(body["code"] == code, "{what}: {text}");
    ensure!(body["status"] == status, "{what}: {text}");
    ensure!(body["type"] == format!("urn:keyward:problem:{code}"), "{what}: {text}");
    ensure!(answer.headers.first("content-type") == Some("application/problem+json"), "{what}: {:?}", answer.headers);
    let challenge = match reason {
        Reason::CredentialMissing => Some(r#"Bearer realm="keyward""#),
        Reason::CapabilityMissing => Some(r#"Bearer realm="keyward", error="insufficient_scope""#),
        _ if status == 401 => Some(r#"Bearer realm="keyward", error="invalid_token""#),
        _ => None,
    };
    ensure!(answer.headers.first("www-authenticate") == challenge, "{what}: {:?}", answer.headers);
    for other in Reason::ALL {
        let expected = before.refused(other.code()) + u64::from(other == reason);
        ensure!(
            after.refused(other.code()) == expected,
            "{what}: the counter of {other} went from {} to {}",
            before.refused(other.code()),
            after.refused(other.code())
        );
    }
    ensure!(after.passed() == before.passed(), "{what}: counted as passed");
    ensure!(stack.upstream.count() == passed, "{what}: the upstream was asked");
    for request in stack.relay.take() {
        let target = request.target_text();
        let counts = request.method == "POST" && ["/edge/v1/usage", "/edge/v1/decisions"].contains(&target.as_str());
        ensure!(counts || target.starts_with("/edge/v1/feed?"), "{what}: the origin was asked for {target}");
    }
    Ok(answer)
}

fn me(key: &str) -> Request {
    Request::get("/v1/me").bearer(key)
}

/// A key with another character at `at`, its checksum computed anew or not.
fn changed(key: &str, at: usize) -> String {
    let mut text = key.as_bytes().to_vec();
    text[at] = if text[at] == b'3' { b'4' } else { b'3' };
    String::from_utf8_lossy(&text).into_owned()
}

/// The key's own claims under another signature, label or signer, with a checksum that fits.
fn forged(key: &str, environment: Environment, flip: bool) -> Result<String> {
    let parsed = parse(key)?;
    let mut signature = *parsed.signature();
    if flip {
        // In R: S stays in range, so that it is the equation that fails.
        signature[5] ^= 1;
    }
    let mut text = String::new();
    let claims = parsed.unverified_claims().to_bytes();
    write_key(parsed.prefix(), environment, &claims, &signature, &mut text);
    Ok(text)
}

fn parse(key: &str) -> Result<ParsedKey<'_>> {
    ParsedKey::parse(key).map_err(|reason| anyhow::anyhow!("a key of the origin's: {reason}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_key_is_refused_with_its_reason_and_nobody_behind_the_edge_hears_of_it() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let origin = &stack.origin;
    let good = origin.create(json!({"capabilities": ["rag:search"]})).await?;
    stack.all_answer("/v1/me", &good.raw_key, 200).await?;
    let key = good.raw_key.as_str();

    // Before the signature holds: one answer for all, to the byte.
    let stranger = SigningKey::from_seed([7; 32]);
    let claims: ApiKeyClaims = *parse(key)?.unverified_claims();
    let minted = mint_api_key(&stranger, claims, &KeyPrefix::default(), Environment::Live, &[1; 16]);
    let body = 9; // the first digit after `kwd_live_`
    let unproved = [
        ("not a key at all", "hello".to_owned(), Reason::Malformed),
        ("a key cut short", key[..key.len() - 1].to_owned(), Reason::Malformed),
        ("a digit that is none", key.replacen(&key[body..=body], "-", 1), Reason::Malformed),
        ("a wrong checksum", changed(key, key.len() - 1), Reason::ChecksumMismatch),
        ("a typing error", changed(key, 40), Reason::ChecksumMismatch),
        ("an unknown signing key", minted.expose().to_owned(), Reason::UnknownSigningKey),
        ("a forged signature", forged(key, Environment::Live, true)?, Reason::SignatureInvalid),
        ("a key relabelled for test", forged(key, Environment::Test, false)?, Reason::SignatureInvalid),
    ];
    let mut answers = Vec::new();
    for (what, bad, reason) in unproved {
        let answer = check(&stack, Case { what, request: me(&bad), reason }).await?;
        ensure!(!answer.text().contains(&bad), "{what}: the answer repeats the credential");
        answers.push(answer.body);
        let request = Request::get("/v1/me").header("x-api-key", &bad);
        answers.push(check(&stack, Case { what, request, reason }).await?.body);
    }
    answers.dedup();
    ensure!(answers.len() == 1, "the bodies differ: {} of them", answers.len());

    // After it: the reason.
    let create = async |body| origin.create(body).await;
    let test = create(json!({"environment": "test"})).await?;
    let revoked = create(json!({})).await?;
    let suspended = create(json!({})).await?;
    let rotated = create(json!({})).await?;
    origin.revoke(&revoked.id).await?;
    origin.suspend(&suspended.id).await?;
    // The old credential ends when the overlap does. The shortest lifetime that a key can be made with is a day.
    origin.rotate(&rotated.id, Some(&json!({"overlap_seconds": 1}))).await?;
    for gone in [&revoked, &suspended, &rotated] {
        stack.all_answer("/v1/me", &gone.raw_key, 401).await?;
    }
    let proved = [
        ("the other environment", &test, Reason::WrongEnvironment),
        ("revoked", &revoked, Reason::Revoked),
        ("suspended", &suspended, Reason::Suspended),
        ("past its expiry", &rotated, Reason::Expired),
    ];
    for (what, key, reason) in proved {
        check(&stack, Case { what, request: me(&key.raw_key), reason }).await?;
    }

    // A key that holds, for what it doesn't permit.
    let chat = Request::new("POST", "/v1/chat/completions").bearer(key);
    let cases = [
        ("a capability that it lacks", chat, Reason::CapabilityMissing),
        ("a path without a route", Request::get("/v2/me").bearer(key), Reason::NoRoute),
        ("a method without a route", Request::new("DELETE", "/v1/me").bearer(key), Reason::NoRoute),
        ("no credential", Request::get("/v1/me"), Reason::CredentialMissing),
        ("a key in the URL alone", Request::get(format!("/v1/me?api_key={key}")), Reason::CredentialMissing),
        ("two credentials", me(key).header("x-api-key", &suspended.raw_key), Reason::CredentialsConflict),
    ];
    for (what, request, reason) in cases {
        check(&stack, Case { what, request, reason }).await?;
    }
    // The same one twice is one.
    stack.send(0, &me(key).header("x-api-key", key)).await?.expect(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_slips_past_a_blocked_endpoint() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let body = json!({"blocked_endpoints": ["/a"]});
    let key = stack.origin.create(body).await?.raw_key;
    stack.all_answer("/b/x", &key, 200).await?;

    // Blocked under its own name, or no name at all: what every spelling comes to.
    let blocked = ["/a", "/a/", "/a?x=/b/y", "/%61", "/%61/", "/b/../a", "/b/x/../../a", "/./a", "/a/.", "/a#x"];
    let refused = [
        "//a",
        "/b//a",
        "/a//",
        "/b/%2e%2e/a",
        "/b/%2E./a",
        "/b/.%2e/a",
        "/%2e/a",
        "/a%2f",
        "/b%2f..%2fa",
        "/b%2Fa",
        "/\\a",
        "/b\\..\\a",
        "/b/..%5ca",
        "/%5ca",
        "/%2561",
        "/b/%252e%252e/a",
        "/a;x",
        "/a%3bx",
        "/a%00",
        "/%00a",
        "/a%",
        "/a%zz",
        "/a%0a",
        "/b/\x7fa",
        "/a\u{e9}",
    ];
    for target in blocked {
        let request = Request::get(target).bearer(&key);
        check(&stack, Case { what: target, request, reason: Reason::EndpointBlocked }).await?;
    }
    for target in refused {
        let request = Request::get(target).bearer(&key);
        check(&stack, Case { what: target, request, reason: Reason::PathRefused }).await?;
    }
    // Targets of other forms (RFC 9112 section 3.2) are the runtime's to refuse; wherever they end, it is here.
    let passed = stack.upstream.count();
    for target in ["http://elsewhere.example/b/x", "http://elsewhere.example//a", "*", "b/x", "elsewhere.example:80"] {
        let answer = stack.send(0, &Request::get(target).bearer(&key)).await?;
        ensure!(answer.status >= 400, "{target}: {}", answer.status);
    }
    ensure!(stack.upstream.count() == passed, "a target of another form went upstream");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_outside_the_networks_of_a_key_is_refused() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let body = json!({"allowed_ips": ["10.0.0.0/8", "192.0.2.7", "2001:db8:1::/48"]});
    let key = stack.origin.create(body).await?.raw_key;
    let from = |address: &str| me(&key).header("cf-connecting-ip", address);
    stack.warm(0).await?;

    for inside in ["10.0.0.0", "10.255.255.255", "192.0.2.7", "::ffff:10.1.2.3", "::ffff:a01:203", "2001:db8:1:ffff::1"] {
        stack.send(0, &from(inside)).await?.expect(200).context(inside)?;
    }
    let outside = [
        "11.0.0.0",
        "9.255.255.255",
        "192.0.2.8",
        "::ffff:11.0.0.1",
        "2001:db8:2::1",
        "::a01:203",
        "::10.1.2.3",
        "10.1.2.3:80",
        "010.1.2.3",
        "10.1.2",
        "10.1.2.3, 10.1.2.3",
        "localhost",
        "",
    ];
    for outside in outside {
        let case = Case { what: outside, request: from(outside), reason: Reason::AddressNotAllowed };
        check(&stack, case).await?;
    }
    // Nothing but the configured header names the address, and without it the address is not known.
    let unknown = [("unknown", me(&key)), ("another header", me(&key).header("x-forwarded-for", "10.1.2.3"))];
    for (what, request) in unknown {
        check(&stack, Case { what, request, reason: Reason::AddressNotAllowed }).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_upstream_gets_what_was_decided_and_no_credential() -> Result<()> {
    let _turn = together().await;
    let stack = Stack::start().await?;
    let created = stack.origin.create(json!({"capabilities": ["rag:search"]})).await?;
    stack.all_answer("/v1/me", &created.raw_key, 200).await?;

    // The target, byte for byte.
    let targets = [
        ("/b/x", "/b/x"),
        ("/b/x/", "/b/x/"),
        ("/b/%78%2D%7e", "/b/x-~"),
        ("/b/%3f%c3%a9", "/b/%3F%C3%A9"),
        ("/b/a:@!$&'()*+,=b", "/b/a:@!$&'()*+,=b"),
        ("/b/x?", "/b/x?"),
        ("/b/x?q=%61&r=//../%2e&s=a+b%20c", "/b/x?q=%61&r=//../%2e&s=a+b%20c"),
        ("/a/../b/x", "/b/x"),
    ];
    for (sent, expected) in targets {
        let _earlier = stack.upstream.take();
        stack.get(0, sent, &created.raw_key).await?.expect(200).context(sent)?;
        let [received] = &stack.upstream.take()[..] else { anyhow::bail!("{sent}: not one request upstream") };
        ensure!(received.target_text() == expected, "{sent} became {}", received.target_text());
    }

    // Method, content and ordinary fields pass; who the caller is, only the edge says.
    let request = Request::new("POST", "/v1/search")
        .bearer(&created.raw_key)
        .header("x-api-key", &created.raw_key)
        .header("x-keyward-key-id", "somebody else")
        .header("X-Keyward-Tenant", "somebody else")
        .header("x-keyward-anything", "of the future")
        .header("x-http-method-override", "DELETE")
        .header("x-http-method", "DELETE")
        .header("x-method-override", "DELETE")
        .header("x-ordinary", "stays")
        .json(&json!({"q": "a question"}));
    let _earlier = stack.upstream.take();
    stack.send(0, &request).await?.expect(200)?;
    let [received] = &stack.upstream.take()[..] else { anyhow::bail!("not one request upstream") };
    ensure!(received.method == "POST");
    ensure!(received.body == request.body);
    let headers = &received.headers;
    ensure!(headers.first("x-ordinary") == Some("stays"));
    ensure!(headers.first("content-type") == Some("application/json"));
    for gone in ["authorization", "x-api-key", "x-keyward-anything", "x-http-method-override", "x-http-method", "x-method-override"] {
        ensure!(headers.first(gone).is_none(), "{gone} went upstream");
    }
    let everything = format!("{received:?}");
    ensure!(!everything.contains(&created.raw_key), "the credential went upstream: {everything}");
    let key = &created.body["api_key"];
    let identity = [
        ("x-keyward-key-id", json!(created.id)),
        ("x-keyward-tenant", key["tenant_id"].clone()),
        ("x-keyward-scope", json!("user")),
        ("x-keyward-policy", json!(key["policy"].to_string())),
    ];
    for (name, expected) in identity {
        let values: Vec<_> = headers.all(name).collect();
        ensure!(values == [expected.as_str().context(name)?], "{name}: {values:?}, not {expected}");
    }
    Ok(())
}
