//! Nobody grants more than they hold: what covers, covers every request.

use crate::{
    strategies::{AllValid, NOW, key_set, signer},
    tries,
};
use keyward_core::{
    AccessTokenClaims, AnyOr, ApiKeyClaims, Capability, DomainPattern, EndpointPattern, Environment, KeyId, KeyPrefix, Limits, Network,
    NormalPath, ParsedKey, Policy, PolicyNumber, PolicyTerms, Request, Requirement, Role, ScopeClass, SignedKey, StatusIndex, StatusRef,
    StatusReference, TenantId, VerifiedKey, VerifiedToken, Verifier,
};
use keyward_issuer::mint_api_key;
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::TestRunner};
use std::cell::Cell;

pub(crate) fn verified(policy: u32, scope: ScopeClass) -> VerifiedKey {
    let claims = ApiKeyClaims {
        scope,
        exchange: false,
        signing_key: [0; 3],
        expires: None,
        index: StatusIndex(0),
        policy: PolicyNumber(policy),
        id: KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().unwrap()),
    };
    let key = mint_api_key(&signer(Some(Role::ApiKey)), claims, &KeyPrefix::default(), Environment::Live, &[0; 16]);
    Verifier::new(&key_set(), &AllValid, Environment::Live).verify(&ParsedKey::parse(key.expose()).unwrap(), NOW).unwrap()
}

/// A token that says of these terms what a token can say.
pub(crate) fn token(terms: &PolicyTerms) -> VerifiedToken {
    let (keys, id) = (key_set(), KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().unwrap()));
    let issuer = keys.manifest().iss.clone();
    let scope: Vec<_> = terms.capabilities.iter().map(Capability::as_str).collect();
    let claims = AccessTokenClaims {
        iss: issuer.clone(),
        sub: id,
        aud: "here".into(),
        exp: NOW.secs() + 300,
        iat: NOW.secs(),
        jti: id.0,
        client_id: id,
        scope: scope.join(" "),
        cap: terms.capabilities.clone(),
        tenant: terms.tenant,
        ep: terms.endpoints.clone(),
        blocked: terms.blocked_endpoints.clone(),
        ip: terms.ips.clone(),
        lim: terms.limits,
        key: SignedKey { policy: PolicyNumber(1), scope: ScopeClass::Tenant, environment: Environment::Live },
        status: StatusReference { status_list: StatusRef { idx: 0, uri: format!("{issuer}/status-lists/0") } },
    };
    let text = signer(Some(Role::Token)).sign(&claims).unwrap();
    Verifier::new(&keys, &AllValid, Environment::Live).verify_token(&text, "here", NOW).unwrap()
}

/// A small world, so that chance finds what covers what: each kind from a few names that overlap.
fn some<T: Clone + std::fmt::Debug + 'static>(names: &'static [&'static str], parse: fn(&str) -> T) -> impl Strategy<Value = T> + Clone {
    select(names).prop_map(parse)
}

fn capability() -> impl Strategy<Value = Capability> + Clone {
    some(&["llm:*", "llm:a", "llm:b", "rag:*", "rag:a"], |text| Capability::parse(text).unwrap())
}

fn pattern() -> impl Strategy<Value = EndpointPattern> + Clone {
    some(
        &["/**", "GET /**", "/a/**", "/a/*", "/a", "POST /a", "/a/*/c", "/a/b/**", "GET /a/b/*", "/*/b", "/b", "POST /b/**", "/"],
        |text| EndpointPattern::parse(text).unwrap(),
    )
}

fn network() -> impl Strategy<Value = Network> + Clone {
    some(&["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:db8::1"], |text| {
        Network::parse(text).unwrap()
    })
}

fn domain() -> impl Strategy<Value = DomainPattern> + Clone {
    some(&["*.com", "*.a.com", "a.com", "b.a.com", "*.b.a.com"], |text| DomainPattern::parse(text).unwrap())
}

