//! How `sB + kA'` is summed up on a given machine. All give the same verdict; they differ in speed alone.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::pair::Pair;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::point::Niels;
use crate::{
    field::{Fe26, Fe51, Field},
    point::Extended,
    scalar::Digits,
    table::Table,
};

/// A way to do the arithmetic. Can't be implemented outside of this crate.
pub trait Backend {
    /// How numbers modulo p are held.
    #[doc(hidden)]
    type Field: Field;

    /// `sB + kA'` from the tables of B and A', which have the same width.
    #[doc(hidden)]
    fn sum(base: &Table<Self::Field>, s: &[u8; 32], key: &Table<Self::Field>, k: &[u8; 32]) -> Extended<Self::Field> {
        debug_assert_eq!(base.width(), key.width());
        let (s, k) = (Digits::new(s, base.width()), Digits::new(k, key.width()));
        let mut sum = Extended::IDENTITY;
        for position in 0..base.width().positions() {
            sum = sum.add_affine(&base.multiple(position, &s).point());
            sum = sum.add_affine(&key.multiple(position, &k).point());
        }
        sum
    }
}

/// Ten limbs of 25.5 bits: for wasm without simd128 and 32-bit machines.
#[derive(Clone, Copy, Debug)]
pub enum Portable {}

impl Backend for Portable {
    type Field = Fe26;
}

/// Five limbs of 51 bits: for 64-bit machines.
#[derive(Clone, Copy, Debug)]
pub enum Native64 {}

impl Backend for Native64 {
    type Field = Fe51;
}

/// Two sums side by side in wasm's 128-bit vectors: that of B's multiples and that of A's.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[derive(Clone, Copy, Debug)]
pub enum Simd128 {}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
impl Backend for Simd128 {
    type Field = Fe26;

    fn sum(base: &Table<Fe26>, s: &[u8; 32], key: &Table<Fe26>, k: &[u8; 32]) -> Extended<Fe26> {
        debug_assert_eq!(base.width(), key.width());
        let (s, k) = (Digits::new(s, base.width()), Digits::new(k, key.width()));
        let mut sums = Extended::<Pair>::IDENTITY;
        for position in 0..base.width().positions() {
            let (b, a) = (base.multiple(position, &s), key.multiple(position, &k));
            sums = sums.add_affine(&Niels {
                y_plus_x: Pair::new(b.y_plus_x(), a.y_plus_x()),
                y_minus_x: Pair::new(b.y_minus_x(), a.y_minus_x()),
                xy2d: Pair::new(b.unsigned_xy2d(), a.unsigned_xy2d()).negated_where(b.negative, a.negative),
            });
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
