//! Two numbers modulo p side by side in wasm's 128-bit vectors: two independent sums for the price of little more than
//! one. The numbers are those of `field::Fe26`, and so are all bounds.
//!
//! Vector j holds limbs 2j and 2j + 1 of both numbers: `(first[2j], second[2j], first[2j+1], second[2j+1])`. So the even
//! limbs of both are the low half and the odd ones the high half, which is what `extmul_low` and `extmul_high`
//! multiply: two 32 x 32 -> 64 bit products each.

use crate::{
    field::{Fe26, Ring, TIGHT26, TWO_P26},
    point::Extended,
};
use core::{
    arch::wasm32::{
        i32x4_add, i32x4_sub, i64x2_add, i64x2_shl, u32x4, u32x4_extract_lane, u32x4_all_true, u32x4_le, u32x4_mul,
        u32x4_shuffle, u32x4_splat, u64x2_extmul_high_u32x4, u64x2_extmul_low_u32x4, u64x2_shr, u64x2_splat, v128,
        v128_and, v128_bitselect,
    },
    hint::black_box,
    ops::{Add, Mul, Sub},
};

/// Two numbers modulo p.
#[derive(Clone, Copy, Debug)]
pub struct Pair([v128; 5]);

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
    /// Two numbers, side by side.
    #[inline(always)]
    pub(crate) fn new(first: &Fe26, second: &Fe26) -> Self {
        // Four consecutive limbs are one load, and a shuffle of two loads is one instruction: lane by lane it would be
        // four.
        let load = |limbs: &[u32; 10], i: usize| u32x4(limbs[i], limbs[i + 1], limbs[i + 2], limbs[i + 3]);
        let (x, y) = (&first.0, &second.0);
        let low = |i| u32x4_shuffle::<0, 4, 1, 5>(load(x, i), load(y, i));
        let high = |i| u32x4_shuffle::<2, 6, 3, 7>(load(x, i), load(y, i));
        Self([low(0), high(0), low(4), high(4), high(6)])
    }

    /// The pair, with the first or the second number or both negated. Of a tight pair; has up to 2 units.
    #[inline(always)]
    pub(crate) fn negated_where(self, first: bool, second: bool) -> Self {
        let mask = |negative: bool| if negative { u32::MAX } else { 0 };
        let (first, second) = (mask(first), mask(second));
        let mask = u32x4(first, second, first, second);
        let negated = Self::ZERO - self;
        Self(core::array::from_fn(|j| v128_bitselect(negated.0[j], self.0[j], mask)))
    }

    /// The two numbers.
    pub fn split(&self) -> [Fe26; 2] {
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
    /// The two points.
    pub fn split(&self) -> [Extended<Fe26>; 2] {
        let [x, y, z, t] = [self.x, self.y, self.z, self.t].map(|pair| pair.split());
        core::array::from_fn(|i| Extended { x: x[i], y: y[i], z: z[i], t: t[i] })
    }
}

impl Ring for Pair {
    const ZERO: Self = Self(twice(&Fe26::ZERO.0));
    const ONE: Self = Self(twice(&Fe26::ONE.0));
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
        multiply(&self, &other)
    }
}

/// Both products, by the columns of `Fe26`'s product.
///
/// An even column takes even limbs times even ones, and odd times odd twice. An odd column takes even limbs times odd
/// ones and odd times even: for these, `swapped` has each vector's halves exchanged.
#[inline(never)]
fn multiply(x: &Pair, y: &Pair) -> Pair {
    debug_assert!(x.within(4) && y.within(3));
    let (x, y) = (&x.0, &y.0);
    let high_half = u32x4(0, 0, u32::MAX, u32::MAX);
    // Odd limbs twice. `x * (1, 1, 2, 2)` would be taken apart into four scalar products by LLVM.
    let x2: [v128; 5] = core::array::from_fn(|j| i32x4_add(x[j], v128_and(x[j], high_half)));
    let y19: [v128; 5] = core::array::from_fn(|j| u32x4_mul(y[j], u32x4_splat(19)));
    // The black box hides the exchange from LLVM, which else folds it into the product, finds no such instruction, and
    // falls back to a 64-bit product of eight instructions.
    let exchange = |v: &[v128; 5]| black_box::<[v128; 5]>(core::array::from_fn(|j| u32x4_shuffle::<2, 3, 0, 1>(v[j], v[j])));
    let swapped = exchange(y);
    let swapped19 = exchange(&y19);
    let low = |a: v128, b: v128| u64x2_extmul_low_u32x4(a, b);
    let high = |a: v128, b: v128| u64x2_extmul_high_u32x4(a, b);
    let even = |m: usize| -> v128 {
        let mut sum = u64x2_splat(0);
        for j in 0..5 {
            let (even, odd) = (if j <= m { y[m - j] } else { y19[m + 5 - j] }, if j < m { y[m - 1 - j] } else { y19[m + 4 - j] });
            sum = i64x2_add(sum, i64x2_add(low(x[j], even), high(x2[j], odd)));
        }
        sum
    };
    let odd = |m: usize| -> v128 {
        let mut sum = u64x2_splat(0);
        for j in 0..5 {
            let y = if j <= m { swapped[m - j] } else { swapped19[m + 5 - j] };
            sum = i64x2_add(sum, i64x2_add(low(x[j], y), high(x[j], y)));
        }
        sum
    };
    carry([even(0), odd(0), even(1), odd(1), even(2), odd(2), even(3), odd(3), even(4), odd(4)])
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
    // 19 times the carry, as 16 + 2 + 1 times it: there is no cheap 64-bit product. The black box keeps LLVM from
    // making one of it.
    let over = u64x2_shr(z[9], 25);
    z[9] = v128_and(z[9], mask25);
    let one = black_box(1);
    let over19 = i64x2_add(i64x2_add(i64x2_shl(over, one + 3), i64x2_shl(over, one)), over);
    z[0] = i64x2_add(z[0], over19);
    z[1] = i64x2_add(z[1], u64x2_shr(z[0], 26));
    z[0] = v128_and(z[0], mask26);
    let tight = Pair(core::array::from_fn(|j| u32x4_shuffle::<0, 2, 4, 6>(z[2 * j], z[2 * j + 1])));
    debug_assert!(tight.within(1));
    tight
}
