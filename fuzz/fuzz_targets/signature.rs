#![no_main]
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use keyward_known_key::{Native64, Portable, PreparedKey, Width};
use std::sync::LazyLock;

struct Verifiers {
    signer: SigningKey,
    reference: VerifyingKey,
    portable: PreparedKey<Portable>,
    native: PreparedKey<Native64>,
}

static VERIFIERS: LazyLock<Verifiers> = LazyLock::new(|| {
    let signer = SigningKey::from_bytes(&[7; 32]);
    let reference = signer.verifying_key();
    let portable = PreparedKey::new(reference.as_bytes(), Width::W6).expect("a signer's key");
    let native = PreparedKey::new(reference.as_bytes(), Width::W8).expect("a signer's key");
    Verifiers { signer, reference, portable, native }
});

// What changes a sound signature (nothing, where it is zeros) and is taken for one itself, and the message.
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((changes, message)) = input.split_first_chunk::<64>() else { return };
    let mut changed = VERIFIERS.signer.sign(message).to_bytes();
    changed.iter_mut().zip(changes).for_each(|(byte, change)| *byte ^= change);
    for signature in [&changed, changes] {
        let expected = VERIFIERS.reference.verify_strict(message, &Signature::from_bytes(signature)).is_ok();
        assert_eq!(VERIFIERS.portable.verifies(message, signature), expected);
        assert_eq!(VERIFIERS.native.verifies(message, signature), expected);
    }
});
