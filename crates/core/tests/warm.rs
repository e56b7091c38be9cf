//! Remembering which signatures hold: what is spared, and what is asked anew all the same.

use std::cell::{Cell, RefCell};

use keyward_core::{
    ApiKeyClaims, Digest, Environment, KeyId, KeyPrefix, KeySet, KeyState, Manifest, Missing, ParsedKey, PolicyNumber, PublicKey, Reason,
    Refusal, Role, ScopeClass, Signature, Standing, StatusIndex, Statuses, Timestamp, VerifiedKey, Verifier, VerifySignature, WarmKeys,
};
use keyward_issuer::{SecretKeyText, SigningKey, mint_api_key};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const EXPIRES: u32 = 1_790_000_100;

/// Counts how often a signature is really looked at.
#[derive(Default)]
struct Counted(Cell<u32>);

impl VerifySignature for Counted {
    fn verifies(&self, key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        self.0.set(self.0.get() + 1);
        key.verifies(message, signature)
    }
}

struct World {
    signer: SigningKey,
    keys: KeySet,
    standing: RefCell<Standing>,
    counted: Counted,
    warm: WarmKeys,
}

impl Statuses for World {
    fn standing(&self, _: StatusIndex) -> Result<Standing, Missing> {
        Ok(*self.standing.borrow())
    }

    fn issued(&self, _: StatusIndex, _: &Digest) -> Result<bool, Missing> {
        Ok(false)
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        policy
    }
}

impl World {
    fn new() -> Self {
        let (root, signer) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
        let manifest = Manifest {
            iss: "https://keys.example.com".to_owned(),
            version: 1,
            epoch: 1,
            first_policy: 1,
            first_index: 0,
            iat: NOW.secs(),
            exp: NOW.secs() + 1000,
            keys: vec![signer.manifest_key(Role::ApiKey, KeyState::Active, None)],
        };
        let keys = Manifest::open(&root.sign(&manifest).unwrap(), &[root.public_key()], NOW).unwrap();
        Self { signer, keys, standing: RefCell::new(Standing::Valid), counted: Counted::default(), warm: WarmKeys::default() }
    }

    fn mint(&self, entropy: u8) -> SecretKeyText {
        let claims = ApiKeyClaims {
            scope: ScopeClass::User,
            exchange: true,
            signing_key: [0; 3],
            expires: Some(EXPIRES),
            index: StatusIndex(5),
            policy: PolicyNumber(1),
            id: KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().unwrap()),
        };
        mint_api_key(&self.signer, claims, &KeyPrefix::default(), Environment::Live, &[entropy; 16])
    }

    fn ask(&self, text: &str, now: Timestamp) -> Result<VerifiedKey, Refusal> {
        let verifier = Verifier::new(&self.keys, self, Environment::Live).with_signatures(&self.counted);
        self.warm.verify(&verifier, text, now)
    }
}

#[test]
fn a_signature_is_looked_at_once_until_the_key_set_changes() {
    let mut world = World::new();
    let key = world.mint(1);
    for _ in 0..3 {
        assert!(world.ask(key.expose(), NOW).is_ok());
    }
    assert_eq!((world.counted.0.get(), world.warm.hits()), (1, 2));
    world.warm.clear();
    assert!(world.ask(key.expose(), NOW).is_ok());
    assert_eq!(world.counted.0.get(), 2);
}

#[test]
fn status_and_time_are_asked_anew_of_a_remembered_key() {
    let world = World::new();
    let key = world.mint(1);
    assert!(world.ask(key.expose(), NOW).is_ok());
    assert_eq!(world.ask(key.expose(), Timestamp::from_secs(EXPIRES.into())), Err(Reason::Expired.into()));
    world.standing.replace(Standing::Invalid);
    assert_eq!(world.ask(key.expose(), NOW), Err(Reason::Revoked.into()));
    assert_eq!(world.counted.0.get(), 1);
}

#[test]
fn a_key_is_recognised_by_the_whole_of_its_text() {
    let world = World::new();
    let genuine = world.mint(1);
    assert!(world.ask(genuine.expose(), NOW).is_ok());
    // The claims of the one with a signature by somebody else: all but the signature is the same.
    let forged = World { signer: SigningKey::from_seed([3; 32]), ..World::new() }.mint(1);
    let forged = ParsedKey::parse(forged.expose()).unwrap();
    let mut claims = *ParsedKey::parse(genuine.expose()).unwrap().unverified_claims();
    claims.signing_key = world.signer.kid().short();
    let mut text = String::new();
    keyward_core::codec::write_key(&KeyPrefix::default(), Environment::Live, &claims.to_bytes(), forged.signature(), &mut text);
    for _ in 0..2 {
        assert_eq!(world.ask(&text, NOW), Err(Reason::SignatureInvalid.into()), "what doesn't hold is not remembered either");
    }
    let text = genuine.expose();
    for at in 0..text.len() {
        let digit = if &text[at..=at] == "0" { "1" } else { "0" };
        let other = [&text[..at], digit, &text[at + 1..]].concat();
        assert!(world.ask(&other, NOW).is_err(), "another character at {at}");
    }
    for other in [&text[1..], &text[..text.len() - 1], &format!("{text}\0"), &format!("{text}0"), ""] {
        assert!(world.ask(other, NOW).is_err());
    }
    assert_eq!(world.warm.hits(), 0);
}

#[test]
fn keys_that_are_used_stay_while_others_come_and_go() {
    let world = World::new();
    let used = world.mint(0);
    assert!(world.ask(used.expose(), NOW).is_ok());
    let verifier = Verifier::new(&world.keys, &world, Environment::Live).with_signatures(&world.counted);
    // More than the memory holds; one signature for all of them would not be genuine, so they are minted.
    for round in 0..9_000_u32 {
        let claims = ApiKeyClaims { index: StatusIndex(round), ..*ParsedKey::parse(used.expose()).unwrap().unverified_claims() };
        let key = mint_api_key(&world.signer, claims, &KeyPrefix::default(), Environment::Live, &[7; 16]);
        assert!(world.warm.verify(&verifier, key.expose(), NOW).is_ok());
        assert!(world.ask(used.expose(), NOW).is_ok());
    }
    assert_eq!(world.counted.0.get(), 9_001, "the one that is used was looked at once");
    let debug = format!("{:?}", world.warm);
    let held: usize = debug.trim_start_matches("WarmKeys(").trim_end_matches(" keys)").parse().expect("no more than a number");
    assert!((6_500..=8_192).contains(&held), "{held} keys: many (sets fill unevenly), and never more than there is room for");
}
