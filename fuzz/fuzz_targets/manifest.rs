#![no_main]
use keyward_core::Manifest;
use keyward_fuzz::{NOW, signed, signer};

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    let _ = Manifest::open(&signed::<Manifest>(payload), &[signer(None).public_key()], NOW);
});
