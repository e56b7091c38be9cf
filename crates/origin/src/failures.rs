//! Who may go on failing to prove who they are.
//!
//! An address from which many credentials were no good is not looked at any more until time has passed, but for callers
//! who were recognised before: a stranger behind the same address can't lock them out. Guessing an Ed25519 signature is
//! hopeless at any rate; what this saves is the work, and the noise in which something worse could hide.

use std::net::{IpAddr, Ipv6Addr};

use keyward_api::Code;
use keyward_core::Timestamp;

use crate::{error::Error, pace::Pace};

const MINUTE_MS: u64 = 60_000;
/// Bits of an IPv6 address that tell customers apart: each has at least a /64 (RFC 6177).
const IPV6_NETWORK: u32 = 64;

/// Failures by address.
pub struct Failures(Pace<IpAddr>);

impl Failures {
    /// At most so many failures a minute from an address (and as many at once); 0: any number.
    pub fn new(per_minute: u32) -> Self {
        Self(Pace::new(per_minute, MINUTE_MS))
    }

    /// Passes where the address has failures left.
    ///
    /// # Errors
    /// `rate_limited`, with when to come again.
    pub fn guard(&self, address: IpAddr, now: Timestamp) -> Result<(), Error> {
        self.0
            .guard(&network(address), now)
            .map_err(|wait| Error::from(Code::RateLimited).detail("Too many credentials from this address were no good.").retry_after(wait))
    }

    /// Counts a failure.
    pub fn note(&self, address: IpAddr, now: Timestamp) {
        self.0.note(network(address), now);
    }
}

/// The address, or what stands for all that belong to the same customer.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (u128::BITS - IPV6_NETWORK))).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_bounded_by_the_minute_and_by_address() {
        let failures = Failures::new(6);
        let (one, other): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        let at = Timestamp::from_secs(1_000_000);
        for _ in 0..6 {
            failures.guard(one, at).unwrap();
            failures.note("2001:db8::2".parse().unwrap(), at);
        }
        assert_eq!(failures.guard(one, at).unwrap_err().code(), Code::RateLimited);
        failures.guard(other, at).unwrap();
        // What fails while it is refused changes nothing.
        for _ in 0..100 {
            failures.note(one, at);
        }
        let later = Timestamp::from_secs(1_000_010);
        failures.guard(one, later).unwrap();
        failures.note(one, later);
        failures.guard(one, later).unwrap_err();

        // A clock that was set back locks nobody out for the difference.
        let before = Timestamp::from_secs(900_000);
        failures.guard(one, before).unwrap();
        (0..6).for_each(|_| failures.note(one, before));
        failures.guard(one, before).unwrap_err();

        let unlimited = Failures::new(0);
        (0..1000).for_each(|_| unlimited.note(one, at));
        unlimited.guard(one, at).unwrap();
    }
}
