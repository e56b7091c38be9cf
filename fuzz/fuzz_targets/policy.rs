#![no_main]
use keyward_core::{Policy, PolicyClaims, PolicyNumber, PolicyTerms};
use keyward_fuzz::{NOW, key_set, signed};

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    let Ok(policy) = Policy::open(&signed::<PolicyClaims>(payload), PolicyNumber(1), &key_set(), NOW) else { return };
    let terms = PolicyTerms::from(policy.claims().clone());
    let again: PolicyTerms = serde_json::from_str(&serde_json::to_string(&terms).unwrap()).unwrap();
    assert_eq!(again.digest(), terms.digest());
    let _ = terms.covers(&again);
});
