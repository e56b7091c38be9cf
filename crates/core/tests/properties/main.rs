//! What holds for every input, tried on many. `KEYWARD_SOAK=100` tries a hundred times as many; so does
//! `cargo xtask soak properties`, in release.

mod base62;
mod codecs;
mod covers;
mod explain;
mod junk;
mod networks;
mod paths;
mod replica;
mod strategies;
mod tamper;

use proptest::test_runner::Config;

/// The settings of a property that is tried on so many inputs, times `KEYWARD_SOAK`.
fn tries(cases: u32) -> Config {
    let soak = std::env::var("KEYWARD_SOAK").ok().and_then(|text| text.parse::<u32>().ok()).unwrap_or(1);
    // What failed once becomes a vector or a test of its own: no file of seeds.
    Config {
        cases: cases.saturating_mul(soak),
        failure_persistence: None,
        max_shrink_iters: 2000,
        max_global_rejects: u32::MAX,
        max_local_rejects: u32::MAX,
        ..Config::default()
    }
}
