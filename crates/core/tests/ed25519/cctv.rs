//! The edge cases of C2SP/CCTV (`ed25519`), made anew by their published construction: every combination of low-order
//! points, in all of their encodings, alone and added to a point of prime order, in the places of A and R.
//!
//! They are not copied here. That these are the very same 914 in the same order is shown by their digest.

use crate::{holds, unhex};
use curve25519_dalek::{
    EdwardsPoint, Scalar, constants::ED25519_BASEPOINT_POINT, edwards::CompressedEdwardsY, scalar::clamp_integer, traits::Identity,
};
use sha2::{Digest, Sha256, Sha512};

/// A point of order 1, 2, 4 or 8.
pub(crate) struct LowOrder {
    pub(crate) canonical: &'static str,
    /// Its other encodings: y of p and more, or a sign for an x of zero.
    pub(crate) others: &'static [&'static str],
}

/// All eight of them.
pub(crate) const LOW_ORDER: [LowOrder; 8] = [
    LowOrder {
        canonical: "0000000000000000000000000000000000000000000000000000000000000000",
        others: &["edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"],
    },
    LowOrder {
        canonical: "0000000000000000000000000000000000000000000000000000000000000080",
        others: &["edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"],
    },
    LowOrder {
        canonical: "0100000000000000000000000000000000000000000000000000000000000000",
        others: &[
            "0100000000000000000000000000000000000000000000000000000000000080",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        ],
    },
    LowOrder { canonical: "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", others: &[] },
    LowOrder { canonical: "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", others: &[] },
    LowOrder { canonical: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", others: &[] },
    LowOrder { canonical: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", others: &[] },
    LowOrder {
        canonical: "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        others: &["ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"],
    },
];

/// SHA-256 over `key sig msg\n` of the published cases, in their order.
const PUBLISHED: &str = "8e32c85735ff81793936167b3f315727302821cf6290898390894c6880920f61";

/// How a point stands in a case.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// The low-order point alone.
    Low,
    /// The low-order point alone, in an encoding that isn't canonical.
    Other(&'static str),
    /// Added to a point of prime order.
    Mixed,
}

struct Case {
    key: [u8; 32],
    signature: [u8; 64],
    message: String,
    /// Neither point alone of low order, and the low-order components cancel out: what a strict verifier takes.
    sound: bool,
}

fn encoding(digits: &str) -> [u8; 32] {
    unhex(digits).try_into().expect("32 bytes")
}

fn low_point(low: &LowOrder) -> EdwardsPoint {
    CompressedEdwardsY(encoding(low.canonical)).decompress().expect("a point")
}

/// The encoding and the discrete logarithm (of the part of prime order) of a point in its form.
fn place(low: &LowOrder, form: Form, secret: Scalar) -> ([u8; 32], Scalar) {
    match form {
        Form::Low => (encoding(low.canonical), Scalar::ZERO),
        Form::Other(digits) => (encoding(digits), Scalar::ZERO),
        Form::Mixed => ((ED25519_BASEPOINT_POINT * secret + low_point(low)).compress().0, secret),
    }
}

fn challenge(r: &[u8; 32], a: &[u8; 32], message: &str) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(a).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

/// The cases of one combination: one message for each outcome that the low-order components can have, found by trying
/// messages until the challenge has each value modulo 8. With `reencoded`, the challenge is over canonical encodings.
fn cases_of(low_a: &LowOrder, low_r: &LowOrder, form_a: Form, form_r: Form, reencoded: bool, cases: &mut Vec<Case>) {
    let secret = Scalar::from_bytes_mod_order(clamp_integer([0x42; 32]));
    let nonce = Scalar::from_bytes_mod_order_wide(&std::array::from_fn(|at| [0x13, 0x37][at % 2]));
    let ((a, s), (r, n)) = (place(low_a, form_a, secret), place(low_r, form_r, nonce));
    let canonical = |form, low: &LowOrder, bytes| if matches!(form, Form::Other(_)) { encoding(low.canonical) } else { bytes };
    let hashed = if reencoded { (canonical(form_r, low_r, r), canonical(form_a, low_a, a)) } else { (r, a) };
    let cancels = |k: Scalar| low_point(low_a) * k + low_point(low_r) == EdwardsPoint::identity();

    let mut found = Vec::new();
    for residue in 0..8 {
        let messages = std::iter::once("ed25519vectors".to_owned()).chain((1..).map(|n| format!("ed25519vectors {n}")));
        let (message, k) = messages
            .map(|message| (challenge(&hashed.0, &hashed.1, &message), message))
            .find(|(k, _)| k.to_bytes()[0] % 8 == residue)
            .map(|(k, message)| (message, k))
            .expect("one message in eight");
        if found.contains(&cancels(k)) {
            continue;
        }
        found.push(cancels(k));
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(&(k * s + n).to_bytes());
        cases.push(Case { key: a, signature, message, sound: form_a == Form::Mixed && form_r == Form::Mixed && cancels(k) });
    }
}

fn cases() -> Vec<Case> {
    use Form::{Low, Mixed, Other};
    let mut cases = Vec::new();
    for a in &LOW_ORDER {
        for r in &LOW_ORDER {
            let mut add = |form_a, form_r, reencoded| cases_of(a, r, form_a, form_r, reencoded, &mut cases);
            for (form_a, form_r) in [(Low, Low), (Low, Mixed), (Mixed, Low), (Mixed, Mixed)] {
                add(form_a, form_r, false);
            }
            for digits in a.others {
                add(Other(digits), Low, false);
                add(Other(digits), Mixed, false);
                add(Other(digits), Mixed, true);
            }
            for digits in r.others {
                add(Low, Other(digits), false);
                add(Mixed, Other(digits), false);
                add(Mixed, Other(digits), true);
            }
            for in_a in a.others {
                for in_r in r.others {
                    add(Other(in_a), Other(in_r), false);
                }
            }
        }
    }
    cases
}

#[test]
fn of_the_914_cases_of_cctv_exactly_the_43_sound_ones_hold() {
    let cases = cases();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let text: String = cases.iter().map(|case| format!("{} {} {}\n", hex(&case.key), hex(&case.signature), case.message)).collect();
    assert_eq!(hex(&Sha256::digest(text)), PUBLISHED, "these are the published cases");

    for (number, case) in cases.iter().enumerate() {
        assert_eq!(holds(&case.key, case.message.as_bytes(), &case.signature), case.sound, "case {number}");
    }
    assert_eq!((cases.len(), cases.iter().filter(|case| case.sound).count()), (914, 43));
}
