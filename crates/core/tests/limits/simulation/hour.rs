//! An hour of steady traffic: what exactness costs.

use keyward_core::limits::Charge;

use super::{HUBS, PATIENCE, Simulation};

/// For so long after its last use a node gives back what isn't used; then nobody is there to do it until it is used again.
const AWAKE: u64 = 25_000;

impl Simulation {
    /// An hour of steady traffic, somewhat more than the limit; isolates die after so many seconds without a word. The share of
    /// requests that waited until 95 % of the limit were used, and of the limit that was used in the end.
    pub(in super::super) fn hour(&mut self, limit: u64, lifetime: Option<u64>) -> (f64, f64) {
        const TICK: u64 = 5;
        let isolates = self.world.isolates as u64;
        let mut waited = 0.0;
        for tick in 0..3_580_000 / TICK {
            self.now += TICK;
            self.deliver_due();
            // A quarter more than the limit, so that all of it is asked for.
            if self.random.below(3_600_000 * 4) < limit * 5 * TICK {
                let node = HUBS + self.random.below(isolates) as usize;
                for used in [Some(node), self.nodes[node].above].into_iter().flatten() {
                    self.nodes[used].awake = self.now + AWAKE;
                }
                self.total += 1;
                if !self.attempt(node, Charge::request(0), false) {
                    self.nodes[node].waiting.push((self.now + PATIENCE, Charge::request(0)));
                }
                if self.named_requests() * 100 <= limit * 95 {
                    waited = self.waited as f64 / self.total as f64;
                }
            }
            if tick % (1000 / TICK) == 0 {
                (0..self.nodes.len())
                    .filter(|node| self.nodes[*node].awake > self.now)
                    .collect::<Vec<_>>()
                    .into_iter()
                    .for_each(|node| self.settle(node, false));
            }
            if let Some(lifetime) = lifetime
                && tick % (lifetime * 1000 / TICK / isolates) == 1
            {
                // One after the other, so that each lives for so long.
                self.crash(HUBS + (tick / (lifetime * 1000 / TICK / isolates) % isolates) as usize);
            }
        }
        (waited, self.named_requests() as f64 / limit as f64)
    }
}
