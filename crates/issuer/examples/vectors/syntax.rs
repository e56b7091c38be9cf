use crate::{Case, File, error, ok};
use keyward_core::{StatusList, codec::base64url};
use keyward_issuer::encode_status_list;
use serde_json::{Value, json};

fn file(name: &'static str, operation: &'static str, about: &'static str, cases: Vec<Case>) -> File {
    File { name, about, operation, given: Value::Null, cases }
}

pub(crate) fn paths() -> File {
    let good = [
        ("/", "/"),
        ("/a", "/a"),
        ("/a/", "/a/"),
        ("/a/b/c", "/a/b/c"),
        ("/%61", "/a"),
        ("/%7E%2d%5F%2e1", "/~-_.1"),
        ("/a/...", "/a/..."),
        ("/a/.b", "/a/.b"),
        ("/a/b..", "/a/b.."),
        ("/a%20b", "/a%20b"),
        ("/a%3fb", "/a%3Fb"),
        ("/a%23b", "/a%23b"),
        ("/%c3%a4", "/%C3%A4"),
        ("/100%25", "/100%25"),
        ("/100%25x", "/100%25x"),
        ("/100%25/6/1", "/100%25/6/1"),
        ("/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="),
        ("/a%3Ab%40c%21%24%26%27%28%29%2A%2B%2C%3D", "/a:b@c!$&'()*+,="),
        ("/user%40example.com", "/user@example.com"),
    ];
    let bad = [
        ("", "NotAbsolute"),
        ("a", "NotAbsolute"),
        ("*", "NotAbsolute"),
        ("http://h/a", "NotAbsolute"),
        ("%2Fa", "NotAbsolute"),
        ("/a//b", "EmptySegment"),
        ("//", "EmptySegment"),
        ("//a", "EmptySegment"),
        ("/a//", "EmptySegment"),
        ("/.", "DotSegment"),
        ("/..", "DotSegment"),
        ("/./a", "DotSegment"),
        ("/a/../b", "DotSegment"),
        ("/a/%2e%2e/b", "DotSegment"),
        ("/a/.%2E/b", "DotSegment"),
        ("/a/%2e/", "DotSegment"),
        ("/a%2fb", "EncodedSeparator"),
        ("/a%2Fb", "EncodedSeparator"),
        ("/a%5cb", "EncodedSeparator"),
        ("/a%3bb", "EncodedSeparator"),
        ("/..%2f", "EncodedSeparator"),
        ("/a\\b", "Character"),
        ("/a;b", "Character"),
        ("/a b", "Character"),
        ("/a?b", "Character"),
        ("/a#b", "Character"),
        ("/a\tb", "Character"),
        ("/a\r\nb", "Character"),
        ("/a\u{0}b", "Character"),
        ("/\u{e4}", "Character"),
        ("/a\"b", "Character"),
        ("/<a>", "Character"),
        ("/a%00", "EncodedControl"),
        ("/a%0d%0aHost:", "EncodedControl"),
        ("/a%7f", "EncodedControl"),
        ("/%", "Percent"),
        ("/%6", "Percent"),
        ("/%zz", "Percent"),
        ("/%+1", "Percent"),
        ("/%u0061", "Percent"),
        ("/%c0%ae%c0%ae/a", "NotUtf8"),
        ("/a%c0%afb", "NotUtf8"),
        ("/a%e0%80%afb", "NotUtf8"),
        ("/%c3", "NotUtf8"),
        ("/%c3a%a4", "NotUtf8"),
        ("/%ff", "NotUtf8"),
        ("/%2561", "DoubleEncoding"),
        ("/%252e%252e", "DoubleEncoding"),
        ("/%25%36%31", "DoubleEncoding"),
        ("/%256%31", "DoubleEncoding"),
        ("/%25%361", "DoubleEncoding"),
        ("/%25%2e%2e/%2561", "DoubleEncoding"),
    ];
    let mut cases: Vec<Case> = good.into_iter().map(|(raw, normal)| ok(raw, json!({ "raw": raw }), normal)).collect();
    cases.extend(bad.into_iter().map(|(raw, code)| error(format!("{raw:?}"), json!({ "raw": raw }), code)));
    let long = |len: usize| format!("/{}", "a".repeat(len - 1));
    cases.push(ok("as long as may be", json!({ "raw": long(4096) }), long(4096)));
    cases.push(error("longer than may be", json!({ "raw": long(4097) }), "TooLong"));
    cases.push(ok("as many segments as may be", json!({ "raw": "/a".repeat(64) }), "/a".repeat(64)));
    cases.push(error("more segments than may be", json!({ "raw": "/a".repeat(65) }), "TooLong"));
    file("paths.json", "path", "Paths as they come (`raw`), and the one form in which they are decided on and forwarded.", cases)
}

