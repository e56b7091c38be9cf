//! A data directory has one server at a time. Decision 0131.

use std::{
    fs::{File, TryLockError},
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, bail};

use crate::sealing::secret_file;

const NAME: &str = "lock";
/// Digits of a process id, and more.
const MOST: u64 = 32;

/// The data directory of this process, until it is dropped. The kernel gives it back where the process is killed.
pub struct DataDir {
    _lock: File,
}

impl DataDir {
    /// Makes the directory where it is missing, and takes it.
    ///
    /// # Errors
    /// Where another process has it, or it can't be made.
    pub fn take(path: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("can't make {}", path.display()))?;
        let mut lock = secret_file(File::options().create(true).truncate(false).read(true), &path.join(NAME))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.take(MOST).read_to_string(&mut holder);
                let holder = holder.trim().parse::<u32>().map(|id| format!("process {id}")).unwrap_or("another process".to_owned());
                bail!("{} is in use by {holder}: each server has a data directory of its own (KEYWARD_DATA_DIR)", path.display());
            }
            Err(TryLockError::Error(error)) => return Err(error).context("can't lock the data directory"),
        }
        // For whoever comes and finds it taken.
        lock.set_len(0)?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self { _lock: lock })
    }
}
