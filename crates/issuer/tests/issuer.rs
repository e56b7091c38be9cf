//! What only the issuer knows: that nobody can make an issued key again, and that no secret shows.

use keyward_core::{
    ApiKeyClaims, Delta, Environment, KeyId, KeyPrefix, KeyState, Kid, Manifest, PolicyNumber, PublicKey, Role, ScopeClass, StatusIndex,
    Timestamp,
    bounds::{MAX_KEY_LEN, MAX_MANIFEST_LEN},
    signed_message,
};
use keyward_issuer::{SignError, SigningKey, mint_api_key, status_list_uri};

fn claims() -> ApiKeyClaims {
    ApiKeyClaims {
        scope: ScopeClass::Tenant,
        exchange: true,
        signing_key: [1, 2, 3],
        expires: Some(1_790_003_600),
        index: StatusIndex(77),
        policy: PolicyNumber(17),
        id: KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().unwrap()),
    }
}

fn mint(signer: &SigningKey, entropy: [u8; 16]) -> String {
    mint_api_key(signer, claims(), &KeyPrefix::default(), Environment::Live, &entropy).expose().to_owned()
}

#[test]
fn the_same_entropy_gives_the_same_key_so_that_a_retry_answers_alike() {
    let signer = SigningKey::from_seed([7; 32]);
    assert_eq!(mint(&signer, [9; 16]), mint(&signer, [9; 16]));
}

#[test]
fn without_its_entropy_a_key_cannot_be_made_again() {
    let signer = SigningKey::from_seed([7; 32]);
    let issued = mint(&signer, [9; 16]);
    for bit in 0..128 {
        let mut entropy = [9; 16];
        entropy[bit / 8] ^= 1 << (bit % 8);
        let other = mint(&signer, entropy);
        // The claims are the same 43 characters, and R and S are others.
        let groups = |key: &str| (key[9..52].to_owned(), key[52..95].to_owned(), key[95..138].to_owned());
        let ((claims, r, s), (other_claims, other_r, other_s)) = (groups(&issued), groups(&other));
        assert!(claims == other_claims && r != other_r && s != other_s, "bit {bit}");
    }
}

/// Whoever signs the claims as RFC 8032 has it, with the stolen signing key, gets a genuine key, but not the issued one:
/// a hash of the whole text tells them apart.
#[test]
fn the_plain_signature_of_the_claims_is_not_the_issued_one() {
    use ed25519_dalek::Signer;
    let signer = SigningKey::from_seed([7; 32]);
    let issued = mint(&signer, [0; 16]);
    let parsed = keyward_core::ParsedKey::parse(&issued).unwrap();
    let (message, len) = signed_message(&KeyPrefix::default(), Environment::Live, &parsed.unverified_claims().to_bytes());
    let plain = ed25519_dalek::SigningKey::from_bytes(&signer.seed()).sign(&message[..len]).to_bytes();
    assert!(signer.public_key().verifies(&message[..len], &plain));
    assert!(signer.public_key().verifies(&message[..len], parsed.signature()));
    assert_ne!(&plain, parsed.signature());
}

/// A nonce that comes twice gives the signing key away.
#[test]
fn no_two_messages_share_a_nonce_even_with_the_same_entropy() {
    let signer = SigningKey::from_seed([7; 32]);
    let mut nonces = std::collections::BTreeSet::new();
    for index in 0..100 {
        let claims = ApiKeyClaims { index: StatusIndex(index), ..claims() };
        let key = mint_api_key(&signer, claims, &KeyPrefix::default(), Environment::Live, &[0; 16]);
        assert!(nonces.insert(key.expose()[52..95].to_owned()), "index {index}");
    }
}

#[test]
fn a_key_names_the_signing_key_that_made_it_whatever_its_claims_said() {
    let signer = SigningKey::from_seed([7; 32]);
    let key = mint(&signer, [0; 16]);
    assert_eq!(keyward_core::ParsedKey::parse(&key).unwrap().unverified_claims().signing_key, signer.kid().short());
}

#[test]
fn the_longest_key_is_as_long_as_readers_take() {
    let prefix = KeyPrefix::parse("a23456789012").unwrap();
    let key = mint_api_key(&SigningKey::from_seed([7; 32]), claims(), &prefix, Environment::Test, &[0; 16]);
    assert_eq!(key.expose().len(), MAX_KEY_LEN);
    assert!(keyward_core::ParsedKey::parse(key.expose()).is_ok());
}

#[test]
fn nothing_secret_shows_in_debug() {
    let signer = SigningKey::from_seed([7; 32]);
    let key = mint_api_key(&signer, claims(), &KeyPrefix::default(), Environment::Live, &[9; 16]);
    assert_eq!(format!("{key:?}"), "SecretKeyText(redacted)");
    assert_eq!(format!("{signer:?}"), format!("SigningKey({})", signer.kid()));
    let parsed = format!("{:?}", keyward_core::ParsedKey::parse(key.expose()).unwrap());
    assert!(!parsed.contains(&key.expose()[52..95]) && !parsed.to_lowercase().contains("signature"), "{parsed}");
}

#[test]
fn what_no_reader_would_take_is_not_signed() {
    let keys = |count: u8| (0..count).map(|n| SigningKey::from_seed([n; 32]).manifest_key(Role::Audit, KeyState::Active, None)).collect();
    let manifest = |iss: String| Manifest { iss, version: 1, epoch: 1, first_policy: 1, first_index: 0, iat: 0, exp: 10, keys: keys(3) };
    let root = SigningKey::from_seed([0; 32]);
    assert_eq!(root.sign(&manifest("x".repeat(MAX_MANIFEST_LEN))), Err(SignError::TooLong));
    let text = root.sign(&manifest("https://keys.example.com".into())).unwrap();
    assert!(Manifest::open(&text, &[root.public_key()], Timestamp::from_secs(1)).is_ok());
    let changes = (0..200_000).map(|index| (StatusIndex(index), keyward_core::Status::Invalid)).collect();
    assert_eq!(root.sign(&Delta { changes, ..Delta::default() }), Err(SignError::TooLong));
}

#[test]
fn a_seed_is_exactly_32_bytes_of_canonical_base64url() {
    let text = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let signer = SigningKey::from_text(&format!("{text}\n")).unwrap();
    assert_eq!(signer.kid(), Kid::parse("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k").unwrap());
    assert_eq!(signer.public_key(), PublicKey::parse("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap());
    for bad in ["", &text[1..], &format!("{text}="), &format!("{text}AA"), &text.replace('_', "/"), &format!("{}B", &text[..42])] {
        assert!(SigningKey::from_text(bad).is_none(), "{bad}");
    }
}

#[test]
fn the_uri_of_a_shard_is_the_one_that_tokens_refer_to() {
    let reference = keyward_core::StatusRef { idx: 5, uri: status_list_uri("https://keys.example.com", 4095) };
    assert_eq!(reference.index("https://keys.example.com"), StatusIndex::new(4095, 5));
}
