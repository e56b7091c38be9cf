use super::*;
use crate::{
    File,
    world::{given, shard_text, sign_feed},
};

pub(crate) fn deltas() -> File {
    let taken = |name: &str, delta: &Delta, then: Vec<Told>| {
        let mut steps = vec![(step("delta", sign_feed(delta)), done()), position(EPOCH, delta.to)];
        steps.extend(then);
        case(name, steps)
    };
    let refused = |name: &str, delta: &Delta, code: &str| refused(name, "delta", sign_feed(delta), code);
    let mut cases = vec![
        taken("nothing changed", &delta(), untouched().into_iter().skip(1).collect()),
        taken(
            "a revocation",
            &changed(&[(world::VALID, Status::Invalid)]),
            vec![standing(world::VALID, ok("invalid")), standing(world::LAST, ok("valid"))],
        ),
        taken(
            "suspended and resumed",
            &changed(&[(world::VALID, Status::Suspended), (world::SUSPENDED, Status::Valid)]),
            vec![standing(world::VALID, ok("suspended")), standing(world::SUSPENDED, ok("valid"))],
        ),
        taken("revoked is for ever", &changed(&[(world::REVOKED, Status::Valid)]), vec![standing(world::REVOKED, ok("invalid"))]),
        taken(
            "resumed to its old amendment",
            &changed(&[(world::NARROWED, Status::Amended)]),
            vec![standing(world::NARROWED, ok(json!({ "policy": 18, "expires": null })))],
        ),
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
        taken(
            "an amendment that is nowhere",
            &changed(&[(world::VALID, Status::Amended)]),
            vec![standing(world::VALID, error("Amendment(StatusIndex(9))"))],
        ),
        taken(
            "a new shard",
            &Delta { opened: vec![9], ..changed(&[(world::UNKNOWN_SHARD + 1, Status::Invalid)]) },
            vec![
                standing(world::UNKNOWN_SHARD, ok("valid")),
                standing(world::UNKNOWN_SHARD + 1, ok("invalid")),
                standing(8 << 20, error("UnknownShard(8)")),
            ],
        ),
        taken(
            "a change in a shard that isn't loaded",
            &changed(&[(world::NOT_LOADED, Status::Invalid)]),
            vec![
                standing(world::NOT_LOADED, ok("invalid")),
                standing(world::NOT_LOADED + 1, error("Shard(1)")),
                (step("shard", json!([1, shard_text(1, &[])])), done()),
                standing(world::NOT_LOADED, ok("invalid")),
                standing(world::NOT_LOADED + 1, ok("valid")),
            ],
        ),
        taken(
            "a supersession",
            &Delta { supersessions: vec![(PolicyNumber(20), PolicyNumber(21))], ..delta() },
            vec![(step("policy_in_force", 4), ok(21)), (step("policy_in_force", 20), ok(21)), (step("policy_in_force", 5), ok(5))],
        ),
        taken(
            "from further back than the state",
            &Delta { from: 0, ..changed(&[(world::VALID, Status::Invalid)]) },
            vec![standing(world::VALID, ok("invalid"))],
        ),
        taken("a minute ahead of our clock", &Delta { iat_ms: NOW_MS + 60_000, ..delta() }, vec![(step("as_of", Value::Null), ok(NOW_MS))]),
        refused("more than a minute ahead of our clock", &Delta { iat_ms: NOW_MS + 60_001, ..delta() }, "Future"),
        refused("a gap", &Delta { from: SEQ + 1, ..delta() }, "Gap"),
        refused("to where the state is already", &Delta { from: SEQ - 1, to: SEQ, ..delta() }, "Rollback"),
        refused("to before the state", &Delta { from: SEQ - 2, to: SEQ - 1, ..changed(&[(world::VALID, Status::Invalid)]) }, "Rollback"),
        refused("backwards", &Delta { to: SEQ - 1, ..delta() }, "Rollback"),
        refused("of an older epoch", &Delta { epoch: EPOCH - 1, ..delta() }, "Epoch"),
        refused("of an epoch to come", &Delta { epoch: EPOCH + 1, ..delta() }, "Epoch"),
        refused(
            "a change in a shard that there isn't",
            &changed(&[(world::VALID, Status::Invalid), (world::UNKNOWN_SHARD, Status::Invalid)]),
            "Malformed",
        ),
        refused(
            "an amendment in a shard that there isn't",
            &Delta { amendments: vec![amendment(world::UNKNOWN_SHARD, 1, None)], ..delta() },
            "Malformed",
        ),
        refused("a shard beyond all shards", &Delta { opened: vec![4096], ..delta() }, "Malformed"),
        refused("an index twice", &changed(&[(world::VALID, Status::Suspended), (world::VALID, Status::Valid)]), "Malformed"),
        refused(
            "an amendment twice",
            &Delta {
                amendments: vec![amendment(world::VALID, 1, None), amendment(world::VALID, 2, None)],
                ..changed(&[(world::VALID, Status::Amended)])
            },
            "Malformed",
        ),
        refused(
            "an old policy twice",
            &Delta { supersessions: vec![(PolicyNumber(50), PolicyNumber(51)), (PolicyNumber(50), PolicyNumber(52))], ..delta() },
            "Malformed",
        ),
        refused("a supersession in a circle", &Delta { supersessions: vec![(PolicyNumber(20), PolicyNumber(4))], ..delta() }, "Malformed"),
        refused(
            "a policy that supersedes itself",
            &Delta { supersessions: vec![(PolicyNumber(60), PolicyNumber(60))], ..delta() },
            "Malformed",
        ),
        case(
            "the same again",
            vec![
                (step("delta", sign_feed(&delta())), done()),
                (step("delta", sign_feed(&delta())), error("Rollback")),
                position(EPOCH, SEQ + 2),
            ],
        ),
        case(
            "overlapping ones",
            vec![
                (step("delta", sign_feed(&Delta { to: SEQ + 1, ..changed(&[(world::VALID, Status::Suspended)]) })), done()),
                (step("delta", sign_feed(&Delta { from: SEQ - 5, to: SEQ + 3, ..changed(&[(world::VALID, Status::Invalid)]) })), done()),
                standing(world::VALID, ok("invalid")),
                position(EPOCH, SEQ + 3),
            ],
        ),
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
