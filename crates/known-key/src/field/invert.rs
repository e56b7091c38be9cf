//! Inversion modulo p by division steps: Bernstein and Yang, "Fast constant-time gcd computation and modular
//! inversion" (TCHES 2019, "safegcd"), in the variable-time form that libsecp256k1 describes in
//! `doc/safegcd_implementation.md` and uses as `modinv32_var`. Four times faster than the power of p - 2.
//!
//! From f = p and g = x, division steps keep the greatest common divisor and bring g to 0 and f to 1 or -1. Thirty
//! steps depend on the lowest 30 bits alone: they are taken on words and give a matrix, which is then applied to the
//! whole numbers. Beside f and g run d and e with `d * x = f` and `e * x = g` modulo p: in the end d is the inverse, up
//! to f's sign.

use super::{bits, bytes, words};

/// A number in nine limbs of 30 bits. All but the top one are in [0, 2^30), the top one has the sign.
type Signed30 = [i32; 9];

const MASK: i32 = (1 << 30) - 1;

/// p = 2^255 - 19. (Limb 0 is below the range above; it is only ever multiplied or added.)
const P: Signed30 = [-19, 0, 0, 0, 0, 0, 0, 0, 1 << 15];

/// The inverse of p modulo 2^30, by Newton's iteration: each round doubles the number of right bits, from three on.
const P_INVERSE: u32 = {
    let p = 19_u32.wrapping_neg();
    let mut inverse = p;
    let mut right_bits = 3;
    while right_bits < 30 {
        inverse = inverse.wrapping_mul(2_u32.wrapping_sub(p.wrapping_mul(inverse)));
        right_bits *= 2;
    }
    inverse & MASK as u32
};

/// What thirty division steps do, times 2^30: `(f, g)` becomes `(u f + v g, q f + r g) / 2^30`. In each row the
/// absolute values add up to at most 2^30.
struct Matrix {
    u: i32,
    v: i32,
    q: i32,
    r: i32,
}

