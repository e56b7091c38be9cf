//! API keys verified by a host that has an accelerator.

use keyward_core::{
    Accelerator, AcceleratorSettings, ApiKeyClaims, Digest, Environment, KeyId, KeyPrefix, KeySet, KeyState, Manifest, Missing, ParsedKey,
    PolicyNumber, Reason, Refusal, Role, ScopeClass, Standing, StatusIndex, Statuses, Timestamp, Verifier, Width,
};
use keyward_issuer::{SigningKey, mint_api_key};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

struct AllValid;

impl Statuses for AllValid {
    fn standing(&self, _: StatusIndex) -> Result<Standing, Missing> {
        Ok(Standing::Valid)
    }

    fn issued(&self, _: StatusIndex, _: &Digest) -> Result<bool, Missing> {
        Ok(false)
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        policy
    }
}

fn key_set(signer: &SigningKey) -> KeySet {
    let root = SigningKey::from_seed([99; 32]);
    let keys = vec![signer.manifest_key(Role::ApiKey, KeyState::Active, None)];
    let iss = "https://keys.example.com".into();
    let manifest = Manifest { iss, version: 1, epoch: 1, first_policy: 1, first_index: 0, iat: 0, exp: u64::MAX, keys };
    Manifest::open(&root.sign(&manifest).unwrap(), &[root.public_key()], NOW).unwrap()
}

/// The nth key, and another of the same claims and length by somebody who is not the signer.
fn keys(signer: &SigningKey, n: u32) -> [String; 2] {
    let claims = ApiKeyClaims {
        scope: ScopeClass::User,
        exchange: false,
        signing_key: [0; 3],
        expires: None,
        index: StatusIndex(n),
        policy: PolicyNumber(1),
        id: KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().unwrap()),
    };
    let mint = |entropy| mint_api_key(signer, claims, &KeyPrefix::default(), Environment::Live, &[entropy; 16]).expose().to_owned();
    let (genuine, other) = (mint(1), mint(2));
    // The half of one signature with the other half of another: well-formed, checksum included.
    let (one, two) = (ParsedKey::parse(&genuine).unwrap(), ParsedKey::parse(&other).unwrap());
    let mut signature = *one.signature();
    signature[32..].copy_from_slice(&two.signature()[32..]);
    let mut forged = String::new();
    let claims = one.unverified_claims().to_bytes();
    keyward_core::codec::write_key(one.prefix(), Environment::Live, &claims, &signature, &mut forged);
    [genuine, forged]
}

#[test]
fn verdicts_are_the_same_before_during_and_after_the_tables_are_built() {
    let signer = SigningKey::from_seed([7; 32]);
    let key_set = key_set(&signer);
    for width in [Width::W6, Width::W8] {
        let accelerator = Accelerator::new(AcceleratorSettings { width, ..Default::default() });
        let verifier = Verifier::new(&key_set, &AllValid, Environment::Live).with_signatures(&accelerator);
        for n in 0..200 {
            let [genuine, forged] = keys(&signer, n);
            let verified = verifier.verify(&ParsedKey::parse(&genuine).unwrap(), NOW).unwrap();
            assert_eq!(verified.index(), StatusIndex(n));
            let refused = verifier.verify(&ParsedKey::parse(&forged).unwrap(), NOW);
            assert_eq!(refused, Err(Refusal::Denied(Reason::SignatureInvalid)));
        }
        let counters = accelerator.counters();
        let by_tables = if cfg!(feature = "known-key") { counters.fast > 50 } else { counters.fast == 0 };
        assert!(by_tables && counters.reference > 50, "{counters:?}");
        assert_eq!(counters.disagreements, 0);
    }
}
