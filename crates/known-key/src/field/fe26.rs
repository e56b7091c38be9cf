//! Ten limbs of alternately 26 and 25 bits, for machines whose widest product is 32 x 32 -> 64 bits. The representation
//! is that of Bernstein, "Curve25519: new Diffie-Hellman speed records" (PKC 2006), section 4, with unsigned integers.

use super::{Field, Ring, bits, bytes, constants, words};
use core::ops::{Add, Mul, Sub};

/// A number modulo p: the sum of `limb[i] * 2^BIT[i]`.
#[derive(Clone, Copy, Debug)]
pub struct Fe26(pub(crate) [u32; 10]);

/// Where each limb begins: `ceil(25.5 i)`.
const BIT: [usize; 10] = [0, 26, 51, 77, 102, 128, 153, 179, 204, 230];

/// The bits of a limb: 26 at even places, 25 at odd ones.
const fn width(i: usize) -> usize {
    26 - i % 2
}

/// The most that each limb of a product holds. The odd places have room for what the last carry leaves at limb 1 and
/// limb 5.
pub(crate) const TIGHT: [u32; 10] = {
    const EVEN: u32 = (1 << 26) - 1;
    const ODD: u32 = (1 << 25) + (1 << 18);
    [EVEN, ODD, EVEN, ODD, EVEN, ODD, EVEN, ODD, EVEN, ODD]
};

/// 2p with every limb at least as large as a tight one.
pub(crate) const TWO_P: [u32; 10] = {
    const EVEN: u32 = (1 << 27) - 2;
    const ODD: u32 = (1 << 26) - 2;
    [EVEN - 36, ODD, EVEN, ODD, EVEN, ODD, EVEN, ODD, EVEN, ODD]
};

impl Fe26 {
    /// Whether no limb is above `units` tight ones.
    pub(crate) fn within(&self, units: u32) -> bool {
        self.0.iter().zip(TIGHT).all(|(limb, tight)| *limb <= units * tight)
    }

    /// 2.
    #[cfg(any(test, all(target_arch = "wasm32", target_feature = "simd128")))]
    pub(crate) const TWO: Self = Self([2, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

    const fn decode(bytes: &[u8; 32]) -> Self {
        let words = words(bytes);
        let mut limbs = [0; 10];
        let mut i = 0;
        while i < 10 {
            limbs[i] = bits(&words, BIT[i], width(i)) as u32;
            i += 1;
        }
        Self(limbs)
    }
}

impl Ring for Fe26 {
    const ZERO: Self = Self([0; 10]);
    const ONE: Self = Self([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);

    #[inline(always)]
    fn set_product(&mut self, x: &Self, y: &Self) {
        multiply(self, x, y);
    }
}

impl Add for Fe26 {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let mut sum = Self::ZERO;
        add(&mut sum, &self, &other);
        sum
    }
}

impl Sub for Fe26 {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let mut difference = Self::ZERO;
        subtract(&mut difference, &self, &other);
        difference
    }
}

// With simd128, single numbers are for the making of tables alone, where a small module is worth more than speed.
#[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), inline(never))]
#[cfg_attr(not(all(target_arch = "wasm32", target_feature = "simd128")), inline(always))]
fn add(sum: &mut Fe26, x: &Fe26, y: &Fe26) {
    for i in 0..10 {
        sum.0[i] = x.0[i] + y.0[i];
    }
}

#[cfg_attr(all(target_arch = "wasm32", target_feature = "simd128"), inline(never))]
#[cfg_attr(not(all(target_arch = "wasm32", target_feature = "simd128")), inline(always))]
fn subtract(difference: &mut Fe26, x: &Fe26, y: &Fe26) {
    debug_assert!(y.within(1), "only a tight number is below 2p in every limb");
    for i in 0..10 {
        difference.0[i] = x.0[i] + TWO_P[i] - y.0[i];
    }
}

impl Mul for Fe26 {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let mut product = Self::ZERO;
        multiply(&mut product, &self, &other);
        product
    }
}

/// The product. Limb i of one and limb j of the other meet in column i + j, where their places add up to the column's
/// own place, or to one bit more when both are odd (hence twice); column k + 10 is 2^255 = 19 times column k.
///
/// With 3 units on the left and 2 on the right a column is below 6 * 125 * 2^52 < 2^62, and `19 * other` below 2^32.
// Not inlined in wasm: there are eight products in an addition of points, and one body stays small and hot.
#[cfg_attr(target_arch = "wasm32", inline(never))]
fn multiply(product: &mut Fe26, x: &Fe26, y: &Fe26) {
    debug_assert!(x.within(3) && y.within(2));
    let (x, y) = (&x.0, &y.0);
    let x2 = x.map(|limb| 2 * limb);
    let y19 = y.map(|limb| 19 * limb);
    let column = |k: usize| -> u64 {
        let mut sum = 0;
        for i in 0..10 {
            let x = if k.is_multiple_of(2) && i % 2 == 1 { x2[i] } else { x[i] };
            let y = if i <= k { y[k - i] } else { y19[k + 10 - i] };
            sum += u64::from(x) * u64::from(y);
        }
        sum
    };
    *product = carry([column(0), column(1), column(2), column(3), column(4), column(5), column(6), column(7), column(8), column(9)]);
}

/// Tight limbs from columns of up to 64 bits. Two carry chains run side by side, from limb 0 and from limb 4, so that
/// each carry needn't wait for the one before it.
#[inline(always)]
fn carry(mut z: [u64; 10]) -> Fe26 {
    for i in [0, 4, 1, 5, 2, 6, 3, 7, 4, 8] {
        z[i + 1] += z[i] >> width(i);
        z[i] &= (1 << width(i)) - 1;
    }
    z[0] += 19 * (z[9] >> 25);
    z[9] &= (1 << 25) - 1;
    z[1] += z[0] >> 26;
    z[0] &= (1 << 26) - 1;
    let tight = Fe26(z.map(|limb| limb as u32));
    debug_assert!(tight.within(1));
    tight
}

impl Field for Fe26 {
    const D: Self = Self::decode(&constants::D);
    const MINUS_TWO_D: Self = Self::decode(&constants::MINUS_TWO_D);
    const HALF: Self = Self::decode(&constants::HALF);
    const SQRT_MINUS_ONE: Self = Self::decode(&constants::SQRT_MINUS_ONE);

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self::decode(bytes)
    }

    fn to_bytes(self) -> [u8; 32] {
        debug_assert!(self.within(3));
        let mut z = carry(self.0.map(u64::from)).0;
        // Tight is below 2p, so p has to be taken off once or not at all: once if adding 19 reaches 2^255.
        let mut over = 19;
        for i in 0..10 {
            over = (z[i] + over) >> width(i);
        }
        z[0] += 19 * over;
        for i in 0..9 {
            z[i + 1] += z[i] >> width(i);
            z[i] &= (1 << width(i)) - 1;
        }
        z[9] &= (1 << 25) - 1;
        bytes((0..10).map(|i| (BIT[i], u64::from(z[i]))))
    }
}
