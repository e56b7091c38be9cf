#![no_main]
use keyward_core::{Manifest, PolicyClaims};
use keyward_fuzz::{NOW, key_set, signer};

// Nobody has signed it: nothing may come of it.
libfuzzer_sys::fuzz_target!(|text: &str| {
    assert!(Manifest::open(text, &[signer(Some(keyward_core::Role::Audit)).public_key()], NOW).is_err());
    let _ = key_set().open::<PolicyClaims>(text, NOW);
});
