//! Keys and tokens that a command is about: read from standard input, since arguments show in the list of processes.

use std::io::{IsTerminal, Read};

use keyward_core::bounds::MAX_TOKEN_LEN;
use zeroize::Zeroizing;

use super::failure::Failure;

/// Reads one; on a terminal, without showing it.
///
/// # Errors
/// Where there is none, or what is there is longer than any.
pub fn read(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    if std::io::stdin().is_terminal() {
        *text = rpassword::prompt_password(format!("{what}: "))?;
    } else {
        std::io::stdin().take(MAX_TOKEN_LEN as u64 + 2).read_to_string(&mut text)?;
    }
    let trimmed = Zeroizing::new(text.trim().to_owned());
    match trimmed.len() {
        0 => Err(Failure::Usage(format!("no {what} on standard input")).into()),
        length if length > MAX_TOKEN_LEN => Err(Failure::Usage(format!("what is on standard input is too long for a {what}")).into()),
        _ => Ok(trimmed),
    }
}
