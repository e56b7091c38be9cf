//! The CPU time of another process. Wall time would measure whatever else the machine does.

use std::{fs, path::Path};

use anyhow::{Context, Result};

/// Microseconds of CPU that the process has used so far, by all its threads that live.
pub(super) fn used(process: u32) -> Result<f64> {
    let mut nanoseconds = 0u64;
    for thread in fs::read_dir(format!("/proc/{process}/task")).context("CPU times need Linux")? {
        nanoseconds += self::thread(&thread?.path())?;
    }
    Ok(nanoseconds as f64 / 1000.0)
}

/// Microseconds of CPU that the process's main thread has used: where workerd runs scripts, so what a request waits for.
pub(super) fn used_by_main(process: u32) -> Result<f64> {
    thread(Path::new(&format!("/proc/{process}/task/{process}"))).map(|nanoseconds| nanoseconds as f64 / 1000.0)
}

/// Nanoseconds of one thread.
fn thread(folder: &Path) -> Result<u64> {
    let text = fs::read_to_string(folder.join("schedstat"))?;
    Ok(text.split(' ').next().context("schedstat")?.parse()?)
}
