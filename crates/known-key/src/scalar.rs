//! Numbers below the group order L, and the digits by which they look up multiples.

use curve25519_dalek::Scalar;
use sha2::{Digest as _, Sha512};

/// L = 2^252 + 27742317777372353535851937790883648493 (RFC 8032 section 5.1), little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// Whether a little-endian number is below L. A signature whose s is not has a sibling with the same meaning.
pub(crate) fn is_below_order(scalar: &[u8; 32]) -> bool {
    scalar.iter().rev().lt(ORDER.iter().rev())
}

/// k = SHA-512(R, A, M) modulo L (RFC 8032 section 5.1.7, step 2).
pub(crate) fn challenge(r: &[u8; 32], public_key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let hash = Sha512::new().chain_update(r).chain_update(public_key).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into()).to_bytes()
}

/// How many bits of a scalar each table look-up takes. Wider is faster, and its tables are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 6 bits: 43 look-ups a scalar, 1376 multiples a table.
    W6,
    /// 8 bits: 32 look-ups a scalar, 4096 multiples a table.
    W8,
}

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

    /// The digits of a scalar: scalars are below 2^253, and one bit more takes the last carry.
    pub const fn positions(self) -> usize {
        254_usize.div_ceil(self.bits())
    }

    /// The multiples stored for each digit. Digits are signed, so that half of their range is enough.
    pub const fn multiples(self) -> usize {
        1 << (self.bits() - 1)
    }
}

/// A scalar in signed digits: the sum of `digit[i] * 2^(bits i)`, each digit in `(-2^(bits-1), 2^(bits-1)]`.
pub struct Digits([i16; MOST_POSITIONS]);

impl Digits {
    /// The digits of a scalar below 2^253.
    pub fn new(scalar: &[u8; 32], width: Width) -> Self {
        debug_assert!(scalar[31] < 0x20);
        let bits = width.bits();
        let half = width.multiples() as i16;
        let mut digits = [0; MOST_POSITIONS];
        let mut carry = 0;
        for (i, digit) in digits.iter_mut().enumerate().take(width.positions()) {
            let (byte, shift) = (bits * i / 8, bits * i % 8);
            let above = scalar.get(byte + 1).copied().unwrap_or(0);
            let window = u16::from_le_bytes([scalar[byte], above]) >> shift & ((1 << bits) - 1);
            *digit = window as i16 + carry;
            carry = i16::from(*digit > half);
            *digit -= carry * 2 * half;
        }
        debug_assert_eq!(carry, 0, "the top digit of a number below 2^253 is small");
        Self(digits)
    }

    /// The digit at a position.
    pub const fn at(&self, position: usize) -> i16 {
        self.0[position]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::{BigInt, BigUint};
    use proptest::prelude::*;

    fn order() -> BigUint {
        (BigUint::from(1_u8) << 252) + BigUint::parse_bytes(b"27742317777372353535851937790883648493", 10).unwrap()
    }

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
        fn digits_are_in_range_and_add_up(mut scalar: [u8; 32], wide: bool, ones in 0..32_usize) {
            scalar[..ones].fill(0xff);
            scalar[31] &= 0x1f;
            let width = if wide { Width::W8 } else { Width::W6 };
            let digits = Digits::new(&scalar, width);
            let half = width.multiples() as i16;
            let mut sum = BigInt::ZERO;
            for i in (0..width.positions()).rev() {
                prop_assert!(-half < digits.at(i) && digits.at(i) <= half);
                sum = (sum << width.bits()) + digits.at(i);
            }
            prop_assert_eq!(sum, BigInt::from(BigUint::from_bytes_le(&scalar)));
        }
    }
}
