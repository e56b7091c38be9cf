//! `keyward completion`: what a shell offers after `keyward`.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::Cli;

const EXAMPLES: &str = "\
Examples:
  keyward completion bash > /etc/bash_completion.d/keyward
  keyward completion zsh > ~/.zfunc/_keyward
  keyward completion fish > ~/.config/fish/completions/keyward.fish";

/// A script that completes the command's words in a shell.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Completion {
    /// The shell.
    shell: Shell,
}

impl Completion {
    /// Does it.
    ///
    /// # Errors
    /// Where nobody reads it.
    pub fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "keyward", &mut script);
        super::show::line(&String::from_utf8(script)?)
    }
}
