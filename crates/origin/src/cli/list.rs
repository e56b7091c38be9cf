//! Lists, page by page.

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{
    client::{Call, Client},
    failure::Failure,
    parse,
    show::{line, note, table},
};

/// Things on a page where all pages are followed, unless told otherwise.
const WHOLE_PAGE: u32 = 1000;
/// Lines of a table: more than anyone reads, and few enough to measure its columns.
const MOST_LINES: usize = 100_000;

/// How much of a list.
#[derive(Args)]
pub struct Paging {
    /// Things on a page.
    #[arg(long, value_name = "N")]
    pub limit: Option<u32>,
    /// The page that begins there: what the page before has ended with.
    #[arg(long)]
    pub cursor: Option<String>,
    /// All pages; with --json a thing a line.
    #[arg(long)]
    pub all: bool,
}

/// What is listed, and how it is shown.
pub struct Listed<'a, T> {
    /// The path.
    pub path: &'a str,
    /// The query, without the page.
    pub query: Vec<(&'static str, String)>,
    /// The member of the query that says where a page begins.
    pub cursor: &'static str,
    /// The columns.
    pub head: &'a [&'a str],
    /// A line of the table.
    pub row: fn(&T) -> Vec<String>,
}

impl<T: DeserializeOwned> Listed<'_, T> {
    /// Asks for it, and prints it.
    ///
    /// # Errors
    /// A [`Failure`], or where nobody reads it.
    pub fn show(self, client: &Client, paging: &Paging) -> anyhow::Result<()> {
        let limit = paging.limit.or(paging.all.then_some(WHOLE_PAGE));
        let mut from = paging.cursor.clone();
        let mut rows = Vec::new();
        loop {
            let page = limit.map(|limit| ("limit", limit.to_string())).into_iter().chain(from.take().map(|from| (self.cursor, from)));
            let answer = client.ask(&Call::get(self.path).query(self.query.clone()).query(page))?;
            match (client.json(), paging.all) {
                (true, false) => line(&answer.text)?,
                (true, true) => {
                    let things: Vec<&RawValue> =
                        serde_json::from_str(&answer.text).map_err(|error| Failure::Unreachable(error.to_string()))?;
                    things.iter().try_for_each(|thing| line(thing.get()))?;
                }
                (false, _) => rows.extend(answer.read::<Vec<T>>()?.iter().map(self.row)),
            }
            from = answer.next.and_then(|query| parse::member(&query, self.cursor));
            if from.is_none() || !paging.all {
                break;
            }
            if rows.len() > MOST_LINES {
                return Err(Failure::Usage(format!("more than {MOST_LINES} lines: use --json")).into());
            }
        }
        if !client.json() {
            table(self.head, rows)?;
        }
        if let Some(from) = from {
            note(&format!("There is more: --{} {from}, or --all.", self.cursor));
        }
        Ok(())
    }
}
