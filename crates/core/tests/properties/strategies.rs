//! Everything that travels, at random; and an issuer to sign it.

use keyward_core::{
    AccessTokenClaims, Amendment, AmendmentPage, AnyOr, ApiKeyClaims, Capability, Delta, Digest, DomainPattern, EndpointPattern,
    Environment, Heartbeat, KeyId, KeyPrefix, KeySet, KeyState, Limits, Manifest, Network, PolicyClaims, PolicyNumber, PolicyTerms, Role,
    ScopeClass, SignedKey, Snapshot, Standing, Status, StatusIndex, StatusListBody, StatusListClaims, StatusRef, StatusReference, Statuses,
    TenantId, Timestamp,
};
use keyward_issuer::SigningKey;
use proptest::{collection::vec, option, prelude::*};
use serde_json::json;
use std::fmt::Debug;

pub(crate) const ISSUER: &str = "https://keys.example.com";
pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

pub(crate) fn signer(role: Option<Role>) -> SigningKey {
    SigningKey::from_seed([role.map_or(99, |role| role as u8); 32])
}

/// A manifest with a key for each role.
pub(crate) fn manifest(version: u64, epoch: u32) -> Manifest {
    let roles = [Role::ApiKey, Role::Token, Role::Policy, Role::Feed, Role::Audit];
    let keys = roles.into_iter().map(|role| signer(Some(role)).manifest_key(role, KeyState::Active, None)).collect();
    Manifest { iss: ISSUER.into(), version, epoch, first_policy: 1, first_index: 0, iat: 0, exp: u64::MAX, keys }
}

pub(crate) fn key_set() -> KeySet {
    let root = signer(None);
    Manifest::open(&root.sign(&manifest(1, 1)).unwrap(), &[root.public_key()], NOW).unwrap()
}

/// A world in which nothing was ever revoked.
pub(crate) struct AllValid;

impl Statuses for AllValid {
    fn standing(&self, _: StatusIndex) -> Result<Standing, keyward_core::Missing> {
        Ok(Standing::Valid)
    }

    fn issued(&self, _: StatusIndex, _: &Digest) -> Result<bool, keyward_core::Missing> {
        Ok(false)
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        policy
    }
}

pub(crate) fn prefix() -> impl Strategy<Value = KeyPrefix> {
    "[a-z][a-z0-9]{1,11}".prop_map(|text| KeyPrefix::parse(&text).unwrap())
}

pub(crate) fn environment() -> impl Strategy<Value = Environment> {
    prop_oneof![Just(Environment::Live), Just(Environment::Test)]
}

pub(crate) fn scope() -> impl Strategy<Value = ScopeClass> {
    prop_oneof![Just(ScopeClass::User), Just(ScopeClass::Tenant), Just(ScopeClass::Admin)]
}

/// A UUIDv7's text.
fn uuid() -> impl Strategy<Value = String> {
    "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
}

fn tenant() -> impl Strategy<Value = TenantId> {
    uuid().prop_map(|text| TenantId(text.parse().unwrap()))
}

pub(crate) fn key_id() -> impl Strategy<Value = KeyId> {
    uuid().prop_map(|text| KeyId(text.parse().unwrap()))
}

/// An expiry as it is written in 32 bits: the highest one means none.
fn expiry() -> impl Strategy<Value = Option<u32>> {
    option::of(0..u32::MAX)
}

