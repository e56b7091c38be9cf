//! Random signatures, sound and damaged in every way that we could think of.

use crate::{
    cctv::LOW_ORDER,
    edges::{Signer, plus_order, signature},
    unhex,
};

/// How many cases the long run has, unless `KEYWARD_SAMENESS_CASES` says otherwise.
const LONG: usize = 10_000_000;

#[test]
fn a_short_campaign_finds_no_difference() {
    campaign(1, 4_000);
}

/// `cargo test --release -p keyward-known-key --test verdict -- --ignored` (natively about half an hour).
#[test]
#[ignore = "takes long; run it before a release and after any change to the arithmetic"]
fn a_long_campaign_finds_no_difference() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    campaign(number("KEYWARD_SAMENESS_SEED", 2) as u64, number("KEYWARD_SAMENESS_CASES", LONG));
}

fn campaign(seed: u64, cases: usize) {
    let mut random = Random(seed);
    let mut held = [0; DAMAGES];
    let mut refused = [0; DAMAGES];
    let mut done = 0;
    while done < cases {
        // A few keys at a time: tables are dear, and a mistake might show with some keys alone.
        let signer = Signer::new(random.bytes(), if random.below(2) == 0 { 0 } else { random.below(8) });
        for _ in 0..(cases / 8).clamp(1, 50_000).min(cases - done) {
            let damage = random.below(DAMAGES);
            let (message, signature) = case(&signer, damage, &mut random);
            if signer.verifiers.agree(&message, &signature) {
                held[damage] += 1;
            } else {
                refused[damage] += 1;
            }
            done += 1;
        }
    }
    println!("{done} cases, by damage: held {held:?}, refused {refused:?}");
    assert!(held[0] > 0 && refused[1..].iter().all(|count| *count > 0), "the campaign tries both outcomes");
}

const DAMAGES: usize = 10;

/// A message and a signature with one kind of damage; 0 is none (but for parts of small order that don't cancel).
fn case(signer: &Signer, damage: usize, random: &mut Random) -> (Vec<u8>, [u8; 64]) {
    let mut message = vec![0; random.below(200)];
    message.iter_mut().for_each(|byte| *byte = random.next() as u8);
    let (mut sound, _) = signer.sign(&message, random.bytes(), 0);
    let (r, s): ([u8; 32], [u8; 32]) = (sound[..32].try_into().unwrap(), sound[32..].try_into().unwrap());
    let damaged = match damage {
        0 => sound,
        1 => {
            let bit = random.below(512);
            sound[bit / 8] ^= 1 << (bit % 8);
            sound
        }
        2 => {
            message.push(random.next() as u8);
            sound
        }
        // Another part of small order, which cancels or doesn't.
        3 | 4 => signer.sign(&message, random.bytes(), random.below(8)).0,
        5 => signature(&r, &plus_order(&s, 1 + random.below(14)).expect("15 L fit into 256 bits")),
        6 => signature(&random.bytes(), &s),
        7 => {
            let mut s: [u8; 32] = random.bytes();
            s[31] &= 0x1f;
            signature(&r, &s)
        }
        8 => {
            let low = &LOW_ORDER[random.below(8)];
            let forms = [&[low.canonical], low.others].concat();
            signature(&unhex(forms[random.below(forms.len())]).try_into().unwrap(), &s)
        }
        // R's y written as y + p, where that fits; else the other sign of x.
        _ => {
            let mut r = r;
            r[31] ^= 0x80;
            if random.below(2) == 0 {
                r = [0xff; 32];
                (r[0], r[31]) = (0xed + random.below(19) as u8, random.next() as u8 | 0x7f);
            }
            signature(&r, &s)
        }
    };
    (message, damaged)
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
