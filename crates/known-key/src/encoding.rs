//! Points from their 32 bytes (RFC 8032 section 5.1.3), strictly.

use crate::field::Field;

/// Why 32 bytes are not a public key that can be prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the canonical encoding of a point on the curve.
    #[error("not a canonical Ed25519 public key")]
    NotCanonical,
    /// A point of small order: signatures by it prove nothing.
    #[error("an Ed25519 public key of small order")]
    SmallOrder,
}

/// The base point B (RFC 8032 section 5.1): y = 4/5, x even.
pub(crate) const BASE_POINT: [u8; 32] = {
    let mut bytes = [0x66; 32];
    bytes[0] = 0x58;
    bytes
};

/// The canonical encodings of the eight points whose order divides the cofactor.
const SMALL_ORDER: [[u8; 32]; 8] = {
    const EIGHTH: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, //
        0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ];
    const OTHER_EIGHTH: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, //
        0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ];
    const fn with_odd_x(mut bytes: [u8; 32]) -> [u8; 32] {
        bytes[31] |= 0x80;
        bytes
    }
    const ZERO: [u8; 32] = [0; 32];
    const ONE: [u8; 32] = {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes
    };
    const MINUS_ONE: [u8; 32] = {
        let mut bytes = [0xff; 32];
        bytes[0] = 0xec;
        bytes[31] = 0x7f;
        bytes
    };
    [
        ONE,       // (0, 1), the identity
        MINUS_ONE, // (0, -1), of order 2
        ZERO,      // y = 0, of order 4, both signs
        with_odd_x(ZERO),
        EIGHTH, // of order 8, both signs of both y
        with_odd_x(EIGHTH),
        OTHER_EIGHTH,
        with_odd_x(OTHER_EIGHTH),
    ]
};

/// Whether these are the canonical bytes of a point of small order. Their non-canonical bytes aren't listed: a
/// signature with a non-canonical R fails anyhow, since R is compared with what the equation encodes to.
pub(crate) fn is_small_order(bytes: &[u8; 32]) -> bool {
    SMALL_ORDER.contains(bytes)
}

/// The affine coordinates of a point that is canonically encoded and not of small order. Both tight.
pub(crate) fn decompress<F: Field>(bytes: &[u8; 32]) -> Result<(F, F), KeyError> {
    if is_small_order(bytes) {
        return Err(KeyError::SmallOrder);
    }
    let sign = bytes[31] >> 7;
    let y = F::from_bytes(bytes);
    let mut canonical = y.to_bytes();
    canonical[31] |= sign << 7;
    if canonical != *bytes {
        return Err(KeyError::NotCanonical);
    }
    let yy = y * y;
    let x = square_root_of_ratio(yy - F::ONE, F::D * yy + F::ONE).ok_or(KeyError::NotCanonical)?;
    let encoded = x.to_bytes();
    if encoded == [0; 32] {
        // y is 1 or -1: with a positive sign of small order, and with a negative one not canonical.
        return Err(KeyError::NotCanonical);
    }
    let x = if encoded[0] & 1 == sign { x } else { (F::ZERO - x) * F::ONE };
    Ok((x, y))
}

/// A tight square root of u/v, where there is one (RFC 8032 section 5.1.3, steps 2 and 3). u has at most 4 units, v at
/// most 3.
fn square_root_of_ratio<F: Field>(u: F, v: F) -> Option<F> {
    let v3 = v * v * v;
    let v7 = v3 * v3 * v;
    let candidate = u * v3 * (u * v7).pow_p58();
    let square = (v * (candidate * candidate)).to_bytes();
    if square == u.to_bytes() {
        Some(candidate)
    } else if square == (F::ZERO - u * F::ONE).to_bytes() {
        Some(candidate * F::SQRT_MINUS_ONE)
    } else {
        None
    }
}
