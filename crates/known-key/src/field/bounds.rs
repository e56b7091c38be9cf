//! Proof that no limb, column or carry of the formulas of `point` overflows, for any input.
//!
//! The formulas are run on upper bounds in place of numbers: a `Bounds` holds, for each limb, the most that it can be,
//! and every operation works out the most that its steps can give. All steps are monotone, so if the bounds of a
//! point's coordinates before an addition give no larger bounds after it, no sum of points ever exceeds them.

use super::{Fe26, Field, Ring, SideBySide, fe26, fe51};
use crate::point::{Extended, Niels};
use core::ops::{Add, Mul, Sub};

/// The most that each limb can be. `N` is 10 or 5, after the representation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds<const N: usize>([u128; N]);

impl<const N: usize> Bounds<N> {
    /// The bits of a machine word that holds a limb; a column has twice as many.
    const WORD: u32 = if N == 10 { 32 } else { 64 };
    const TIGHT: Self = {
        let mut limbs = [0; N];
        let mut i = 0;
        while i < N {
            limbs[i] = if N == 10 { fe26::TIGHT[i] as u128 } else { fe51::TIGHT[i] as u128 };
            i += 1;
        }
        Self(limbs)
    };

    /// The bits of limb i.
    const fn width(i: usize) -> usize {
        if N == 10 { 26 - i % 2 } else { 51 }
    }

    fn two_p(i: usize) -> u128 {
        if N == 10 { fe26::TWO_P[i].into() } else { fe51::TWO_P[i].into() }
    }

    fn within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(limb, most)| limb <= most)
    }
}

/// The value, which has to fit into so many bits.
fn fits(value: u128, bits: u32, what: &str) -> u128 {
    assert!(bits == 128 || value < 1 << bits, "{what} needs {value:#x}, more than {bits} bits");
    value
}

/// A sum whose very bounds have to fit into 128 bits.
fn sum(terms: impl Iterator<Item = u128>) -> u128 {
    terms.fold(0, |sum, term| sum.checked_add(term).expect("a column fits into 128 bits"))
}

impl<const N: usize> Add for Bounds<N> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| fits(self.0[i] + other.0[i], Self::WORD, "a sum")))
    }
}

impl<const N: usize> Sub for Bounds<N> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(core::array::from_fn(|i| {
            assert!(other.0[i] <= Self::two_p(i), "a difference could be negative at limb {i}");
            fits(self.0[i] + Self::two_p(i), Self::WORD, "a difference")
        }))
    }
}

impl<const N: usize> Mul for Bounds<N> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let (x, y) = (self.0, other.0);
        let doubled = |i: usize, j: usize| if N == 10 && i % 2 == 1 && j % 2 == 1 { 2 } else { 1 };
        for i in 0..N {
            fits(19 * y[i], Self::WORD, "19 times a right limb");
            fits(2 * x[i], Self::WORD, "twice a left limb");
        }
        let columns = core::array::from_fn(|k| {
            fits(
                sum((0..N).map(|i| {
                    let j = (N + k - i) % N;
                    doubled(i, j) * x[i] * y[j] * if i + j == k { 1 } else { 19 }
                })),
                2 * Self::WORD,
                "a column",
            )
        });
        if N == 10 {
            karatsuba_fits(&x, &y);
        }
        carry(Self(columns))
    }
}

/// The detours of `pair::multiply` on its way to the same columns: sums of neighbouring limbs, and their products.
fn karatsuba_fits<const N: usize>(x: &[u128; N], y: &[u128; N]) {
    let neighbours = |limbs: &[u128; N], j: usize| fits(limbs[2 * j] + limbs[2 * j + 1], 32, "a sum of neighbours");
    for j in 0..5 {
        fits(19 * neighbours(y, j), 32, "19 times a sum of neighbours");
    }
    let column = |m: usize, x: &dyn Fn(usize) -> u128, y: &dyn Fn(usize) -> u128| {
        sum((0..5).map(|j| x(j) * y((5 + m - j) % 5) * if j <= m { 1 } else { 19 }))
    };
    for m in 0..5 {
        fits(column(m, &|j| neighbours(x, j), &|j| neighbours(y, j)), 64, "a column of sums");
        let odd = column(m, &|j| x[2 * j + 1], &|j| y[2 * j + 1]);
        fits(2 * if m == 4 { 19 * odd } else { odd }, 64, "twice an odd column");
    }
}

