//! Whatever comes from outside has a largest size, beyond which it is refused before it costs anything.

use keyward_core::{
    Amendment, Capability, Class, Delta, Digest, EndpointPattern, FeedError, JwsError, KeySet, KeyState, Manifest, Missing, NormalPath,
    OpenError, PolicyClaims, PolicyNumber, Reason, Replica, Requirement, Role, RouteTable, Signed, Snapshot, Standing, Status, StatusIndex,
    StatusList, StatusListError, Statuses, Timestamp,
    bounds::{MAX_DELTA_ENTRIES, MAX_DELTA_LEN, MAX_ROUTES, MAX_STATUS_BYTES, MAX_SUPERSESSIONS},
};
use keyward_issuer::{SigningKey, encode_status_list};
use std::collections::BTreeSet;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn signer(role: Option<Role>) -> SigningKey {
    SigningKey::from_seed([role.map_or(99, |role| role as u8); 32])
}

fn manifest() -> String {
    let keys = [Role::Policy, Role::Feed].map(|role| signer(Some(role)).manifest_key(role, KeyState::Active, None)).into();
    let iss = "https://keys.example.com".into();
    signer(None).sign(&Manifest { iss, version: 1, epoch: 1, first_policy: 1, first_index: 0, iat: 0, exp: u64::MAX, keys }).unwrap()
}

fn key_set() -> KeySet {
    Manifest::open(&manifest(), &[signer(None).public_key()], NOW).unwrap()
}

fn sign<T: Signed + serde::Serialize>(payload: &T) -> String {
    signer(T::ROLE).sign(payload).unwrap()
}

/// A replica at position 0, with shard 0, whose digest is that of nothing.
fn replica() -> Replica {
    let mut replica = Replica::new(vec![signer(None).public_key()]);
    replica.install_manifest(&manifest(), NOW).unwrap();
    let shards = vec![(0, Digest::of(""))];
    replica
        .install_snapshot(&sign(&Snapshot { epoch: 1, seq: 0, iat_ms: 0, shards, amendments: vec![], supersessions: vec![] }), NOW)
        .unwrap();
    replica
}

fn delta(to: u64) -> Delta {
    Delta { epoch: 1, to, ..Delta::default() }
}

fn changes(indices: std::ops::Range<u32>) -> Vec<(StatusIndex, Status)> {
    indices.map(|index| (StatusIndex(index), Status::Suspended)).collect()
}

#[test]
fn a_delta_has_so_many_entries_at_most() {
    let most = MAX_DELTA_ENTRIES as u32;
    let check = |count: u32, expected| {
        assert_eq!(replica().apply_delta(&sign(&Delta { changes: changes(0..count), ..delta(1) }), NOW), expected, "{count} changes");
        let amendments =
            (0..count).map(|index| Amendment { index: StatusIndex(index), policy: PolicyNumber(1), expires: Some(1) }).collect();
        assert_eq!(replica().apply_delta(&sign(&Delta { amendments, ..delta(1) }), NOW), expected, "{count} amendments");
        let policies = (0..count).map(PolicyNumber).collect();
        assert_eq!(replica().apply_delta(&sign(&Delta { policies, ..delta(1) }), NOW), expected, "{count} policies");
    };
    check(most, Ok(()));
    check(most + 1, Err(FeedError::Malformed));
}

#[test]
fn a_text_longer_than_its_kind_may_be_is_not_looked_at() {
    let text = "A".repeat(MAX_DELTA_LEN + 1);
    let too_long = || OpenError::Jws(JwsError::TooLong);
    assert_eq!(replica().apply_delta(&text, NOW), Err(too_long().into()));
    assert_eq!(replica().install_snapshot(&text, NOW), Err(too_long().into()));
    assert_eq!(key_set().open::<PolicyClaims>(&text, NOW).err(), Some(too_long()));
}

#[test]
fn when_too_much_has_gathered_a_replica_wants_a_snapshot_and_keeps_what_it_has() {
    let mut replica = replica();
    let most = MAX_DELTA_ENTRIES as u32;
    let mut seq = 0;
    let refused = loop {
        seq += 1;
        let first = (seq as u32 - 1) * most;
        match replica.apply_delta(&sign(&Delta { changes: changes(first..first + most), ..delta(seq) }), NOW) {
            Ok(()) => assert!(seq <= 10, "200,000 changes are the most"),
            Err(error) => break error,
        }
    };
    assert_eq!((refused, seq), (FeedError::Gap, 11));
    assert_eq!(replica.position().map(|position| position.seq), Some(10));
    assert_eq!(replica.standing(StatusIndex(10 * most - 1)), Ok(Standing::Suspended));
    assert_eq!(replica.standing(StatusIndex(10 * most)), Err(Missing::Shard(0)));
}

