use super::*;
use crate::{
    File,
    world::{given, shard_0, shard_text, sign_feed, snapshot},
};
use keyward_core::Snapshot;

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
        taken(
            "a newer one keeps the parts that are the same",
            &newer(),
            vec![standing(world::REVOKED, ok("invalid")), standing(world::NARROWED, ok(json!({ "policy": 18, "expires": null })))],
        ),
        taken(
            "a newer one drops the parts that are others",
            &moved,
            vec![
                standing(world::VALID, error("Shard(0)")),
                (step("shard", json!([0, shard_0()])), error("Digest")),
                (step("shard", json!([0, other_shard])), done()),
                standing(world::VALID, ok("invalid")),
            ],
        ),
        taken(
            "a shard that is no longer there",
            &Snapshot { shards: vec![], ..newer() },
            vec![standing(world::VALID, error("UnknownShard(0)"))],
        ),
        taken(
            "no amendments any more",
            &Snapshot { amendments: vec![], ..newer() },
            vec![standing(world::NARROWED, error("Amendment(StatusIndex(3))"))],
        ),
        taken(
            "supersessions of its own",
            &Snapshot { supersessions: vec![(PolicyNumber(1), PolicyNumber(2))], ..newer() },
            vec![(step("policy_in_force", 1), ok(2)), (step("policy_in_force", 4), ok(4))],
        ),
        refused("an older one", &Snapshot { seq: SEQ - 1, ..snapshot() }, "Rollback"),
        refused("of an older epoch", &Snapshot { epoch: EPOCH - 1, seq: SEQ + 100, ..snapshot() }, "Epoch"),
        refused("of an epoch that no manifest has", &Snapshot { epoch: EPOCH + 1, ..snapshot() }, "Epoch"),
        refused("from the future", &Snapshot { iat_ms: NOW_MS + 60_001, ..newer() }, "Future"),
        refused("shards out of order", &Snapshot { shards: vec![(1, digest), (0, digest)], ..newer() }, "Malformed"),
        refused("a shard twice", &Snapshot { shards: vec![(1, digest), (1, digest)], ..newer() }, "Malformed"),
        refused("a shard beyond all shards", &Snapshot { shards: vec![(4096, digest)], ..newer() }, "Malformed"),
        refused(
            "pages out of order",
            &Snapshot { amendments: vec![(StatusIndex(9), digest), (StatusIndex(0), digest)], ..newer() },
            "Malformed",
        ),
        refused(
            "supersessions in a circle",
            &Snapshot { supersessions: vec![(PolicyNumber(1), PolicyNumber(2)), (PolicyNumber(2), PolicyNumber(1))], ..newer() },
            "Malformed",
        ),
        refused(
            "an old policy twice",
            &Snapshot { supersessions: vec![(PolicyNumber(1), PolicyNumber(2)), (PolicyNumber(1), PolicyNumber(3))], ..newer() },
            "Malformed",
        ),
        case(
            "an opened shard that a snapshot since knows no more is not all VALID again",
            vec![
                (step("delta", sign_feed(&Delta { opened: vec![9], ..changed(&[(world::UNKNOWN_SHARD, Status::Invalid)]) })), done()),
                (step("delta", sign_feed(&Delta { from: SEQ + 2, to: SEQ + 4, ..delta() })), done()),
                (step("snapshot", sign_feed(&Snapshot { seq: SEQ + 3, ..snapshot() })), done()),
                position(EPOCH, SEQ + 4),
                standing(world::UNKNOWN_SHARD, error("UnknownShard(9)")),
            ],
        ),
        case(
            "an opened shard that a snapshot of before doesn't know yet stays",
            vec![
                (step("delta", sign_feed(&delta())), done()),
                (
                    step(
                        "delta",
                        sign_feed(&Delta {
                            from: SEQ + 2,
                            to: SEQ + 4,
                            opened: vec![9],
                            ..changed(&[(world::UNKNOWN_SHARD, Status::Invalid)])
                        }),
                    ),
                    done(),
                ),
                (step("snapshot", sign_feed(&Snapshot { seq: SEQ + 1, ..snapshot() })), done()),
                position(EPOCH, SEQ + 4),
                standing(world::UNKNOWN_SHARD, ok("invalid")),
                standing(world::UNKNOWN_SHARD + 1, ok("valid")),
            ],
        ),
        case(
            "a part that is the same again, of which the copy here was changed since, is loaded anew",
            vec![
                (step("delta", sign_feed(&changed(&[(world::VALID, Status::Suspended)]))), done()),
                (step("snapshot", sign_feed(&newer())), done()),
                standing(world::VALID, error("Shard(0)")),
                (step("shard", json!([0, shard_0()])), done()),
                standing(world::VALID, ok("valid")),
            ],
        ),
        case(
            "one that deltas have passed: what they said stays",
            vec![
                (step("delta", sign_feed(&changed(&[(world::VALID, Status::Invalid)]))), done()),
                (step("snapshot", sign_feed(&snapshot())), done()),
                standing(world::VALID, ok("invalid")),
            ],
        ),
        case(
            "an older one than the last, after deltas",
            vec![
                (step("delta", sign_feed(&changed(&[(world::VALID, Status::Invalid)]))), done()),
                (step("snapshot", sign_feed(&Snapshot { seq: 39, ..snapshot() })), error("Rollback")),
                standing(world::VALID, ok("invalid")),
            ],
        ),
    ];
    let payload = serde_json::to_value(newer()).expect("a snapshot");
    let sound = Sound { typ: "keyward-snapshot+jwt", signer: "feed", payload, number: "seq", max_len: 1024 * 1024 };
    cases.extend(spoiled("snapshot", &sound).into_iter().filter(|case| case.name != TOO_LONG));
    File {
        name: "snapshots.json",
        about: "Snapshots, told to a replica at position 40 of epoch 3.",
        operation: "replica",
        given: given(),
        cases,
    }
}
