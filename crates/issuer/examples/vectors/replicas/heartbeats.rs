use super::*;
use crate::{
    File,
    mangle::jws,
    world::{given, sign_feed, signer},
};

pub(crate) fn heartbeats() -> File {
    let later = NOW_MS + 2000;
    let heard = |name: &str, heartbeat: Heartbeat, behind: bool, manifest_behind: bool, as_of: u64| {
        case(
            name,
            vec![
                (at(later, "heartbeat", sign_feed(&heartbeat)), ok(json!({ "behind": behind, "manifest_behind": manifest_behind }))),
                (at(later, "as_of", Value::Null), ok(as_of)),
                position(EPOCH, SEQ),
            ],
        )
    };
    let refused = |name: &str, heartbeat: Heartbeat, code: &str| {
        case(name, vec![(at(later, "heartbeat", sign_feed(&heartbeat)), error(code)), (at(later, "as_of", Value::Null), ok(NOW_MS - 5))])
    };
    let other = Digest::of("another manifest");
    let mut cases = vec![
        heard("of where the state is", heartbeat(), false, false, NOW_MS + 1000),
        heard("of later changes: the state is no fresher for it", Heartbeat { seq: SEQ + 1, ..heartbeat() }, true, false, NOW_MS - 5),
        heard(
            "of a newer manifest: the state is no fresher for it",
            Heartbeat { manifest: VERSION + 1, digest: other, ..heartbeat() },
            false,
            true,
            NOW_MS - 5,
        ),
        heard(
            "of a newer epoch",
            Heartbeat { epoch: EPOCH + 1, seq: 0, manifest: VERSION + 1, digest: other, ..heartbeat() },
            true,
            true,
            NOW_MS - 5,
        ),
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
    cases.push(self::refused(
        "with its members in a list",
        "heartbeat",
        jws("feed", &header, list.to_string().as_bytes()),
        "Open(Jws(Payload))",
    ));
    File {
        name: "heartbeats.json",
        about: "Heartbeats, told to a replica at position 40 of epoch 3.",
        operation: "replica",
        given: given(),
        cases,
    }
}
