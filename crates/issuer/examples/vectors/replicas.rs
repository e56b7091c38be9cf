//! Sequences of what is told to a replica, and what it answers to each step.

use crate::{
    Case, File,
    mangle::{Sound, jws},
    world::{self, EPOCH, ISSUER, NOW, NOW_MS, SEQ, VERSION, given, manifest, page_0, roots, shard_0, shard_text, sign_feed, signer, snapshot, step},
};
use keyward_core::{Amendment, Delta, Digest, Heartbeat, PolicyNumber, Snapshot, Status, StatusIndex};
use serde_json::{Value, json};

/// A step and what it gives.
type Told = (Value, Value);

fn case(name: impl Into<String>, steps: Vec<Told>) -> Case {
    let (steps, expected): (Vec<Value>, Vec<Value>) = steps.into_iter().unzip();
    Case { name: name.into(), input: json!({ "steps": steps }), expected: expected.into() }
}

fn ok(value: impl Into<Value>) -> Value {
    json!({ "ok": value.into() })
}

fn done() -> Value {
    ok(Value::Null)
}

fn error(code: impl Into<String>) -> Value {
    json!({ "error": code.into() })
}

fn at(now_ms: u64, kind: &str, value: impl Into<Value>) -> Value {
    json!({ "now_ms": now_ms, kind: value.into() })
}

fn standing(index: u32, expected: Value) -> Told {
    (step("standing", index), expected)
}

fn position(epoch: u32, seq: u64) -> Told {
    (step("position", Value::Null), ok(json!({ "epoch": epoch, "seq": seq })))
}

/// The state is still the one that was given.
fn untouched() -> Vec<Told> {
    vec![position(EPOCH, SEQ), standing(world::VALID, ok("valid")), standing(world::REVOKED, ok("invalid"))]
}

fn refused(name: impl Into<String>, kind: &str, text: String, code: impl Into<String>) -> Case {
    let mut steps = vec![(step(kind, text), error(code))];
    steps.extend(untouched());
    case(name, steps)
}

fn spoiled(kind: &str, sound: &Sound) -> Vec<Case> {
    let mut cases: Vec<Case> =
        sound.spoiled().into_iter().map(|spoiled| refused(spoiled.name, kind, spoiled.text, format!("Open(Jws({}))", spoiled.error))).collect();
    cases.extend(sound.by_others().into_iter().map(|(name, text)| refused(name, kind, text, "Open(UnknownKey)")));
    cases.push(refused("by a key that doesn't count yet", kind, sound.signed_by("feed pre-published"), "Open(KeyState)"));
    cases
}

fn delta() -> Delta {
    Delta { epoch: EPOCH, from: SEQ, to: SEQ + 2, iat_ms: NOW_MS, ..Delta::default() }
}

fn changed(changes: &[(u32, Status)]) -> Delta {
    Delta { changes: changes.iter().map(|(index, status)| (StatusIndex(*index), *status)).collect(), ..delta() }
}

fn amendment(index: u32, policy: u32, expires: Option<u32>) -> Amendment {
    Amendment { index: StatusIndex(index), policy: PolicyNumber(policy), expires }
}

