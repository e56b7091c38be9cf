//! Nothing from outside makes the core panic.

use crate::{
    strategies::{self, AllValid, NOW, key_set, signer},
    tries,
};
use keyward_core::{
    AccessTokenClaims, AmendmentPage, Capability, Delta, Digest, DomainPattern, EndpointPattern, Environment, FeedReply, Heartbeat, Issued,
    Kid, Manifest, Missing, Network, NormalPath, ParsedKey, Policy, PolicyClaims, PolicyNumber, PublicKey, Replica, RouteTable, Signed,
    Snapshot, SnapshotReply, StatusIndex, StatusList, StatusListBody, StatusListClaims, Timestamp, Verifier,
};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde::Serialize;

/// Every parser that reads text from outside.
fn every_parser(text: &str) {
    let (keys, root) = (key_set(), signer(None));
    let verifier = Verifier::new(&keys, &AllValid, Environment::Live);
    if let Ok(parsed) = ParsedKey::parse(text) {
        let _verified = verifier.verify(&parsed, NOW);
    }
    let _ = Manifest::open(text, &[root.public_key()], NOW);
    let _ = verifier.verify_token(text, "", NOW);
    let _ = Policy::open(text, PolicyNumber(1), &keys, NOW);
    let _ = keys.open::<StatusListClaims>(text, NOW).map(|claims| claims.status_list.decode());
    let mut replica = Replica::new(vec![root.public_key()]);
    replica.install_manifest(&root.sign(&strategies::manifest(1, 1)).unwrap(), NOW).unwrap();
    let _ =
        (replica.install_manifest(text, NOW), replica.install_snapshot(text, NOW), replica.apply_delta(text, NOW), replica.hear(text, NOW));
    let _ = replica.install_part(Missing::Shard(0), text, NOW);
    let _ = replica.install_issued((StatusIndex(0), Digest::of(text)), text, NOW);
    let _ = (EndpointPattern::parse(text), RouteTable::parse(text), NormalPath::parse(text), Network::parse(text));
    let _ = (Capability::parse(text), DomainPattern::parse(text), PublicKey::parse(text), Kid::parse(text), Digest::parse(text));
    let _ = StatusListBody { bits: 2, lst: text.into() }.decode();
    let _ =
        (serde_json::from_str::<FeedReply>(text), serde_json::from_str::<SnapshotReply>(text), serde_json::from_str::<AmendmentPage>(text));
}

/// One change of a text: some bytes gone, some put in.
type Edit = (Index, u8, Vec<u8>);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let bytes = prop_oneof![vec(any::<u8>(), 0..3), "[{}\\[\\]\",:.0-9a-zA-Z_=-]{1,4}".prop_map(String::into_bytes)];
    vec((any::<Index>(), 0..4u8, bytes), 1..4)
}

fn edit(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for (at, gone, put) in edits {
        let at = at.index(bytes.len() + 1);
        let end = (at + usize::from(*gone)).min(bytes.len());
        bytes.splice(at..end, put.iter().copied());
    }
    bytes
}

/// A payload that was spoiled before the right key signed it reaches what stands behind the signature.
fn behind_the_signature<T: Signed + Serialize>(payload: &T, edits: &[Edit]) {
    let payload = edit(&serde_json::to_vec(payload).unwrap(), edits);
    every_parser(&signer(T::ROLE).sign_as(T::TYP, &payload));
}

proptest! {
    #![proptest_config(tries(150))]

    #[test]
    fn any_text(text in ".{0,300}") { every_parser(&text); }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..300)) { every_parser(&String::from_utf8_lossy(&bytes)); }

    #[test]
    fn spoiled_keys(claims in strategies::key_claims(), edits in edits()) {
        let key = keyward_issuer::mint_api_key(&signer(Some(keyward_core::Role::ApiKey)), claims, &Default::default(), Environment::Live, &[0; 16]);
        every_parser(&String::from_utf8_lossy(&edit(key.expose().as_bytes(), &edits)));
    }

    #[test]
    fn spoiled_texts_of_signed_objects(payload in strategies::policy(), edits in edits()) {
        let text = signer(PolicyClaims::ROLE).sign(&payload).unwrap();
        every_parser(&String::from_utf8_lossy(&edit(text.as_bytes(), &edits)));
    }

    #[test]
    fn spoiled_deltas(payload in strategies::delta(), edits in edits()) { behind_the_signature::<Delta>(&payload, &edits); }

    #[test]
    fn spoiled_heartbeats(payload in strategies::heartbeat(), edits in edits()) { behind_the_signature::<Heartbeat>(&payload, &edits); }

    #[test]
    fn spoiled_snapshots(payload in strategies::snapshot(), edits in edits()) { behind_the_signature::<Snapshot>(&payload, &edits); }

    #[test]
    fn spoiled_statements(payload in strategies::issued(), edits in edits()) { behind_the_signature::<Issued>(&payload, &edits); }

    #[test]
    fn spoiled_status_lists(payload in strategies::status_list(), edits in edits()) { behind_the_signature::<StatusListClaims>(&payload, &edits); }

    #[test]
    fn spoiled_policies(payload in strategies::policy(), edits in edits()) { behind_the_signature::<PolicyClaims>(&payload, &edits); }

    #[test]
    fn spoiled_tokens(payload in strategies::token(), edits in edits()) { behind_the_signature::<AccessTokenClaims>(&payload, &edits); }

    #[test]
    fn spoiled_manifests(edits in edits()) { behind_the_signature::<Manifest>(&strategies::manifest(1, 1), &edits); }

    #[test]
    fn any_compressed_bytes(bits: u8, bytes in vec(any::<u8>(), 0..200), edits in edits()) {
        let _ = StatusList::inflate(bits, &bytes);
        let list = StatusList::from_bytes(2, bytes).unwrap();
        let lst = keyward_core::codec::decode_base64url(&keyward_issuer::encode_status_list(&list).lst).unwrap();
        let _ = StatusList::inflate(2, &edit(&lst, &edits));
    }

    #[test]
    fn any_delta_snapshot_and_time(delta in strategies::delta(), snapshot in strategies::snapshot(), now: u64, index: u32) {
        let (root, now) = (signer(None), Timestamp::from_millis(now));
        let mut replica = Replica::new(vec![root.public_key()]);
        let _ = replica.install_manifest(&root.sign(&strategies::manifest(1, 1)).unwrap(), now);
        let snapshot = Snapshot { epoch: 1, iat_ms: 0, ..snapshot };
        let _ = replica.install_snapshot(&signer(Snapshot::ROLE).sign(&snapshot).unwrap(), now);
        let delta = Delta { epoch: 1, iat_ms: 0, from: 0, ..delta };
        let _ = replica.apply_delta(&signer(Delta::ROLE).sign(&delta).unwrap(), now);
        let _ = keyward_core::Statuses::standing(&replica, StatusIndex(index));
    }
}

/// Lists, objects and numbers within one another, deeper than any reader may follow.
#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}0{}", open.repeat(20_000), close.repeat(20_000));
        every_parser(&deep);
        let mut payload = r#"{"number":1,"epoch":1,"iat":1,"constraints":"#.to_owned();
        payload.push_str(&deep[..deep.len().min(40_000)]);
        every_parser(&signer(PolicyClaims::ROLE).sign_as(PolicyClaims::TYP, payload.as_bytes()));
    }
}
