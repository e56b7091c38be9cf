//! Groups of base62 digits, against arithmetic of any size.

use crate::tries;
use keyward_core::codec::{GROUP_DIGITS, decode_group, encode_group};
use num_bigint::BigUint;
use proptest::{collection::vec, prelude::*};

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The number that digits stand for.
fn value(digits: &[u8]) -> BigUint {
    digits.iter().fold(BigUint::ZERO, |value, digit| value * 62u32 + DIGITS.iter().position(|known| known == digit).unwrap())
}

fn check(digits: [u8; GROUP_DIGITS]) {
    let expected = value(&digits).to_bytes_be();
    match decode_group(&digits) {
        Some(bytes) => {
            assert_eq!(BigUint::from_bytes_be(&bytes), BigUint::from_bytes_be(&expected));
            assert_eq!(encode_group(&bytes), digits, "one spelling");
        }
        None => assert!(expected.len() > 32, "a number that fits was refused"),
    }
}

proptest! {
    #![proptest_config(tries(2000))]

    #[test]
    fn any_32_bytes_are_the_number_that_their_digits_stand_for(bytes: [u8; 32]) {
        let digits = encode_group(&bytes);
        prop_assert_eq!(value(&digits), BigUint::from_bytes_be(&bytes));
        prop_assert_eq!(decode_group(&digits), Some(bytes));
    }

    #[test]
    fn any_43_digits_are_their_number_or_too_large(places in vec(0..62usize, GROUP_DIGITS)) {
        check(std::array::from_fn(|at| DIGITS[places[at]]));
    }

    #[test]
    fn a_foreign_character_anywhere_is_refused(bytes: [u8; 32], at in 0..GROUP_DIGITS, byte: u8) {
        prop_assume!(!byte.is_ascii_alphanumeric());
        let mut digits = encode_group(&bytes);
        digits[at] = byte;
        prop_assert_eq!(decode_group(&digits), None);
    }
}

#[test]
fn the_numbers_around_the_bound_are_told_apart() {
    let highest = encode_group(&[255; 32]);
    assert_eq!(decode_group(&highest), Some([255; 32]));
    for beyond in (1..100u32).map(|more| value(&highest) + more) {
        let mut rest = beyond;
        let mut digits = [b'0'; GROUP_DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[(&rest % 62u32).to_u32_digits().first().copied().unwrap_or(0) as usize];
            rest /= 62u32;
        }
        assert_eq!(decode_group(&digits), None);
    }
    check([b'z'; GROUP_DIGITS]);
    check([b'0'; GROUP_DIGITS]);
}
