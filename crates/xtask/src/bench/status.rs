//! What a full shard of a million keys weighs as it is published, against the entropy of what it tells.

use anyhow::{Context, Result, ensure};
use keyward_core::{Status, StatusList};
use keyward_issuer::encode_status_list;

use super::Line;

/// Keys a shard.
const KEYS: usize = 1 << 20;

pub(super) fn run() -> Result<()> {
    for (name, share) in [("status.shard.0.1%", 0.001), ("status.shard.1%", 0.01), ("status.shard.5%", 0.05)] {
        let mut list = StatusList::new(2, KEYS)?;
        let mut random = 0x9e37_79b9_7f4a_7c15u64;
        let mut revoked = 0;
        for index in 0..KEYS {
            // xorshift64: what matters is that the revoked ones are spread like those of a real list.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if (random >> 11) as f64 / (1u64 << 53) as f64 <= share {
                ensure!(list.set(index, Status::Invalid.value()), "an index of the list");
                revoked += 1;
            }
        }
        let body = encode_status_list(&list);
        let bytes = keyward_core::codec::decode_base64url(&body.lst).context("base64url")?.len() as f64;
        let peer = entropy(f64::from(revoked) / KEYS as f64) * KEYS as f64 / 8.0;
        Line { name, against: "the entropy bound", ratio: peer / bytes, value: bytes, peer, unit: "bytes", runtime: "zlib" }.print();
    }
    let memory = (KEYS / 4) as f64;
    let against = "a 64-bit set entry for each key at 5 %";
    let peer = KEYS as f64 * 0.05 * 8.0;
    let ratio = peer / memory;
    Line { name: "status.shard.memory", against, ratio, value: memory, peer, unit: "bytes", runtime: "any" }.print();
    Ok(())
}

/// Bits that one yes or no tells, when a share of `p` is yes.
fn entropy(p: f64) -> f64 {
    -(p * p.log2() + (1.0 - p) * (1.0 - p).log2())
}
