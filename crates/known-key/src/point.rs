//! The group: points of the twisted Edwards curve `-x^2 + y^2 = 1 + d x^2 y^2` (RFC 8032 section 5.1).
//!
//! The formulas are those of Hisil, Wong, Carter and Dawson, "Twisted Edwards Curves Revisited" (ASIACRYPT 2008),
//! section 3.1, at a = -1. They are complete here, since -1 is a square modulo p and d is not: equal points, opposite
//! points, the identity and points of small order need no case of their own, and a doubling is an addition.
//!
//! The remarks on each line count units, as `field` defines them.

#[cfg(any(test, all(target_arch = "wasm32", target_feature = "simd128")))]
use crate::field::{Fe26, SideBySide};
use crate::field::{Field, Ring};

/// A point in extended coordinates: x = X/Z, y = Y/Z, T = XY/Z. All four are tight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extended<R> {
    pub(crate) x: R,
    pub(crate) y: R,
    pub(crate) z: R,
    pub(crate) t: R,
}

/// A point in the form in which it is added: affine, as (y + x)/2, (y - x)/2 and -dxy. The first two are tight,
/// the third is in tables, and has 2 units after a negation.
///
/// Half of the usual y + x, y - x and 2dxy: the sum comes out scaled by a quarter, which is the same point, and needs
/// no 2Z. The third is negated so that the difference of a product's factors never meets another difference.
#[derive(Clone, Copy, Debug)]
pub struct Niels<R> {
    pub(crate) half_sum: R,
    pub(crate) half_difference: R,
    pub(crate) minus_dxy: R,
}

impl<R: Ring> Extended<R> {
    /// Adds an affine point: the unified addition with Z = 1. 7 products.
    #[inline(always)]
    pub(crate) fn add_affine(&mut self, point: &Niels<R>) {
        let a = (self.y - self.x) * point.half_difference; // 3 times 1
        let b = (self.y + self.x) * point.half_sum; // 2 times 1
        let c = self.t * point.minus_dxy; // 1 times 2
        self.set_parts(a, b, c, self.z);
    }

    /// An affine point in extended coordinates. 3 products.
    #[inline(always)]
    pub(crate) fn from_niels(point: &Niels<R>) -> Self {
        let y = (point.half_sum + point.half_difference) * R::ONE; // 2 times 1
        let x = (point.half_sum - point.half_difference) * R::ONE; // 3 times 1
        Self { x, y, z: R::ONE, t: x * y }
    }

    /// The last step of both additions, from the paper's A, B, -C and D (all tight, and with the same scale).
    #[inline(always)]
    fn set_parts(&mut self, a: R, b: R, minus_c: R, d: R) {
        let e = b - a; // 3
        let f = d + minus_c; // 2
        let g = d - minus_c; // 3
        let h = b + a; // 2
        self.x.set_product(&e, &f); // 3 times 2, each
        self.y.set_product(&g, &h);
        self.z.set_product(&g, &f);
        self.t.set_product(&e, &h);
    }
}

#[cfg(any(test, all(target_arch = "wasm32", target_feature = "simd128")))]
impl<P: SideBySide> Extended<P> {
    /// The sum of two points that stand side by side: X beside Y, and Z in the first place. The unified addition of any
    /// two points, two products at a time; there is no T, for nothing is added to this sum.
    ///
    /// The remarks name what stands where, after the paper; its -C and D are as [`Self::add`] has them.
    #[inline(always)]
    pub(crate) fn sum_of_both(&self) -> [P; 2] {
        let differences = (self.y - self.x) * P::ONE; // y1 - x1, y2 - x2: 3 times 1, since 3 units are too many below
        let [first, second] = differences.transposed(self.y + self.x); // y1 - x1, y1 + x1 and y2 - x2, y2 + x2: 2
        let ab = first * second; // A, B: 2 times 2
        let [first, second] = self.t.transposed(self.z); // t1, z1 and t2, z2
        let [factors, _] = P::both(&Fe26::MINUS_TWO_D).transposed(P::both(&Fe26::TWO)); // -2d, 2
        let cd = first * second * factors; // -C, D
        let (ba, dc) = (ab.swapped(), cd.swapped());
        let [eg, _] = (ba - ab).transposed(dc - cd); // E = B - A, G = D + C: 3
        let [fh, _] = (dc + cd).transposed(ba + ab); // F = D - C, H = B + A: 2
        [eg * fh, (dc - cd) * (dc + cd)] // 3 times 2, both
    }
}

impl<F: Field> Extended<F> {
    /// A point from tight affine coordinates.
    pub(crate) fn from_affine(x: F, y: F) -> Self {
        Self { x, y, z: F::ONE, t: x * y }
    }

    /// Adds any point. 11 products.
    #[inline(never)]
    pub(crate) fn add(&mut self, other: &Self) {
        let difference = (other.y - other.x) * F::ONE; // 3 units are too many for a right factor
        let a = (self.y - self.x) * difference; // 3 times 1
        let b = (self.y + self.x) * (other.y + other.x); // 2 times 2
        let minus_c = self.t * other.t * F::MINUS_TWO_D;
        let d = (self.z + self.z) * other.z; // 2 times 1
        self.set_parts(a, b, minus_c, d);
    }

    /// The point's encoding (RFC 8032 section 5.1.2): y, and x's lowest bit on top.
    pub(crate) fn compress(&self) -> [u8; 32] {
        let z_inverse = self.z.invert();
        encode(self.x * z_inverse, self.y * z_inverse)
    }
}

/// The encoding of the point with these affine coordinates (RFC 8032 section 5.1.2).
pub(crate) fn encode<F: Field>(x: F, y: F) -> [u8; 32] {
    let mut bytes = y.to_bytes();
    bytes[31] |= (x.to_bytes()[0] & 1) << 7;
    bytes
}

impl<F: Field> Niels<F> {
    /// A point from the halves of its affine coordinates, both tight.
    pub(crate) fn from_half_affine(half_x: F, half_y: F) -> Self {
        Self {
            half_sum: (half_y + half_x) * F::ONE,                   // 2 times 1
            half_difference: (half_y - half_x) * F::ONE,            // 3 times 1
            minus_dxy: (half_x + half_x) * half_y * F::MINUS_TWO_D, // 2 times 1, then 1 times 1
        }
    }

    /// The neutral element.
    pub(crate) fn identity() -> Self {
        Self::from_half_affine(F::ZERO, F::HALF)
    }
}
