//! A signed object of which any byte is changed is refused.

use crate::{
    strategies::{self, AllValid, NOW, key_set, signer},
    tries,
};
use keyward_core::{
    ApiKeyClaims, Environment, KeyId, KeyPrefix, Manifest, ParsedKey, PolicyNumber, Reason, Refusal, Role, ScopeClass, Signed, StatusIndex,
    Verifier, codec::write_key,
};
use keyward_issuer::mint_api_key;
use proptest::{prelude::*, sample::Index, test_runner::TestCaseResult};
use serde::Serialize;

/// The text with one character changed to another that isn't the same.
fn changed(text: &str, at: Index, by: u8) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let at = at.index(bytes.len());
    bytes[at] = (bytes[at] + 1 + by % 126) % 127;
    String::from_utf8(bytes).unwrap()
}

fn check<T: Signed + Serialize>(payload: &T, at: Index, by: u8) -> TestCaseResult {
    let text = signer(T::ROLE).sign(payload).unwrap();
    prop_assert!(key_set().open::<T>(&text, NOW).is_ok());
    prop_assert!(key_set().open::<T>(&changed(&text, at, by), NOW).is_err());
    Ok(())
}

proptest! {
    #![proptest_config(tries(150))]

    #[test]
    fn deltas(payload in strategies::delta(), at: Index, by: u8) { check(&payload, at, by)?; }

    #[test]
    fn heartbeats(payload in strategies::heartbeat(), at: Index, by: u8) { check(&payload, at, by)?; }

    #[test]
    fn snapshots(payload in strategies::snapshot(), at: Index, by: u8) { check(&payload, at, by)?; }

    #[test]
    fn status_lists(payload in strategies::status_list(), at: Index, by: u8) { check(&payload, at, by)?; }

    #[test]
    fn policies(payload in strategies::policy(), at: Index, by: u8) { check(&payload, at, by)?; }

    #[test]
    fn tokens(payload in strategies::token(), at: Index, by: u8) { check(&payload, at, by)?; }

    #[test]
    fn manifests(version: u64, epoch: u32, at: Index, by: u8) {
        let root = signer(None);
        let text = root.sign(&strategies::manifest(version, epoch)).unwrap();
        prop_assert!(Manifest::open(&text, &[root.public_key()], NOW).is_ok());
        prop_assert!(Manifest::open(&changed(&text, at, by), &[root.public_key()], NOW).is_err());
    }
}

fn claims() -> ApiKeyClaims {
    ApiKeyClaims {
        scope: ScopeClass::User,
        exchange: false,
        signing_key: [0; 3],
        expires: None,
        index: StatusIndex(5),
        policy: PolicyNumber(1),
        id: KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().unwrap()),
    }
}

#[test]
fn a_key_with_any_character_changed_to_any_other_does_not_even_parse() {
    let key = mint_api_key(&signer(Some(Role::ApiKey)), claims(), &KeyPrefix::default(), Environment::Live, &[9; 16]);
    for at in 0..key.expose().len() {
        for other in 0..128 {
            let mut bytes = key.expose().as_bytes().to_vec();
            if std::mem::replace(&mut bytes[at], other) != other {
                assert!(ParsedKey::parse(std::str::from_utf8(&bytes).unwrap()).is_err(), "character {at} as {other}");
            }
        }
    }
}

#[test]
fn a_key_with_any_bit_changed_and_its_checksum_mended_is_not_genuine() {
    let (keys, prefix) = (key_set(), KeyPrefix::default());
    let key = mint_api_key(&signer(Some(Role::ApiKey)), claims(), &prefix, Environment::Live, &[9; 16]);
    let parsed = ParsedKey::parse(key.expose()).unwrap();
    let (raw, signature) = (parsed.unverified_claims().to_bytes(), *parsed.signature());
    let verify = |raw: &[u8; 32], signature: &[u8; 64]| {
        let mut text = String::new();
        write_key(&prefix, Environment::Live, raw, signature, &mut text);
        let parsed = ParsedKey::parse(&text)?;
        Verifier::new(&keys, &AllValid, Environment::Live).verify(&parsed, NOW)
    };
    assert!(verify(&raw, &signature).is_ok());
    for bit in 0..32 * 8 {
        let mut raw = raw;
        raw[bit / 8] ^= 1 << (bit % 8);
        let refusal = verify(&raw, &signature).expect_err("a changed claim");
        let junk = [Reason::Malformed, Reason::UnknownSigningKey, Reason::SignatureInvalid].map(Refusal::Denied);
        assert!(junk.contains(&refusal), "bit {bit}: {refusal:?}");
    }
    for bit in 0..64 * 8 {
        let mut signature = signature;
        signature[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&raw, &signature), Err(Refusal::Denied(Reason::SignatureInvalid)), "bit {bit}");
    }
}