pub(crate) fn deltas() -> File {
    let taken = |name: &str, delta: &Delta, then: Vec<Told>| {
        let mut steps = vec![(step("delta", sign_feed(delta)), done()), position(EPOCH, delta.to)];
        steps.extend(then);
        case(name, steps)
    };
    let refused = |name: &str, delta: &Delta, code: &str| refused(name, "delta", sign_feed(delta), code);
    let mut cases = vec![
        taken("nothing changed", &delta(), untouched().into_iter().skip(1).collect()),
        taken("a revocation", &changed(&[(world::VALID, Status::Invalid)]), vec![standing(world::VALID, ok("invalid")), standing(world::LAST, ok("valid"))]),
        taken("suspended and resumed", &changed(&[(world::VALID, Status::Suspended), (world::SUSPENDED, Status::Valid)]), vec![
            standing(world::VALID, ok("suspended")),
            standing(world::SUSPENDED, ok("valid")),
        ]),
        taken("revoked is for ever", &changed(&[(world::REVOKED, Status::Valid)]), vec![standing(world::REVOKED, ok("invalid"))]),
        taken("resumed to its old amendment", &changed(&[(world::NARROWED, Status::Amended)]), vec![standing(world::NARROWED, ok(json!({ "policy": 18, "expires": null })))]),
        taken(
            "a new amendment",
            &Delta { amendments: vec![amendment(world::VALID, 30, Some(7))], ..changed(&[(world::VALID, Status::Amended)]) },
            vec![standing(world::VALID, ok(json!({ "policy": 30, "expires": 7 })))],
        ),
        taken(
            "an amendment that a suspension hides, until the key is resumed",
            &Delta { amendments: vec![amendment(world::VALID, 30, None)], ..changed(&[(world::VALID, Status::Suspended)]) },
            vec![
                standing(world::VALID, ok("suspended")),
                (step("delta", sign_feed(&Delta { from: SEQ + 2, to: SEQ + 3, ..changed(&[(world::VALID, Status::Amended)]) })), done()),
                standing(world::VALID, ok(json!({ "policy": 30, "expires": null }))),
            ],
        ),
        taken("an amendment that is nowhere", &changed(&[(world::VALID, Status::Amended)]), vec![standing(world::VALID, error("Amendment(StatusIndex(9))"))]),
        taken(
            "a new shard",
            &Delta { opened: vec![9], ..changed(&[(world::UNKNOWN_SHARD + 1, Status::Invalid)]) },
            vec![standing(world::UNKNOWN_SHARD, ok("valid")), standing(world::UNKNOWN_SHARD + 1, ok("invalid")), standing(8 << 20, error("UnknownShard(8)"))],
        ),
        taken("a change in a shard that isn't loaded", &changed(&[(world::NOT_LOADED, Status::Invalid)]), vec![
            standing(world::NOT_LOADED, ok("invalid")),
            standing(world::NOT_LOADED + 1, error("Shard(1)")),
            (step("shard", json!([1, shard_text(1, &[])])), done()),
            standing(world::NOT_LOADED, ok("invalid")),
            standing(world::NOT_LOADED + 1, ok("valid")),
        ]),
        taken("a supersession", &Delta { supersessions: vec![(PolicyNumber(20), PolicyNumber(21))], ..delta() }, vec![
            (step("policy_in_force", 4), ok(21)),
            (step("policy_in_force", 20), ok(21)),
            (step("policy_in_force", 5), ok(5)),
        ]),
        taken("from further back than the state", &Delta { from: 0, ..changed(&[(world::VALID, Status::Invalid)]) }, vec![standing(world::VALID, ok("invalid"))]),
        taken("a minute ahead of our clock", &Delta { iat_ms: NOW_MS + 60_000, ..delta() }, vec![(step("as_of", Value::Null), ok(NOW_MS))]),
        refused("more than a minute ahead of our clock", &Delta { iat_ms: NOW_MS + 60_001, ..delta() }, "Future"),
        refused("a gap", &Delta { from: SEQ + 1, ..delta() }, "Gap"),
        refused("to where the state is already", &Delta { from: SEQ - 1, to: SEQ, ..delta() }, "Rollback"),
        refused("to before the state", &Delta { from: SEQ - 2, to: SEQ - 1, ..changed(&[(world::VALID, Status::Invalid)]) }, "Rollback"),
        refused("backwards", &Delta { to: SEQ - 1, ..delta() }, "Rollback"),
        refused("of an older epoch", &Delta { epoch: EPOCH - 1, ..delta() }, "Epoch"),
        refused("of an epoch to come", &Delta { epoch: EPOCH + 1, ..delta() }, "Epoch"),
        refused("a change in a shard that there isn't", &changed(&[(world::VALID, Status::Invalid), (world::UNKNOWN_SHARD, Status::Invalid)]), "Malformed"),
        refused("an amendment in a shard that there isn't", &Delta { amendments: vec![amendment(world::UNKNOWN_SHARD, 1, None)], ..delta() }, "Malformed"),
        refused("a shard beyond all shards", &Delta { opened: vec![4096], ..delta() }, "Malformed"),
        refused("an index twice", &changed(&[(world::VALID, Status::Suspended), (world::VALID, Status::Valid)]), "Malformed"),
        refused("an amendment twice", &Delta { amendments: vec![amendment(world::VALID, 1, None), amendment(world::VALID, 2, None)], ..changed(&[(world::VALID, Status::Amended)]) }, "Malformed"),
        refused("an old policy twice", &Delta { supersessions: vec![(PolicyNumber(50), PolicyNumber(51)), (PolicyNumber(50), PolicyNumber(52))], ..delta() }, "Malformed"),
        refused("a supersession in a circle", &Delta { supersessions: vec![(PolicyNumber(20), PolicyNumber(4))], ..delta() }, "Malformed"),
        refused("a policy that supersedes itself", &Delta { supersessions: vec![(PolicyNumber(60), PolicyNumber(60))], ..delta() }, "Malformed"),
        case("the same again", vec![(step("delta", sign_feed(&delta())), done()), (step("delta", sign_feed(&delta())), error("Rollback")), position(EPOCH, SEQ + 2)]),
        case("overlapping ones", vec![
            (step("delta", sign_feed(&Delta { to: SEQ + 1, ..changed(&[(world::VALID, Status::Suspended)]) })), done()),
            (step("delta", sign_feed(&Delta { from: SEQ - 5, to: SEQ + 3, ..changed(&[(world::VALID, Status::Invalid)]) })), done()),
            standing(world::VALID, ok("invalid")),
            position(EPOCH, SEQ + 3),
        ]),
    ];
    let payload = serde_json::to_value(delta()).expect("a delta");
    let sound = Sound { typ: "keyward-delta+jwt", signer: "feed", payload, number: "from", max_len: 1024 * 1024 };
    // A megabyte of text has no place in a file; the native tests have the case.
    cases.extend(spoiled("delta", &sound).into_iter().filter(|case| case.name != TOO_LONG));
    let with = |member: &str, value: Value| {
        let mut payload = sound.payload.clone();
        payload[member] = value;
        Sound { typ: sound.typ, signer: "feed", payload, number: "from", max_len: 0 }.text()
    };
    for (name, member, value) in [
        ("an unknown status", "changes", json!([[world::VALID, 4]])),
        ("a change of three", "changes", json!([[world::VALID, 1, 1]])),
        ("an index above 32 bits", "changes", json!([[4_294_967_296_u64, 1]])),
        ("an amendment without expiry", "amendments", json!([[world::VALID, 1]])),
        ("an amendment as an object", "amendments", json!([{ "index": world::VALID, "policy": 1, "expires": 1 }])),
        ("a shard below zero", "opened", json!([-1])),
    ] {
        cases.push(self::refused(name, "delta", with(member, value), "Open(Jws(Payload))"));
    }
    File { name: "deltas.json", about: "Deltas, told to a replica at position 40 of epoch 3.", operation: "replica", given: given(), cases }
}

