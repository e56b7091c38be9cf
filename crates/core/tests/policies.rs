//! Policies in memory: so many, and so many bytes, however they come.

use keyward_core::{KeySet, KeyState, Manifest, Missing, PolicyCache, PolicyClaims, PolicyError, PolicyNumber, Role, Signed, Timestamp};
use keyward_issuer::SigningKey;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

fn signer(role: Option<Role>) -> SigningKey {
    SigningKey::from_seed([role.map_or(99, |role| role as u8); 32])
}

fn key_set() -> KeySet {
    let keys = vec![signer(Some(Role::Policy)).manifest_key(Role::Policy, KeyState::Active, None)];
    let iss = "https://keys.example.com".into();
    let manifest = Manifest { iss, version: 1, epoch: 1, first_policy: 1, first_index: 0, iat: 0, exp: u64::MAX, keys };
    Manifest::open(&signer(None).sign(&manifest).unwrap(), &[signer(None).public_key()], NOW).unwrap()
}

/// A policy with that many elements in a constraint.
fn policy(number: u32, elements: usize) -> String {
    let text = r#"{"number":N,"epoch":1,"iat":1,"tenant":"01981f9f-0000-7000-8000-000000000001","scope":"user","capabilities":[],
        "endpoints":"any","blocked_endpoints":[],"ips":"any","domains":"any","require_tls":true,"limits":{"rate_per_hour":null,
        "daily_quota":null,"monthly_quota":null,"cost_cents":null,"tokens_per_request":null,"concurrent":null},
        "constraints":{"allowed_file_types":[L]}}"#;
    let list = vec!["\"a\""; elements].join(",");
    signer(Some(Role::Policy)).sign_as(PolicyClaims::TYP, text.replace('N', &number.to_string()).replace('L', &list).as_bytes())
}

#[test]
fn a_policy_cache_holds_so_many_and_drops_what_was_not_used_longest() {
    let keys = key_set();
    let mut cache = PolicyCache::new(2, usize::MAX);
    assert!(cache.is_empty());
    for number in [1, 2] {
        cache.install(&policy(number, 0), PolicyNumber(number), &keys, NOW).unwrap();
    }
    assert_eq!(cache.lookup(PolicyNumber(1)).unwrap().claims().number, PolicyNumber(1));
    assert_eq!(cache.install(&policy(4, 0), PolicyNumber(3), &keys, NOW), Err(PolicyError::Number));
    cache.install(&policy(3, 0), PolicyNumber(3), &keys, NOW).unwrap();
    assert_eq!(cache.lookup(PolicyNumber(2)).err(), Some(Missing::Policy(PolicyNumber(2))), "2 made room");
    assert!(cache.lookup(PolicyNumber(1)).is_ok() && cache.lookup(PolicyNumber(3)).is_ok() && cache.len() == 2);
    cache.clear();
    assert!(cache.is_empty() && cache.bytes() == 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]
    #[test]
    fn however_policies_come_their_bytes_are_bounded_and_those_used_last_stay(
        uses in prop::collection::vec((0..12_u32, any::<bool>()), 1..60),
    ) {
        const MOST: usize = 7;
        const MOST_BYTES: usize = 150_000;
        let (keys, texts) = (key_set(), (0..12).map(|number| policy(number, number as usize * 120)).collect::<Vec<_>>());
        let mut cache = PolicyCache::new(MOST, MOST_BYTES);
        // By their last use, the last one at the end.
        let mut order: Vec<u32> = Vec::new();
        for (number, install) in uses {
            let policy = PolicyNumber(number);
            if install {
                cache.install(&texts[number as usize], policy, &keys, NOW).unwrap();
                prop_assert!(cache.lookup(policy).is_ok(), "what has just come is there, whatever its number");
            } else if cache.lookup(policy).is_err() {
                continue;
            }
            order.retain(|other| *other != number);
            order.push(number);
            prop_assert!(cache.bytes() <= MOST_BYTES && cache.len() <= MOST);
            // Those that have gone are those that were used before all that have stayed.
            order.drain(..order.len() - cache.len());
        }
        for number in order {
            prop_assert!(cache.lookup(PolicyNumber(number)).is_ok());
        }
    }
}
