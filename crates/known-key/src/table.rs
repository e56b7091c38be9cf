//! Multiples of a point, such that any multiple is a sum of table entries.
//!
//! A scalar has `positions` signed digits of `bits` bits. For each position i the table holds 1, 2, ... up to the largest
//! digit times `2^(bits i) P`: a digit is looked up by its absolute value and negated where it is negative. (Brickell,
//! Gordon, McCurley and Wilson, "Fast exponentiation with precomputation", EUROCRYPT 1992, with signed digits.)

use crate::{
    field::Field,
    point::{Extended, Niels},
    scalar::{Digits, Width},
};
use alloc::vec::Vec;

/// The finished table of one point. `E` is how a backend keeps a [`Niels`] point.
pub struct Table<E> {
    width: Width,
    /// The multiple that digit 0 stands for, at every position.
    identity: E,
    /// Position by position, the least multiple first.
    entries: Vec<E>,
}

/// A table entry, to be negated where `negative`.
pub(crate) struct Multiple<'a, E> {
    pub(crate) entry: &'a E,
    pub(crate) negative: bool,
}

impl<E> Table<E> {
    /// How wide its digits are.
    pub(crate) const fn width(&self) -> Width {
        self.width
    }

    /// The bytes that its entries take.
    pub(crate) const fn size(&self) -> usize {
        self.entries.len() * size_of::<E>()
    }

    /// Reads a little of every entry that the digits look up, so that the caches fetch them all at once. In the sum's
    /// loop the processor sees no further than to the next entry, and would wait for each.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    #[inline(always)]
    pub(crate) fn fetch(&self, digits: &Digits, glance: impl Fn(&E) -> u32) -> u32 {
        (0..self.width.positions()).fold(0, |seen, position| seen ^ glance(self.multiple(position, digits).entry))
    }

    /// `digit * 2^(bits * position)` times the point.
    #[inline(always)]
    pub(crate) fn multiple(&self, position: usize, digits: &Digits) -> Multiple<'_, E> {
        let digit = digits.at(position);
        let entry = match usize::from(digit.unsigned_abs()) {
            0 => &self.identity,
            nth => &self.entries[position * self.width.largest() + nth - 1],
        };
        Multiple { entry, negative: digit < 0 }
    }
}

/// A table in the making, a position at a time: in one go it would hold up a request.
pub(crate) struct TableBuilder<F, E> {
    table: Table<E>,
    /// `2^(bits i) P`, where i is the next position to fill.
    next: (F, F),
    /// The multiples of one position before they are made affine. Kept between positions for its memory alone.
    multiples: Vec<Extended<F>>,
}

impl<F: Field, E: From<Niels<F>>> TableBuilder<F, E> {
    /// Begins the table of the point with these tight affine coordinates.
    pub(crate) fn new(point: (F, F), width: Width) -> Self {
        let entries = Vec::with_capacity(Self::entries(width));
        let table = Table { width, identity: Niels::identity().into(), entries };
        let multiples = Vec::with_capacity(width.largest().max(width.largest_at_top()) + 1);
        Self { table, next: point, multiples }
    }

    /// The multiples of a whole table.
    const fn entries(width: Width) -> usize {
        (width.positions() - 1) * width.largest() + width.largest_at_top()
    }

    /// Whether every position is filled.
    pub(crate) const fn is_complete(&self) -> bool {
        self.table.entries.len() == Self::entries(self.table.width)
    }

    /// Fills one position: an inversion, and so many additions.
    pub(crate) fn step(&mut self) -> usize {
        debug_assert!(!self.is_complete());
        let width = self.table.width;
        let is_top = self.table.entries.len() == (width.positions() - 1) * width.largest();
        let largest = if is_top { width.largest_at_top() } else { width.largest() };
        let (x, y) = self.next;
        let point = Niels::from_half_affine(x * F::HALF, y * F::HALF);
        let mut multiple = Extended::from_affine(x, y);
        self.multiples.clear();
        self.multiples.push(multiple);
        while self.multiples.len() < largest {
            multiple.add_affine(&point);
            self.multiples.push(multiple);
        }
        // Twice the largest multiple is where the next position begins.
        let largest = multiple;
        multiple.add(&largest);
        self.multiples.push(multiple);
        make_half_affine(&mut self.multiples);
        let (next, points) = self.multiples.split_last().expect("it holds two points at least");
        self.next = ((next.x + next.x) * F::ONE, (next.y + next.y) * F::ONE);
        self.table.entries.extend(points.iter().map(|point| E::from(Niels::from_half_affine(point.x, point.y))));
        points.len()
    }

    /// The table, once complete.
    pub(crate) fn finish(mut self) -> Table<E> {
        while !self.is_complete() {
            self.step();
        }
        self.table
    }
}

/// Replaces x by X/2Z and y by Y/2Z in every point, with one inversion for all of them (Montgomery, "Speeding the
/// Pollard and elliptic curve methods of factorization", 1987, section 10.3.1). Leaves z and t without meaning.
fn make_half_affine<F: Field>(points: &mut [Extended<F>]) {
    let mut product = F::ONE;
    for point in &mut *points {
        // T is no longer needed: it holds the product of all Z before this one.
        point.t = product;
        product = product * point.z;
    }
    let mut half_inverse = product.invert() * F::HALF;
    for point in points.iter_mut().rev() {
        let half_z_inverse = half_inverse * point.t;
        half_inverse = half_inverse * point.z;
        point.x = point.x * half_z_inverse;
        point.y = point.y * half_z_inverse;
    }
}
