//! Many worlds, each from its seed: what never happens, and what exactness costs.

use keyward_core::Limits;

use crate::{
    random::Random,
    simulation::{EDGE, Simulation, World},
};

const GOOD: World = World { lost: 0, doubled: 0, slowest: 20, crashes: 0, skew: 0, isolates: 4, idle: 2500, keep: 60_000 };
const SKEWED: World = World { skew: 1000, ..GOOD };
const BAD: World = World { lost: 80, doubled: 80, slowest: 1500, crashes: 3, skew: 1000, isolates: 4, idle: 2500, keep: 60_000 };
/// Clocks that keep nothing: the limit then holds by window, as holders name it.
const MAD: World = World { skew: 40_000, ..BAD };

fn limits(random: &mut Random) -> Limits {
    let mut some = |most: u64| (random.below(4) > 0).then(|| random.below(most));
    Limits { rate_per_hour: some(600), daily_quota: some(900), monthly_quota: some(1200), cost_cents: some(3000), ..Limits::default() }
}

/// Runs that many worlds of each kind; how much was admitted in all.
fn campaign(seeds: std::ops::Range<u64>) -> u64 {
    let mut admitted = 0;
    for seed in seeds {
        for world in [SKEWED, BAD, MAD] {
            let mut random = Random(seed.wrapping_mul(0xd134_2543_de82_ef95) | 1);
            let begin = EDGE - 3000 - random.below(30_000) + 3_600_000 * random.below(3);
            let mut simulation = Simulation::new(seed, world, limits(&mut random), begin);
            let every = 5 + random.below(60);
            simulation.run(20_000, every, 9);
            simulation.check(seed);
            simulation.limits = limits(&mut random);
            simulation.run(20_000, every, 9);
            simulation.check(seed);
            admitted += simulation.named_requests();
        }
    }
    admitted
}

#[test]
fn never_is_more_admitted_than_a_limit_whatever_is_lost_late_doubled_crashed_or_off() {
    assert!(campaign(0..60) > 10_000);
}

#[test]
#[ignore = "long: cargo xtask soak limits"]
fn soak_limits_simulation() {
    let admitted = campaign(1000..21_000);
    println!("{admitted} admissions in 60000 worlds, none of them over a limit");
    assert!(admitted > 10_000_000);
}

/// Steady traffic through an hour, on the average of some: the shares of requests that waited, and of the limit that was used.
fn hours(limit: u64, isolates: usize, (idle, keep): (u64, u64), lifetime: Option<u64>) -> (f64, f64) {
    const HOURS: u64 = 8;
    let world = World { isolates, slowest: 10, idle, keep, ..GOOD };
    let limits = Limits { rate_per_hour: Some(limit), ..Limits::default() };
    let hours = (0..HOURS).map(|seed| Simulation::new(seed, world, limits, EDGE + 10_000).hour(limit, lifetime));
    let (waited, used) = hours.fold((0.0, 0.0), |sum, (waited, used)| (sum.0 + waited, sum.1 + used));
    (waited / HOURS as f64, used / HOURS as f64)
}

/// An edge's own times, and what its operator may say instead.
const PACES: [(u64, u64); 3] = [(1000, 60_000), (1000, 0), (600_000, 0)];

/// What exactness costs, for `docs/limits.md`.
#[test]
#[ignore = "long: cargo xtask soak limits"]
fn soak_limits_curve() {
    for (idle, keep) in PACES {
        println!("idle {idle} ms, keep {keep} ms\nlimit/h, isolates, lifetime: waited, used");
        for limit in [100, 1000, 10_000, 100_000] {
            for isolates in [1, 4, 20] {
                for lifetime in [None, Some(600)] {
                    let (waited, used) = hours(limit, isolates, (idle, keep), lifetime);
                    assert!(used <= 1.0);
                    let lifetime = lifetime.map_or("lasting".to_owned(), |secs| format!("{secs} s"));
                    println!("{limit:>6} {isolates:>3} {lifetime:>8}: {:5.2} % {:6.2} %", waited * 100.0, used * 100.0);
                }
            }
        }
    }
}

/// A request each 3.6 seconds finds a permit nearly always, and all of the limit can be used.
#[test]
fn few_requests_wait_although_idle_permits_go_back() {
    for (isolates, lifetime, most) in [(1, None, 0.006), (4, None, 0.006), (20, None, 0.03), (1, Some(600), 0.03)] {
        let (waited, used) = hours(1000, isolates, PACES[0], lifetime);
        assert!(waited < most && used >= 0.99, "{isolates} isolates, {lifetime:?}: {waited} waited, {used} used");
    }
}

#[test]
fn in_a_good_world_all_of_a_limit_can_be_used_and_few_requests_wait() {
    let limits = Limits { rate_per_hour: Some(1000), ..Limits::default() };
    for seed in 0..5 {
        let mut simulation = Simulation::new(seed, GOOD, limits, EDGE + 10_000);
        let mut share = 0.0;
        while simulation.refused == 0 {
            simulation.run(100, 12, 0);
            // At 99 % of the limit: the last permits are given one by one.
            if simulation.named_requests() <= 990 {
                share = simulation.waited as f64 / simulation.total as f64;
            }
        }
        simulation.run(10_000, 12, 0);
        simulation.check(seed);
        let admitted = simulation.named_requests();
        assert!((990..=1000).contains(&admitted), "seed {seed}: {admitted}");
        assert!(share < 0.1, "seed {seed}: {share}");
        println!("seed {seed}: {admitted} admitted, {:.2} % waited", share * 100.0);
    }
}
