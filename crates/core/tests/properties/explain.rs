//! An explanation never says anything else than the decision.

use crate::{
    covers::{Asked, asked, terms, token, verified},
    strategies::{NOW, key_set, signer},
    tries,
};
use keyward_core::{
    Amendment, ApiKeyClaims, Environment, KeyId, KeyPrefix, Limits, Missing, ParsedKey, Policy, PolicyNumber, Role, ScopeClass, Standing,
    StatusIndex, Statuses, Verifier,
    explain::{Rule, Source, of_key, refusal},
    limits::CODES,
};
use keyward_issuer::{SigningKey, mint_api_key};
use proptest::{collection::vec, option, prelude::*, sample::select};

fn compiled(terms: keyward_core::PolicyTerms) -> Policy {
    Policy::compile(terms.numbered(PolicyNumber(1), 1, 1)).unwrap()
}

/// A world in which one thing is said of every key.
struct All(Result<Standing, Missing>);

impl Statuses for All {
    fn standing(&self, _: StatusIndex) -> Result<Standing, Missing> {
        self.0
    }

    fn issued(&self, _: StatusIndex, _: &keyward_core::Digest) -> Result<bool, Missing> {
        Ok(true)
    }

    fn policy_in_force(&self, policy: PolicyNumber) -> PolicyNumber {
        policy
    }
}

proptest! {
    #![proptest_config(tries(800))]

    #[test]
    fn the_first_rule_that_is_broken_is_the_reason_of_the_decision(terms in terms(), number in 1..3u32, scope in select(vec![ScopeClass::User, ScopeClass::Admin]), asked in vec(asked(), 12)) {
        let zero = terms.limits.rate_per_hour == Some(0);
        let (policy, key) = (compiled(terms), verified(number, scope));
        for asked in &asked {
            let (reason, steps) = asked.ask(|request| (policy.decide(&key, request).reason(), policy.explain(Some(&key), request)));
            let limit = zero.then_some(CODES[0].1);
            prop_assert_eq!(refusal(&steps), reason.map(|reason| reason.code()).or(limit), "{:?}", asked);
            // Every rule is there, once, and each is told.
            prop_assert_eq!(steps.len(), 11);
            prop_assert!(steps.iter().all(|step| step.passed.is_some() && step.passed == Some(step.code.is_none())));
            // Without a key it is as for one that was made with the policy.
            let made_with_it = verified(1, ScopeClass::Admin);
            let (with, without) = asked.ask(|request| (policy.explain(Some(&made_with_it), request), policy.explain(None, request)));
            prop_assert_eq!(with, without);
        }
    }

    #[test]
    fn of_a_token_too(policy in terms(), own in terms(), asked in vec(asked(), 12)) {
        let policy = compiled(keyward_core::PolicyTerms { limits: Limits::default(), ..policy });
        let token = token(&own);
        for asked in &asked {
            let (reason, steps) = asked.ask(|request| (token.decide(&policy, request).reason(), token.explain(&policy, request)));
            prop_assert_eq!(refusal(&steps), reason.map(|reason| reason.code()), "{:?}", asked);
            prop_assert_eq!(steps.iter().filter(|step| step.source == Source::Token).count(), 5);
        }
    }

    #[test]
    fn a_key_is_refused_for_the_first_step_that_it_does_not_pass(
        ours in prop::bool::weighted(0.8),
        expires in option::of(select(vec![1u32, u32::MAX - 1])),
        environment in select(vec![Environment::Live, Environment::Test]),
        spoilt in option::weighted(0.2, 9..60usize),
        standing in select(vec![
            Ok(Standing::Valid), Ok(Standing::Invalid), Ok(Standing::Suspended), Err(Missing::Shard(0)), Err(Missing::Amendment(StatusIndex(0))),
            Ok(Standing::Amended(Amendment { index: StatusIndex(0), policy: PolicyNumber(2), expires: Some(1) })),
        ]),
    ) {
        let signer = if ours { signer(Some(Role::ApiKey)) } else { SigningKey::from_seed([1; 32]) };
        let claims = ApiKeyClaims {
            scope: ScopeClass::User, exchange: false, signing_key: signer.kid().short(), expires, index: StatusIndex(0), policy: PolicyNumber(1),
            id: KeyId("01981f9f-7a3c-7cc0-8a52-6b6d3c1f0e11".parse().unwrap()),
        };
        let key = mint_api_key(&signer, claims, &KeyPrefix::default(), environment, &[0; 16]);
        let mut text = key.expose().to_owned();
        if let Some(at) = spoilt {
            text.replace_range(at..=at, if text.as_bytes()[at] == b'x' { "y" } else { "x" });
        }
        let (keys, world) = (key_set(), All(standing));
        let verifier = Verifier::new(&keys, &world, Environment::Live);
        let refused = ParsedKey::parse(&text).map_err(Into::into).and_then(|key| verifier.verify(&key, NOW)).err();
        let steps = of_key(refused);
        prop_assert_eq!(refusal(&steps), refused.map(|refused| refused.reason().code()));
        if let Some(refused) = refused {
            let at = steps.iter().position(|step| step.passed == Some(false)).unwrap();
            prop_assert_eq!(steps[at].rule, Rule::of(refused.reason()));
            prop_assert!(steps[..at].iter().all(|step| step.passed == Some(true)) && steps[at + 1..].iter().all(|step| step.passed.is_none()));
        }
    }
}

#[test]
fn what_decided_is_named_as_it_is_written() {
    let terms = serde_json::from_value(serde_json::json!({
        "tenant": "01981f9f-0000-7000-8000-000000000001", "scope": "user", "capabilities": ["rag:a", "llm:*"],
        "endpoints": {"only": ["GET /b", "/a/**"]}, "blocked_endpoints": ["/a/b/**"], "ips": {"only": ["10.0.0.0/8"]}, "domains": {"only": ["*.a.com"]},
        "require_tls": true, "constraints": {},
        "limits": {"rate_per_hour": 1, "daily_quota": 0, "monthly_quota": null, "cost_cents": 0, "tokens_per_request": null, "concurrent": null},
    }));
    let policy = compiled(terms.unwrap());
    let asked = Asked::example("POST", "/a/b/c", "10.1.2.3", "b.a.com", "llm:a");
    let steps = asked.ask(|request| policy.explain(None, request));
    let by: Vec<_> = steps.iter().filter_map(|step| Some((step.rule.as_str(), step.code, step.by.as_deref()?))).collect();
    assert_eq!(
        by,
        [
            ("endpoint", None, "/a/**"),
            ("blocked", Some("endpoint_blocked"), "/a/b/**"),
            ("address", None, "10.0.0.0/8"),
            ("domain", None, "*.a.com"),
            ("capability", None, "llm:*"),
            ("limits", Some("daily_quota_exceeded"), "daily_quota"),
        ]
    );
}
