//! The ways in which a test hurts a process.

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal as Raw, kill_process_group, test_kill_process_group};

/// A signal for a whole process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: end in an orderly way, as Ctrl-C does.
    Interrupt,
    /// SIGKILL: die now.
    Kill,
    /// SIGSTOP: hang, with every connection left open.
    Stop,
    /// SIGCONT: go on after [`Signal::Stop`].
    Continue,
}

impl Signal {
    /// Sends itself to the group that `leader` leads.
    pub(crate) fn send(self, leader: u32) -> Result<()> {
        let pid = i32::try_from(leader).ok().and_then(Pid::from_raw).context("a process id")?;
        let signal = match self {
            Self::Interrupt => Raw::INT,
            Self::Kill => Raw::KILL,
            Self::Stop => Raw::STOP,
            Self::Continue => Raw::CONT,
        };
        kill_process_group(pid, signal).with_context(|| format!("{self:?} to the group of {pid:?}"))
    }

    /// Whether anybody is left in the group that `leader` led.
    pub(crate) fn reaches(leader: u32) -> bool {
        i32::try_from(leader).ok().and_then(Pid::from_raw).is_some_and(|pid| test_kill_process_group(pid).is_ok())
    }
}
