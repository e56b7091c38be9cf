//! What can come of a command that asks an origin, and the exit codes for it.

use std::{io::Write, process::ExitCode};

use serde_json::{Map, Value};

use super::show::plain;

/// What `--help` says of exit codes.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused: by the API (its problem is on standard error), or a key or token that isn't valid; without REST: it couldn't be done
  2  the command line, the environment, a profile or another file that is named says something wrong, or isn't there
  3  no answer to go by: nothing reached, a time-out, a fault of the server, or not Keyward that answers
  4  not confirmed
  5  a draft would change decisions, and --fail-on-change is set";

/// What a shell says of a program that SIGPIPE has ended.
const BROKEN_PIPE: u8 = 128 + 13;

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The API refused, with this body.
    #[error("refused")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The problem as it was sent.
        text: String,
        /// Whether to show it so.
        json: bool,
    },
    /// What was asked about isn't valid, as the answer on standard output says.
    #[error("not valid")]
    NotValid,
    /// The command can't be carried out as it was written.
    #[error("{0}")]
    Usage(String),
    /// There is no answer to go by.
    #[error("{0}")]
    Unreachable(String),
    /// A draft would decide otherwise, as the answer on standard output says.
    #[error("something would change")]
    Changed,
    /// Nobody said yes.
    #[error("{0}")]
    NotConfirmed(String),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { status: 500.., .. } => 3,
            Self::Refused { .. } | Self::NotValid => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::NotConfirmed(_) => 4,
            Self::Changed => 5,
        }
    }

    fn words(&self) -> Option<String> {
        match self {
            Self::NotValid | Self::Changed => None,
            Self::Refused { text, json: true, .. } => Some(text.trim_end().to_owned()),
            Self::Refused { status, text, json: false } => Some(described(*status, text)),
            other => Some(format!("keyward: {other}")),
        }
    }
}

/// Says what went wrong on standard error.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // A reader that has seen enough (`| head`) needs no words; but a raw key may have been lost in it.
    if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        return ExitCode::from(BROKEN_PIPE);
    }
    let Some(failure) = error.downcast_ref::<Failure>() else {
        say(&format!("Error: {error:?}"));
        return ExitCode::FAILURE;
    };
    if let Some(words) = failure.words() {
        say(&words);
    }
    ExitCode::from(failure.exit_code())
}

/// On standard error, as far as anybody reads it: the exit code counts.
fn say(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// A problem (RFC 9457), or OAuth's form of one, for people: whatever members it has.
fn described(status: u16, text: &str) -> String {
    let members: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let word = |name: &str| members.get(name).and_then(Value::as_str).map(plain);
    let title = word("title").unwrap_or_else(|| "Refused".to_owned());
    let code = word("code").or_else(|| word("error")).unwrap_or_default();
    let mut lines = vec![format!("keyward: {title} ({status} {code})")];
    lines.extend(word("detail").or_else(|| word("error_description")).map(|detail| format!("  {detail}")));
    for (name, value) in &members {
        match (name.as_str(), value) {
            ("type" | "title" | "status" | "code" | "detail" | "error" | "error_description", _) => {}
            ("errors", Value::Array(errors)) => lines.extend(errors.iter().map(|error| {
                let part = |name: &str| plain(error[name].as_str().unwrap_or_default());
                format!("  {}: {}", part("field"), part("message"))
            })),
            (name, value) => lines.push(format!("  {}: {}", plain(name), plain(&value.to_string()))),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_all_its_members_and_nothing_that_moves_the_cursor() {
        let text = r#"{"type":"urn:keyward:problem:x","title":"Not \u001b[2Jvalid","status":422,"code":"x","detail":"d",
            "errors":[{"field":"allowed_ips[2]","message":"no address"}],"live_keys":3}"#;
        let said = described(422, text);
        assert_eq!(said, "keyward: Not \u{fffd}[2Jvalid (422 x)\n  d\n  allowed_ips[2]: no address\n  live_keys: 3");
    }
}