const TOO_LONG: &str = "longer than its kind may be";

fn heartbeat() -> Heartbeat {
    Heartbeat { epoch: EPOCH, seq: SEQ, iat_ms: NOW_MS + 1000, manifest: VERSION, digest: Digest::of(world::manifest_text()) }
}

pub(crate) fn heartbeats() -> File {
    let later = NOW_MS + 2000;
    let heard = |name: &str, heartbeat: Heartbeat, behind: bool, manifest_behind: bool, as_of: u64| {
        case(name, vec![
            (at(later, "heartbeat", sign_feed(&heartbeat)), ok(json!({ "behind": behind, "manifest_behind": manifest_behind }))),
            (at(later, "as_of", Value::Null), ok(as_of)),
            position(EPOCH, SEQ),
        ])
    };
    let refused = |name: &str, heartbeat: Heartbeat, code: &str| {
        case(name, vec![(at(later, "heartbeat", sign_feed(&heartbeat)), error(code)), (at(later, "as_of", Value::Null), ok(NOW_MS - 5))])
    };
    let other = Digest::of("another manifest");
    let mut cases = vec![
        heard("of where the state is", heartbeat(), false, false, NOW_MS + 1000),
        heard("of later changes: the state is no fresher for it", Heartbeat { seq: SEQ + 1, ..heartbeat() }, true, false, NOW_MS - 5),
        heard("of a newer manifest: the state is no fresher for it", Heartbeat { manifest: VERSION + 1, digest: other, ..heartbeat() }, false, true, NOW_MS - 5),
        heard("of a newer epoch", Heartbeat { epoch: EPOCH + 1, seq: 0, manifest: VERSION + 1, digest: other, ..heartbeat() }, true, true, NOW_MS - 5),
        heard("an old one of the same position", Heartbeat { iat_ms: 1, ..heartbeat() }, false, false, NOW_MS - 5),
        heard("a minute ahead of our clock: no fresher than now", Heartbeat { iat_ms: later + 60_000, ..heartbeat() }, false, false, later),
        refused("more than a minute ahead of our clock", Heartbeat { iat_ms: later + 60_001, ..heartbeat() }, "Future"),
        refused("of before the state", Heartbeat { seq: SEQ - 1, ..heartbeat() }, "Rollback"),
        refused("of an older epoch", Heartbeat { epoch: EPOCH - 1, seq: SEQ + 100, ..heartbeat() }, "Rollback"),
        refused("of an older manifest", Heartbeat { manifest: VERSION - 1, ..heartbeat() }, "Rollback"),
        refused("of another manifest with the same version", Heartbeat { digest: other, ..heartbeat() }, "Conflict"),
        refused("of a newer epoch that its manifest doesn't have", Heartbeat { epoch: EPOCH + 1, ..heartbeat() }, "Epoch"),
    ];
    let payload = serde_json::to_value(heartbeat()).expect("a heartbeat");
    let sound = Sound { typ: "keyward-heartbeat+jwt", signer: "feed", payload, number: "seq", max_len: 1024 };
    cases.extend(spoiled("heartbeat", &sound));
    let header = format!(r#"{{"alg":"EdDSA","typ":"keyward-heartbeat+jwt","kid":"{}"}}"#, signer("feed").kid());
    let heartbeat = heartbeat();
    let list = json!([heartbeat.epoch, heartbeat.seq, heartbeat.iat_ms, heartbeat.manifest, heartbeat.digest]);
    cases.push(self::refused("with its members in a list", "heartbeat", jws("feed", &header, list.to_string().as_bytes()), "Open(Jws(Payload))"));
    File { name: "heartbeats.json", about: "Heartbeats, told to a replica at position 40 of epoch 3.", operation: "replica", given: given(), cases }
}

pub(crate) fn snapshots() -> File {
    let taken = |name: &str, snapshot: &Snapshot, then: Vec<Told>| {
        let mut steps = vec![(step("snapshot", sign_feed(snapshot)), done()), position(EPOCH, snapshot.seq)];
        steps.extend(then);
        case(name, steps)
    };
    let refused = |name: &str, snapshot: &Snapshot, code: &str| refused(name, "snapshot", sign_feed(snapshot), code);
    let digest = Digest::of("");
    let newer = || Snapshot { seq: SEQ + 10, ..snapshot() };
    let other_shard = shard_text(0, &[(world::VALID, Status::Invalid)]);
    let moved = Snapshot { shards: vec![(0, Digest::of(&other_shard))], ..newer() };
    let mut cases = vec![
        taken("the same again keeps its parts", &snapshot(), untouched().into_iter().skip(1).collect()),
        taken("a newer one keeps the parts that are the same", &newer(), vec![standing(world::REVOKED, ok("invalid")), standing(world::NARROWED, ok(json!({ "policy": 18, "expires": null })))]),
        taken("a newer one drops the parts that are others", &moved, vec![
            standing(world::VALID, error("Shard(0)")),
            (step("shard", json!([0, shard_0()])), error("Digest")),
            (step("shard", json!([0, other_shard])), done()),
            standing(world::VALID, ok("invalid")),
        ]),
        taken("a shard that is no longer there", &Snapshot { shards: vec![], ..newer() }, vec![standing(world::VALID, error("UnknownShard(0)"))]),
        taken("no amendments any more", &Snapshot { amendments: vec![], ..newer() }, vec![standing(world::NARROWED, error("Amendment(StatusIndex(3))"))]),
        taken("supersessions of its own", &Snapshot { supersessions: vec![(PolicyNumber(1), PolicyNumber(2))], ..newer() }, vec![
            (step("policy_in_force", 1), ok(2)),
            (step("policy_in_force", 4), ok(4)),
        ]),
        refused("an older one", &Snapshot { seq: SEQ - 1, ..snapshot() }, "Rollback"),
        refused("of an older epoch", &Snapshot { epoch: EPOCH - 1, seq: SEQ + 100, ..snapshot() }, "Epoch"),
        refused("of an epoch that no manifest has", &Snapshot { epoch: EPOCH + 1, ..snapshot() }, "Epoch"),
        refused("from the future", &Snapshot { iat_ms: NOW_MS + 60_001, ..newer() }, "Future"),
        refused("shards out of order", &Snapshot { shards: vec![(1, digest), (0, digest)], ..newer() }, "Malformed"),
        refused("a shard twice", &Snapshot { shards: vec![(1, digest), (1, digest)], ..newer() }, "Malformed"),
        refused("a shard beyond all shards", &Snapshot { shards: vec![(4096, digest)], ..newer() }, "Malformed"),
        refused("pages out of order", &Snapshot { amendments: vec![(StatusIndex(9), digest), (StatusIndex(0), digest)], ..newer() }, "Malformed"),
        refused("supersessions in a circle", &Snapshot { supersessions: vec![(PolicyNumber(1), PolicyNumber(2)), (PolicyNumber(2), PolicyNumber(1))], ..newer() }, "Malformed"),
        refused("an old policy twice", &Snapshot { supersessions: vec![(PolicyNumber(1), PolicyNumber(2)), (PolicyNumber(1), PolicyNumber(3))], ..newer() }, "Malformed"),
        case("an older one, after deltas", vec![
            (step("delta", sign_feed(&changed(&[(world::VALID, Status::Invalid)]))), done()),
            (step("snapshot", sign_feed(&snapshot())), error("Rollback")),
            standing(world::VALID, ok("invalid")),
        ]),
    ];
    let payload = serde_json::to_value(newer()).expect("a snapshot");
    let sound = Sound { typ: "keyward-snapshot+jwt", signer: "feed", payload, number: "seq", max_len: 1024 * 1024 };
    cases.extend(spoiled("snapshot", &sound).into_iter().filter(|case| case.name != TOO_LONG));
    File { name: "snapshots.json", about: "Snapshots, told to a replica at position 40 of epoch 3.", operation: "replica", given: given(), cases }
}

/// Shards and pages of amendments, as parts of a snapshot that names them.
pub(crate) fn shards() -> File {
    let mut given = given();
    given["steps"].as_array_mut().expect("steps").truncate(2);
    // The snapshot that names this part, the part, and whether it is taken.
    let named = |name: &str, text: String, code: Option<&str>, then: Vec<Told>| {
        let snapshot = Snapshot { seq: SEQ + 1, shards: vec![(0, Digest::of(&text))], ..snapshot() };
        let mut steps = vec![
            (step("snapshot", sign_feed(&snapshot)), done()),
            (step("shard", json!([0, text])), code.map_or(done(), error)),
        ];
        steps.extend(then);
        case(name, steps)
    };
    let refused = |name: &str, text: String, code: &str| named(name, text, Some(code), vec![standing(world::VALID, error("Shard(0)"))]);
    let claims = |change: &dyn Fn(&mut Value)| {
        let list = keyward_core::StatusList::new(2, 1 << 20).expect("a list");
        let mut payload = serde_json::to_value(keyward_issuer::status_list_claims(ISSUER, 0, &list, NOW, Some(60))).expect("a list");
        change(&mut payload);
        Sound { typ: "statuslist+jwt", signer: "feed", payload, number: "iat", max_len: 512 * 1024 }
    };
    let list_of = |bits: u8, len: usize| {
        move |payload: &mut Value| {
            let list = keyward_core::StatusList::new(bits, len).expect("a list");
            payload["status_list"] = serde_json::to_value(keyward_issuer::encode_status_list(&list)).expect("a list");
        }
    };
    let mut cases = vec![
        named("a shard", shard_0(), None, vec![standing(world::VALID, ok("valid")), standing(world::REVOKED, ok("invalid"))]),
        refused("the list of another shard", shard_text(1, &[]), "Malformed"),
        refused("the list of another issuer", claims(&|payload| payload["sub"] = "https://evil.test/status-lists/0".into()).text(), "Malformed"),
        refused("a list that has expired", claims(&|payload| payload["exp"] = NOW.into()).text(), "Malformed"),
        named("a list that expires later", claims(&|payload| payload["exp"] = (NOW + 1).into()).text(), None, vec![standing(world::VALID, ok("valid"))]),
        refused("too short a list", claims(&list_of(2, (1 << 20) - 4)).text(), "Malformed"),
        refused("too long a list", claims(&list_of(2, (1 << 20) + 4)).text(), "Malformed"),
        refused("a list of one bit", claims(&list_of(1, 1 << 20)).text(), "Malformed"),
        refused("a list of three bits", claims(&|payload| payload["status_list"]["bits"] = 3.into()).text(), "StatusList(Bits)"),
        refused("a list that is no base64url", claims(&|payload| payload["status_list"]["lst"] = "=".into()).text(), "StatusList(Encoding)"),
        refused("a list that is no zlib", claims(&|payload| payload["status_list"]["lst"] = "AAAA".into()).text(), "StatusList(Compression)"),
        case("a shard that the snapshot doesn't name", vec![(step("shard", json!([0, shard_text(0, &[])])), error("Digest")), standing(0, error("Shard(0)"))]),
        case("a shard in another's place", vec![(step("shard", json!([1, shard_0()])), error("Digest"))]),
        case("a shard that there isn't", vec![(step("shard", json!([9, shard_0()])), error("Digest"))]),
        case("a shard beyond all shards", vec![(step("shard", json!([4_294_967_295_u32, shard_0()])), error("Digest"))]),
        case("parts of two snapshots never mix", vec![
            (step("snapshot", sign_feed(&Snapshot { seq: SEQ + 1, shards: vec![(0, Digest::of(shard_text(0, &[])))], ..snapshot() })), done()),
            (step("shard", json!([0, shard_0()])), error("Digest")),
            (step("shard", json!([0, shard_text(0, &[])])), done()),
            standing(world::REVOKED, ok("valid")),
        ]),
    ];
    let sound = claims(&|_| ());
    cases.extend(
        sound.spoiled().into_iter().filter(|spoiled| spoiled.name != TOO_LONG).map(|spoiled| refused(spoiled.name, spoiled.text, &format!("Open(Jws({}))", spoiled.error))),
    );
    cases.extend(sound.by_others().into_iter().map(|(name, text)| refused(&name, text, "Open(UnknownKey)")));
    cases.extend(pages());
    File {
        name: "shards.json",
        about: "Status shards and pages of amendments, handed to a replica at position 40 of epoch 3 that has none of them.",
        operation: "replica",
        given,
        cases,
    }
}

fn pages() -> Vec<Case> {
    let named = |name: &str, first: u32, text: &str, code: Option<&str>| {
        let snapshot = Snapshot { seq: SEQ + 1, amendments: vec![(StatusIndex(first), Digest::of(text))], ..snapshot() };
        case(format!("page: {name}"), vec![
            (step("snapshot", sign_feed(&snapshot)), done()),
            (step("page", json!([first, text])), code.map_or(done(), error)),
        ])
    };
    let bad = |name: &str, text: &str| named(name, 5, text, Some("Malformed"));
    let entries = |count: u32| {
        let list: Vec<_> = (0..count).map(|index| json!([5 + index, 1, 1])).collect();
        json!({ "amendments": list }).to_string()
    };
    vec![
        named("the amendments", 0, &page_0(), None),
        named("none", 5, r#"{"amendments":[]}"#, None),
        bad("out of order", r#"{"amendments":[[7,1,1],[6,1,1]]}"#),
        bad("one twice", r#"{"amendments":[[7,1,1],[7,1,1]]}"#),
        bad("one before its first index", r#"{"amendments":[[4,1,1]]}"#),
        bad("a member more", r#"{"amendments":[],"more":1}"#),
        bad("a member twice", r#"{"amendments":[],"amendments":[]}"#),
        bad("no JSON", "amendments"),
        bad("too many", &entries(8193)),
        bad("in a list", r#"[[]]"#),
        case("page: one that the snapshot doesn't name", vec![(step("page", json!([0, r#"{"amendments":[]}"#])), error("Digest"))]),
        case("page: one in another's place", vec![(step("page", json!([1, page_0()])), error("Digest"))]),
    ]
}

/// A recovery of the origin: a manifest of a new epoch, and what is laid down before and after it.
pub(crate) fn epochs() -> File {
    let with = |version: u64, epoch: u32| {
        let mut manifest = manifest();
        (manifest.version, manifest.epoch) = (version, epoch);
        signer("root").sign(&manifest).expect("a manifest")
    };
    let next = with(VERSION + 1, EPOCH + 1);
    let recovered = |seq: u64, shard: &str| {
        sign_feed(&Snapshot { epoch: EPOCH + 1, seq, shards: vec![(0, Digest::of(shard))], amendments: vec![], supersessions: vec![], iat_ms: NOW_MS })
    };
    let clean = shard_text(0, &[]);
    let same_version = {
        let mut manifest = manifest();
        manifest.iat += 1;
        signer("root").sign(&manifest).expect("a manifest")
    };
    let cases = vec![
        case("the same manifest again changes nothing", vec![(step("manifest", world::manifest_text()), ok(false))]),
        case("a newer manifest of the same epoch", vec![(step("manifest", with(VERSION + 1, EPOCH)), ok(true)), standing(world::REVOKED, ok("invalid"))]),
        case("an older manifest", vec![(step("manifest", with(VERSION - 1, EPOCH)), error("Rollback"))]),
        case("a newer manifest of an older epoch", vec![(step("manifest", with(VERSION + 1, EPOCH - 1)), error("Rollback"))]),
        case("the same version with another content", vec![(step("manifest", same_version), error("Conflict"))]),
        case("an epoch, once seen in a manifest, doesn't go back", vec![
            (step("manifest", next.clone()), ok(true)),
            (step("manifest", with(VERSION + 2, EPOCH)), error("Rollback")),
        ]),
        case("revoked stays revoked through a recovery", vec![
            (step("delta", sign_feed(&changed(&[(world::VALID, Status::Invalid)]))), done()),
            (step("manifest", next.clone()), ok(true)),
            (step("snapshot", recovered(1, &clean)), done()),
            position(EPOCH + 1, 1),
            (step("shard", json!([0, clean])), done()),
            standing(world::VALID, ok("invalid")),
            standing(world::REVOKED, ok("invalid")),
            standing(world::SUSPENDED, ok("valid")),
            standing(world::LAST, ok("valid")),
        ]),
        case("the feed of the old epoch is over", vec![
            (step("manifest", next.clone()), ok(true)),
            (step("delta", sign_feed(&delta())), error("Epoch")),
            (step("heartbeat", sign_feed(&heartbeat())), error("Rollback")),
            (step("snapshot", sign_feed(&Snapshot { seq: SEQ + 1, ..snapshot() })), error("Epoch")),
            (step("delta", sign_feed(&Delta { epoch: EPOCH + 1, from: 0, to: 1, ..delta() })), error("Gap")),
        ]),
        case("the old epoch doesn't come back", vec![
            (step("manifest", next.clone()), ok(true)),
            (step("snapshot", recovered(1, &clean)), done()),
            (step("manifest", world::manifest_text()), error("Rollback")),
            (step("snapshot", sign_feed(&snapshot())), error("Epoch")),
            (step("snapshot", recovered(0, &clean)), error("Rollback")),
        ]),
    ];
    File { name: "epochs.json", about: "Manifests that follow on one another, and the recovery of an origin.", operation: "replica", given: json!({ "roots": roots(), "steps": given()["steps"] }), cases }
}