/// The carries, in the order in which each representation takes them.
fn carry<const N: usize>(mut z: Bounds<N>) -> Bounds<N> {
    let order: &[usize] = if N == 10 { &[0, 4, 1, 5, 2, 6, 3, 7, 4, 8, 9, 0] } else { &[0, 1, 2, 3, 4, 0] };
    let column = 2 * Bounds::<N>::WORD;
    for &i in order {
        let width = Bounds::<N>::width(i);
        // In five limbs, a carry out of a column is narrowed to a word.
        let over = fits(z.0[i] >> width, if N == 5 { 64 } else { column }, "a carry");
        z.0[i] = z.0[i].min((1 << width) - 1);
        if i + 1 < N {
            z.0[i + 1] = fits(z.0[i + 1] + over, column, "a column with its carry");
        } else {
            z.0[0] = fits(z.0[0] + 19 * over, 64, "limb 0 with 19 times the last carry");
        }
    }
    assert!(z.within(&Bounds::TIGHT), "a product is tight: {z:x?}");
    z
}

impl<const N: usize> Ring for Bounds<N> {
    const ZERO: Self = Self([0; N]);
    const ONE: Self = {
        let mut limbs = [0; N];
        limbs[0] = 1;
        Self(limbs)
    };

    fn set_product(&mut self, x: &Self, y: &Self) {
        *self = *x * *y;
    }
}

/// In each place, the most that either of the two numbers can be.
impl SideBySide for Bounds<10> {
    fn both(number: &Fe26) -> Self {
        Self(number.0.map(u128::from))
    }

    fn swapped(self) -> Self {
        self
    }

    fn transposed(self, other: Self) -> [Self; 2] {
        [Self(core::array::from_fn(|i| self.0[i].max(other.0[i]))); 2]
    }
}

impl<const N: usize> Field for Bounds<N> {
    const D: Self = Self::TIGHT;
    const MINUS_TWO_D: Self = Self::TIGHT;
    const HALF: Self = Self::TIGHT;
    const SQRT_MINUS_ONE: Self = Self::TIGHT;

    fn from_bytes(_: &[u8; 32]) -> Self {
        Self::TIGHT
    }

    fn to_bytes(self) -> [u8; 32] {
        assert!(self.within(&(Self::TIGHT + Self::TIGHT + Self::TIGHT)));
        carry(self);
        [0; 32]
    }
}

fn no_formula_overflows<const N: usize>() {
    let tight = Bounds::<N>::TIGHT;
    let any_point = Extended { x: tight, y: tight, z: tight, t: tight };
    let is_tight = |point: Extended<Bounds<N>>| [point.x, point.y, point.z, point.t].iter().all(|coordinate| coordinate.within(&tight));
    let sum = |add: &dyn Fn(&mut Extended<Bounds<N>>)| {
        let mut point = any_point;
        add(&mut point);
        point
    };
    let entry = Niels::from_half_affine(tight, tight);
    assert!([entry.half_sum, entry.half_difference, entry.minus_dxy].iter().all(|number| number.within(&tight)));
    // The opposite exchanges the first two and negates the third.
    for minus_dxy in [tight, Bounds::ZERO - tight] {
        let entry = Niels { half_sum: tight, half_difference: tight, minus_dxy };
        assert!(is_tight(sum(&|point| point.add_affine(&entry))));
        assert!(is_tight(Extended::from_niels(&entry)));
    }
    assert!(is_tight(sum(&|point| point.add(&any_point))));
    assert!(is_tight(Extended::from_affine(tight, tight)));
    any_point.compress();
}

#[test]
fn no_sum_of_points_overflows_ten_limbs() {
    no_formula_overflows::<10>();
}

#[test]
fn nor_does_the_last_sum_of_two_points_side_by_side() {
    let tight = Bounds::<10>::TIGHT;
    let [xy, z] = Extended { x: tight, y: tight, z: tight, t: tight }.sum_of_both();
    assert!(xy.within(&tight) && z.within(&tight));
}

#[test]
fn no_sum_of_points_overflows_five_limbs() {
    no_formula_overflows::<5>();
}

/// The proof would notice: with one unit more on the right, 19 times a sum of neighbours no longer fits into 32 bits.
#[test]
#[should_panic(expected = "19 times a sum of neighbours")]
fn one_unit_more_would_overflow() {
    let tight = Bounds::<10>::TIGHT;
    let _ = tight * (tight + tight + tight);
}
