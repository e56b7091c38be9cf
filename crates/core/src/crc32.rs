//! CRC-32 (IEEE 802.3), the checksum of keys.
//!
//! Eight bytes at a time ("slicing-by-8": Kounavis and Berry, "Novel table lookup-based algorithms for high-performance
//! CRC generation", IEEE Transactions on Computers 57(11), 2008), from tables of 8 KiB that are made at the first use: in
//! a program they would not compress, and an edge counts its kilobytes.

use alloc::boxed::Box;
use once_cell::race::OnceBox;

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// Bytes taken together.
const SLICE: usize = 8;

/// `TABLES[k][b]`: what the byte b leaves behind when k more bytes have passed.
type Tables = [[u32; 256]; SLICE];

static TABLES: OnceBox<Tables> = OnceBox::new();

fn tables() -> Box<Tables> {
    let mut tables = Box::new([[0; 256]; SLICE]);
    for (byte, entry) in (0..).zip(&mut tables[0]) {
        *entry = (0..8).fold(byte, |rest: u32, _| if rest & 1 == 0 { rest >> 1 } else { rest >> 1 ^ POLYNOMIAL });
    }
    for k in 1..SLICE {
        for byte in 0..256 {
            let before = tables[k - 1][byte];
            tables[k][byte] = before >> 8 ^ tables[0][usize::from(before as u8)];
        }
    }
    tables
}

/// The checksum of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    let tables = TABLES.get_or_init(tables);
    let (slices, rest) = bytes.as_chunks::<SLICE>();
    let sum = slices.iter().fold(!0, |sum: u32, slice| {
        let word = u64::from_le_bytes(*slice) ^ u64::from(sum);
        let bytes = word.to_le_bytes();
        (0..SLICE).fold(0, |sum, k| sum ^ tables[SLICE - 1 - k][usize::from(bytes[k])])
    });
    !rest.iter().fold(sum, |sum, byte| sum >> 8 ^ tables[0][usize::from(sum as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn the_check_value_of_the_catalogue_comes_out() {
        assert_eq!(super::hash(b"123456789"), 0xcbf4_3926);
    }

    proptest! {
        #[test]
        fn it_is_the_remainder_of_a_division_bit_by_bit(bytes: Vec<u8>) {
            let bits = bytes.iter().fold(!0, |sum: u32, byte| {
                (0..8).fold(sum ^ u32::from(*byte), |rest, _| if rest & 1 == 0 { rest >> 1 } else { rest >> 1 ^ super::POLYNOMIAL })
            });
            prop_assert_eq!(super::hash(&bytes), !bits);
        }
    }
}
