//! Signatures made to tell verification rules apart, by whoever holds the private key.

use crate::{cctv::LOW_ORDER, unhex, verifiers::Verifiers};
use curve25519_dalek::{EdwardsPoint, Scalar, constants::EIGHT_TORSION, traits::Identity};
use sha2::{Digest, Sha512};

/// L, the group order, little-endian.
pub(crate) const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A private key whose public key has a part of small order.
pub(crate) struct Signer {
    secret: Scalar,
    torsion: EdwardsPoint,
    public: [u8; 32],
    pub(crate) verifiers: Verifiers,
}

impl Signer {
    /// The nth of eight parts of small order; the 0th is none.
    pub(crate) fn new(secret: [u8; 32], torsion: usize) -> Self {
        let (secret, torsion) = (Scalar::from_bytes_mod_order(secret), EIGHT_TORSION[torsion]);
        let public = EdwardsPoint::mul_base(&secret) + torsion;
        let public = public.compress().to_bytes();
        let verifiers = Verifiers::all(&public).expect("of large order and canonical");
        Self { secret, torsion, public, verifiers }
    }

    /// The signature whose R is this multiple of the base point, plus the nth point of small order. Holds exactly where
    /// the parts of small order cancel.
    pub(crate) fn sign(&self, message: &[u8], nonce: [u8; 32], torsion: usize) -> ([u8; 64], bool) {
        let nonce = Scalar::from_bytes_mod_order(nonce);
        let r = EdwardsPoint::mul_base(&nonce) + EIGHT_TORSION[torsion];
        let k = challenge(r.compress().as_bytes(), &self.public, message);
        let cancels = EIGHT_TORSION[torsion] + self.torsion * k == EdwardsPoint::identity();
        (signature(r.compress().as_bytes(), (nonce + k * self.secret).as_bytes()), cancels)
    }
}

fn challenge(r: &[u8; 32], public: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(public).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// A signature from its halves.
pub(crate) fn signature(r: &[u8; 32], s: &[u8; 32]) -> [u8; 64] {
    std::array::from_fn(|at| if at < 32 { r[at] } else { s[at - 32] })
}

/// `s + times * L`, where it fits into 32 bytes.
pub(crate) fn plus_order(s: &[u8; 32], times: usize) -> Option<[u8; 32]> {
    let mut sum = *s;
    for _ in 0..times {
        let mut carry = 0;
        for (byte, order) in sum.iter_mut().zip(ORDER) {
            carry += u16::from(*byte) + u16::from(order);
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(sum)
}

#[test]
fn parts_of_small_order_hold_exactly_where_they_cancel() {
    let (mut held, mut refused) = (0, 0);
    for a in 0..8 {
        let signer = Signer::new([a as u8 + 1; 32], a);
        for r in 0..8 {
            for n in 0..4 {
                let (signature, cancels) = signer.sign(&[n; 40], [n ^ 0x5a; 32], r);
                assert_eq!(signer.verifiers.agree(&[n; 40], &signature), cancels, "A {a}, R {r}, {n}");
                if cancels { held += 1 } else { refused += 1 }
            }
        }
    }
    assert!(held > 20 && refused > 20, "{held} held, {refused} refused");
}

#[test]
fn an_s_of_the_group_order_or_more_is_refused() {
    let signer = Signer::new([3; 32], 0);
    let (sound, _) = signer.sign(b"message", [4; 32], 0);
    let (r, s) = (sound[..32].try_into().unwrap(), sound[32..].try_into().unwrap());
    assert!(signer.verifiers.agree(b"message", &sound));
    for times in 1..15 {
        let s = plus_order(&s, times).expect("15 L fit into 256 bits");
        assert!(!signer.verifiers.agree(b"message", &signature(&r, &s)), "s + {times} L");
    }
    // Zero, and what counts as zero.
    for times in 0..3 {
        let s = plus_order(&[0; 32], times).unwrap();
        assert!(!signer.verifiers.agree(b"message", &signature(&r, &s)), "{times} L");
    }
}

#[test]
fn an_r_that_the_equation_would_take_but_for_its_form_is_refused() {
    // With A of prime order and R of small order, R = sB - kA asks for sB = kA: choose s so.
    let signer = Signer::new([5; 32], 0);
    for low in &LOW_ORDER {
        for form in std::iter::once(&low.canonical).chain(low.others) {
            let r = unhex(form).try_into().unwrap();
            let s = challenge(&r, &signer.public, b"message") * signer.secret;
            assert!(!signer.verifiers.agree(b"message", &signature(&r, s.as_bytes())), "R {form}");
        }
    }
}

#[test]
fn plain_bytes_are_no_signature() {
    let signer = Signer::new([6; 32], 0);
    let halves = [[0; 32], [0xff; 32], ORDER, [1; 32]];
    for r in halves {
        for s in halves {
            assert!(!signer.verifiers.agree(b"message", &signature(&r, &s)));
        }
    }
}

#[test]
fn a_y_of_p_or_more_is_no_key() {
    // y from p up to 2^255 - 1, both signs, and the small numbers that they stand for.
    for y in 0..19_u8 {
        for sign in [0, 0x80] {
            let mut low = [0; 32];
            (low[0], low[31]) = (y, sign);
            let mut high = [0xff; 32];
            (high[0], high[31]) = (0xed + y, 0x7f | sign);
            assert!(Verifiers::narrow(&high).is_none(), "p + {y}");
            Verifiers::narrow(&low);
        }
    }
}
