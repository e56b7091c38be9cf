//! Times one verification by each implementation, in interleaved rounds, and prints a JSON object a line.
//!
//! Natively: `cargo run --release -p keyward-known-key --example bench --features bench-peers`. In wasm, `bench.mjs`
//! beside this file runs it as a WASI program that does one slot of one contender (`bench NAME COUNT`), since workerd
//! has no clock that runs during a computation.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use keyward_known_key::{Backend, Builder, Fastest, Portable, PreparedKey, Width};
use std::{
    cell::OnceCell,
    hint::black_box,
    time::{Duration, Instant},
};

const ROUNDS: usize = 51;
const SLOT: Duration = Duration::from_millis(6);

/// As long as what an API key's signature covers.
type Message = [u8; 55];

type Verifies = Box<dyn Fn(&Message, &[u8; 64]) -> bool>;

struct Contender {
    name: &'static str,
    verifies: Verifies,
    /// Microseconds a verification, one for each round.
    times: Vec<f64>,
}

fn main() {
    let signer = SigningKey::from_bytes(&[7; 32]);
    let public = signer.verifying_key();
    // More than a few: the tables' cache misses are part of the cost.
    let signed: Vec<(Message, [u8; 64])> = (0..200)
        .map(|i| {
            let message = [i; 55];
            (message, signer.sign(&message).to_bytes())
        })
        .collect();

    let mut contenders = vec![
        prepared::<Fastest>("verify.cold.w6", &public, Width::W6),
        prepared::<Fastest>("verify.cold.w8", &public, Width::W8),
        prepared::<Portable>("verify.cold.w6.portable", &public, Width::W6),
        prepared::<Portable>("verify.cold.w8.portable", &public, Width::W8),
        contender("dalek", move |message, signature| public.verify_strict(message, &Signature::from_bytes(signature)).is_ok()),
    ];
    #[cfg(feature = "bench-peers")]
    contenders.extend(peers(&public));

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, count] = &arguments[..] {
        let contender = contenders.iter().find(|contender| contender.name == name).expect("the name of a contender");
        let count = count.parse().expect("a number");
        for (message, signature) in signed.iter().cycle().take(count) {
            assert!((contender.verifies)(black_box(message), black_box(signature)));
        }
        return;
    }

    for contender in &contenders {
        time(&signed, &contender.verifies);
    }
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            contender.times.push(time(&signed, &contender.verifies));
        }
    }
    let runtime = if cfg!(target_arch = "wasm32") { "node" } else { "native" };
    let dalek = median(&contenders.iter().find(|contender| contender.name == "dalek").expect("is a contender").times);
    for contender in &contenders {
        let value = median(&contender.times);
        let ratio = dalek / value;
        println!(
            r#"{{"name":"{}","against":"dalek","ratio":{ratio:.2},"value":{value:.2},"unit":"us","runtime":"{runtime}"}}"#,
            contender.name
        );
    }
    for width in [Width::W6, Width::W8] {
        let (value, longest) = build(&public, width);
        println!(r#"{{"name":"build.{width:?}","longest_step":{longest:.0},"value":{value:.0},"unit":"us","runtime":"{runtime}"}}"#);
    }
}

fn contender(name: &'static str, verifies: impl Fn(&Message, &[u8; 64]) -> bool + 'static) -> Contender {
    Contender { name, verifies: Box::new(verifies), times: Vec::new() }
}

/// One of ours. Its tables are built at its first verification, so that others needn't wait for them.
fn prepared<B: Backend + 'static>(name: &'static str, public: &VerifyingKey, width: Width) -> Contender {
    let (public, key) = (public.to_bytes(), OnceCell::new());
    contender(name, move |message, signature| {
        key.get_or_init(|| PreparedKey::<B>::new(&public, width).expect("a signer's key can be prepared")).verifies(message, signature)
    })
}

#[cfg(feature = "bench-peers")]
fn peers(public: &VerifyingKey) -> [Contender; 2] {
    let ring = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, public.to_bytes());
    let aws = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public.to_bytes());
    [
        contender("ring", move |message, signature| ring.verify(message, signature).is_ok()),
        contender("aws-lc-rs", move |message, signature| aws.verify(message, signature).is_ok()),
    ]
}

/// Microseconds a verification, over about one slot.
fn time(signed: &[(Message, [u8; 64])], verifies: impl Fn(&Message, &[u8; 64]) -> bool) -> f64 {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < SLOT {
        for (message, signature) in signed {
            assert!(verifies(black_box(message), black_box(signature)));
        }
        count += signed.len();
    }
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}

/// Microseconds to build one table of a key, and the longest that one position of it took.
fn build(public: &VerifyingKey, width: Width) -> (f64, f64) {
    let base = PreparedKey::<Fastest>::new(public.as_bytes(), width).expect("a signer's key can be prepared");
    let (mut totals, mut longest) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut builder = Builder::sharing(public.as_bytes(), base.base()).expect("it was prepared before");
        let (start, mut steps) = (Instant::now(), Vec::new());
        loop {
            let step = Instant::now();
            let complete = builder.step(1);
            steps.push(step.elapsed().as_secs_f64() * 1e6);
            if complete {
                break;
            }
        }
        totals.push(start.elapsed().as_secs_f64() * 1e6);
        longest.push(steps.into_iter().fold(0.0, f64::max));
    }
    (median(&totals), median(&longest))
}

fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
