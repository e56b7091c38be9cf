//! Multiples of a point, such that any multiple is a sum of table entries.
//!
//! A scalar has `positions` signed digits of `bits` bits. For each position i the table holds 1, 2, ... 2^(bits-1) times
//! `2^(bits i) P`: a digit is looked up by its absolute value and negated where it is negative. (Brickell, Gordon,
//! McCurley and Wilson, "Fast exponentiation with precomputation", EUROCRYPT 1992, with signed digits.)

use crate::{
    field::Field,
    point::{Extended, Niels},
    scalar::{Digits, Width},
};
use alloc::vec::Vec;

/// The finished table of one point.
pub struct Table<F> {
    width: Width,
    /// The multiple that digit 0 stands for, at every position.
    identity: Niels<F>,
    /// Position by position, the least multiple first. 2dxy is tight in each.
    entries: Vec<Niels<F>>,
}

impl<F: Field> Table<F> {
    /// How wide its digits are.
    pub const fn width(&self) -> Width {
        self.width
    }

    /// The bytes that its entries take.
    pub const fn size(&self) -> usize {
        self.entries.len() * size_of::<Niels<F>>()
    }

    /// `digit * 2^(bits * position)` times the point.
    #[inline(always)]
    pub(crate) fn multiple(&self, position: usize, digits: &Digits) -> Multiple<'_, F> {
        let digit = digits.at(position);
        let nth = usize::from(digit.unsigned_abs());
        let positive = match nth {
            0 => &self.identity,
            _ => &self.entries[position * self.width.multiples() + nth - 1],
        };
        Multiple { positive, negative: digit < 0 }
    }
}

/// A table entry or its opposite.
pub(crate) struct Multiple<'a, F> {
    positive: &'a Niels<F>,
    pub(crate) negative: bool,
}

impl<F: Field> Multiple<'_, F> {
    /// y + x of the multiple: at most 3 units.
    #[inline(always)]
    pub(crate) const fn y_plus_x(&self) -> &F {
        if self.negative { &self.positive.y_minus_x } else { &self.positive.y_plus_x }
    }

    /// y - x of the multiple: at most 3 units.
    #[inline(always)]
    pub(crate) const fn y_minus_x(&self) -> &F {
        if self.negative { &self.positive.y_plus_x } else { &self.positive.y_minus_x }
    }

    /// 2dxy of the table's entry, which for the multiple itself is still to be negated where it is `negative`. Tight.
    #[inline(always)]
    pub(crate) const fn unsigned_xy2d(&self) -> &F {
        &self.positive.xy2d
    }

    /// The multiple as a point.
    #[inline(always)]
    pub(crate) fn point(&self) -> Niels<F> {
        let xy2d = *self.unsigned_xy2d();
        let xy2d = if self.negative { F::ZERO - xy2d } else { xy2d };
        Niels { y_plus_x: *self.y_plus_x(), y_minus_x: *self.y_minus_x(), xy2d }
    }
}

/// A table in the making, a position at a time: in one go it would hold up a request.
pub(crate) struct TableBuilder<F> {
    table: Table<F>,
    /// `2^(bits i) P`, where i is the next position to fill.
    next: (F, F),
    /// The multiples of one position before they are made affine. Kept between positions for its memory alone.
    multiples: Vec<Extended<F>>,
}

impl<F: Field> TableBuilder<F> {
    /// Begins the table of the point with these tight affine coordinates.
    pub(crate) fn new(point: (F, F), width: Width) -> Self {
        let entries = Vec::with_capacity(width.positions() * width.multiples());
        Self { table: Table { width, identity: Niels::IDENTITY, entries }, next: point, multiples: Vec::with_capacity(width.multiples() + 1) }
    }

    /// Whether every position is filled.
    pub(crate) const fn is_complete(&self) -> bool {
        let width = self.table.width;
        self.table.entries.len() == width.positions() * width.multiples()
    }

    /// Fills one position: `Width::multiples` additions and an inversion.
    pub(crate) fn step(&mut self) {
        debug_assert!(!self.is_complete());
        let (x, y) = self.next;
        let point = Niels::from_affine(x, y);
        let mut multiple = Extended::from_affine(x, y);
        self.multiples.clear();
        self.multiples.push(multiple);
        while self.multiples.len() < self.table.width.multiples() {
            multiple = multiple.add_affine(&point);
            self.multiples.push(multiple);
        }
        // Twice the largest multiple is where the next position begins.
        self.multiples.push(multiple.add(&multiple));
        make_affine(&mut self.multiples);
        let (next, entries) = self.multiples.split_last().expect("it holds two points at least");
        self.next = (next.x, next.y);
        self.table.entries.extend(entries.iter().map(|point| Niels::from_affine(point.x, point.y)));
    }

    /// The table, once complete.
    pub(crate) fn finish(mut self) -> Table<F> {
        while !self.is_complete() {
            self.step();
        }
        self.table
    }
}

/// Replaces x by X/Z and y by Y/Z in every point, with one inversion for all of them (Montgomery, "Speeding the Pollard
/// and elliptic curve methods of factorization", 1987, section 10.3.1). Leaves z and t without meaning.
fn make_affine<F: Field>(points: &mut [Extended<F>]) {
    let mut product = F::ONE;
    for point in &mut *points {
        // T is no longer needed: it holds the product of all Z before this one.
        point.t = product;
        product = product * point.z;
    }
    let mut inverse = product.invert();
    for point in points.iter_mut().rev() {
        let z_inverse = inverse * point.t;
        inverse = inverse * point.z;
        point.x = point.x * z_inverse;
        point.y = point.y * z_inverse;
    }
}
