#![no_main]
use keyward_core::{AccessTokenClaims, VerifiedToken};
use keyward_fuzz::{AllValid, NOW, key_set, signed};

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    let _ = VerifiedToken::verify(&signed::<AccessTokenClaims>(payload), "https://edge.example.com", &key_set(), &AllValid, NOW);
});
