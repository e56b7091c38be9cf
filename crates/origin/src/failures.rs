//! Who may go on failing to prove who they are.
//!
//! An address from which many credentials were no good is not looked at any more until time has passed, but for callers
//! who were recognised before: a stranger behind the same address can't lock them out. Guessing an Ed25519 signature is
//! hopeless at any rate; what this saves is the work, and the noise in which something worse could hide.
//!
//! The generic cell rate algorithm (ITU-T I.371, as a virtual schedule): one number an address.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use keyward_api::Code;
use keyward_core::Timestamp;

use crate::{error::Error, lately::Lately};

const MINUTE_MS: u64 = 60_000;
/// Addresses of one generation that are remembered; two are held.
const ADDRESSES: usize = 8_192;
/// Bits of an IPv6 address that tell customers apart: each has at least a /64 (RFC 6177).
const IPV6_NETWORK: u32 = 64;

/// Failures by address.
pub struct Failures {
    /// Milliseconds that a failure counts; 0: nothing is limited.
    interval: u64,
    /// When all failures of an address will be forgotten, milliseconds: each puts it off by one interval.
    schedule: Mutex<Lately<IpAddr, u64>>,
}

impl Failures {
    /// At most so many failures a minute from an address (and as many at once); 0: any number.
    pub fn new(per_minute: u32) -> Self {
        let interval = MINUTE_MS.checked_div(per_minute.into()).map_or(0, |interval| interval.max(1));
        Self { interval, schedule: Mutex::new(Lately::new(ADDRESSES)) }
    }

    /// Passes where the address has failures left.
    ///
    /// # Errors
    /// `rate_limited`, with when to come again.
    pub fn guard(&self, address: IpAddr, now: Timestamp) -> Result<(), Error> {
        if self.interval == 0 {
            return Ok(());
        }
        let due = self.schedule.lock().unwrap_or_else(PoisonError::into_inner).recall(&network(address)).unwrap_or(0);
        // None is noted further ahead: then the clock was set back, and what it noted before counts no more.
        let ahead = due.checked_sub(now.millis()).filter(|ahead| *ahead <= MINUTE_MS).unwrap_or(0);
        if ahead + self.interval <= MINUTE_MS {
            return Ok(());
        }
        let wait = (ahead + self.interval - MINUTE_MS).div_ceil(1000);
        Err(Error::from(Code::RateLimited).detail("Too many credentials from this address were no good.").retry_after(wait))
    }

    /// Counts a failure.
    pub fn note(&self, address: IpAddr, now: Timestamp) {
        if self.interval == 0 {
            return;
        }
        let address = network(address);
        let mut schedule = self.schedule.lock().unwrap_or_else(PoisonError::into_inner);
        let due = schedule.recall(&address).filter(|due| *due <= now.millis() + MINUTE_MS).unwrap_or(0).max(now.millis()) + self.interval;
        // What comes in while it is refused anyway doesn't put it off for ever.
        schedule.keep(address, due.min(now.millis() + MINUTE_MS));
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
