//! The world that most vectors live in: an issuer, its signing keys, its manifest, and a feed with something of
//! everything.

use keyward_core::{
    Amendment, AnyOr, ApiKeyClaims, Digest, Environment, KeyId, KeyPrefix, KeyState, Limits, Manifest, PolicyClaims, PolicyNumber, Role,
    ScopeClass, Snapshot, Status, StatusIndex, StatusList, TenantId, bounds::SHARD_LEN,
};
use keyward_issuer::{SecretKeyText, SigningKey, amendment_page, mint_api_key, status_list_claims};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const ISSUER: &str = "https://keys.example.com";
pub(crate) const AUDIENCE: &str = "https://edge.example.com";
/// The moment at which most of it happens, unix seconds.
pub(crate) const NOW: u64 = 1_790_000_000;
pub(crate) const NOW_MS: u64 = NOW * 1000;
pub(crate) const EPOCH: u32 = 3;
/// Where the feed stands at [`NOW`].
pub(crate) const SEQ: u64 = 40;
pub(crate) const VERSION: u64 = 7;
/// The first policy number of the epoch.
pub(crate) const FIRST_POLICY: u32 = 100;

/// The statuses in shard 0, and what each index is for.
pub(crate) const REVOKED: u32 = 1;
pub(crate) const SUSPENDED: u32 = 2;
pub(crate) const NARROWED: u32 = 3;
pub(crate) const ENDED: u32 = 4;
pub(crate) const RENEWED: u32 = 5;
pub(crate) const AMENDMENT_LOST: u32 = 6;
pub(crate) const AMENDED_TO_SUPERSEDED: u32 = 7;
pub(crate) const VALID: u32 = 9;
/// A valid key at the very end of the shard.
pub(crate) const LAST: u32 = SHARD_LEN as u32 - 1;
/// In a shard that the snapshot lists and that nobody has loaded.
pub(crate) const NOT_LOADED: u32 = SHARD_LEN as u32;
/// In a shard that there isn't.
pub(crate) const UNKNOWN_SHARD: u32 = 9 << 20;

fn bytes(name: &str) -> [u8; 32] {
    Sha256::digest(format!("keyward vectors: {name}")).into()
}

/// The signing key of that name.
pub(crate) fn signer(name: &str) -> SigningKey {
    SigningKey::from_seed(bytes(name))
}

pub(crate) fn entropy(name: &str) -> [u8; 16] {
    let mut entropy = [0; 16];
    entropy.copy_from_slice(&bytes(name)[..16]);
    entropy
}

pub(crate) fn key_id() -> KeyId {
    KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().expect("a UUIDv7"))
}

pub(crate) fn tenant() -> TenantId {
    TenantId("01981f9f-0000-7000-8000-000000000001".parse().expect("a UUID"))
}

pub(crate) fn manifest() -> Manifest {
    use KeyState::{Active, Frozen, PrePublished, Retired, VerifyOnly};
    let key = |name: &str, role, state, exp| signer(name).manifest_key(role, state, exp);
    Manifest {
        iss: ISSUER.into(),
        version: VERSION,
        epoch: EPOCH,
        first_policy: FIRST_POLICY,
        first_index: 0,
        iat: NOW - 100,
        exp: NOW + 1_000_000,
        keys: vec![
            key("api", Role::ApiKey, Active, None),
            key("api verify-only", Role::ApiKey, VerifyOnly, None),
            key("api retired", Role::ApiKey, Retired, None),
            key("api frozen", Role::ApiKey, Frozen, None),
            key("api pre-published", Role::ApiKey, PrePublished, None),
            key("api expiring", Role::ApiKey, Active, Some(NOW + 1000)),
            key("token", Role::Token, Active, None),
            key("token expired", Role::Token, VerifyOnly, Some(NOW)),
            key("policy", Role::Policy, Active, None),
            key("policy retired", Role::Policy, Retired, None),
            key("feed", Role::Feed, Active, None),
            key("feed pre-published", Role::Feed, PrePublished, None),
            key("audit", Role::Audit, Active, None),
        ],
    }
}

pub(crate) fn manifest_text() -> String {
    signer("root").sign(&manifest()).expect("a manifest")
}

