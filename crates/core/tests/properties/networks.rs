//! Networks, against a model that compares one bit after the other.

use crate::tries;
use keyward_core::Network;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The bits of an address that counts as v4 or v6, most significant first.
fn bits(address: IpAddr) -> Vec<bool> {
    let (value, width) = match address {
        IpAddr::V4(four) => (u128::from(u32::from(four)), 32),
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => (u128::from(u32::from(four)), 32),
            None => (u128::from(six), 128),
        },
    };
    (0..width).rev().map(|bit| value >> bit & 1 == 1).collect()
}

/// A block: its leading bits, of how many.
#[derive(Clone, Debug)]
struct Model {
    prefix: Vec<bool>,
    width: usize,
}

impl Model {
    fn contains(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        bits.len() == self.width && bits.starts_with(&self.prefix)
    }

    fn covers(&self, other: &Self) -> bool {
        self.width == other.width && other.prefix.starts_with(&self.prefix)
    }
}

fn address() -> impl Strategy<Value = IpAddr> {
    // Few bits differ, so that blocks often hold addresses.
    let few = || (0..8u32, 0..8u32, 0..4u32).prop_map(|(high, low, middle)| high << 29 | middle << 15 | low);
    prop_oneof![
        few().prop_map(|bits| Ipv4Addr::from(bits).into()),
        few().prop_map(|bits| Ipv4Addr::from(bits).to_ipv6_mapped().into()),
        (few(), few()).prop_map(|(high, low)| Ipv6Addr::from(u128::from(high) << 96 | u128::from(low)).into()),
    ]
}

/// A block's text and its model. Mapped blocks are written in v6 and count as v4.
fn network() -> impl Strategy<Value = (String, Model)> {
    (address(), any::<prop::sample::Index>()).prop_map(|(address, len)| {
        let own = bits(address);
        let len = len.index(own.len() + 1);
        let masked = own.iter().enumerate().fold(0u128, |value, (at, bit)| value << 1 | u128::from(*bit && at < len));
        let text = match address {
            IpAddr::V4(_) => format!("{}/{len}", Ipv4Addr::from(masked as u32)),
            IpAddr::V6(_) if own.len() == 32 => format!("{}/{}", Ipv4Addr::from(masked as u32).to_ipv6_mapped(), len + 96),
            IpAddr::V6(_) => format!("{}/{len}", Ipv6Addr::from(masked)),
        };
        (text, Model { prefix: own[..len].to_vec(), width: own.len() })
    })
}

proptest! {
    #![proptest_config(tries(4000))]

    #[test]
    fn a_network_holds_what_shares_its_leading_bits((text, model) in network(), address in address()) {
        prop_assert_eq!(Network::parse(&text).unwrap().contains(address), model.contains(address), "{} and {}", text, address);
    }

    #[test]
    fn a_network_covers_what_has_its_bits_and_more((text, model) in network(), (other_text, other) in network()) {
        let (own, others) = (Network::parse(&text).unwrap(), Network::parse(&other_text).unwrap());
        prop_assert_eq!(own.covers(&others), model.covers(&other), "{} and {}", text, other_text);
    }

    #[test]
    fn a_bit_beyond_the_prefix_is_refused((text, model) in network(), at: prop::sample::Index) {
        let (address, len) = text.split_once('/').unwrap();
        let (address, free) = (address.parse::<IpAddr>().unwrap(), model.width - model.prefix.len());
        prop_assume!(free > 0);
        let bit = at.index(free);
        let changed: IpAddr = match address {
            IpAddr::V4(four) => Ipv4Addr::from(u32::from(four) | 1 << bit).into(),
            IpAddr::V6(six) => Ipv6Addr::from(u128::from(six) | 1 << bit).into(),
        };
        let text = format!("{changed}/{len}");
        prop_assert!(Network::parse(&text).is_err(), "{}", text);
    }
}
