//! Times one verification by each implementation, in interleaved rounds, and prints a JSON object a line.
//!
//! Natively: `cargo run --release -p keyward-known-key --example bench --features bench-peers`. For wasm see the README.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use keyward_known_key::{Backend, Builder, Fastest, Portable, PreparedKey, Width};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

const ROUNDS: usize = 51;
const SLOT: Duration = Duration::from_millis(6);

/// As long as what an API key's signature covers.
type Message = [u8; 55];

struct Contender<'a> {
    name: &'static str,
    verifies: Box<dyn Fn(&Message, &[u8; 64]) -> bool + 'a>,
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
        contender("verify.cold.w6", prepared::<Fastest>(&public, Width::W6)),
        contender("verify.cold.w8", prepared::<Fastest>(&public, Width::W8)),
        contender("verify.cold.w6.portable", prepared::<Portable>(&public, Width::W6)),
        contender("verify.cold.w8.portable", prepared::<Portable>(&public, Width::W8)),
        contender("dalek", move |message, signature| {
            public.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
        }),
    ];
    #[cfg(feature = "bench-peers")]
    contenders.extend(peers(&public));

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
        println!(
            r#"{{"name":"build.{width:?}","longest_step":{longest:.0},"value":{value:.0},"unit":"us","runtime":"{runtime}"}}"#
        );
    }
}

fn contender<'a>(name: &'static str, verifies: impl Fn(&Message, &[u8; 64]) -> bool + 'a) -> Contender<'a> {
    Contender { name, verifies: Box::new(verifies), times: Vec::new() }
}

fn prepared<B: Backend>(public: &VerifyingKey, width: Width) -> impl Fn(&Message, &[u8; 64]) -> bool + use<B> {
    let key = PreparedKey::<B>::new(public.as_bytes(), width).expect("a signer's key can be prepared");
    move |message, signature| key.verifies(message, signature)
}

#[cfg(feature = "bench-peers")]
fn peers(public: &VerifyingKey) -> [Contender<'static>; 2] {
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
    if std::env::var_os("BENCH_MIN").is_some() { return sorted[0] }
    sorted[sorted.len() / 2]
}
