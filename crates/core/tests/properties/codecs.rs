//! What is written is read again as it was.

use crate::{
    strategies::{self, AllValid, NOW, key_set, signer},
    tries,
};
use keyward_core::{
    Capability, Digest, DomainPattern, EndpointPattern, Kid, Manifest, Network, ParsedKey, PolicyNumber, PublicKey, Refusal, Signed,
    StatusList, Verifier,
    codec::{base64url, decode_base64url},
};
use keyward_issuer::{SigningKey, encode_status_list, mint_api_key};
use proptest::{collection::vec, prelude::*, test_runner::TestCaseResult};
use serde::Serialize;
use std::fmt::Debug;

fn round_trip<T: Signed + Serialize + PartialEq + Debug>(payload: &T) -> TestCaseResult {
    let text = signer(T::ROLE).sign(payload).unwrap();
    let read = key_set().open::<T>(&text, NOW);
    prop_assert_eq!(read.as_ref(), Ok(payload));
    Ok(())
}

proptest! {
    #![proptest_config(tries(100))]

    #[test]
    fn a_minted_key_says_what_was_put_in_and_is_authentic(
        claims in strategies::key_claims(), prefix in strategies::prefix(), environment in strategies::environment(), entropy: [u8; 16],
    ) {
        let text = mint_api_key(&signer(Some(keyward_core::Role::ApiKey)), claims, &prefix, environment, &entropy);
        let parsed = ParsedKey::parse(text.expose()).unwrap();
        prop_assert_eq!((parsed.unverified_claims(), parsed.prefix(), parsed.environment()), (&claims, &prefix, environment));
        prop_assert_eq!(text.expose().len(), prefix.as_str().len() + "_live_".len() + 135);

        let keys = key_set();
        let verifier = Verifier::new(&keys, &AllValid, environment);
        let expired = claims.expires.is_some_and(|expires| u64::from(expires) <= NOW.secs());
        match verifier.verify(&parsed, NOW) {
            Ok(key) => {
                prop_assert!(!expired);
                prop_assert_eq!((key.id(), key.index(), key.scope(), key.policy()), (claims.id, claims.index, claims.scope, claims.policy));
            }
            Err(refusal) => prop_assert_eq!((refusal, expired), (Refusal::Denied(keyward_core::Reason::Expired), true)),
        }
    }

    #[test]
    fn statements(payload in strategies::issued()) { round_trip(&payload)?; }

    #[test]
    fn deltas(payload in strategies::delta()) { round_trip(&payload)?; }

    #[test]
    fn heartbeats(payload in strategies::heartbeat()) { round_trip(&payload)?; }

    #[test]
    fn snapshots(payload in strategies::snapshot()) { round_trip(&payload)?; }

    #[test]
    fn status_list_tokens(payload in strategies::status_list()) { round_trip(&payload)?; }

    #[test]
    fn policies(payload in strategies::policy()) { round_trip(&payload)?; }

    #[test]
    fn tokens(payload in strategies::token()) { round_trip(&payload)?; }

    #[test]
    fn manifests(version: u64, epoch: u32, seeds in vec(any::<[u8; 32]>(), 0..4)) {
        let mut manifest = strategies::manifest(version, epoch);
        manifest.keys.extend(seeds.into_iter().map(|seed| {
            SigningKey::from_seed(seed).manifest_key(keyward_core::Role::Audit, keyward_core::KeyState::Frozen, Some(7))
        }));
        let root = signer(None);
        let keys = Manifest::open(&root.sign(&manifest).unwrap(), &[root.public_key()], NOW).unwrap();
        prop_assert_eq!(keys.manifest(), &manifest);
    }

    #[test]
    fn pages_of_amendments(page in strategies::amendments()) {
        prop_assert_eq!(serde_json::from_str::<keyward_core::AmendmentPage>(&serde_json::to_string(&page).unwrap()).unwrap(), page);
    }

    #[test]
    fn status_lists_of_every_width(bits in prop_oneof![Just(1u8), Just(2), Just(4), Just(8)], values in vec(any::<u8>(), 0..300)) {
        let mut list = StatusList::new(bits, values.len()).unwrap();
        let mask = u8::MAX >> (8 - bits);
        for (at, value) in values.iter().enumerate() {
            prop_assert!(list.set(at, value & mask));
        }
        let read = encode_status_list(&list).decode().unwrap();
        prop_assert_eq!(&read, &list);
        for (at, value) in values.iter().enumerate() {
            prop_assert_eq!(read.value(at), Some(value & mask));
        }
        prop_assert!(read.len() >= values.len() && read.len() < values.len() + 8);
        for beyond in [read.len(), usize::MAX / 8 + 1, usize::MAX / 2 + 1, usize::MAX] {
            prop_assert_eq!(read.value(beyond), None);
            prop_assert!(!list.set(beyond, 0));
        }
        prop_assert!(bits == 8 || values.is_empty() || !list.set(0, mask + 1), "a value that doesn't fit");
    }

    #[test]
    fn a_change_of_one_entry_leaves_its_neighbours(bits in prop_oneof![Just(1u8), Just(2), Just(4), Just(8)], bytes in vec(any::<u8>(), 1..8), at in 0..64usize, value: u8) {
        let before = StatusList::from_bytes(bits, bytes).unwrap();
        let mut after = before.clone();
        let value = value & (u8::MAX >> (8 - bits));
        let within = at < before.len();
        prop_assert_eq!(after.set(at, value), within);
        for other in 0..before.len() {
            prop_assert_eq!(after.value(other), if other == at { Some(value) } else { before.value(other) });
        }
    }

    #[test]
    fn base64url_has_one_spelling(text in "[A-Za-z0-9_=+/-]{0,24}", bytes in vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(decode_base64url(&base64url(&bytes)), Some(bytes));
        if let Some(bytes) = decode_base64url(&text) {
            prop_assert_eq!(base64url(&bytes), text);
        }
    }

    #[test]
    fn names_of_keys_and_digests(bytes: [u8; 32]) {
        let text = base64url(&bytes);
        prop_assert_eq!(Kid::parse(&text).unwrap().to_string(), &*text);
        prop_assert_eq!(Digest::parse(&text).unwrap(), Digest::from_bytes(bytes));
        let key = SigningKey::from_seed(bytes).public_key();
        prop_assert_eq!(PublicKey::parse(&base64url(key.as_bytes())).unwrap(), key);
    }

    #[test]
    fn texts_of_policies(pattern in strategies::pattern(), network in strategies::network(), capability in strategies::capability(), domain in strategies::domain()) {
        prop_assert_eq!(EndpointPattern::parse(&pattern.to_string()), Ok(pattern));
        prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
        prop_assert_eq!(Capability::parse(capability.as_str()), Ok(capability));
        prop_assert_eq!(DomainPattern::parse(domain.as_str()), Some(domain));
    }

    #[test]
    fn equal_terms_have_one_digest_whatever_their_order(terms in strategies::terms(), number: u32) {
        let mut shuffled = terms.clone();
        shuffled.capabilities.reverse();
        shuffled.blocked_endpoints.extend(terms.blocked_endpoints.clone());
        prop_assert_eq!(shuffled.digest(), terms.digest());
        let again = keyward_core::PolicyTerms::from(terms.clone().numbered(PolicyNumber(number), 1, 1));
        prop_assert_eq!(again.digest(), terms.digest());
        let other = keyward_core::PolicyTerms { require_tls: !terms.require_tls, ..terms.clone() };
        prop_assert_ne!(other.digest(), terms.digest());
    }
}
