use super::*;
use crate::{
    File,
    world::{ISSUER, NOW, given, page_0, shard_0, shard_text, sign_feed, snapshot},
};
use keyward_core::Snapshot;

/// Shards and pages of amendments, as parts of a snapshot that names them.
pub(crate) fn shards() -> File {
    let mut given = given();
    given["steps"].as_array_mut().expect("steps").truncate(2);
    // The snapshot that names this part, the part, and whether it is taken.
    let named = |name: &str, text: String, code: Option<&str>, then: Vec<Told>| {
        let snapshot = Snapshot { seq: SEQ + 1, shards: vec![(0, Digest::of(&text))], ..snapshot() };
        let mut steps =
            vec![(step("snapshot", sign_feed(&snapshot)), done()), (step("shard", json!([0, text])), code.map_or(done(), error))];
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
        refused(
            "the list of another issuer",
            claims(&|payload| payload["sub"] = "https://evil.test/status-lists/0".into()).text(),
            "Malformed",
        ),
        refused("a list that has expired", claims(&|payload| payload["exp"] = NOW.into()).text(), "Malformed"),
        named(
            "a list that expires later",
            claims(&|payload| payload["exp"] = (NOW + 1).into()).text(),
            None,
            vec![standing(world::VALID, ok("valid"))],
        ),
        refused("too short a list", claims(&list_of(2, (1 << 20) - 4)).text(), "Malformed"),
        refused("too long a list", claims(&list_of(2, (1 << 20) + 4)).text(), "Malformed"),
        refused("a list of one bit", claims(&list_of(1, 1 << 20)).text(), "Malformed"),
        refused("a list of three bits", claims(&|payload| payload["status_list"]["bits"] = 3.into()).text(), "StatusList(Bits)"),
        refused(
            "a list that is no base64url",
            claims(&|payload| payload["status_list"]["lst"] = "=".into()).text(),
            "StatusList(Encoding)",
        ),
        refused(
            "a list that is no zlib",
            claims(&|payload| payload["status_list"]["lst"] = "AAAA".into()).text(),
            "StatusList(Compression)",
        ),
        case(
            "a shard that the snapshot doesn't name",
            vec![(step("shard", json!([0, shard_text(0, &[])])), error("Digest")), standing(0, error("Shard(0)"))],
        ),
        case("a shard in another's place", vec![(step("shard", json!([1, shard_0()])), error("Digest"))]),
        case("a shard that there isn't", vec![(step("shard", json!([9, shard_0()])), error("Digest"))]),
        case("a shard beyond all shards", vec![(step("shard", json!([4_294_967_295_u32, shard_0()])), error("Digest"))]),
        case(
            "parts of two snapshots never mix",
            vec![
                (
                    step(
                        "snapshot",
                        sign_feed(&Snapshot { seq: SEQ + 1, shards: vec![(0, Digest::of(shard_text(0, &[])))], ..snapshot() }),
                    ),
                    done(),
                ),
                (step("shard", json!([0, shard_0()])), error("Digest")),
                (step("shard", json!([0, shard_text(0, &[])])), done()),
                standing(world::REVOKED, ok("valid")),
            ],
        ),
    ];
    let sound = claims(&|_| ());
    cases.extend(
        sound
            .spoiled()
            .into_iter()
            .filter(|spoiled| spoiled.name != TOO_LONG)
            .map(|spoiled| refused(spoiled.name, spoiled.text, &format!("Open(Jws({}))", spoiled.error))),
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
        case(
            format!("page: {name}"),
            vec![(step("snapshot", sign_feed(&snapshot)), done()), (step("page", json!([first, text])), code.map_or(done(), error))],
        )
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
