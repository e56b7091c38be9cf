use super::*;
use crate::{
    File,
    world::{given, manifest, roots, shard_text, sign_feed, signer, snapshot},
};
use keyward_core::Snapshot;

/// A recovery of the origin: a manifest of a new epoch, and what is laid down before and after it.
pub(crate) fn epochs() -> File {
    let with = |version: u64, epoch: u32| {
        let mut manifest = manifest();
        (manifest.version, manifest.epoch) = (version, epoch);
        signer("root").sign(&manifest).expect("a manifest")
    };
    let next = with(VERSION + 1, EPOCH + 1);
    let recovered = |seq: u64, shard: &str| {
        sign_feed(&Snapshot {
            epoch: EPOCH + 1,
            seq,
            shards: vec![(0, Digest::of(shard))],
            amendments: vec![],
            supersessions: vec![],
            iat_ms: NOW_MS,
        })
    };
    let clean = shard_text(0, &[]);
    let same_version = {
        let mut manifest = manifest();
        manifest.iat += 1;
        signer("root").sign(&manifest).expect("a manifest")
    };
    let cases = vec![
        case("the same manifest again changes nothing", vec![(step("manifest", world::manifest_text()), ok(false))]),
        case(
            "a newer manifest of the same epoch",
            vec![(step("manifest", with(VERSION + 1, EPOCH)), ok(true)), standing(world::REVOKED, ok("invalid"))],
        ),
        case("an older manifest", vec![(step("manifest", with(VERSION - 1, EPOCH)), error("Rollback"))]),
        case("a newer manifest of an older epoch", vec![(step("manifest", with(VERSION + 1, EPOCH - 1)), error("Rollback"))]),
        case("the same version with another content", vec![(step("manifest", same_version), error("Conflict"))]),
        case(
            "an epoch, once seen in a manifest, doesn't go back",
            vec![(step("manifest", next.clone()), ok(true)), (step("manifest", with(VERSION + 2, EPOCH)), error("Rollback"))],
        ),
        case(
            "revoked stays revoked through a recovery",
            vec![
                (step("delta", sign_feed(&changed(&[(world::VALID, Status::Invalid)]))), done()),
                (step("manifest", next.clone()), ok(true)),
                (step("snapshot", recovered(1, &clean)), done()),
                position(EPOCH + 1, 1),
                (step("shard", json!([0, clean])), done()),
                standing(world::VALID, ok("invalid")),
                standing(world::REVOKED, ok("invalid")),
                standing(world::SUSPENDED, ok("valid")),
                standing(world::LAST, ok("valid")),
            ],
        ),
        case(
            "the feed of the old epoch is over",
            vec![
                (step("manifest", next.clone()), ok(true)),
                (step("delta", sign_feed(&delta())), error("Epoch")),
                (step("heartbeat", sign_feed(&heartbeat())), error("Rollback")),
                (step("snapshot", sign_feed(&Snapshot { seq: SEQ + 1, ..snapshot() })), error("Epoch")),
                (step("delta", sign_feed(&Delta { epoch: EPOCH + 1, from: 0, to: 1, ..delta() })), error("Gap")),
            ],
        ),
        case(
            "the old epoch doesn't come back",
            vec![
                (step("manifest", next.clone()), ok(true)),
                (step("snapshot", recovered(1, &clean)), done()),
                (step("manifest", world::manifest_text()), error("Rollback")),
                (step("snapshot", sign_feed(&snapshot())), error("Epoch")),
                (step("snapshot", recovered(0, &clean)), error("Rollback")),
            ],
        ),
    ];
    File {
        name: "epochs.json",
        about: "Manifests that follow on one another, and the recovery of an origin.",
        operation: "replica",
        given: json!({ "roots": roots(), "steps": given()["steps"] }),
        cases,
    }
}