/// A shard with these statuses, the others VALID, as its status list token.
pub(crate) fn shard_text(shard: u32, statuses: &[(u32, Status)]) -> String {
    let mut list = StatusList::new(2, SHARD_LEN).expect("two bits");
    for (offset, status) in statuses {
        assert!(list.set(*offset as usize, status.value()), "{offset} is in the shard");
    }
    signer("feed").sign(&status_list_claims(ISSUER, shard, &list, NOW - 10, Some(60))).expect("a status list")
}

pub(crate) fn shard_0() -> String {
    let amended = [NARROWED, ENDED, RENEWED, AMENDMENT_LOST, AMENDED_TO_SUPERSEDED].map(|index| (index, Status::Amended));
    shard_text(0, &[&[(REVOKED, Status::Invalid), (SUSPENDED, Status::Suspended)][..], &amended].concat())
}

pub(crate) fn page_0() -> String {
    let amendment = |index, policy, expires| Amendment { index: StatusIndex(index), policy: PolicyNumber(policy), expires };
    amendment_page(vec![
        amendment(NARROWED, 18, None),
        amendment(ENDED, 17, Some(NOW as u32)),
        amendment(RENEWED, 17, Some(NOW as u32 + 500)),
        amendment(AMENDED_TO_SUPERSEDED, 4, None),
    ])
}

pub(crate) fn snapshot() -> Snapshot {
    Snapshot {
        epoch: EPOCH,
        seq: SEQ,
        iat_ms: NOW_MS - 5,
        shards: vec![(0, Digest::of(shard_0())), (1, Digest::of(shard_text(1, &[])))],
        amendments: vec![(StatusIndex(0), Digest::of(page_0()))],
        supersessions: vec![(PolicyNumber(4), PolicyNumber(19)), (PolicyNumber(19), PolicyNumber(20))],
    }
}

pub(crate) fn sign_feed<T: keyward_core::Signed + serde::Serialize>(payload: &T) -> String {
    signer("feed").sign(payload).expect("a part of the feed")
}

pub(crate) fn roots() -> Value {
    json!([signer("root").public_key(), signer("next root").public_key()])
}

/// A step of a replica at [`NOW`].
pub(crate) fn step(kind: &str, value: impl Into<Value>) -> Value {
    json!({ "now_ms": NOW_MS, kind: value.into() })
}

/// The manifest, the snapshot and the parts of it that are there: shard 0 and the one page of amendments.
pub(crate) fn given() -> Value {
    json!({ "roots": roots(), "steps": [
        step("manifest", manifest_text()),
        step("snapshot", sign_feed(&snapshot())),
        step("shard", json!([0, shard_0()])),
        step("page", json!([0, page_0()])),
    ]})
}

/// Claims of an API key that holds.
pub(crate) fn key_claims() -> ApiKeyClaims {
    ApiKeyClaims {
        scope: ScopeClass::User,
        exchange: false,
        signing_key: [0; 3],
        expires: Some(NOW as u32 + 3600),
        index: StatusIndex(VALID),
        policy: PolicyNumber(17),
        id: key_id(),
    }
}

pub(crate) fn mint(signing: &str, claims: ApiKeyClaims) -> String {
    mint_as(signing, claims, "kwd", Environment::Live).expose().into()
}

pub(crate) fn mint_as(signing: &str, claims: ApiKeyClaims, prefix: &str, environment: Environment) -> SecretKeyText {
    let prefix = KeyPrefix::parse(prefix).expect("a prefix");
    mint_api_key(&signer(signing), claims, &prefix, environment, &entropy("key"))
}

/// A policy that permits everything in reach of its one capability.
pub(crate) fn policy_claims() -> PolicyClaims {
    PolicyClaims {
        number: PolicyNumber(17),
        epoch: EPOCH - 1,
        iat: NOW - 1000,
        tenant: tenant(),
        scope: ScopeClass::User,
        capabilities: vec!["llm:gpt-4"].into_iter().map(|text| keyward_core::Capability::parse(text).expect("a capability")).collect(),
        endpoints: AnyOr::Any,
        blocked_endpoints: vec![],
        ips: AnyOr::Any,
        domains: AnyOr::Any,
        require_tls: true,
        limits: Limits { rate_per_hour: Some(1000), cost_cents: Some(0), ..Limits::default() },
        constraints: Default::default(),
    }
}
