//! How `sB + kA'` is summed up on a given machine. All give the same verdict; they differ in speed alone.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::pair::packed::Packed;
use crate::{
    field::{Fe26, Fe51, Field},
    point::{Extended, Niels},
    scalar::Digits,
    table::{Multiple, Table},
};

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use core::hint::black_box;

/// A way to do the arithmetic. Can't be implemented outside of this crate.
pub trait Backend {
    /// How numbers modulo p are held.
    #[doc(hidden)]
    type Field: Field;
    /// How multiples are held in a table.
    #[doc(hidden)]
    type Entry: From<Niels<Self::Field>>;

    /// The encoding of `sB + kA'`, from the tables of B and A' and digits as wide as each.
    #[doc(hidden)]
    fn sum(base: &Table<Self::Entry>, s: &Digits, key: &Table<Self::Entry>, k: &Digits) -> [u8; 32];
}

/// One addition after the other.
#[inline(always)]
fn sum_in_turn<F: Field>(base: &Table<Niels<F>>, s: &Digits, key: &Table<Niels<F>>, k: &Digits) -> [u8; 32] {
    let mut sum = Extended::from_niels(&signed(base.multiple(0, s)));
    for position in 1..base.width().positions() {
        sum.add_affine(&signed(base.multiple(position, s)));
    }
    for position in 0..key.width().positions() {
        sum.add_affine(&signed(key.multiple(position, k)));
    }
    sum.compress()
}

/// The entry or its opposite: -x for x exchanges sum and difference, and negates the product.
#[inline(always)]
fn signed<F: Field>(multiple: Multiple<'_, Niels<F>>) -> Niels<F> {
    let Niels { half_sum, half_difference, minus_dxy } = *multiple.entry;
    if multiple.negative {
        Niels { half_sum: half_difference, half_difference: half_sum, minus_dxy: F::ZERO - minus_dxy }
    } else {
        *multiple.entry
    }
}

/// Ten limbs of 25.5 bits: for wasm without simd128 and 32-bit machines.
#[derive(Clone, Copy, Debug)]
pub enum Portable {}

impl Backend for Portable {
    type Field = Fe26;
    type Entry = Niels<Self::Field>;

    fn sum(base: &Table<Self::Entry>, s: &Digits, key: &Table<Self::Entry>, k: &Digits) -> [u8; 32] {
        sum_in_turn(base, s, key, k)
    }
}

/// Five limbs of 51 bits: for 64-bit machines.
#[derive(Clone, Copy, Debug)]
pub enum Native64 {}

impl Backend for Native64 {
    type Field = Fe51;
    type Entry = Niels<Self::Field>;

    fn sum(base: &Table<Self::Entry>, s: &Digits, key: &Table<Self::Entry>, k: &Digits) -> [u8; 32] {
        sum_in_turn(base, s, key, k)
    }
}

/// Two sums side by side in wasm's 128-bit vectors: that of B's multiples and that of A's.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[derive(Clone, Copy, Debug)]
pub enum Simd128 {}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
impl Backend for Simd128 {
    type Field = Fe26;
    type Entry = Packed;

    fn sum(base: &Table<Packed>, s: &Digits, key: &Table<Packed>, k: &Digits) -> [u8; 32] {
        black_box(base.fetch(s, Packed::glance) ^ key.fetch(k, Packed::glance));
        // One sum has the multiples of B and then the first ones of A', the other what is left of A', so that both are as long.
        let (of_base, of_key) = (base.width().positions(), key.width().positions());
        let length = (of_base + of_key) / 2;
        debug_assert!(2 * length == of_base + of_key && of_base <= length);
        let second = |nth| key.multiple(nth + length - of_base, k);
        let mut sums = Extended::from_niels(&Packed::pair(base.multiple(0, s), second(0)));
        for nth in 1..of_base {
            sums.add_affine(&Packed::pair(base.multiple(nth, s), second(nth)));
        }
        for nth in of_base..length {
            sums.add_affine(&Packed::pair(key.multiple(nth - of_base, k), second(nth)));
        }
        sums.compress_sum()
    }
}

/// The fastest that this build has.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub type Fastest = Simd128;
/// The fastest that this build has.
#[cfg(target_pointer_width = "64")]
pub type Fastest = Native64;
/// The fastest that this build has.
#[cfg(not(any(target_pointer_width = "64", all(target_arch = "wasm32", target_feature = "simd128"))))]
pub type Fastest = Portable;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        encoding::{BASE_POINT, decompress},
        scalar::{Width, strategy::scalars},
        table::TableBuilder,
    };
    use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION};
    use proptest::test_runner::{Config, TestRunner};

    fn table<B: Backend>(point: &[u8; 32], width: Width) -> Table<B::Entry> {
        TableBuilder::<B::Field, B::Entry>::new(decompress(point).expect("a point"), width).finish()
    }

    /// Also for scalars that no sound signature is likely to have, and with table entries that are hardly ever used.
    fn sums_are_those_of_the_reference<B: Backend>() {
        let point = EdwardsPoint::mul_base(&Scalar::from(7_u8)) + EIGHT_TORSION[1];
        for width in [Width::W6, Width::W8] {
            let (base, key) = (table::<B>(&BASE_POINT, Width::BASE), table::<B>(point.compress().as_bytes(), width));
            let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(2000) });
            let result = runner.run(&(scalars(), scalars()), |(s, k)| {
                let sum = B::sum(&base, &Digits::new(&s, Width::BASE), &key, &Digits::new(&k, width));
                let [s, k] = [s, k].map(Scalar::from_bytes_mod_order);
                let expected = EdwardsPoint::vartime_double_scalar_mul_basepoint(&k, &point, &s);
                proptest::prop_assert_eq!(sum, expected.compress().0);
                Ok(())
            });
            result.unwrap();
        }
    }

    #[test]
    fn of_the_portable_backend() {
        sums_are_those_of_the_reference::<Portable>();
    }

    #[test]
    fn of_the_64_bit_backend() {
        sums_are_those_of_the_reference::<Native64>();
    }

    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[test]
    fn of_the_simd_backend() {
        sums_are_those_of_the_reference::<Simd128>();
    }
}
