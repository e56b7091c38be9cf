//! The group: points of the twisted Edwards curve `-x^2 + y^2 = 1 + d x^2 y^2` (RFC 8032 section 5.1).
//!
//! The formulas are those of Hisil, Wong, Carter and Dawson, "Twisted Edwards Curves Revisited" (ASIACRYPT 2008),
//! section 3.1, at a = -1. They are complete here, since -1 is a square modulo p and d is not: equal points, opposite
//! points, the identity and points of small order need no case of their own, and a doubling is an addition.
//!
//! The remarks on each line count units, as `field` defines them.

use crate::field::{Field, Ring};

/// A point in extended coordinates: x = X/Z, y = Y/Z, T = XY/Z. All four are tight.
#[derive(Clone, Copy, Debug)]
pub struct Extended<R> {
    pub x: R,
    pub y: R,
    pub z: R,
    pub t: R,
}

/// A point in the form in which it is added: affine, as y + x (2 units at most), y - x (3 units) and 2dxy (2 units).
#[derive(Clone, Copy, Debug)]
pub struct Niels<R> {
    pub y_plus_x: R,
    pub y_minus_x: R,
    pub xy2d: R,
}

impl<R: Ring> Extended<R> {
    /// The neutral element.
    pub const IDENTITY: Self = Self { x: R::ZERO, y: R::ONE, z: R::ONE, t: R::ZERO };

    /// The sum with an affine point: the unified addition with Z = 1. 7 products.
    #[inline(always)]
    pub fn add_affine(&self, point: &Niels<R>) -> Self {
        let a = (self.y - self.x) * point.y_minus_x; // 3 times 3: tight
        let b = (self.y + self.x) * point.y_plus_x; // 2 times 3 (swapped by a negation): tight
        let c = self.t * point.xy2d; // 1 times 2: tight
        let d = self.z + self.z; // 2
        Self::from_parts(a, b, c, d)
    }

    /// The last step of both additions. a, b and c are tight, d has 2 units.
    #[inline(always)]
    fn from_parts(a: R, b: R, c: R, d: R) -> Self {
        let e = b - a; // 3
        let f = d - c; // 4: always on the left
        let g = d + c; // 3
        let h = b + a; // 2
        Self { x: f * e, y: g * h, z: f * g, t: e * h }
    }
}

impl<R: Ring> Niels<R> {
    /// The neutral element.
    pub const IDENTITY: Self = Self { y_plus_x: R::ONE, y_minus_x: R::ONE, xy2d: R::ZERO };
}

impl<F: Field> Extended<F> {
    /// A point from tight affine coordinates.
    pub fn from_affine(x: F, y: F) -> Self {
        Self { x, y, z: F::ONE, t: x * y }
    }

    /// The sum of any two points. 9 products.
    pub fn add(&self, other: &Self) -> Self {
        let a = (self.y - self.x) * (other.y - other.x); // 3 times 3: tight
        let b = (self.y + self.x) * (other.y + other.x); // 2 times 2: tight
        let c = (self.t * other.t) * F::TWO_D;
        let zz = self.z * other.z;
        Self::from_parts(a, b, c, zz + zz)
    }

    /// The point's encoding (RFC 8032 section 5.1.2): y, and x's lowest bit on top.
    pub fn compress(&self) -> [u8; 32] {
        let z_inverse = self.z.invert();
        let x = (self.x * z_inverse).to_bytes();
        let mut bytes = (self.y * z_inverse).to_bytes();
        bytes[31] |= (x[0] & 1) << 7;
        bytes
    }
}

impl<F: Field> Niels<F> {
    /// A point from tight affine coordinates.
    pub fn from_affine(x: F, y: F) -> Self {
        Self { y_plus_x: y + x, y_minus_x: y - x, xy2d: (x * y) * F::TWO_D }
    }
}
