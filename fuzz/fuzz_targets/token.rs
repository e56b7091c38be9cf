#![no_main]
use keyward_core::{AccessTokenClaims, Environment, Verifier};
use keyward_fuzz::{AllValid, NOW, key_set, signed};

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    let keys = key_set();
    let verifier = Verifier::new(&keys, &AllValid, Environment::Live);
    let _ = verifier.verify_token(&signed::<AccessTokenClaims>(payload), "https://edge.example.com", NOW);
});