pub(crate) fn patterns() -> File {
    let matching = [
        ("/a", "GET", "/a", true),
        ("/a", "POST", "/a/", true),
        ("/a/", "GET", "/a", true),
        ("/a", "GET", "/a/b", false),
        ("/a", "GET", "/A", false),
        ("/a", "GET", "/ab", false),
        ("/", "GET", "/", true),
        ("/", "GET", "/a", false),
        ("GET /a", "GET", "/a", true),
        ("GET /a", "POST", "/a", false),
        ("GET /a", "get", "/a", false),
        ("/a/*", "GET", "/a/b", true),
        ("/a/*", "GET", "/a/b/", true),
        ("/a/*", "GET", "/a", false),
        ("/a/*", "GET", "/a/", false),
        ("/a/*", "GET", "/a/b/c", false),
        ("/a/*/c", "GET", "/a/b/c", true),
        ("/a/*/c", "GET", "/a/b/d", false),
        ("/*/*", "GET", "/a/b", true),
        ("/a/**", "GET", "/a", true),
        ("/a/**", "GET", "/a/", true),
        ("/a/**", "GET", "/a/b", true),
        ("/a/**", "GET", "/a/b/c/d", true),
        ("/a/**", "GET", "/ab", false),
        ("/**", "GET", "/", true),
        ("/**", "DELETE", "/x/y/z", true),
        ("/a/*/**", "GET", "/a", false),
        ("/a/*/**", "GET", "/a/b", true),
        ("/%61/b", "GET", "/a/%62", true),
        ("/a%20b", "GET", "/a%20b", true),
        ("/v1/users:export", "GET", "/v1/users%3aexport", true),
        ("/v1/users%3Aexport", "GET", "/v1/users:export", true),
        ("/a%3fb", "GET", "/a%3Fb", true),
    ];
    let mut cases: Vec<Case> = matching
        .into_iter()
        .map(|(pattern, method, path, matches)| {
            ok(format!("{pattern} and {method} {path}"), json!({ "pattern": pattern, "request": [method, path] }), matches)
        })
        .collect();
    let written = [("/", "/"), ("/**", "/**"), ("/a/", "/a"), ("POST /%61/*/**", "POST /a/*/**"), ("/a%3fb", "/a%3Fb")];
    cases.extend(written.into_iter().map(|(raw, normal)| ok(format!("{raw} is written"), json!({ "pattern": raw }), normal)));
    let bad = [
        ("", "Path(NotAbsolute)"),
        ("a", "Path(NotAbsolute)"),
        ("GET", "Path(NotAbsolute)"),
        ("GET a", "Path(NotAbsolute)"),
        ("GET  /a", "Path(NotAbsolute)"),
        ("get /a", "Method"),
        (" /a", "Method"),
        ("* /a", "Method"),
        ("GET,POST /a", "Method"),
        ("/a/../b", "Path(DotSegment)"),
        ("/a//b", "Path(EmptySegment)"),
        ("/a%2fb", "Path(EncodedSeparator)"),
        ("/a?b=c", "Path(Character)"),
        ("/a*", "Star"),
        ("/a/*b", "Star"),
        ("/a/***", "Star"),
        ("/**/a", "Star"),
        ("/**/**", "Star"),
        ("/a/%2A", "Star"),
        ("/a/%2a%2A", "Star"),
    ];
    cases.extend(bad.into_iter().map(|(raw, code)| error(format!("{raw:?} is refused"), json!({ "pattern": raw }), code)));
    cases.push(error("longer than may be", json!({ "pattern": format!("/{}", "a".repeat(512)) }), "TooLong"));
    file(
        "patterns.json",
        "pattern",
        "Endpoint patterns: with a `request` [method, path], whether they match; without, how they are written.",
        cases,
    )
}

