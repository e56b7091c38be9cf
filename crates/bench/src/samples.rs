//! Keys to verify, made the same way in every run.

use keyward_core::{
    ApiKeyClaims, Environment, KeyId, KeyPrefix, KeyState, Manifest, ParsedKey, PolicyNumber, Role, ScopeClass, StatusIndex, StatusList,
    bounds::SHARD_LEN,
};
use keyward_issuer::{SigningKey, mint_api_key, status_list_claims};

use crate::{Message, bare::MESSAGE_LEN};

/// More than a few: the tables' cache misses are part of the cost, and so are those of a map of texts.
const KEYS: u32 = 256;
/// Seconds on both sides of the time given in which the manifest counts.
const AROUND: u64 = 100_000;
const ISSUER: &str = "https://keys.example.com";

/// API keys of one signing key, and what is needed to verify them.
pub struct Samples {
    /// The signing key.
    pub public: [u8; 32],
    /// The root of the manifest, in base64url.
    pub root: String,
    /// The signed manifest that names the signing key.
    pub manifest: String,
    /// Status list 0, as it is published: all of the keys are valid.
    pub statuses: String,
    /// The API keys.
    pub keys: Vec<String>,
    /// What their signatures cover, and the signatures.
    pub signed: Vec<(Message, [u8; 64])>,
}

impl Samples {
    /// Samples that count at this time, unix seconds.
    ///
    /// # Panics
    /// Never: everything here is constant but for the time.
    #[must_use]
    pub fn at(now: u64) -> Self {
        let [root, signer, feed] = [1, 2, 3].map(|seed| SigningKey::from_seed([seed; 32]));
        let manifest = Manifest {
            iss: ISSUER.into(),
            version: 1,
            epoch: 1,
            first_policy: 1,
            first_index: 0,
            iat: now.saturating_sub(AROUND),
            exp: now + AROUND,
            keys: [(&signer, Role::ApiKey), (&feed, Role::Feed)].map(|(key, role)| key.manifest_key(role, KeyState::Active, None)).into(),
        };
        let statuses = status_list_claims(ISSUER, 0, &StatusList::new(2, SHARD_LEN).expect("two bits"), now, None);
        let keys: Vec<String> = (0..KEYS).map(|n| mint(&signer, n)).collect();
        let signed = keys.iter().map(|text| {
            let key = ParsedKey::parse(text).expect("a key that was just minted");
            let (message, len) = key.signed_message();
            assert_eq!(len, MESSAGE_LEN, "what a live key of the default prefix signs");
            (*message.first_chunk().expect("as long"), *key.signature())
        });
        Self {
            public: *signer.public_key().as_bytes(),
            root: keyward_core::codec::base64url(root.public_key().as_bytes()),
            manifest: root.sign(&manifest).expect("a manifest"),
            statuses: feed.sign(&statuses).expect("a status list"),
            signed: signed.collect(),
            keys,
        }
    }
}

/// The nth key.
fn mint(signer: &SigningKey, n: u32) -> String {
    let claims = ApiKeyClaims {
        scope: ScopeClass::User,
        exchange: false,
        signing_key: [0; 3],
        expires: None,
        index: StatusIndex(n),
        policy: PolicyNumber(1),
        id: KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().expect("a UUIDv7")),
    };
    let mut entropy = [0; 16];
    entropy[..4].copy_from_slice(&n.to_be_bytes());
    mint_api_key(signer, claims, &KeyPrefix::default(), Environment::Live, &entropy).expose().to_owned()
}
