//! Processes that do slots: a number of calls of one contender, whose cost is seen from outside, since workerd's clock
//! stands still during a computation.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use keyward_tests::{Edge, EdgeConfig, http::Request};

use super::slots::Slots;
use crate::bench::cpu;

/// A running process.
pub(super) enum Host {
    /// Reads a line for each slot.
    Piped { runtime: &'static str, child: Child, input: ChildStdin, output: BufReader<ChildStdout> },
    /// Gets a request for each slot.
    Workerd { edge: Box<Edge> },
}

impl Host {
    /// All of them.
    pub(super) async fn start(slots: &Slots) -> Result<[Self; 3]> {
        let edge = Box::new(Edge::start(EdgeConfig::plain(slots.modules.clone())).await?);
        let mut node = Command::new("node");
        node.arg(slots.modules.join("node.mjs"));
        let native = Command::new(&slots.native);
        Ok([Self::Workerd { edge }, Self::piped("node", node)?, Self::piped("native", native)?])
    }

    fn piped(runtime: &'static str, mut command: Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context(runtime)?;
        let input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self::Piped { runtime, child, input, output })
    }

    /// What runs in it.
    pub(super) const fn runtime(&self) -> &'static str {
        match self {
            Self::Piped { runtime, .. } => runtime,
            Self::Workerd { .. } => "workerd",
        }
    }

    /// Does a slot; returns the microseconds of CPU that the process took.
    pub(super) async fn slot(&mut self, name: &str, count: u64) -> Result<f64> {
        let process = match self {
            Self::Piped { child, .. } => child.id(),
            Self::Workerd { edge, .. } => edge.process_id()?,
        };
        let before = cpu::used(process)?;
        match self {
            Self::Piped { input, output, runtime, .. } => {
                writeln!(input, "{name} {count}")?;
                let mut answer = String::new();
                output.read_line(&mut answer)?;
                ensure!(answer == "done\n", "{name} in {runtime} failed");
            }
            Self::Workerd { edge } => {
                // On a connection of its own: one that rests while the others take their turns is closed.
                let answer = edge.send(0, &Request::get(format!("/?name={name}&count={count}"))).await?;
                ensure!(answer.status == 200, "{name} in workerd: {}", answer.text());
            }
        }
        Ok(cpu::used(process)? - before)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Self::Piped { child, .. } = self {
            // It has ended already where it failed.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