/// The inverse modulo p of a number below p; 0 for 0.
#[inline(never)]
pub(super) fn invert(x: &[u8; 32]) -> [u8; 32] {
    let x = words(x);
    let mut f = P;
    let mut g: Signed30 = core::array::from_fn(|i| bits(&x, 30 * i, 30) as i32);
    let mut d: Signed30 = [0; 9];
    let mut e: Signed30 = [1, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut eta = -1;
    // f and g shrink: limbs from here on are no longer in use.
    let mut len = 9;
    loop {
        let (next_eta, matrix) = thirty_steps(eta, f[0] as u32, g[0] as u32);
        eta = next_eta;
        apply_modulo_p(&mut d, &mut e, &matrix);
        apply(&mut f[..len], &mut g[..len], &matrix);
        if g[..len].iter().all(|limb| *limb == 0) {
            break;
        }
        // A top limb that is nothing but the sign moves into the limb below it.
        let is_sign = |limb: i32| limb == 0 || limb == -1;
        if len > 1 && is_sign(f[len - 1]) && is_sign(g[len - 1]) {
            f[len - 2] |= f[len - 1] << 30;
            g[len - 2] |= g[len - 1] << 30;
            len -= 1;
        }
    }
    encode(normalize(d, f[len - 1] < 0))
}

/// Thirty division steps on the low words of f (odd) and g. `eta` is the paper's -delta.
fn thirty_steps(mut eta: i32, mut f: u32, mut g: u32) -> (i32, Matrix) {
    // Unsigned and wrapping: halves of f's row are never taken, and the low 30 bits are all that counts of f and g. Each
    // row is one word, the second entry times 2^32 plus the first, so that whatever is done to a row is done once.
    let (mut uv, mut qr) = (1_u64, 1_u64 << 32);
    let mut left = 30;
    loop {
        // Steps at even g halve it: as many at once as g has trailing zeros. Doubling f's row instead of halving g's
        // keeps the matrix integer.
        let zeros = (g | (u32::MAX << left)).trailing_zeros();
        g >>= zeros;
        uv <<= zeros;
        eta -= zeros as i32;
        left -= zeros;
        if left == 0 {
            let entries = |row: u64| {
                let first = row as i32;
                (first, (row.wrapping_sub(first as u64) >> 32) as i32)
            };
            let ((u, v), (q, r)) = (entries(uv), entries(qr));
            return (eta, Matrix { u, v, q, r });
        }
        if eta < 0 {
            eta = -eta;
            (f, g) = (g, f.wrapping_neg());
            (uv, qr) = (qr, uv.wrapping_neg());
        }
        // Until eta runs out or the steps do, each step at odd g adds f. A multiple w of f that clears as many of g's
        // low bits does them all: w = -g/f, and -1/f is f (f^2 - 2) modulo 2^6 for every odd f.
        let clear = left.min(eta as u32 + 1).min(6);
        let w = f.wrapping_mul(f.wrapping_mul(f).wrapping_sub(2)).wrapping_mul(g) & ((1 << clear) - 1);
        g = g.wrapping_add(f.wrapping_mul(w));
        qr = qr.wrapping_add(uv.wrapping_mul(u64::from(w)));
    }
}

/// `(f, g)` becomes `matrix (f, g) / 2^30`, which is exact. Both stay in (-2p, 2p), so that a sum of two products and
/// a carry is below 2^62.
fn apply(f: &mut [i32], g: &mut [i32], matrix: &Matrix) {
    let (u, v, q, r) = (i64::from(matrix.u), i64::from(matrix.v), i64::from(matrix.q), i64::from(matrix.r));
    let row = |a: i64, b: i64, f: i32, g: i32| a * i64::from(f) + b * i64::from(g);
    let mut carry_f = row(u, v, f[0], g[0]);
    let mut carry_g = row(q, r, f[0], g[0]);
    debug_assert!(carry_f as i32 & MASK == 0 && carry_g as i32 & MASK == 0);
    for i in 1..f.len() {
        carry_f = (carry_f >> 30) + row(u, v, f[i], g[i]);
        carry_g = (carry_g >> 30) + row(q, r, f[i], g[i]);
        f[i - 1] = carry_f as i32 & MASK;
        g[i - 1] = carry_g as i32 & MASK;
    }
    let last = f.len() - 1;
    f[last] = (carry_f >> 30) as i32;
    g[last] = (carry_g >> 30) as i32;
}

/// `(d, e)` becomes `matrix (d, e) / 2^30` modulo p. Both stay in (-2p, p): a negative one counts with p added, and
/// then the multiple of p in [0, 2^30) that makes the quotient exact is taken off.
fn apply_modulo_p(d: &mut Signed30, e: &mut Signed30, matrix: &Matrix) {
    let (u, v, q, r) = (i64::from(matrix.u), i64::from(matrix.v), i64::from(matrix.q), i64::from(matrix.r));
    let row = |a: i64, b: i64, d: i32, e: i32| a * i64::from(d) + b * i64::from(e);
    let if_negative = |entry: i32, top: i32| if top < 0 { entry } else { 0 };
    let exact = |times_p: i32, low: i64| times_p - (P_INVERSE.wrapping_mul(low as u32).wrapping_add(times_p as u32) & MASK as u32) as i32;
    let (top_d, top_e) = (d[8], e[8]);
    let mut carry_d = row(u, v, d[0], e[0]);
    let mut carry_e = row(q, r, d[0], e[0]);
    let p_d = i64::from(exact(if_negative(matrix.u, top_d) + if_negative(matrix.v, top_e), carry_d));
    let p_e = i64::from(exact(if_negative(matrix.q, top_d) + if_negative(matrix.r, top_e), carry_e));
    carry_d += i64::from(P[0]) * p_d;
    carry_e += i64::from(P[0]) * p_e;
    debug_assert!(carry_d as i32 & MASK == 0 && carry_e as i32 & MASK == 0);
    for i in 1..9 {
        carry_d = (carry_d >> 30) + row(u, v, d[i], e[i]);
        carry_e = (carry_e >> 30) + row(q, r, d[i], e[i]);
        if i == 8 {
            carry_d += i64::from(P[8]) * p_d;
            carry_e += i64::from(P[8]) * p_e;
        }
        d[i - 1] = carry_d as i32 & MASK;
        e[i - 1] = carry_e as i32 & MASK;
    }
    d[8] = (carry_d >> 30) as i32;
    e[8] = (carry_e >> 30) as i32;
    debug_assert!(d[8].abs() <= 1 << 16 && e[8].abs() <= 1 << 16, "within (-2p, 2p)");
}

/// d, or -d, from (-2p, p) brought to [0, p).
fn normalize(mut d: Signed30, negate: bool) -> Signed30 {
    add_p_if_negative(&mut d);
    if negate {
        d = d.map(|limb| -limb);
    }
    carry(&mut d);
    add_p_if_negative(&mut d);
    d
}

fn add_p_if_negative(d: &mut Signed30) {
    if d[8] < 0 {
        for (limb, p) in d.iter_mut().zip(P) {
            *limb += p;
        }
        carry(d);
    }
}

fn carry(d: &mut Signed30) {
    for i in 0..8 {
        d[i + 1] += d[i] >> 30;
        d[i] &= MASK;
    }
}

fn encode(limbs: Signed30) -> [u8; 32] {
    debug_assert!(limbs.iter().all(|limb| *limb >= 0));
    bytes((0..9).map(|i| (30 * i, limbs[i] as u64)))
}
