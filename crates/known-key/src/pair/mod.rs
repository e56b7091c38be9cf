//! Two numbers modulo p side by side in wasm's 128-bit vectors: two independent sums for the price of little more than
//! one. The numbers are those of `field::Fe26`, and so are all bounds.
//!
//! Vector j holds limbs 2j and 2j + 1 of both numbers: `(first[2j], second[2j], first[2j+1], second[2j+1])`. So the even
//! limbs of both are the low half and the odd ones the high half, which is what `extmul_low` and `extmul_high`
//! multiply: two 32 x 32 -> 64 bit products each.

pub(crate) mod packed;

use crate::{
    field::{Fe26, Field, Ring, SideBySide, TIGHT26, TWO_P26},
    point::{Extended, encode},
};
use core::{
    arch::wasm32::{
        i32x4_add, i32x4_sub, i64x2_add, i64x2_shl, i64x2_sub, u32x4, u32x4_all_true, u32x4_extract_lane, u32x4_le, u32x4_mul,
        u32x4_shuffle, u32x4_splat, u64x2_extmul_high_u32x4, u64x2_extmul_low_u32x4, u64x2_shr, u64x2_splat, v128, v128_and,
    },
    hint::black_box,
    ops::{Add, Mul, Sub},
};

/// Two numbers modulo p.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair([v128; 5]);

/// The same ten limbs for both numbers.
const fn twice(limbs: &[u32; 10]) -> [v128; 5] {
    let mut vectors = [u32x4(0, 0, 0, 0); 5];
    let mut j = 0;
    while j < 5 {
        vectors[j] = u32x4(limbs[2 * j], limbs[2 * j], limbs[2 * j + 1], limbs[2 * j + 1]);
        j += 1;
    }
    vectors
}

const TWO_P: [v128; 5] = twice(&TWO_P26);

impl Pair {
    /// The two numbers.
    pub(crate) fn split(&self) -> [Fe26; 2] {
        let v = &self.0;
        [
            Fe26(core::array::from_fn(|i| match i % 2 {
                0 => u32x4_extract_lane::<0>(v[i / 2]),
                _ => u32x4_extract_lane::<2>(v[i / 2]),
            })),
            Fe26(core::array::from_fn(|i| match i % 2 {
                0 => u32x4_extract_lane::<1>(v[i / 2]),
                _ => u32x4_extract_lane::<3>(v[i / 2]),
            })),
        ]
    }

    /// Whether no limb is above `units` tight ones.
    fn within(&self, units: u32) -> bool {
        let most = twice(&TIGHT26.map(|limb| units * limb));
        self.0.iter().zip(most).all(|(limbs, most)| u32x4_all_true(u32x4_le(*limbs, most)))
    }
}

impl Extended<Pair> {
    /// The encoding of the two points' sum.
    // Out of line: inlined, it lets LLVM keep single lanes instead of vectors all the way through the sum's loop.
    #[inline(never)]
    pub(crate) fn compress_sum(&self) -> [u8; 32] {
        let [xy, z] = self.sum_of_both();
        let [z, _] = z.split();
        let [x, y] = (xy * Pair::both(&z.invert())).split();
        encode(x, y)
    }
}

impl SideBySide for Pair {
    fn both(number: &Fe26) -> Self {
        Self(twice(&number.0))
    }

    #[inline(always)]
    fn swapped(self) -> Self {
        Self(self.0.map(|v| u32x4_shuffle::<1, 0, 3, 2>(v, v)))
    }

    #[inline(always)]
    fn transposed(self, other: Self) -> [Self; 2] {
        let (v, w) = (&self.0, &other.0);
        [
            Self(core::array::from_fn(|j| u32x4_shuffle::<0, 4, 2, 6>(v[j], w[j]))),
            Self(core::array::from_fn(|j| u32x4_shuffle::<1, 5, 3, 7>(v[j], w[j]))),
        ]
    }
}

impl Ring for Pair {
    const ZERO: Self = Self(twice(&Fe26::ZERO.0));
    const ONE: Self = Self(twice(&Fe26::ONE.0));

    #[inline(always)]
    fn set_product(&mut self, x: &Self, y: &Self) {
        multiply(self, x, y);
    }
}

impl Add for Pair {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(core::array::from_fn(|j| i32x4_add(self.0[j], other.0[j])))
    }
}

impl Sub for Pair {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        debug_assert!(other.within(1), "only a tight number is below 2p in every limb");
        Self(core::array::from_fn(|j| i32x4_sub(i32x4_add(self.0[j], TWO_P[j]), other.0[j])))
    }
}

impl Mul for Pair {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let mut products = Self::ZERO;
        multiply(&mut products, &self, &other);
        products
    }
}

