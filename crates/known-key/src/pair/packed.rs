//! Table entries as vectors, and two of them side by side.

use super::Pair;
use crate::{
    field::{Fe26, Ring},
    point::Niels,
    table::Multiple,
};
use core::arch::wasm32::{u32x4, u32x4_extract_lane, u32x4_shuffle, u32x4_splat, v128, v128_bitselect};

/// A point of a table as vectors, packed: the first eight limbs of its three numbers in two vectors each, and their last
/// two limbs in the two vectors left. 128 bytes, and exactly two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(align(128))]
pub struct Packed {
    /// (y + x)/2 and (y - x)/2.
    halves: [[v128; 2]; 2],
    minus_dxy: [v128; 2],
    /// Limbs 8 and 9 of (y + x)/2, then of (y - x)/2.
    halves_end: v128,
    /// Limbs 8 and 9 of -dxy, then zeros.
    minus_dxy_end: v128,
}

impl From<Niels<Fe26>> for Packed {
    fn from(point: Niels<Fe26>) -> Self {
        let (sum, difference, product) = (point.half_sum.0, point.half_difference.0, point.minus_dxy.0);
        let first_eight = |limbs: [u32; 10]| {
            let [a, b, c, d, e, f, g, h, ..] = limbs;
            [u32x4(a, b, c, d), u32x4(e, f, g, h)]
        };
        Self {
            halves: [first_eight(sum), first_eight(difference)],
            minus_dxy: first_eight(product),
            halves_end: u32x4(sum[8], sum[9], difference[8], difference[9]),
            minus_dxy_end: u32x4(product[8], product[9], 0, 0),
        }
    }
}

impl Packed {
    /// A little of both of its cache lines.
    #[inline(always)]
    pub(crate) fn glance(&self) -> u32 {
        u32x4_extract_lane::<0>(self.halves[0][0]) ^ u32x4_extract_lane::<0>(self.minus_dxy_end)
    }

    /// Two points side by side, each negated where its multiple says so: -x for x exchanges sum and difference, and
    /// negates the product.
    #[inline(always)]
    pub(crate) fn pair(first: Multiple<'_, Self>, second: Multiple<'_, Self>) -> Niels<Pair> {
        let low = |x: v128, y: v128| u32x4_shuffle::<0, 4, 1, 5>(x, y);
        let high = |x: v128, y: v128| u32x4_shuffle::<2, 6, 3, 7>(x, y);
        let zip =
            |x: &[v128; 2], y: &[v128; 2], end: v128| Pair([low(x[0], y[0]), high(x[0], y[0]), low(x[1], y[1]), high(x[1], y[1]), end]);
        let (x, y) = (first.entry, second.entry);
        let (x_negative, y_negative) = (usize::from(first.negative), usize::from(second.negative));
        // Signs are as good as random: masks, rather than branches that are mispredicted every other time.
        let mask = |negative: bool| u32x4_splat(u32::from(negative).wrapping_neg());
        let (x_mask, y_mask) = (mask(first.negative), mask(second.negative));
        let end = |halves: v128, mask: v128| v128_bitselect(u32x4_shuffle::<2, 3, 0, 1>(halves, halves), halves, mask);
        let (x_end, y_end) = (end(x.halves_end, x_mask), end(y.halves_end, y_mask));
        let product = zip(&x.minus_dxy, &y.minus_dxy, low(x.minus_dxy_end, y.minus_dxy_end));
        let negated = Pair::ZERO - product;
        let mask = low(x_mask, y_mask);
        Niels {
            half_sum: zip(&x.halves[x_negative], &y.halves[y_negative], low(x_end, y_end)),
            half_difference: zip(&x.halves[1 - x_negative], &y.halves[1 - y_negative], high(x_end, y_end)),
            minus_dxy: Pair(core::array::from_fn(|j| v128_bitselect(negated.0[j], product.0[j], mask))),
        }
    }
}