fn any_or<T: Clone + std::fmt::Debug + 'static>(item: impl Strategy<Value = T> + Clone + 'static) -> impl Strategy<Value = AnyOr<T>> {
    prop_oneof![Just(AnyOr::Any), vec(item, 0..4).prop_map(AnyOr::Only)]
}

pub(crate) fn terms() -> impl Strategy<Value = PolicyTerms> {
    let scope = select(vec![ScopeClass::User, ScopeClass::Tenant, ScopeClass::Admin]);
    let lists = (vec(capability(), 0..4), any_or(pattern()), vec(pattern(), 0..3), any_or(network()), any_or(domain()));
    let constraint = option::weighted(0.3, (select(vec!["mcp_timeout_seconds", "max_teleports"]), 0..3u64));
    (scope, lists, any::<bool>(), option::of(0..3u64), constraint).prop_map(
        |(scope, (capabilities, endpoints, blocked_endpoints, ips, domains), require_tls, rate_per_hour, constraint)| PolicyTerms {
            tenant: TenantId(Default::default()),
            scope,
            capabilities,
            endpoints,
            blocked_endpoints,
            ips,
            domains,
            require_tls,
            limits: Limits { rate_per_hour, ..Limits::default() },
            constraints: constraint.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
        },
    )
}

/// Two terms, of which the second takes some of its members from the first: chance alone would seldom cover.
fn pair() -> impl Strategy<Value = (PolicyTerms, PolicyTerms)> {
    (terms(), terms(), any::<[bool; 7]>()).prop_map(|(held, mut wanted, same)| {
        let take: [fn(&PolicyTerms, &mut PolicyTerms); 7] = [
            |held, wanted| wanted.capabilities.clone_from(&held.capabilities),
            |held, wanted| wanted.endpoints.clone_from(&held.endpoints),
            |held, wanted| wanted.blocked_endpoints.extend(held.blocked_endpoints.clone()),
            |held, wanted| wanted.ips.clone_from(&held.ips),
            |held, wanted| wanted.domains.clone_from(&held.domains),
            |held, wanted| (wanted.require_tls, wanted.scope) = (held.require_tls, held.scope),
            |held, wanted| (wanted.constraints, wanted.limits) = (held.constraints.clone(), held.limits),
        ];
        take.iter().zip(same).filter(|(_, same)| *same).for_each(|(take, _)| take(&held, &mut wanted));
        (held, wanted)
    })
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    method: &'static str,
    path: NormalPath,
    address: Option<std::net::IpAddr>,
    domain: Option<&'static str>,
    tls: bool,
    requirement: Option<Requirement>,
}

pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    let path = some(&["/", "/a", "/a/", "/a/b", "/a/b/c", "/a/x/c", "/b", "/b/b", "/c/b"], |text| NormalPath::parse(text).unwrap());
    let address = option::weighted(
        0.9,
        some(&["10.1.2.3", "::ffff:10.1.2.4", "10.9.9.9", "192.0.2.1", "2001:db8::1", "2001:db8::2", "fe80::1"], |text| {
            text.parse().unwrap()
        }),
    );
    let domain = option::weighted(0.9, select(vec!["a.com", "b.a.com", "c.b.a.com", "x.com", "com"]));
    let requirement = prop_oneof![Just(Requirement::Authenticated), capability().prop_map(Requirement::Capability)];
    (select(vec!["GET", "POST"]), path, address, domain, prop::bool::weighted(0.8), option::weighted(0.95, requirement))
        .prop_map(|(method, path, address, domain, tls, requirement)| Asked { method, path, address, domain, tls, requirement })
}

impl Asked {
    pub(crate) fn example(method: &'static str, path: &str, address: &str, domain: &'static str, capability: &str) -> Self {
        Self {
            method,
            path: NormalPath::parse(path).unwrap(),
            address: Some(address.parse().unwrap()),
            domain: Some(domain),
            tls: true,
            requirement: Some(Requirement::Capability(Capability::parse(capability).unwrap())),
        }
    }

