//! Numbers modulo p = 2^255 - 19, reduced lazily.
//!
//! A number is a few limbs in a mixed radix. Sums and differences don't carry: their limbs grow, and the next product
//! brings them back. How far they may grow is counted in *units*: one unit is, limb by limb, the most that a product
//! returns (`TIGHT` of each representation; a product is *tight*). The rules, checked in debug builds and proved for
//! the formulas of `point` by `field::bounds`:
//!
//! | operation | left | right | result |
//! | --- | --- | --- | --- |
//! | `a + b` | m units | n units | m + n units |
//! | `a - b` | m units | tight | m + 2 units (it adds 2p, so that no limb is negative) |
//! | `a * b` | at most 3 units | at most 2 units | tight |

#[cfg(test)]
mod bounds;
mod fe26;
mod fe51;
mod invert;
#[cfg(test)]
mod tests;

pub(crate) use fe26::Fe26;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use fe26::{TIGHT as TIGHT26, TWO_P as TWO_P26};
pub(crate) use fe51::Fe51;

use core::ops::{Add, Mul, Sub};

/// What the formulas of `point` need: numbers modulo p, or several of them side by side.
pub trait Ring: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    const ZERO: Self;
    const ONE: Self;

    /// `self = x * y`. Where a number has many bytes, the product is written to where it belongs and nowhere else:
    /// copies of numbers cost a call each in wasm.
    fn set_product(&mut self, x: &Self, y: &Self);
}

/// Two numbers modulo p side by side, which can change places.
#[cfg(any(test, all(target_arch = "wasm32", target_feature = "simd128")))]
pub(crate) trait SideBySide: Ring {
    /// The same number in both places.
    fn both(number: &Fe26) -> Self;
    /// The numbers the other way round.
    fn swapped(self) -> Self;
    /// The two first numbers, and the two second ones.
    fn transposed(self, other: Self) -> [Self; 2];
}

/// One number modulo p.
pub trait Field: Ring {
    /// d of the curve `-x^2 + y^2 = 1 + d x^2 y^2` (RFC 8032 section 5.1).
    const D: Self;
    /// -2d.
    const MINUS_TWO_D: Self;
    /// 1/2.
    const HALF: Self;
    /// A square root of -1: 2^((p-1)/4) (RFC 8032 section 5.1.1).
    const SQRT_MINUS_ONE: Self;

    /// A number from 32 little-endian bytes, the top bit left out. Values from p on are taken modulo p. Tight.
    fn from_bytes(bytes: &[u8; 32]) -> Self;

    /// The number's one encoding below p. Takes up to 3 units.
    fn to_bytes(self) -> [u8; 32];

    /// The inverse; 0 for 0. Tight.
    fn invert(self) -> Self {
        Self::from_bytes(&invert::invert(&self.to_bytes()))
    }

    /// The (p-5)/8th power, from which square roots are made (RFC 8032 section 5.1.3). For up to 2 units.
    ///
    /// Plain square and multiply: an addition chain would halve the work, but this runs once per prepared key.
    fn pow_p58(self) -> Self {
        // (p - 5) / 8 = 2^252 - 3: 252 bits, all ones but the second lowest.
        (0..252).rev().fold(Self::ONE, |power, bit| {
            let squared = power * power;
            if bit == 1 { squared } else { squared * self }
        })
    }
}

/// The constants of the curve, in the encoding of RFC 8032. Their definitions are checked by `tests`.
mod constants {
    pub(super) const D: [u8; 32] = [
        0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00, //
        0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52,
    ];
    pub(super) const MINUS_TWO_D: [u8; 32] = [
        0x94, 0x0e, 0x4d, 0xd9, 0x6b, 0x64, 0x29, 0x14, 0xa9, 0x4e, 0x7c, 0x7d, 0x65, 0xeb, 0x1f, 0xff, //
        0xcf, 0x2e, 0x0c, 0x11, 0x0d, 0x7f, 0x71, 0xe6, 0x18, 0x03, 0x20, 0xa9, 0x23, 0x26, 0xf9, 0x5b,
    ];
    pub(super) const HALF: [u8; 32] = [
        0xf7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, //
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f,
    ];
    pub(super) const SQRT_MINUS_ONE: [u8; 32] = [
        0xb0, 0xa0, 0x0e, 0x4a, 0x27, 0x1b, 0xee, 0xc4, 0x78, 0xe4, 0x2f, 0xad, 0x06, 0x18, 0x43, 0x2f, //
        0xa7, 0xd7, 0xfb, 0x3d, 0x99, 0x00, 0x4d, 0x2b, 0x0b, 0xdf, 0xc1, 0x4f, 0x80, 0x24, 0x83, 0x2b,
    ];
}

/// A 256-bit number in words, from its little-endian bytes.
pub(crate) const fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    let mut i = 0;
    while i < 32 {
        words[i / 8] |= (bytes[i] as u64) << (8 * (i % 8));
        i += 1;
    }
    words
}

/// `count` (less than 64) bits of a number in words, from bit `from` on; bits above 255 are 0.
#[inline(always)]
const fn bits(words: &[u64; 4], from: usize, count: usize) -> u64 {
    let (word, shift) = (from / 64, from % 64);
    let mut value = words[word] >> shift;
    if shift + count > 64 && word < 3 {
        value |= words[word + 1] << (64 - shift);
    }
    value & ((1 << count) - 1)
}

/// Little-endian bytes from limbs, each with the bit at which it begins. No two limbs have a bit in common.
#[inline(always)]
fn bytes(limbs: impl Iterator<Item = (usize, u64)>) -> [u8; 32] {
    let mut words = [0; 4];
    for (at, limb) in limbs {
        let (word, shift) = (at / 64, at % 64);
        words[word] |= limb << shift;
        if shift > 0 && word < 3 {
            words[word + 1] |= limb >> (64 - shift);
        }
    }
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