/// Both products. With t = 2^51, E for the even limbs and O for the odd ones, a number is `E(t) + 2^26 O(t)`, and since
/// t^5 = 2^255 = 19 and 2^52 = 2t,
///
/// `x y = E E' + 2t O O' + 2^26 (E O' + O E')`, where the last bracket is `(E + O)(E' + O') - E E' - O O'`.
///
/// So three products of five by five limbs do (Karatsuba) for the hundred products of limbs by the columns of `Fe26`.
/// With 3 units on the left and 2 on the right, the limbs of E + O are below 4.6 and 3.1 times 2^26: 19 times the latter
/// is below 2^32, and a column is below 77 * 14 * 2^52 < 2^63.
#[inline(never)]
fn multiply(products: &mut Pair, x: &Pair, y: &Pair) {
    debug_assert!(x.within(3) && y.within(2));
    let (x, y) = (&x.0, &y.0);
    let even_plus_odd = |v: &[v128; 5]| core::array::from_fn(|j| i32x4_add(v[j], u32x4_shuffle::<2, 3, 0, 1>(v[j], v[j])));
    let y19 = core::array::from_fn(|j| u32x4_mul(y[j], u32x4_splat(19)));
    let (x_sum, y_sum, y19_sum) = (even_plus_odd(x), even_plus_odd(y), even_plus_odd(&y19));

    // The black boxes keep the three products apart: interleaved, they need more vectors at a time than a machine has,
    // and a third of all instructions move vectors out of the way and back.
    let even = black_box(columns(x, y, &y19, |a, b| u64x2_extmul_low_u32x4(a, b)));
    let odd = black_box(columns(x, y, &y19, |a, b| u64x2_extmul_high_u32x4(a, b)));
    let both = columns(&x_sum, &y_sum, &y19_sum, |a, b| u64x2_extmul_low_u32x4(a, b));

    let mut z = [u64x2_splat(0); 10];
    for m in 0..5 {
        let odd_below = if m == 0 { times_19(odd[4]) } else { odd[m - 1] };
        z[2 * m] = i64x2_add(even[m], i64x2_shl(odd_below, 1));
        z[2 * m + 1] = i64x2_sub(both[m], i64x2_add(even[m], odd[m]));
    }
    *products = carry(z);
}

/// The product of two polynomials in t modulo t^5 = 19, given how two of their coefficients are multiplied.
#[inline(always)]
fn columns(x: &[v128; 5], y: &[v128; 5], y19: &[v128; 5], product: impl Fn(v128, v128) -> v128) -> [v128; 5] {
    core::array::from_fn(|m| {
        let mut column = product(x[0], y[m]);
        for j in 1..5 {
            column = i64x2_add(column, product(x[j], if j <= m { y[m - j] } else { y19[m + 5 - j] }));
        }
        column
    })
}

/// 19 times a vector of 64-bit numbers: there is no cheap product for these. The black box keeps LLVM from making one.
#[inline(always)]
fn times_19(v: v128) -> v128 {
    let one = black_box(1);
    i64x2_add(i64x2_add(i64x2_shl(v, one + 3), i64x2_shl(v, one)), v)
}

/// Tight limbs from columns of up to 64 bits, in the order of `Fe26`'s carries.
#[inline(always)]
fn carry(mut z: [v128; 10]) -> Pair {
    let mask25 = u64x2_splat((1 << 25) - 1);
    let mask26 = u64x2_splat((1 << 26) - 1);
    for i in [0, 4, 1, 5, 2, 6, 3, 7, 4, 8] {
        let (width, mask) = if i % 2 == 0 { (26, mask26) } else { (25, mask25) };
        z[i + 1] = i64x2_add(z[i + 1], u64x2_shr(z[i], width));
        z[i] = v128_and(z[i], mask);
    }
    z[0] = i64x2_add(z[0], times_19(u64x2_shr(z[9], 25)));
    z[9] = v128_and(z[9], mask25);
    z[1] = i64x2_add(z[1], u64x2_shr(z[0], 26));
    z[0] = v128_and(z[0], mask26);
    let tight = Pair(core::array::from_fn(|j| u32x4_shuffle::<0, 2, 4, 6>(z[2 * j], z[2 * j + 1])));
    debug_assert!(tight.within(1));
    tight
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(first: &Fe26, second: &Fe26) -> Pair {
        let (x, y) = (&first.0, &second.0);
        Pair(core::array::from_fn(|j| u32x4(x[2 * j], y[2 * j], x[2 * j + 1], y[2 * j + 1])))
    }

    /// Numbers of up to so many units, often with limbs at a bound.
    fn up_to(units: u32) -> impl Strategy<Value = Fe26> {
        TIGHT26.map(|tight| prop_oneof![2 => 0..=units * tight, 1 => Just(0), 2 => Just(units * tight)]).prop_map(Fe26)
    }

    fn same(pair: Pair, expected: [Fe26; 2]) -> Result<(), TestCaseError> {
        prop_assert_eq!(pair.split().map(Fe26::to_bytes), expected.map(Fe26::to_bytes));
        Ok(())
    }

    proptest! {
        #[test]
        fn both_numbers_are_what_they_are_alone(a in up_to(3), b in up_to(3), c in up_to(2), d in up_to(2)) {
            same(pair(&a, &b) * pair(&c, &d), [a * c, b * d])?;
        }

        #[test]
        fn sums_and_differences_too(a in up_to(1), b in up_to(1), c in up_to(1), d in up_to(1)) {
            same(pair(&a, &b) + pair(&c, &d), [a + c, b + d])?;
            same(pair(&a, &b) - pair(&c, &d), [a - c, b - d])?;
        }

        #[test]
        fn they_change_places(a in up_to(3), b in up_to(3), c in up_to(3), d in up_to(3)) {
            same(pair(&a, &b).swapped(), [b, a])?;
            let [firsts, seconds] = pair(&a, &b).transposed(pair(&c, &d));
            same(firsts, [a, c])?;
            same(seconds, [b, d])?;
            same(Pair::both(&a), [a, a])?;
        }
    }
}
