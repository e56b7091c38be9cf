//! Asks before what can't be undone.

use std::io::{IsTerminal, Write};

use clap::Args;

use super::{failure::Failure, show::plain};

/// Whether to ask.
#[derive(Args)]
pub struct Confirm {
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
}

impl Confirm {
    /// Passes where it need not be asked, or where somebody types the name of what it is about. `about` says what will
    /// happen, and the name.
    ///
    /// # Errors
    /// [`Failure::NotConfirmed`]
    pub fn ask(&self, about: impl FnOnce() -> anyhow::Result<(String, String)>) -> anyhow::Result<()> {
        if self.yes {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(Failure::NotConfirmed("nobody to ask: with --yes it is done".to_owned()).into());
        }
        let (what, name) = about()?;
        let name = plain(name.trim());
        let mut terminal = std::io::stderr().lock();
        write!(terminal, "{}\nType `{name}` to go on: ", plain(&what))?;
        terminal.flush()?;
        let mut typed = String::new();
        std::io::stdin().read_line(&mut typed)?;
        // A name of blanks alone would be confirmed by Enter.
        if typed.trim() == name && !name.is_empty() { Ok(()) } else { Err(Failure::NotConfirmed("not done".to_owned()).into()) }
    }
}
