//! What commands print: tables for people, the API's own answers with `--json`.

use std::io::{IsTerminal, Write};

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, presets};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Columns of a terminal that doesn't say how many it has.
const WIDTH: u16 = 100;

/// What others wrote, for a terminal: characters that would move its cursor, or turn the direction of what follows,
/// are shown as one that doesn't.
pub fn plain(text: &str) -> String {
    let tame = |c: char| match c {
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(tame).collect()
}

/// A line on standard output.
///
/// # Errors
/// Where nobody reads it.
pub fn line(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.trim_end_matches('\n').as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// A word to whoever sits there, beside what was asked for.
pub fn note(text: &str) {
    // Standard error may be closed: what was asked for has been done all the same.
    let _ = writeln!(std::io::stderr().lock(), "{}", plain(text));
}

/// A list for people. The first column names each line and is never broken.
///
/// # Errors
/// Where nobody reads it.
pub fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<()> {
    let mut table = fresh();
    table.set_header(head.iter().map(|name| Cell::new(name.to_uppercase())));
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    if let Some(column) = table.column_mut(0) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    printed(&mut table)
}

/// One thing for people: a member a line.
///
/// # Errors
/// Where nobody reads it.
pub fn record(members: impl IntoIterator<Item = (&'static str, String)>) -> anyhow::Result<()> {
    let mut table = fresh();
    for (name, value) in members.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([name.to_owned(), plain(&value)]);
    }
    printed(&mut table)
}

fn fresh() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    if std::io::stdout().is_terminal() {
        let width = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(0, |size| size.ws_col);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(if width == 0 { WIDTH } else { width });
    }
    table
}

fn printed(table: &mut Table) -> anyhow::Result<()> {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    // Blanks at the end of a line say nothing.
    table.lines().try_for_each(|text| line(text.trim_end()))
}

/// A moment of the API (RFC 3339, UTC) to the minute; a dash for none.
pub fn moment(text: Option<&str>) -> String {
    match text {
        None => "-".to_owned(),
        Some(text) => match (text.get(..10), text.get(10..11), text.get(11..16)) {
            (Some(day), Some("T"), Some(time)) => format!("{day} {time}Z"),
            _ => text.to_owned(),
        },
    }
}

/// A list in one cell.
pub fn joined(list: &[String], none: &str) -> String {
    if list.is_empty() { none.to_owned() } else { list.join(", ") }
}

/// A limit in a cell.
pub fn limit(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}

/// Unix seconds as a moment.
pub fn seconds(seconds: u64) -> String {
    millis(seconds.saturating_mul(1000))
}

/// Unix milliseconds as a moment, to the second.
pub fn millis(millis: u64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis / 1000) * 1_000_000_000).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| millis.to_string())
}
