//! Verifications by themselves, warm hits and refusals: ours and others', all in the same rounds of one run.
//!
//! Like is compared with like. Those that verify a signature over a message (`webcrypto`, `dalek`, `noble-*`,
//! `libsodium`, `ring`, `aws-lc-rs`) stand against one bare verification by tables, of the 55 bytes that an API key's
//! signature covers, with a call into WebAssembly for each: `verify.cold.w6` and `.w8`, by the width of the tables. Those that
//! take a token's text and say what it permits or claims (`jose`, `biscuit`) stand against the whole way from an API key's text:
//! checksum, decoding, signature, and the share that is verified twice. That is `verify.whole.w6` and `.w8`. What the others need beforehand (imported keys, parsed policies) they have.
//!
//! A slot's cost is the CPU time of its process, less that of an empty slot; in what costs less than a microsecond, less
//! that of the same loop over the same fresh texts. Slots of all contenders take turns. Lower quartiles are compared: what
//! else a machine does only ever adds to the cost of such a slot, and it does that to most of them when it is busy.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{hosts::Host, slots};
use crate::bench::{figures::Figures, lower_quartile};

const ROUNDS: usize = 21;
/// Rounds before, in which engines compile what is used much.
const WARM_UP: usize = 4;
/// Microseconds of CPU that a slot takes, about: long against the time in which a contender's tables come back into the
/// processor's caches, which those of the slot before have taken.
const SLOT: f64 = 40_000.0;
/// Calls of a slot at most.
const MOST: f64 = 1_000_000.0;
/// Calls of a slot while it isn't known what they cost.
const FIRST: u64 = 32;

/// Who verifies a bare signature, and who takes a text the whole way.
const BARE: [&str; 7] = ["webcrypto", "dalek", "noble-ed25519", "noble-curves", "libsodium", "ring", "aws-lc-rs"];
const WHOLE: [&str; 2] = ["jose", "biscuit"];
/// What a call costs that only makes a fresh text.
const TEXT: &str = "text";
/// What the texts cost is subtracted from these.
const OF_TEXTS: [&str; 6] = ["map-get", "verify.warm", "reject.malformed", "reject.label", "reject.character", "reject.checksum"];

/// Microseconds that can be told from nothing: a few instructions are lost among those of the loop.
const LEAST: f64 = 0.001;

/// What there is to measure in a runtime.
fn contenders(runtime: &str) -> Vec<&'static str> {
    let ours = ["verify.cold.w6", "verify.cold.w8", "dalek"];
    match runtime {
        "native" => [&ours[..], &["ring", "aws-lc-rs"]].concat(),
        _ => [
            &ours[..],
            &["verify.whole.w6", "verify.whole.w8", "webcrypto", "noble-ed25519", "noble-curves", "libsodium"],
            &WHOLE,
            &[TEXT],
            &OF_TEXTS,
        ]
        .concat(),
    }
}

pub(super) async fn run(figures: &mut Figures) -> Result<()> {
    let mut hosts: Vec<Measured> = Host::start(&slots::build()?).await?.into_iter().map(Measured::new).collect();
    for round in 0..WARM_UP + ROUNDS {
        for host in &mut hosts {
            host.round(round >= WARM_UP).await?;
        }
    }
    for host in &hosts {
        host.report(figures)?;
    }
    Ok(())
}

/// A host with what was measured in it.
struct Measured {
    host: Host,
    /// Microseconds of the empty slots.
    empty: Vec<f64>,
    /// For each contender the calls of its next slot, and the microseconds a call of those that count.
    times: Vec<(&'static str, u64, Vec<f64>)>,
}

impl Measured {
    fn new(host: Host) -> Self {
        let times = contenders(host.runtime()).into_iter().map(|name| (name, FIRST, Vec::new())).collect();
        Self { host, empty: Vec::new(), times }
    }

    /// A slot of each contender.
    async fn round(&mut self, counts: bool) -> Result<()> {
        let empty = self.host.slot("nothing", 1).await?;
        if counts {
            self.empty.push(empty);
        }
        for (name, calls, times) in &mut self.times {
            let time = self.host.slot(name, *calls).await?;
            if counts {
                times.push(time / *calls as f64);
            } else {
                *calls = (*calls as f64 * SLOT / time.max(1.0)).clamp(8.0, MOST) as u64;
            }
        }
        Ok(())
    }

    fn report(&self, figures: &mut Figures) -> Result<()> {
        let empty = lower_quartile(self.empty.clone());
        let mut costs: BTreeMap<&str, f64> =
            self.times.iter().map(|(name, calls, times)| (*name, lower_quartile(times.clone()) - empty / *calls as f64)).collect();
        let text = costs.remove(TEXT).unwrap_or_default();
        for name in OF_TEXTS {
            costs.entry(name).and_modify(|cost| *cost = (*cost - text).max(LEAST));
        }
        let runtime = self.host.runtime();
        let mut compare = |name: &str, against: &[&str]| {
            for peer in against {
                if let (Some(value), Some(theirs)) = (costs.get(name), costs.get(peer)) {
                    figures.less((name, *value), (peer, *theirs), "us CPU", runtime);
                }
            }
        };
        for (bare, whole) in [("verify.cold.w6", "verify.whole.w6"), ("verify.cold.w8", "verify.whole.w8")] {
            compare(bare, &BARE);
            compare(whole, &WHOLE);
        }
        compare("verify.warm", &["map-get", "verify.cold.w6"]);
        for name in &OF_TEXTS[2..] {
            compare(name, &["map-get"]);
        }
        if let Some(cost) = costs.get("map-get") {
            eprintln!("a Map.get of a fresh text of 144 characters in {runtime}: {cost:.3} us");
        }
        costs.get("dalek").map(drop).context("every runtime has it")
    }
}
