//! Five limbs of 51 bits, for machines with a 64 x 64 -> 128 bit product. The representation is that of Bernstein, Duif,
//! Lange, Schwabe and Yang, "High-speed high-security signatures" (CHES 2011), section 3.

use super::{Field, Ring, bits, bytes, constants, words};
use core::ops::{Add, Mul, Sub};

/// A number modulo p: the sum of `limb[i] * 2^(51 i)`.
#[derive(Clone, Copy, Debug)]
pub struct Fe51(pub(crate) [u64; 5]);

const MASK: u64 = (1 << 51) - 1;

/// The most that each limb of a product holds. Limb 1 is the one that may exceed 51 bits, by the last carry.
pub(crate) const TIGHT: [u64; 5] = [MASK + (1 << 12); 5];

/// 2p with every limb at least as large as a tight one.
pub(crate) const TWO_P: [u64; 5] = [2 * MASK - 36, 2 * MASK, 2 * MASK, 2 * MASK, 2 * MASK];

impl Fe51 {
    /// Whether no limb is above `units` tight ones.
    pub(crate) fn within(&self, units: u64) -> bool {
        self.0.iter().zip(TIGHT).all(|(limb, tight)| *limb <= units * tight)
    }

    const fn decode(bytes: &[u8; 32]) -> Self {
        let words = words(bytes);
        let mut limbs = [0; 5];
        let mut i = 0;
        while i < 5 {
            limbs[i] = bits(&words, 51 * i, 51);
            i += 1;
        }
        Self(limbs)
    }
}

impl Ring for Fe51 {
    const ZERO: Self = Self([0; 5]);
    const ONE: Self = Self([1, 0, 0, 0, 0]);

    #[inline(always)]
    fn set_product(&mut self, x: &Self, y: &Self) {
        *self = *x * *y;
    }
}

impl Add for Fe51 {
    type Output = Self;

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for i in 0..5 {
            self.0[i] += other.0[i];
        }
        self
    }
}

impl Sub for Fe51 {
    type Output = Self;

    #[inline(always)]
    fn sub(mut self, other: Self) -> Self {
        debug_assert!(other.within(1), "only a tight number is below 2p in every limb");
        for i in 0..5 {
            self.0[i] = self.0[i] + TWO_P[i] - other.0[i];
        }
        self
    }
}

impl Mul for Fe51 {
    type Output = Self;

    /// Limb i of one and limb j of the other meet in column i + j; column k + 5 is 2^255 = 19 times column k. With 3
    /// units on the left and 2 on the right a column is below 6 * 77 * 2^102 < 2^111, and `19 * other` below 2^57.
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        debug_assert!(self.within(3) && other.within(2));
        let (x, y) = (&self.0, &other.0);
        let y19 = y.map(|limb| 19 * limb);
        let column = |k: usize| -> u128 {
            let mut sum = 0;
            for i in 0..5 {
                let y = if i <= k { y[k - i] } else { y19[k + 5 - i] };
                sum += u128::from(x[i]) * u128::from(y);
            }
            sum
        };
        carry([column(0), column(1), column(2), column(3), column(4)])
    }
}

/// Tight limbs from columns below 2^111 (the top one below 2^107: it has no factor 19).
#[inline(always)]
fn carry(mut z: [u128; 5]) -> Fe51 {
    debug_assert!(z.iter().all(|column| *column < 1 << 111) && z[4] < 1 << 107);
    let mut limbs = [0; 5];
    for i in 0..4 {
        // Narrowed first: a carry has less than 64 bits, and says so to the compiler.
        z[i + 1] += u128::from((z[i] >> 51) as u64);
        limbs[i] = z[i] as u64 & MASK;
    }
    limbs[4] = z[4] as u64 & MASK;
    limbs[0] += 19 * (z[4] >> 51) as u64;
    limbs[1] += limbs[0] >> 51;
    limbs[0] &= MASK;
    let tight = Fe51(limbs);
    debug_assert!(tight.within(1));
    tight
}

impl Field for Fe51 {
    const D: Self = Self::decode(&constants::D);
    const MINUS_TWO_D: Self = Self::decode(&constants::MINUS_TWO_D);
    const HALF: Self = Self::decode(&constants::HALF);
    const SQRT_MINUS_ONE: Self = Self::decode(&constants::SQRT_MINUS_ONE);

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self::decode(bytes)
    }

    fn to_bytes(self) -> [u8; 32] {
        debug_assert!(self.within(3));
        let mut z = carry(self.0.map(u128::from)).0;
        // Tight is below 2p, so p has to be taken off once or not at all: once if adding 19 reaches 2^255.
        let over = z.iter().fold(19, |over, limb| (limb + over) >> 51);
        z[0] += 19 * over;
        for i in 0..4 {
            z[i + 1] += z[i] >> 51;
            z[i] &= MASK;
        }
        z[4] &= MASK;
        bytes((0..5).map(|i| (51 * i, z[i])))
    }
}