    pub(crate) fn ask<T>(&self, decide: impl FnOnce(&Request<'_>) -> T) -> T {
        let Self { method, path, address, domain, tls, requirement } = self;
        decide(&Request { method, path, address: *address, domain: *domain, tls: *tls, requirement: requirement.as_ref() })
    }

    fn permitted(&self, policy: &Policy, key: &VerifiedKey) -> bool {
        self.ask(|request| policy.decide(key, request).reason().is_none())
    }
}

#[test]
fn what_is_covered_permits_nothing_that_what_covers_it_refuses() {
    let keys = [1, 2].map(|policy| verified(policy, ScopeClass::Admin));
    let (covered, permitted, refused) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let check = |((held, wanted), requests): ((PolicyTerms, PolicyTerms), Vec<Asked>)| {
        let covers = held.covers(&wanted).is_ok();
        let compile = |terms: PolicyTerms, number| Policy::compile(terms.numbered(PolicyNumber(number), 1, 1)).unwrap();
        let (held, wanted) = (compile(held, 1), compile(wanted, 2));
        let wider = requests.iter().find(|asked| asked.permitted(&wanted, &keys[1]) && !asked.permitted(&held, &keys[0]));
        if covers {
            covered.set(covered.get() + 1);
            permitted.set(permitted.get() + requests.iter().filter(|asked| asked.permitted(&wanted, &keys[1])).count());
            prop_assert!(wider.is_none(), "permitted beyond what is held: {:?}", wider);
        } else if wider.is_some() {
            refused.set(refused.get() + 1);
        }
        Ok(())
    };
    TestRunner::new(tries(1500)).run(&(pair(), vec(asked(), 24)), check).unwrap();
    // None of it counts if chance never got there.
    assert!(
        covered.get() > 30 && permitted.get() > 30 && refused.get() > 30,
        "{covered:?} covered, {permitted:?} permitted, {refused:?} refused"
    );
}

proptest! {
    #![proptest_config(tries(500))]

    #[test]
    fn who_covers_a_chain_covers_its_end((one, two) in pair(), three in terms()) {
        if one.covers(&two).is_ok() && two.covers(&three).is_ok() {
            prop_assert_eq!(one.covers(&three), Ok(()));
        }
    }

    #[test]
    fn whoever_holds_something_may_grant_just_that(terms in terms()) {
        prop_assume!(!terms.constraints.contains_key("max_teleports"));
        prop_assert_eq!(terms.covers(&terms), Ok(()));
        prop_assert_eq!(terms.covers(&terms.clone().canonical()), Ok(()));
    }

    #[test]
    fn a_token_permits_just_what_both_it_and_its_keys_policy_permit(policy in terms(), own in terms(), asked in vec(asked(), 12)) {
        let token = token(&own);
        // What a token can say, as a policy that leaves all else open.
        let own = PolicyTerms { scope: ScopeClass::User, domains: AnyOr::Any, require_tls: false, constraints: Default::default(), ..own };
        let [policy, own] = [policy, own].map(|terms| Policy::compile(terms.numbered(PolicyNumber(1), 1, 1)).unwrap());
        let key = verified(1, ScopeClass::Tenant);
        for asked in &asked {
            let permitted = asked.ask(|request| token.decide(&policy, request).reason().is_none());
            prop_assert_eq!(permitted, asked.permitted(&policy, &key) && asked.permitted(&own, &key), "{:?}", asked);
        }
    }

    #[test]
    fn a_key_never_permits_above_its_signed_scope(terms in terms(), asked in asked()) {
        let key = verified(1, ScopeClass::User);
        let scope = terms.scope;
        let policy = Policy::compile(terms.numbered(PolicyNumber(1), 1, 1)).unwrap();
        prop_assert!(!asked.permitted(&policy, &key) || scope == ScopeClass::User);
    }
}