pub(crate) fn key_claims() -> impl Strategy<Value = ApiKeyClaims> {
    (scope(), any::<bool>(), expiry(), any::<u32>(), any::<u32>(), key_id()).prop_map(|(scope, exchange, expires, index, policy, id)| {
        ApiKeyClaims {
            scope,
            exchange,
            signing_key: signer(Some(Role::ApiKey)).kid().short(),
            expires,
            index: StatusIndex(index),
            policy: PolicyNumber(policy),
            id,
        }
    })
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn status() -> impl Strategy<Value = Status> {
    (0..4u8).prop_map(|value| Status::from_value(value).unwrap())
}

fn amendment() -> impl Strategy<Value = Amendment> {
    (any::<u32>(), any::<u32>(), expiry()).prop_map(|(index, policy, expires)| Amendment {
        index: StatusIndex(index),
        policy: PolicyNumber(policy),
        expires,
    })
}

fn supersessions() -> impl Strategy<Value = Vec<(PolicyNumber, PolicyNumber)>> {
    vec((any::<u32>(), any::<u32>()).prop_map(|(old, new)| (PolicyNumber(old), PolicyNumber(new))), 0..4)
}

pub(crate) fn delta() -> impl Strategy<Value = Delta> {
    let changes = vec((any::<u32>(), status()).prop_map(|(index, status)| (StatusIndex(index), status)), 0..6);
    let numbers = (any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>());
    (numbers, vec(any::<u32>(), 0..3), changes, vec(amendment(), 0..4), supersessions(), vec(any::<u32>().prop_map(PolicyNumber), 0..3))
        .prop_map(|((epoch, from, to, iat_ms), opened, changes, amendments, supersessions, policies)| Delta {
            epoch,
            from,
            to,
            iat_ms,
            opened,
            changes,
            amendments,
            supersessions,
            policies,
        })
}

pub(crate) fn heartbeat() -> impl Strategy<Value = Heartbeat> {
    (any::<u32>(), any::<u64>(), any::<u64>(), any::<u64>(), digest()).prop_map(|(epoch, seq, iat_ms, manifest, digest)| Heartbeat {
        epoch,
        seq,
        iat_ms,
        manifest,
        digest,
    })
}

pub(crate) fn snapshot() -> impl Strategy<Value = Snapshot> {
    let pages = vec((any::<u32>().prop_map(StatusIndex), digest()), 0..4);
    (any::<u32>(), any::<u64>(), any::<u64>(), vec((any::<u32>(), digest()), 0..4), pages, supersessions()).prop_map(
        |(epoch, seq, iat_ms, shards, amendments, supersessions)| Snapshot { epoch, seq, iat_ms, shards, amendments, supersessions },
    )
}

pub(crate) fn amendments() -> impl Strategy<Value = AmendmentPage> {
    vec(amendment(), 0..6).prop_map(|amendments| AmendmentPage { amendments })
}

pub(crate) fn status_list() -> impl Strategy<Value = StatusListClaims> {
    (".{0,40}", any::<u64>(), option::of(any::<u64>()), option::of(any::<u64>()), any::<u8>(), ".{0,20}")
        .prop_map(|(sub, iat, exp, ttl, bits, lst)| StatusListClaims { sub, iat, exp, ttl, status_list: StatusListBody { bits, lst } })
}

pub(crate) fn capability() -> impl Strategy<Value = Capability> {
    "(llm|rag|a\\.b_c-D9):(\\*|gpt-4|x|[a-z]{1,8})".prop_map(|text| Capability::parse(&text).unwrap())
}

pub(crate) fn pattern() -> impl Strategy<Value = EndpointPattern> {
    "(|GET |POST )(/|(/(\\*|a|b|%41|%3a|%20)){1,4}(/\\*\\*|/|)|/\\*\\*)".prop_map(|text| EndpointPattern::parse(&text).unwrap())
}

pub(crate) fn network() -> impl Strategy<Value = Network> {
    let masked = |address: u128, len: u32, width: u32| address >> (128 - width) >> (width - len).min(127) << (width - len).min(127);
    prop_oneof![
        (any::<u128>(), 0..=32u32).prop_map(move |(bits, len)| format!(
            "{}/{len}",
            std::net::Ipv4Addr::from(masked(bits, len.max(1), 32) as u32 * u32::from(len > 0))
        )),
        (any::<u128>(), 1..=128u32).prop_map(move |(bits, len)| format!("{}/{len}", std::net::Ipv6Addr::from(masked(bits, len, 128)))),
    ]
    .prop_map(|text| Network::parse(&text).unwrap())
}

pub(crate) fn domain() -> impl Strategy<Value = DomainPattern> {
    "(\\*\\.)?([a-z]([a-z0-9-]{0,3}[a-z0-9])?\\.){0,2}(com|org)".prop_map(|text| DomainPattern::parse(&text).unwrap())
}

pub(crate) fn any_or<T: Debug + Clone>(item: impl Strategy<Value = T>) -> impl Strategy<Value = AnyOr<T>> {
    option::weighted(0.7, vec(item, 0..4)).prop_map(|list| list.map_or(AnyOr::Any, AnyOr::Only))
}

pub(crate) fn limits() -> impl Strategy<Value = Limits> {
    let limit = || option::of(any::<u64>());
    (limit(), limit(), limit(), limit(), limit(), limit()).prop_map(
        |(rate_per_hour, daily_quota, monthly_quota, cost_cents, tokens_per_request, concurrent)| Limits {
            rate_per_hour,
            daily_quota,
            monthly_quota,
            cost_cents,
            tokens_per_request,
            concurrent,
        },
    )
}

fn constraint() -> impl Strategy<Value = (String, serde_json::Value)> {
    prop_oneof![
        any::<u64>().prop_map(|n| ("mcp_timeout_seconds".into(), json!(n))),
        any::<bool>().prop_map(|on| ("enable_premium_features".into(), json!(on))),
        vec("\\.[a-z]{1,4}", 0..3).prop_map(|types| ("allowed_file_types".into(), json!(types))),
        (any::<i64>(), -1e9..1e9f64, ".{0,8}")
            .prop_map(|(n, x, text)| ("llm:gpt-4".into(), json!({ "a": n, "b": [x, null, true, { "c": text }] }))),
    ]
}

pub(crate) fn terms() -> impl Strategy<Value = PolicyTerms> {
    let lists = (vec(capability(), 0..4), any_or(pattern()), vec(pattern(), 0..4), any_or(network()), any_or(domain()));
    (tenant(), scope(), lists, any::<bool>(), limits(), vec(constraint(), 0..3)).prop_map(
        |(tenant, scope, (capabilities, endpoints, blocked_endpoints, ips, domains), require_tls, limits, constraints)| PolicyTerms {
            tenant,
            scope,
            capabilities,
            endpoints,
            blocked_endpoints,
            ips,
            domains,
            require_tls,
            limits,
            constraints: constraints.into_iter().collect(),
        },
    )
}

pub(crate) fn policy() -> impl Strategy<Value = PolicyClaims> {
    (terms(), any::<u32>(), any::<u32>(), any::<u64>())
        .prop_map(|(terms, number, epoch, iat)| terms.numbered(PolicyNumber(number), epoch, iat))
}

pub(crate) fn token() -> impl Strategy<Value = AccessTokenClaims> {
    let lists = (vec(capability(), 0..4), any_or(pattern()), vec(pattern(), 0..3), any_or(network()));
    (
        (".{0,20}", ".{0,20}", ".{0,20}"),
        key_id(),
        (any::<u64>(), any::<u64>()),
        uuid(),
        tenant(),
        lists,
        limits(),
        (any::<u32>(), any::<u32>(), ".{0,20}"),
    )
        .prop_map(|((iss, aud, scope), id, (exp, iat), jti, tenant, (cap, ep, blocked, ip), lim, (policy, idx, uri))| {
            AccessTokenClaims {
                iss,
                sub: id,
                aud,
                exp,
                iat,
                jti: jti.parse().unwrap(),
                client_id: id,
                scope,
                cap,
                tenant,
                ep,
                blocked,
                ip,
                lim,
                key: SignedKey { policy: PolicyNumber(policy), scope: ScopeClass::User, environment: Environment::Live },
                status: StatusReference { status_list: StatusRef { idx, uri } },
            }
        })
}

pub(crate) fn issued() -> impl Strategy<Value = keyward_core::Issued> {
    (any::<u32>(), any::<[u8; 32]>(), 0..=NOW.millis()).prop_map(|(index, digest, iat_ms)| keyward_core::Issued {
        index: StatusIndex(index),
        digest: Digest::from_bytes(digest),
        iat_ms,
    })
}
