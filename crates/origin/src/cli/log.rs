//! What is logged, to standard error.

use tracing_subscriber::EnvFilter;

use super::failure::Failure;

const VARIABLE: &str = "KEYWARD_LOG";
const DEFAULT: &str = "info,sqlx=warn";

/// Has all that happens logged from here on.
///
/// # Errors
/// Where the environment asks for what can't be read.
pub fn begin() -> anyhow::Result<()> {
    let told = std::env::var_os(VARIABLE).filter(|told| !told.is_empty());
    let filter = match told {
        None => EnvFilter::new(DEFAULT),
        Some(told) => filter(told.to_str().unwrap_or_default()).ok_or_else(|| {
            Failure::Usage(format!("{VARIABLE} can't be read: it is a level, or TARGET=LEVEL, commas between them, as in {DEFAULT}"))
        })?,
    };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter)
        // Standard output is for what the command was asked for.
        .with_writer(std::io::stderr)
        // A line that can't be written would be told on standard error, which is where it couldn't be written: that panics, and takes
        // whatever logged with it. A full disk, or a log whose reader has gone, must not end what is served.
        .log_internal_errors(false)
        .init();
    Ok(())
}

fn filter(text: &str) -> Option<EnvFilter> {
    // A word alone that is no level would count as a target, whose every line is logged, and nothing else.
    let is_level = |word: &str| word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    if !text.contains('[') && text.split(',').any(|part| !part.contains('=') && !is_level(part.trim())) {
        return None;
    }
    EnvFilter::builder().parse(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_no_level_is_refused() {
        for text in ["debug", "info,sqlx=warn", "off", "info,keyward_origin::http=debug", "warn,keyward_origin[request]=debug"] {
            assert!(filter(text).is_some(), "{text}");
        }
        for text in ["inof", "info,keyward_origin", "info,sqlx=loud", "="] {
            assert!(filter(text).is_none(), "{text}");
        }
    }
}
