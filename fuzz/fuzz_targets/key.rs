#![no_main]
use keyward_core::{Environment, ParsedKey, Verifier, codec::write_key};
use keyward_fuzz::{AllValid, NOW, key_set};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(parsed) = ParsedKey::parse(text) else { return };
    let mut again = String::new();
    write_key(parsed.prefix(), parsed.environment(), &parsed.unverified_claims().to_bytes(), parsed.signature(), &mut again);
    assert_eq!(again, text, "a key has one spelling");
    let _ = Verifier::new(&key_set(), &AllValid, Environment::Live).verify(&parsed, NOW);
});