pub(crate) fn networks() -> File {
    let holding = [
        ("10.0.0.0/8", "10.255.255.255", true),
        ("10.0.0.0/8", "11.0.0.0", false),
        ("10.0.0.0/8", "9.255.255.255", false),
        ("10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("10.0.0.0/8", "::10.1.2.3", false),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false),
        ("192.0.2.6/31", "192.0.2.7", true),
        ("0.0.0.0/0", "203.0.113.9", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("::/0", "2001:db8::1", true),
        ("::/0", "203.0.113.9", false),
        ("::/0", "::ffff:203.0.113.9", false),
        ("2001:db8::/32", "2001:db8:ffff::1", true),
        ("2001:db8::/32", "2001:db9::1", false),
        ("2001:db8::1", "2001:db8::1", true),
        ("2001:db8::/127", "2001:db8::2", false),
        ("::ffff:10.0.0.0/104", "10.200.0.1", true),
        ("::ffff:10.0.0.0/104", "::ffff:10.200.0.1", true),
        ("::ffff:10.0.0.1", "10.0.0.1", true),
    ];
    let mut cases: Vec<Case> = holding
        .into_iter()
        .map(|(network, address, holds)| ok(format!("{network} and {address}"), json!({ "network": network, "address": address }), holds))
        .collect();
    let written = [
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:DB8:0:0::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ];
    cases.extend(written.into_iter().map(|(raw, normal)| ok(format!("{raw} is written"), json!({ "network": raw }), normal)));
    let bad = [
        ("", "Syntax"),
        ("any", "Syntax"),
        ("10.0.0.0/", "Syntax"),
        ("10.0.0.0/33", "Syntax"),
        ("10.0.0.0/-1", "Syntax"),
        ("10.0.0.0/+8", "Syntax"),
        ("10.0.0.0/08", "Syntax"),
        ("10.0.0.0/8 ", "Syntax"),
        ("10.0.0.0/255.0.0.0", "Syntax"),
        ("10.0.0/8", "Syntax"),
        ("10/8", "Syntax"),
        ("010.0.0.0/8", "Syntax"),
        ("010.0.0.1", "Syntax"),
        ("0x0a.0.0.0/8", "Syntax"),
        ("256.0.0.0/8", "Syntax"),
        ("2001:db8::/129", "Syntax"),
        ("2001:db8::g/32", "Syntax"),
        ("fe80::1%eth0", "Syntax"),
        ("[::1]", "Syntax"),
        ("10.0.0.1/8", "HostBits"),
        ("192.0.2.7/31", "HostBits"),
        ("2001:db8::1/64", "HostBits"),
        ("0.0.0.1/0", "HostBits"),
    ];
    cases.extend(bad.into_iter().map(|(raw, code)| error(format!("{raw:?} is refused"), json!({ "network": raw }), code)));
    file(
        "networks.json",
        "network",
        "Addresses and CIDR blocks: with an `address`, whether they hold it; without, how they are written.",
        cases,
    )
}

pub(crate) fn capabilities() -> File {
    let covering = [
        ("llm:gpt-4", "llm:gpt-4", true),
        ("llm:gpt-4", "llm:gpt-4o", false),
        ("llm:gpt-4", "llm:*", false),
        ("llm:*", "llm:gpt-4", true),
        ("llm:*", "llm:*", true),
        ("llm:*", "llms:gpt-4", false),
        ("llm:*", "rag:search", false),
        ("LLM:*", "llm:gpt-4", false),
    ];
    let mut cases: Vec<Case> = covering
        .into_iter()
        .map(|(held, wanted, covers)| ok(format!("{held} and {wanted}"), json!({ "held": held, "wanted": wanted }), covers))
        .collect();
    for bad in
        ["", ":", "llm", "llm:", ":gpt", "*", "*:*", "*:gpt", "llm:gp*", "llm:**", "llm:a:b", "llm: a", "llm:a b", "llm:\u{e4}", "llm:a/b"]
    {
        cases.push(error(format!("{bad:?} is refused"), json!({ "held": bad, "wanted": "llm:gpt-4" }), "CapabilityError"));
    }
    let long = format!("llm:{}", "a".repeat(509));
    cases.push(error("longer than may be", json!({ "held": long, "wanted": "llm:gpt-4" }), "CapabilityError"));
    file("capabilities.json", "capability", "Whether who has the capability `held` has `wanted`.", cases)
}

pub(crate) fn domains() -> File {
    let matching = [
        ("app.example.com", "app.example.com", true),
        ("app.example.com", "example.com", false),
        ("app.example.com", "xapp.example.com", false),
        ("app.example.com", "app.example.com.evil.test", false),
        ("app.example.com", "app.example.com.", false),
        ("*.example.com", "a.example.com", true),
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", ".example.com", false),
        ("*.example.com", "evilexample.com", false),
        ("*.example.com", "", false),
        ("localhost", "localhost", true),
    ];
    let mut cases: Vec<Case> = matching
        .into_iter()
        .map(|(pattern, host, matches)| ok(format!("{pattern} and {host:?}"), json!({ "pattern": pattern, "host": host }), matches))
        .collect();
    for bad in [
        "",
        "*",
        "*.",
        "*.*.com",
        "a.*.com",
        "a*.com",
        "Example.com",
        "https://example.com",
        "example.com:443",
        "example.com/",
        ".com",
        "a..b",
        "-a.com",
        "a-.com",
        "\u{e4}.com",
        "a_b.com",
    ] {
        cases.push(error(format!("{bad:?} is refused"), json!({ "pattern": bad, "host": "example.com" }), "Domain"));
    }
    cases.push(error("a label of 64 letters", json!({ "pattern": "a".repeat(64), "host": "example.com" }), "Domain"));
    cases.push(error("254 letters", json!({ "pattern": format!("{}ab", "a.".repeat(126)), "host": "example.com" }), "Domain"));
    file("domains.json", "domain", "Whether a domain pattern means a host.", cases)
}

pub(crate) fn status_lists() -> File {
    let list = |bits: u8, values: &[u8]| {
        let mut list = StatusList::new(bits, values.len()).expect("a list");
        assert!(values.iter().enumerate().all(|(at, value)| list.set(at, *value)), "a value fits");
        serde_json::to_value(encode_status_list(&list)).expect("a list")
    };
    let body = |bits: u32, lst: &str| json!({ "bits": bits, "lst": lst });
    // The draft's own examples, and what zlib made of the same lists here.
    let mut cases = vec![
        ok("the draft's example of one bit", body(1, "eNrbuRgAAhcBXQ"), vec![1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]),
        ok("the draft's example of two bits", body(2, "eNo76fITAAPfAgc"), vec![1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]),
        ok("nothing", list(2, &[]), Vec::<u8>::new()),
        ok("one bit", list(1, &[1, 0, 0, 0, 0, 0, 0, 1]), vec![1, 0, 0, 0, 0, 0, 0, 1]),
        ok("two bits", list(2, &[0, 1, 2, 3]), vec![0, 1, 2, 3]),
        ok("four bits", list(4, &[0, 15, 7, 8]), vec![0, 15, 7, 8]),
        ok("eight bits", list(8, &[0, 255, 128]), vec![0, 255, 128]),
    ];
    let sound = list(2, &[0, 1, 2, 3])["lst"].as_str().expect("a text").to_owned();
    let bytes = keyward_core::codec::decode_base64url(&sound).expect("base64url");
    let spoiled = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        base64url(&bytes)
    };
    let bomb = encode_status_list(&StatusList::from_bytes(8, vec![0; (1 << 20) + 1]).expect("a list")).lst;
    let bad = [
        ("three bits", 3, sound.clone(), "Bits"),
        ("no bits", 0, sound.clone(), "Bits"),
        ("sixteen bits", 16, sound.clone(), "Bits"),
        ("padded", 2, format!("{sound}="), "Encoding"),
        ("base64 of the other alphabet", 2, format!("+{}", &sound[1..]), "Encoding"),
        ("no bytes", 2, String::new(), "Compression"),
        ("not zlib", 2, base64url(b"not zlib at all"), "Compression"),
        ("gzip", 2, base64url(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]), "Compression"),
        ("cut short", 2, spoiled(&|bytes| bytes.truncate(bytes.len() - 1)), "Compression"),
        ("a wrong checksum", 2, spoiled(&|bytes| *bytes.last_mut().expect("a byte") ^= 1), "Compression"),
        ("something after it", 2, spoiled(&|bytes| bytes.push(0)), "Compression"),
        ("larger than allowed when inflated", 8, bomb, "Compression"),
    ];
    cases.extend(bad.into_iter().map(|(name, bits, lst, code)| error(name, body(bits, &lst), code)));
    file("status-lists.json", "status-list", "Token Status Lists: `bits` and `lst` as in the token, and the values in them.", cases)
}
