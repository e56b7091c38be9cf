//! What the targets share: an issuer whose keys the fuzzer may use, so that it gets behind the signatures.

use keyward_core::{
    Digest, KeySet, KeyState, Manifest, Missing, PolicyNumber, Replica, Role, Signed, Standing, StatusIndex, Statuses, Timestamp,
};
use keyward_issuer::SigningKey;
use std::sync::LazyLock;

/// The moment of all that happens.
pub const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// The signing key of a role; the root where there is none.
pub fn signer(role: Option<Role>) -> SigningKey {
    SigningKey::from_seed([role.map_or(99, |role| role as u8); 32])
}

static MANIFEST: LazyLock<String> = LazyLock::new(|| {
    let roles = [Role::ApiKey, Role::Token, Role::Policy, Role::Feed, Role::Audit];
    let keys = roles.into_iter().map(|role| signer(Some(role)).manifest_key(role, KeyState::Active, None)).collect();
    let iss = "https://keys.example.com".into();
    let manifest = Manifest { iss, version: 1, epoch: 1, first_policy: 1, first_index: 0, iat: 0, exp: u64::MAX, keys };
    signer(None).sign(&manifest).expect("a manifest")
});

/// The key set of that issuer.
pub fn key_set() -> KeySet {
    Manifest::open(&MANIFEST, &[signer(None).public_key()], NOW).expect("our own manifest")
}

/// A replica that has the manifest and nothing else.
pub fn replica() -> Replica {
    let mut replica = Replica::new(vec![signer(None).public_key()]).with_shard_budget(1);
    replica.install_manifest(&MANIFEST, NOW).expect("our own manifest");
    replica
}

/// The bytes as the payload of a rightly signed object of a kind.
pub fn signed<T: Signed>(payload: &[u8]) -> String {
    signer(T::ROLE).sign_as(T::TYP, payload)
}

/// A world in which nothing was ever revoked.
pub struct AllValid;

impl Statuses for AllValid {
    fn standing(&self, _: StatusIndex) -> Result<Standing, Missing> {
        Ok(Standing::Valid)
    }

    fn issued(&self, _: StatusIndex, _: &Digest) -> Result<bool, Missing> {
        Ok(false)
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        policy
    }
}
