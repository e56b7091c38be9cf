//! Base62 in groups: 32 bytes as a big-endian number in 43 digits of `0-9A-Za-z`, most significant digit first.

/// Digits of a group: the fewest that hold 32 bytes (62^43 > 2^256).
pub const GROUP_DIGITS: usize = 43;

/// Digits taken together in one step: 62^10 is the highest power of 62 below 2^60, so that a step fits in 128 bits.
const STEP: usize = 10;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The value of each byte as a digit; 255 where it is none.
const VALUES: [u8; 256] = {
    let mut values = [255; 256];
    let mut digit = 0;
    while digit < 62 {
        values[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    values
};

/// The value of one digit.
pub(crate) fn digit(byte: u8) -> Option<u8> {
    match VALUES[byte as usize] {
        255 => None,
        value => Some(value),
    }
}

/// Whether all of these bytes are digits. For at least eight of them; fewer are none.
///
/// Eight at a time in one word (Lamport, "Multiple byte processing with full-word instructions", CACM 18(8), 1975), and
/// without an early end: a few operations a word, where a look-up a byte would cost more than all the rest of refusing
/// junk.
pub(crate) fn are_digits(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else { return false };
    let (words, _) = bytes.as_chunks();
    words.iter().fold(foreign(last), |all, word| all | foreign(word)) == 0
}

/// The top bit of each byte that is no digit.
fn foreign(word: &[u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    let word = u64::from_le_bytes(*word);
    let low = word & !TOPS;
    // Of bytes below 0x80, the top bit of those that are at least `least`: no byte's sum reaches the next.
    let at_least = |bytes: u64, least: u8| bytes + (0x80 - u64::from(least)) * ONES;
    let lower = low | (0x20 * ONES);
    let digit = at_least(low, b'0') & !at_least(low, b'9' + 1);
    let letter = at_least(lower, b'a') & !at_least(lower, b'z' + 1);
    (word | !(digit | letter)) & TOPS
}

/// The number that six digits stand for: [`encode_u32`] backwards, for bytes that are digits.
pub(crate) fn decode_digits(digits: &[u8; 6]) -> u64 {
    digits.iter().fold(0, |value, byte| value * 62 + u64::from(VALUES[usize::from(*byte)]))
}

/// The 32 bytes that 43 digits stand for; `None` for a foreign character or a value of 2^256 and more.
pub fn decode_group(digits: &[u8; GROUP_DIGITS]) -> Option<[u8; 32]> {
    let mut limbs = [0u64; 4]; // least significant first
    for chunk in digits.chunks(STEP) {
        let (mut value, mut scale) = (0u64, 1u64);
        for &byte in chunk {
            value = value * 62 + u64::from(digit(byte)?);
            scale *= 62;
        }
        let mut carry = u128::from(value);
        for limb in &mut limbs {
            let wide = u128::from(*limb) * u128::from(scale) + carry;
            *limb = wide as u64;
            carry = wide >> 64;
        }
        if carry != 0 {
            return None;
        }
    }
    let mut bytes = [0; 32];
    for (out, limb) in bytes.chunks_exact_mut(8).zip(limbs.iter().rev()) {
        out.copy_from_slice(&limb.to_be_bytes());
    }
    Some(bytes)
}

/// The 43 digits that stand for 32 bytes.
pub fn encode_group(bytes: &[u8; 32]) -> [u8; GROUP_DIGITS] {
    let mut limbs = [0u32; 8]; // most significant first
    for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(4)) {
        *limb = chunk.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
    }
    let mut digits = [0; GROUP_DIGITS];
    for out in digits.iter_mut().rev() {
        let mut rest = 0u64;
        for limb in &mut limbs {
            let wide = rest << 32 | u64::from(*limb);
            *limb = (wide / 62) as u32;
            rest = wide % 62;
        }
        *out = ALPHABET[rest as usize];
    }
    digits
}

/// Six digits of a 32-bit number (62^6 > 2^32).
pub(crate) fn encode_u32(mut value: u32) -> [u8; 6] {
    let mut digits = [0; 6];
    for out in digits.iter_mut().rev() {
        *out = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_at_every_place() {
        for at in 0..19 {
            for byte in 0..=u8::MAX {
                let mut bytes = *b"0189AMZamz09AZaz123";
                bytes[at] = byte;
                assert_eq!(are_digits(&bytes), ALPHABET.contains(&byte), "{byte} at {at}");
            }
        }
    }
}
