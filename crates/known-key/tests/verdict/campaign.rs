//! Random signatures, sound and damaged in every way that we could think of.

use crate::{
    cctv::LOW_ORDER,
    edges::{Signer, plus_order, signature},
    unhex,
};
use std::time::Instant;

/// How many cases the long run has, unless `KEYWARD_SAMENESS_CASES` says otherwise.
const LONG: usize = 10_000_000;

/// How often the long run tells how far it is.
const PROGRESS: usize = 500_000;
/// How many cases a signer has. Tables are dear, and a mistake might show with some keys alone.
const PER_SIGNER: usize = 50_000;

#[test]
fn a_short_campaign_finds_no_difference() {
    campaign(1, 8_000);
}

/// Natively, and in wasm without and with simd128.
#[test]
#[ignore = "long: cargo xtask soak sameness"]
fn a_long_campaign_finds_no_difference() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    campaign(number("KEYWARD_SAMENESS_SEED", 2) as u64, number("KEYWARD_SAMENESS_CASES", LONG));
}

fn campaign(seed: u64, cases: usize) {
    let start = Instant::now();
    let mut random = Random(seed);
    let mut held = [0; DAMAGES];
    let mut refused = [0; DAMAGES];
    let per_signer = (cases / 8).clamp(1, PER_SIGNER);
    let mut signer = None;
    for done in 0..cases {
        if done % per_signer == 0 {
            let torsion = if random.below(2) == 0 { 0 } else { random.below(8) };
            signer = Some(Campaigner::new(Signer::new(random.bytes(), torsion), &mut random));
        }
        let campaigner = signer.as_mut().expect("made at the first case");
        let damage = random.below(DAMAGES);
        let (message, signature) = campaigner.case(damage, &mut random);
        if campaigner.signer.verifiers.agree_in_turn(done, &message, &signature) {
            held[damage] += 1;
        } else {
            refused[damage] += 1;
        }
        if (done + 1) % PROGRESS == 0 {
            println!("{} of {cases} cases, {} s", done + 1, start.elapsed().as_secs());
        }
    }
    println!("{cases} cases agree, by damage: held {held:?}, refused {refused:?}");
    assert!(held[0] > 0 && refused[1..].iter().all(|count| *count > 0), "the campaign tries both outcomes");
}

const DAMAGES: usize = 10;

/// A signer, and what it signed last, to be damaged in many ways: signing takes as long as verifying.
struct Campaigner {
    signer: Signer,
    message: Vec<u8>,
    signature: [u8; 64],
}

impl Campaigner {
    fn new(signer: Signer, random: &mut Random) -> Self {
        let mut campaigner = Self { signer, message: Vec::new(), signature: [0; 64] };
        campaigner.sign(0, random);
        campaigner
    }

    /// Signs another message, with a part of small order in R.
    fn sign(&mut self, torsion: usize, random: &mut Random) {
        self.message = (0..random.below(200)).map(|_| random.next() as u8).collect();
        (self.signature, _) = self.signer.sign(&self.message, random.bytes(), torsion);
    }

    /// A message and a signature with one kind of damage; 0 is none (but for parts of small order that don't cancel).
    fn case(&mut self, damage: usize, random: &mut Random) -> (Vec<u8>, [u8; 64]) {
        match damage {
            0 => self.sign(0, random),
            // A part of small order, which cancels or doesn't; what comes next is damaged beside it.
            3 | 4 => self.sign(random.below(8), random),
            _ => {}
        }
        let (mut message, mut damaged) = (self.message.clone(), self.signature);
        let (r, s): ([u8; 32], [u8; 32]) = (damaged[..32].try_into().unwrap(), damaged[32..].try_into().unwrap());
        match damage {
            1 => {
                let bit = random.below(512);
                damaged[bit / 8] ^= 1 << (bit % 8);
            }
            2 => message.push(random.next() as u8),
            5 => damaged = signature(&r, &plus_order(&s, 1 + random.below(14)).expect("15 L fit into 256 bits")),
            6 => damaged = signature(&random.bytes(), &s),
            7 => {
                let mut s: [u8; 32] = random.bytes();
                s[31] &= 0x1f;
                damaged = signature(&r, &s);
            }
            8 => {
                let low = &LOW_ORDER[random.below(8)];
                let forms = [&[low.canonical], low.others].concat();
                damaged = signature(&unhex(forms[random.below(forms.len())]).try_into().unwrap(), &s);
            }
            // R's y written as y + p, where that fits; else the other sign of x.
            9 => {
                let mut r = r;
                r[31] ^= 0x80;
                if random.below(2) == 0 {
                    r = [0xff; 32];
                    (r[0], r[31]) = (0xed + random.below(19) as u8, random.next() as u8 | 0x7f);
                }
                damaged = signature(&r, &s);
            }
            _ => {}
        }
        (message, damaged)
    }
}

/// SplitMix64: reproducible, and random enough to pick cases.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn bytes(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.next() as u8)
    }
}
