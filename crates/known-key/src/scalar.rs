//! Numbers below the group order L, and the digits by which they look up multiples.

use crate::field::words;
use curve25519_dalek::Scalar;
use sha2::{Digest as _, Sha512};

/// L = 2^252 + 27742317777372353535851937790883648493 (RFC 8032 section 5.1), little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Whether a little-endian number is below L. A signature whose s is not has a sibling with the same meaning.
pub(crate) fn is_below_order(scalar: &[u8; 32]) -> bool {
    words(scalar).iter().rev().lt(words(&ORDER).iter().rev())
}

/// k = SHA-512(R, A, M) modulo L (RFC 8032 section 5.1.7, step 2).
pub(crate) fn challenge(r: &[u8; 32], public_key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut head = [0; 64];
    head[..32].copy_from_slice(r);
    head[32..].copy_from_slice(public_key);
    let hash = Sha512::new().chain_update(head).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into()).to_bytes()
}

/// How many bits of a scalar each table look-up takes. Wider is faster, and its tables are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 6 bits: 42 look-ups a scalar, 1377 multiples a table.
    W6,
    /// 8 bits: 32 look-ups a scalar, 3985 multiples a table.
    W8,
}

impl Width {
    /// That of the base point's table: all keys share it, so that it may be large.
    pub(crate) const BASE: Self = Self::W8;
}

/// L is a little more than 2 to this power.
const ORDER_BITS: usize = 252;

/// The most look-ups that a scalar takes, over all widths.
const MOST_POSITIONS: usize = Width::W6.positions();

impl Width {
    /// The bits of a digit.
    pub const fn bits(self) -> usize {
        match self {
            Self::W6 => 6,
            Self::W8 => 8,
        }
    }

    /// The digits of a scalar.
    pub const fn positions(self) -> usize {
        ORDER_BITS.div_ceil(self.bits())
    }

    /// The largest digit at any position but the top one. Digits are signed, so it is half of their range.
    pub const fn largest(self) -> usize {
        1 << (self.bits() - 1)
    }

    /// The largest digit at the top, where digits are not negative: it takes what is left of a scalar below L (there is
    /// a 1 at bit 252 for the very largest), and the last carry.
    pub const fn largest_at_top(self) -> usize {
        (1 << (ORDER_BITS - self.bits() * (self.positions() - 1))) + 1
    }
}

/// A scalar in signed digits: the sum of `digit[i] * 2^(bits i)`, each digit in `(-2^(bits-1), 2^(bits-1)]`, but for the
/// top one, which is in `[0, largest_at_top]`.
pub struct Digits([i16; MOST_POSITIONS]);

impl Digits {
    /// The digits of a scalar below the group order.
    pub(crate) fn new(scalar: &[u8; 32], width: Width) -> Self {
        // Two bodies, each with its width as a constant: the shifts and masks of all positions are known.
        match width {
            Width::W6 => Self::of_width(scalar, Width::W6),
            Width::W8 => Self::of_width(scalar, Width::W8),
        }
    }

    #[inline(always)]
    fn of_width(scalar: &[u8; 32], width: Width) -> Self {
        debug_assert!(is_below_order(scalar));
        let (bits, top) = (width.bits(), width.positions() - 1);
        // Up to 15 bits from a place: digits of 8 bits, or what is left at the top.
        let from = |at: usize| {
            let above = scalar.get(at / 8 + 1).copied().unwrap_or(0);
            u16::from_le_bytes([scalar[at / 8], above]) >> (at % 8)
        };
        let half = width.largest() as i16;
        let mut digits = [0; MOST_POSITIONS];
        let mut carry = 0;
        for (i, digit) in digits[..top].iter_mut().enumerate() {
            *digit = (from(bits * i) & ((1 << bits) - 1)) as i16 + carry;
            carry = i16::from(*digit > half);
            *digit -= carry * 2 * half;
        }
        digits[top] = from(bits * top) as i16 + carry;
        debug_assert!(digits[top] as usize <= width.largest_at_top());
        Self(digits)
    }

    /// The digit at a position.
    pub const fn at(&self, position: usize) -> i16 {
        self.0[position]
    }
}

#[cfg(test)]
pub(crate) mod strategy {
    use num_bigint::BigUint;
    use proptest::prelude::*;

    /// The group order.
    pub(crate) fn order() -> BigUint {
        (BigUint::from(1_u8) << 252) + BigUint::parse_bytes(b"27742317777372353535851937790883648493", 10).unwrap()
    }

    /// Scalars below the order, many of them among the largest ones, powers of two, or with runs of ones.
    pub(crate) fn scalars() -> impl Strategy<Value = [u8; 32]> {
        let near_order = (1..200_u8).prop_map(|below| (order() - below).to_bytes_le());
        let any = (any::<[u8; 32]>(), 0..32_usize, 0..32_usize).prop_map(|(mut bytes, from, to)| {
            bytes[from.min(to)..from.max(to)].fill(0xff);
            (BigUint::from_bytes_le(&bytes) % order()).to_bytes_le()
        });
        let powers = (0..253_u32, 0..2_u8).prop_map(|(bit, less)| ((BigUint::from(1_u8) << bit) - less).to_bytes_le());
        prop_oneof![1 => near_order, 4 => any, 1 => powers].prop_map(|mut bytes| {
            bytes.resize(32, 0);
            bytes.try_into().expect("resized")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{strategy::*, *};
    use num_bigint::{BigInt, BigUint};
    use proptest::prelude::*;

    #[test]
    fn the_order_is_that_of_the_rfc() {
        assert_eq!(BigUint::from_bytes_le(&ORDER), order());
    }

    #[test]
    fn numbers_from_the_order_on_are_told_from_those_below() {
        for (offset, below) in [(-1, true), (0, false), (1, false)] {
            let (_, mut bytes) = (BigInt::from(order()) + BigInt::from(offset)).to_bytes_le();
            bytes.resize(32, 0);
            assert_eq!(is_below_order(&bytes.try_into().unwrap()), below, "{offset}");
        }
        assert!(is_below_order(&[0; 32]));
        assert!(!is_below_order(&[0xff; 32]));
    }

    proptest! {
        #[test]
        fn digits_are_in_range_and_add_up(scalar in scalars(), wide: bool) {
            let width = if wide { Width::W8 } else { Width::W6 };
            let digits = Digits::new(&scalar, width);
            let (top, half) = (width.positions() - 1, width.largest() as i16);
            let mut sum = BigInt::ZERO;
            for i in (0..=top).rev() {
                let range = if i == top { 0..=width.largest_at_top() as i16 } else { 1 - half..=half };
                prop_assert!(range.contains(&digits.at(i)), "digit {} at {i}", digits.at(i));
                sum = (sum << width.bits()) + digits.at(i);
            }
            prop_assert_eq!(sum, BigInt::from(BigUint::from_bytes_le(&scalar)));
        }
    }
}
