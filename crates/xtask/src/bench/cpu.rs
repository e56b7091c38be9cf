//! The CPU time of another process. Wall time would measure whatever else the machine does.

use std::fs;

use anyhow::{Context, Result};

/// Microseconds of CPU that the process has used so far, by all its threads that live.
pub(super) fn used(process: u32) -> Result<f64> {
    let mut nanoseconds = 0u64;
    for thread in fs::read_dir(format!("/proc/{process}/task")).context("CPU times need Linux")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += text.split(' ').next().context("schedstat")?.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1000.0)
}