#[test]
fn supersessions_are_so_many_and_follow_on_one_another_so_far() {
    let pairs =
        |range: std::ops::Range<u32>, step: u32| range.map(|n| (PolicyNumber(n * step), PolicyNumber(n * step + 1))).collect::<Vec<_>>();
    let check = |supersessions: Vec<_>, expected| {
        let mut replica = replica();
        assert_eq!(replica.apply_delta(&sign(&Delta { supersessions, ..delta(1) }), NOW), expected);
        replica
    };
    let most = MAX_SUPERSESSIONS as u32;
    check(pairs(0..most, 2), Ok(()));
    let mut full = check(pairs(0..most, 2), Ok(()));
    let one_more = sign(&Delta { supersessions: pairs(most..most + 1, 2), ..delta(2) });
    assert_eq!(full.apply_delta(&one_more, NOW), Err(FeedError::Gap));
    // A newer snapshot, though of a moment that the replica has passed, has fewer.
    let newer = Snapshot { epoch: 1, seq: 1, iat_ms: 0, shards: vec![], amendments: vec![], supersessions: pairs(7..9, 2) };
    full.install_snapshot(&sign(&newer), NOW).unwrap();
    full.apply_delta(&one_more, NOW).unwrap();
    let in_force = |old| full.policy_in_force(PolicyNumber(old)).0 - old;
    assert_eq!([7, 8, most, 6, 9].map(|n| in_force(2 * n)), [1, 1, 1, 0, 0]);
    let snapshot = Snapshot { supersessions: pairs(0..most + 1, 2), ..newer };
    assert_eq!(replica().install_snapshot(&sign(&snapshot), NOW), Err(FeedError::Malformed));
    let mut replica = check(pairs(1..64, 1), Ok(()));
    assert_eq!(replica.policy_in_force(PolicyNumber(1)), PolicyNumber(64));
    check(pairs(1..65, 1), Err(FeedError::Malformed));

    // A chain that grows too long at its end, one step each time, leaves no policy in force for its beginning.
    replica.apply_delta(&sign(&Delta { supersessions: pairs(64..65, 1), ..delta(2) }), NOW).unwrap();
    assert_eq!(replica.policy_in_force(PolicyNumber(1)), PolicyNumber(u32::MAX));
    assert_eq!(replica.policy_in_force(PolicyNumber(2)), PolicyNumber(65));
}

#[test]
fn a_status_list_inflates_to_a_megabyte_and_no_further() {
    let check = |len: usize| encode_status_list(&StatusList::from_bytes(8, vec![7; len]).unwrap()).decode().map(|list| list.len());
    assert_eq!(check(MAX_STATUS_BYTES), Ok(MAX_STATUS_BYTES));
    assert_eq!(check(MAX_STATUS_BYTES + 1), Err(StatusListError::Compression));
}

#[test]
fn a_route_table_is_read_line_by_line_and_says_which_is_wrong() {
    let table = RouteTable::parse("# comment\r\n\r\n  GET /a -> llm:a  \n/a/** -> authenticated\n/a/b -> llm:b").unwrap();
    let path = |text| NormalPath::parse(text).unwrap();
    let llm = |name| Requirement::Capability(Capability::parse(name).unwrap());
    assert_eq!(table.requirement("GET", &path("/a")), Some(&llm("llm:a")));
    assert_eq!(table.requirement("GET", &path("/a/b")), Some(&Requirement::Authenticated), "the first entry that matches counts");
    assert_eq!(table.requirement("GET", &path("/b")), None);

    let line = |text: &str| RouteTable::parse(text).unwrap_err().line;
    assert_eq!(line("/a -> llm:a\n/b"), 2);
    assert_eq!(line("/a->llm:a"), 1);
    assert_eq!(line("/a -> "), 1);
    assert_eq!(line("\n\na -> llm:a"), 3);
    assert_eq!(line("/a -> *"), 1);
    assert_eq!(line("/a -> llm:a -> llm:b"), 1);
    assert!(RouteTable::parse(&"/a -> llm:a\n".repeat(MAX_ROUTES)).is_ok());
    assert_eq!(line(&"/a -> llm:a\n".repeat(MAX_ROUTES + 1)), MAX_ROUTES + 1);
    assert!(EndpointPattern::parse(&format!("/{}", "a/".repeat(65))).is_err());
}

#[test]
fn every_reason_has_a_code_of_its_own_and_only_proved_ones_tell_about_a_key() {
    let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    let unproved: Vec<_> = Reason::ALL.into_iter().filter(|reason| !reason.proved()).map(Reason::code).collect();
    assert_eq!(unproved, ["malformed", "checksum_mismatch", "unknown_signing_key", "signature_invalid", "not_issued"]);
    assert!(Reason::ALL.iter().all(|reason| reason.proved() || reason.class() == Class::Unauthenticated));
}
