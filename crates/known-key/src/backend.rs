//! How `sB + kA'` is summed up on a given machine. All give the same verdict; they differ in speed alone.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::pair::{Pair, Packed};
use crate::{
    field::{Fe26, Fe51, Field},
    point::{Extended, Niels},
    scalar::Digits,
    table::{Multiple, Table},
};

/// A way to do the arithmetic. Can't be implemented outside of this crate.
pub trait Backend {
    /// How numbers modulo p are held.
    #[doc(hidden)]
    type Field: Field;
    /// How multiples are held in a table.
    #[doc(hidden)]
    type Entry: From<Niels<Self::Field>>;

    /// `sB + kA'` from the tables of B and A', which have the same width.
    #[doc(hidden)]
    fn sum(base: &Table<Self::Entry>, s: &Digits, key: &Table<Self::Entry>, k: &Digits) -> Extended<Self::Field>;
}

/// One addition after the other.
#[inline(always)]
fn sum_in_turn<F: Field>(base: &Table<Niels<F>>, s: &Digits, key: &Table<Niels<F>>, k: &Digits) -> Extended<F> {
    let mut sum = Extended::IDENTITY;
    for position in 0..base.width().positions() {
        sum = sum.add_affine(&signed(base.multiple(position, s)));
        sum = sum.add_affine(&signed(key.multiple(position, k)));
    }
    sum
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

    fn sum(base: &Table<Self::Entry>, s: &Digits, key: &Table<Self::Entry>, k: &Digits) -> Extended<Self::Field> {
        sum_in_turn(base, s, key, k)
    }
}

/// Five limbs of 51 bits: for 64-bit machines.
#[derive(Clone, Copy, Debug)]
pub enum Native64 {}

impl Backend for Native64 {
    type Field = Fe51;
    type Entry = Niels<Self::Field>;

    fn sum(base: &Table<Self::Entry>, s: &Digits, key: &Table<Self::Entry>, k: &Digits) -> Extended<Self::Field> {
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

    fn sum(base: &Table<Packed>, s: &Digits, key: &Table<Packed>, k: &Digits) -> Extended<Fe26> {
        let mut sums = Extended::<Pair>::IDENTITY;
        for position in 0..base.width().positions() {
            sums = sums.add_affine(&Packed::pair(base.multiple(position, s), key.multiple(position, k)));
        }
        let [b, a] = sums.split();
        b.add(&a)
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
