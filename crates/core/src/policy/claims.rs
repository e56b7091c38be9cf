use super::DomainPattern;
use crate::{Capability, Digest, EndpointPattern, Network, PolicyNumber, Role, ScopeClass, Signed, TenantId, bounds::MAX_POLICY_LEN, json};
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

/// The payload of a signed policy: what it permits, under a number that never changes its meaning within an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyClaims {
    /// Its number.
    pub number: PolicyNumber,
    /// The epoch in which it was signed.
    pub epoch: u32,
    /// When it was signed, unix seconds.
    pub iat: u64,
    /// The tenant it belongs to, and with it all of its keys.
    pub tenant: TenantId,
    /// How far it reaches.
    pub scope: ScopeClass,
    /// What its keys can do.
    pub capabilities: Vec<Capability>,
    /// Where.
    pub endpoints: AnyOr<EndpointPattern>,
    /// Where not, whatever else is said.
    pub blocked_endpoints: Vec<EndpointPattern>,
    /// From which addresses.
    pub ips: AnyOr<Network>,
    /// From which web pages (the host of the Origin header).
    pub domains: AnyOr<DomainPattern>,
    /// Whether over TLS only.
    pub require_tls: bool,
    /// How much.
    #[serde(deserialize_with = "json::object")]
    pub limits: Limits,
    /// What the upstream has to observe.
    #[serde(deserialize_with = "json::unique_members")]
    pub constraints: BTreeMap<String, Value>,
}

impl Signed for PolicyClaims {
    const TYP: &'static str = "keyward-policy+jwt";
    const ROLE: Option<Role> = Some(Role::Policy);
    const MAX_LEN: usize = MAX_POLICY_LEN;
}

/// What a policy says, apart from its number, epoch and time: what can be compared and shared.
///
/// The members are those of [`PolicyClaims`], written twice because serde can't flatten one into the other and refuse
/// unknown members at the same time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTerms {
    /// See [`PolicyClaims::tenant`].
    pub tenant: TenantId,
    /// See [`PolicyClaims::scope`].
    pub scope: ScopeClass,
    /// See [`PolicyClaims::capabilities`].
    pub capabilities: Vec<Capability>,
    /// See [`PolicyClaims::endpoints`].
    pub endpoints: AnyOr<EndpointPattern>,
    /// See [`PolicyClaims::blocked_endpoints`].
    pub blocked_endpoints: Vec<EndpointPattern>,
    /// See [`PolicyClaims::ips`].
    pub ips: AnyOr<Network>,
    /// See [`PolicyClaims::domains`].
    pub domains: AnyOr<DomainPattern>,
    /// See [`PolicyClaims::require_tls`].
    pub require_tls: bool,
    /// See [`PolicyClaims::limits`].
    #[serde(deserialize_with = "json::object")]
    pub limits: Limits,
    /// See [`PolicyClaims::constraints`].
    #[serde(deserialize_with = "json::unique_members")]
    pub constraints: BTreeMap<String, Value>,
}

impl PolicyTerms {
    /// The same terms in canonical form: lists sorted and without repetitions.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.capabilities.sort();
        self.capabilities.dedup();
        self.blocked_endpoints.sort();
        self.blocked_endpoints.dedup();
        self.endpoints = self.endpoints.canonical();
        self.ips = self.ips.canonical();
        self.domains = self.domains.canonical();
        self
    }

    /// The digest of the canonical form: equal policies of a tenant have the same.
    pub fn digest(&self) -> Digest {
        // Every member has a fixed place and JSON form, so the serialisation can't fail; were it to, the empty text
        // would give a digest that no policy has.
        Digest::of(serde_json::to_vec(&self.clone().canonical()).unwrap_or_default())
    }

    /// The claims with these terms.
    pub fn numbered(self, number: PolicyNumber, epoch: u32, iat: u64) -> PolicyClaims {
        let Self { tenant, scope, capabilities, endpoints, blocked_endpoints, ips, domains, require_tls, limits, constraints } = self;
        PolicyClaims {
            number,
            epoch,
            iat,
            tenant,
            scope,
            capabilities,
            endpoints,
            blocked_endpoints,
            ips,
            domains,
            require_tls,
            limits,
            constraints,
        }
    }
}

impl From<PolicyClaims> for PolicyTerms {
    fn from(claims: PolicyClaims) -> Self {
        let PolicyClaims {
            tenant, scope, capabilities, endpoints, blocked_endpoints, ips, domains, require_tls, limits, constraints, ..
        } = claims;
        Self { tenant, scope, capabilities, endpoints, blocked_endpoints, ips, domains, require_tls, limits, constraints }
    }
}

/// Anything at all, or only what a list names. Explicit, so that an empty list never means everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyOr<T> {
    /// No restriction: `"any"`.
    Any,
    /// These: `{"only":[…]}`.
    Only(Vec<T>),
}

impl<T> AnyOr<T> {
    /// Whether `admits` holds of something in the list, or there is no restriction.
    pub fn admits(&self, admits: impl FnMut(&T) -> bool) -> bool {
        match self {
            Self::Any => true,
            Self::Only(list) => list.iter().any(admits),
        }
    }

    /// The list; `None` where there is no restriction.
    pub fn only(&self) -> Option<&[T]> {
        match self {
            Self::Any => None,
            Self::Only(list) => Some(list),
        }
    }
}

impl<T: Ord> AnyOr<T> {
    fn canonical(self) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Only(mut list) => {
                list.sort();
                list.dedup();
                Self::Only(list)
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Only<L> {
    only: L,
}

impl<T: Serialize> Serialize for AnyOr<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str("any"),
            Self::Only(list) => Only { only: list }.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AnyOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(core::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
            type Value = AnyOr<T>;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("\"any\" or {\"only\":[…]}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text == "any" { Ok(AnyOr::Any) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Only::deserialize(de::value::MapAccessDeserializer::new(map)).map(|Only { only }| AnyOr::Only(only))
            }
        }
        deserializer.deserialize_any(Visitor(core::marker::PhantomData))
    }
}

/// How much a key may do. `None` is no limit; zero allows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests in each UTC hour.
    #[serde(deserialize_with = "json::stated")]
    pub rate_per_hour: Option<u64>,
    /// Requests in each UTC day.
    #[serde(deserialize_with = "json::stated")]
    pub daily_quota: Option<u64>,
    /// Requests in each UTC month.
    #[serde(deserialize_with = "json::stated")]
    pub monthly_quota: Option<u64>,
    /// Cost in cents in each UTC month.
    #[serde(deserialize_with = "json::stated")]
    pub cost_cents: Option<u64>,
    /// Tokens in one request.
    #[serde(deserialize_with = "json::stated")]
    pub tokens_per_request: Option<u64>,
    /// Requests at one time.
    #[serde(deserialize_with = "json::stated")]
    pub concurrent: Option<u64>,
}
