//! From positions, which count up, to status indices, which say nothing of when or for whom they were given.

use keyward_core::{StatusIndex, bounds::SHARD_BITS};
use sha2::{Digest, Sha256};

const HALF_BITS: u32 = SHARD_BITS / 2;
const HALF_MASK: u32 = (1 << HALF_BITS) - 1;
const ROUNDS: u8 = 4;

/// A keyed permutation of the offsets within each shard: a Feistel network over two halves of ten bits, whose round
/// function is a table drawn from SHA-256. It hides order from onlookers; nothing breaks where somebody inverts it.
pub struct Spread {
    rounds: Vec<[u16; 1 << HALF_BITS]>,
}

impl Spread {
    /// The permutation of a key.
    pub fn new(key: &[u8; 32]) -> Self {
        let rounds = (0..ROUNDS)
            .map(|round| {
                std::array::from_fn(|half| {
                    let half = u16::try_from(half).unwrap_or_default();
                    let digest = Sha256::new().chain_update(key).chain_update([round]).chain_update(half.to_be_bytes()).finalize();
                    u16::from_be_bytes([digest[0], digest[1]]) & (HALF_MASK as u16)
                })
            })
            .collect();
        Self { rounds }
    }

    /// The index of a position: in the same shard, at another offset.
    pub fn index(&self, position: u32) -> StatusIndex {
        let (shard, offset) = (position >> SHARD_BITS, position & ((1 << SHARD_BITS) - 1));
        let (mut left, mut right) = (offset >> HALF_BITS, offset & HALF_MASK);
        // The shard takes part, so that no two shards have the same pattern.
        for table in &self.rounds {
            let mixed = u32::from(table[((right + shard) & HALF_MASK) as usize]);
            (left, right) = (right, left ^ mixed);
        }
        StatusIndex(shard << SHARD_BITS | left << HALF_BITS | right)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_of_a_shard_is_given_exactly_once_and_order_is_hidden() {
        let spread = Spread::new(&[7; 32]);
        for shard in [0, 5] {
            let mut seen = vec![false; 1 << SHARD_BITS];
            for offset in 0..1 << SHARD_BITS {
                let index = spread.index(shard << SHARD_BITS | offset);
                assert_eq!(index.shard(), shard);
                assert!(!std::mem::replace(&mut seen[index.offset()], true));
            }
        }
        let ascending = (0..1000).filter(|&at| spread.index(at) < spread.index(at + 1)).count();
        assert!((400..600).contains(&ascending), "{ascending} of 1000 neighbours ascend");
    }
}
