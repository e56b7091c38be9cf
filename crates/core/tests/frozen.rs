//! A frozen signing key: what it signed counts where the whole text is known to have been issued, and nowhere else.

use keyward_core::{
    ApiKeyClaims, Digest, Environment, FeedError, Issued, KeyId, KeyPrefix, KeyState, Manifest, Missing, OpenError, ParsedKey,
    PolicyNumber, Reason, Refusal, Replica, Role, ScopeClass, Snapshot, StatusIndex, Statuses, Timestamp, VerifiedKey, Verifier, WarmKeys,
};
use keyward_issuer::{SigningKey, mint_api_key};

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);
const CLAIMS: ApiKeyClaims = ApiKeyClaims {
    scope: ScopeClass::User,
    exchange: true,
    signing_key: [0; 3],
    expires: None,
    index: StatusIndex(1 << 19),
    policy: PolicyNumber(1),
    id: KeyId(uuid::Uuid::from_u128(0x0198_1f9f_7a3c_7cc0_8a52_6b6d_3c1f_0e11)),
};

struct World {
    root: SigningKey,
    stolen: SigningKey,
    feed: SigningKey,
    replica: Replica,
    warm: WarmKeys,
    version: u64,
}

impl World {
    fn new() -> Self {
        let [root, stolen, feed] = [1, 2, 3].map(|seed| SigningKey::from_seed([seed; 32]));
        let replica = Replica::new(vec![root.public_key()]);
        let mut world = Self { root, stolen, feed, replica, warm: WarmKeys::default(), version: 0 };
        world.publish(KeyState::Active);
        let list = keyward_core::StatusList::new(2, keyward_core::bounds::SHARD_LEN).unwrap();
        let claims = keyward_issuer::status_list_claims("https://keys.example.com", 0, &list, NOW.secs(), None);
        let shard = world.feed.sign(&claims).unwrap();
        let snapshot = Snapshot {
            epoch: 1,
            seq: 1,
            iat_ms: NOW.millis(),
            shards: vec![(0, Digest::of(&shard))],
            amendments: vec![],
            supersessions: vec![],
        };
        world.replica.install_snapshot(&world.feed.sign(&snapshot).unwrap(), NOW).unwrap();
        world.replica.install_part(Missing::Shard(0), &shard, NOW).unwrap();
        world
    }

    /// A manifest in which the key that signs API keys has this state.
    fn publish(&mut self, state: KeyState) {
        self.version += 1;
        let keys = vec![self.stolen.manifest_key(Role::ApiKey, state, None), self.feed.manifest_key(Role::Feed, KeyState::Active, None)];
        let (iat, exp) = (NOW.secs(), NOW.secs() + 1000);
        let iss = "https://keys.example.com".to_owned();
        let manifest = Manifest { iss, version: self.version, epoch: 1, first_policy: 1, first_index: 0, iat, exp, keys };
        assert!(self.replica.install_manifest(&self.root.sign(&manifest).unwrap(), NOW).unwrap());
        self.warm.clear();
    }

    fn mint(&self, entropy: u8) -> String {
        mint_api_key(&self.stolen, CLAIMS, &KeyPrefix::default(), Environment::Live, &[entropy; 16]).expose().to_owned()
    }

    fn ask(&self, text: &str) -> Result<VerifiedKey, Refusal> {
        let verifier = Verifier::new(self.replica.keys().unwrap(), &self.replica, Environment::Live);
        self.warm.verify(&verifier, text, NOW)
    }

    fn issued(&self, text: &str, signer: &SigningKey) -> String {
        signer.sign(&Issued { index: CLAIMS.index, digest: Digest::of(text), iat_ms: NOW.millis() }).unwrap()
    }
}

fn missing(text: &str) -> Missing {
    Missing::Issued(CLAIMS.index, Digest::of(text))
}

#[test]
fn a_frozen_signers_key_passes_once_it_is_known_to_be_issued_and_a_thiefs_never() {
    let mut world = World::new();
    let (issued, forged) = (world.mint(1), world.mint(2));
    assert!(world.ask(&issued).is_ok() && world.ask(&forged).is_ok(), "before it is frozen, nobody can tell them apart");
    world.publish(KeyState::Frozen);
    // What was remembered of the time before counts no more, and "cannot tell" is never a pass.
    for text in [&issued, &forged] {
        assert_eq!(world.ask(text), Err(Refusal::Undecided(missing(text))));
    }
    assert_eq!(Refusal::Undecided(missing(&issued)).reason(), Reason::IssuanceUnavailable);
    let vouched = world.issued(&issued, &world.feed);
    world.replica.install_issued((CLAIMS.index, Digest::of(&issued)), &vouched, NOW).unwrap();
    // Twice: from the replica, and from the memory of verified keys.
    assert!(world.ask(&issued).is_ok() && world.ask(&issued).is_ok());
    assert_eq!(world.ask(&forged), Err(Refusal::Undecided(missing(&forged))));

    // The stolen key itself, and a statement about another key, vouch for nothing.
    let about = (CLAIMS.index, Digest::of(&forged));
    let by_thief = world.issued(&forged, &world.stolen);
    assert_eq!(world.replica.install_issued(about, &by_thief, NOW), Err(FeedError::Open(OpenError::UnknownKey)));
    assert_eq!(world.replica.install_issued(about, &vouched, NOW), Err(FeedError::Digest));
    assert_eq!(world.replica.install_issued((StatusIndex(9), Digest::of(&issued)), &vouched, NOW), Err(FeedError::Digest));
    assert!(world.ask(&forged).is_err());

    // Another key set asks anew; and retired, not even what was issued counts.
    world.publish(KeyState::Frozen);
    assert_eq!(world.ask(&issued), Err(Refusal::Undecided(missing(&issued))));
    world.replica.install_issued((CLAIMS.index, Digest::of(&issued)), &vouched, NOW).unwrap();
    world.publish(KeyState::Retired);
    assert_eq!(world.ask(&issued), Err(Reason::UnknownSigningKey.into()));
}

/// A host that knows the whole set says no at once; the caller learns no more than of junk.
#[test]
fn what_was_not_issued_is_refused_as_junk_is() {
    struct Nothing<'a>(&'a Replica);
    impl Statuses for Nothing<'_> {
        fn standing(&self, index: StatusIndex) -> Result<keyward_core::Standing, Missing> {
            self.0.standing(index)
        }
        fn issued(&self, _: StatusIndex, _: &Digest) -> Result<bool, Missing> {
            Ok(false)
        }
        fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
            policy
        }
    }
    let mut world = World::new();
    world.publish(KeyState::Frozen);
    let text = world.mint(1);
    let statuses = Nothing(&world.replica);
    let verifier = Verifier::new(world.replica.keys().unwrap(), &statuses, Environment::Live);
    assert_eq!(verifier.verify(&ParsedKey::parse(&text).unwrap(), NOW), Err(Reason::NotIssued.into()));
    assert!(!Reason::NotIssued.proved());
}
