use ed25519_dalek::{Signer, SigningKey};
use keyward_known_key::*;
fn run<B: Backend>() {
    for w in [Width::W6, Width::W8] {
        for i in 0..3u8 {
            let sk = SigningKey::from_bytes(&[i; 32]);
            let key = PreparedKey::<B>::new(sk.verifying_key().as_bytes(), w).unwrap();
            for j in 0..20u8 {
                let msg = [j; 100]; let mut sig = sk.sign(&msg).to_bytes();
                assert!(key.verifies(&msg, &sig));
                sig[(j as usize * 3) % 64] ^= 1 << (i & 7);
                assert!(!key.verifies(&msg, &sig));
            }
        }
    }
}
#[test] fn portable() { run::<Portable>() }
#[test] fn native() { run::<Native64>() }
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[test] fn simd() { run::<Simd128>() }
