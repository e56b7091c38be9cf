//! Both representations against big integers, at the bounds and everywhere below them.

use super::{Fe26, Fe51, Field, constants, fe26, fe51};
use alloc::vec::Vec;
use num_bigint::BigUint;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

fn p() -> BigUint {
    (BigUint::from(1_u8) << 255) - 19_u8
}

/// The number that limbs stand for, by the definition of the representation.
trait Limbs: Field + core::fmt::Debug {
    fn value(&self) -> BigUint;
    fn from_limbs(limbs: &[u64]) -> Self;
    fn within(&self, units: u64) -> bool;
    /// The most of each limb of one unit.
    fn tight() -> Vec<u64>;
}

impl Limbs for Fe26 {
    fn value(&self) -> BigUint {
        // Place i is ceil(25.5 i) bits up.
        self.0.iter().enumerate().map(|(i, limb)| BigUint::from(*limb) << (51 * i).div_ceil(2)).sum()
    }

    fn from_limbs(limbs: &[u64]) -> Self {
        Self(core::array::from_fn(|i| limbs[i] as u32))
    }

    fn within(&self, units: u64) -> bool {
        Fe26::within(self, units as u32)
    }

    fn tight() -> Vec<u64> {
        fe26::TIGHT.map(u64::from).to_vec()
    }
}

impl Limbs for Fe51 {
    fn value(&self) -> BigUint {
        self.0.iter().enumerate().map(|(i, limb)| BigUint::from(*limb) << (51 * i)).sum()
    }

    fn from_limbs(limbs: &[u64]) -> Self {
        Self(core::array::from_fn(|i| limbs[i]))
    }

    fn within(&self, units: u64) -> bool {
        Fe51::within(self, units)
    }

    fn tight() -> Vec<u64> {
        fe51::TIGHT.to_vec()
    }
}

/// Numbers of up to so many units, often with limbs at a bound.
fn up_to<F: Limbs>(units: u64) -> impl Strategy<Value = F> {
    let limb = |most: u64| prop_oneof![3 => 0..=most, 1 => Just(0), 1 => Just(1), 2 => Just(most - 1), 3 => Just(most)];
    let limbs: Vec<_> = F::tight().into_iter().map(|most| limb(units * most)).collect();
    let most = F::tight().into_iter().map(|most| units * most).collect::<Vec<_>>();
    prop_oneof![20 => limbs, 1 => Just(most)].prop_map(|limbs| F::from_limbs(&limbs))
}

/// All operations of one representation.
fn check<F: Limbs>() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let equal = |result: F, units, expected: BigUint| {
        prop_assert!(result.within(units), "{result:?} has more than {units} units");
        prop_assert_eq!(result.value() % p(), expected % p());
        Ok(())
    };
    runner.run(&(up_to::<F>(3), up_to::<F>(2)), |(a, b)| equal(a * b, 1, a.value() * b.value())).unwrap();
    runner
        .run(&(up_to::<F>(2), up_to::<F>(1)), |(a, b)| {
            equal(a + b, 3, a.value() + b.value())?;
            equal(a - b, 4, a.value() + p() * 2_u8 - b.value())
        })
        .unwrap();
    runner
        .run(&up_to::<F>(3), |a| {
            let bytes = a.to_bytes();
            prop_assert_eq!(BigUint::from_bytes_le(&bytes), a.value() % p(), "the one encoding");
            equal(F::from_bytes(&bytes), 1, a.value())?;
            equal(a.invert(), 1, a.value().modpow(&(p() - 2_u8), &p()))
        })
        .unwrap();
    runner.run(&up_to::<F>(2), |a| equal(a.pow_p58(), 1, a.value().modpow(&((p() - 5_u8) >> 3), &p()))).unwrap();
    runner
        .run(&any::<[u8; 32]>(), |mut bytes| {
            let number = F::from_bytes(&bytes);
            bytes[31] &= 0x7f;
            equal(number, 1, BigUint::from_bytes_le(&bytes))
        })
        .unwrap();
    // Around 0, and around p up to the highest number of 255 bits.
    for offset in 0..39_u8 {
        let near_p = p() - 20_u8 + offset;
        for value in [BigUint::from(offset), near_p] {
            let mut bytes = value.to_bytes_le();
            bytes.resize(32, 0);
            let number = F::from_bytes(&bytes.try_into().unwrap());
            let reduced = &value % p();
            assert_eq!(BigUint::from_bytes_le(&number.to_bytes()), reduced);
            assert_eq!(BigUint::from_bytes_le(&number.invert().to_bytes()), reduced.modpow(&(p() - 2_u8), &p()));
        }
    }
    for (name, constant, expected) in [
        ("0", F::ZERO, BigUint::from(0_u8)),
        ("1", F::ONE, BigUint::from(1_u8)),
        ("d", F::D, BigUint::from_bytes_le(&constants::D)),
        ("-2d", F::MINUS_TWO_D, p() * 2_u8 - BigUint::from_bytes_le(&constants::D) * 2_u8),
        ("1/2", F::HALF, (p() + 1_u8) >> 1),
        ("sqrt(-1)", F::SQRT_MINUS_ONE, BigUint::from(2_u8).modpow(&((p() - 1_u8) >> 2), &p())),
    ] {
        assert_eq!(BigUint::from_bytes_le(&constant.to_bytes()), expected % p(), "{name}");
    }
}

#[test]
fn ten_limbs_agree_with_big_integers() {
    check::<Fe26>();
}

#[test]
fn five_limbs_agree_with_big_integers() {
    check::<Fe51>();
}

#[test]
fn d_is_minus_121665_over_121666() {
    let d = BigUint::from_bytes_le(&constants::D);
    assert_eq!((d * 121_666_u32 + 121_665_u32) % p(), BigUint::from(0_u8));
}

/// Debug builds find a formula that breaks the rules.
#[cfg(debug_assertions)]
mod broken_rules {
    use super::*;

    fn panics(operation: impl FnOnce() + core::panic::UnwindSafe) -> bool {
        extern crate std;
        std::panic::catch_unwind(operation).is_err()
    }

    fn check<F: Limbs + core::panic::UnwindSafe>() {
        let limbs = |units: u64| F::tight().into_iter().map(|limb| units * limb).collect::<Vec<_>>();
        let most = |units| F::from_limbs(&limbs(units));
        let beyond = |units| {
            let mut limbs = limbs(units);
            *limbs.last_mut().expect("has limbs") += 1;
            F::from_limbs(&limbs)
        };
        let (one, two, three) = (most(1), most(2), most(3));
        let (beyond_one, beyond_two, beyond_three) = (beyond(1), beyond(2), beyond(3));
        let _ = (three * two, three - one, three.to_bytes());
        assert!(panics(move || _ = beyond_three * one), "a left factor of more than 3 units");
        assert!(panics(move || _ = one * beyond_two), "a right factor of more than 2 units");
        assert!(panics(move || _ = one - beyond_one), "a subtrahend that is not tight");
        assert!(panics(move || _ = beyond_three.to_bytes()), "more than 3 units to encode");
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "a panic ends the program there")]
    fn are_found() {
        check::<Fe26>();
        check::<Fe51>();
    }
}
